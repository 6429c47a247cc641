using Emu.Cpus;
using Emu.Devices;
using Emu.Fetch;

namespace Emu.Machines;

/// <summary>Who decides which CPU does what next.</summary>
public enum ScheduleKind
{
    /// <summary>Each CPU in turn for a quantum of instructions; fetch runs as far ahead as the profile allows, and stores drain soon.</summary>
    RoundRobin,

    /// <summary>CPUs, lengths of bursts, prefetch, drains, deliveries and versions at random, from the seed.</summary>
    Random,

    /// <summary>
    /// Probabilistic concurrency testing: of the agents that can do something the one with the highest priority does, one event at a time. Priorities,
    /// the steps at which they change, and versions come from the seed.
    /// </summary>
    Pct,

    /// <summary>A list of events; when it ends, round-robin goes on.</summary>
    Listed,
}

/// <summary>How a guest reaches a disk.</summary>
public enum DiskInterface
{
    /// <summary>A virtio block device on the PCI bus.</summary>
    Virtio,

    /// <summary>At the primary IDE channel; two at most.</summary>
    Ide,
}

/// <summary>A disk of a machine.</summary>
/// <param name="Path">A raw image.</param>
/// <param name="Writable">What the guest writes goes to the file; else it is kept in memory, and the file never changes.</param>
public sealed record DiskOptions(string Path, DiskInterface Interface = DiskInterface.Virtio, bool Writable = false);

/// <summary>What a machine is built from.</summary>
public sealed record MachineOptions
{
    /// <summary>Most CPUs that a machine may have.</summary>
    public const int MaximumCpus = 64;

    /// <summary>Most disks of each interface.</summary>
    public const int MaximumVirtioDisks = 8;
    public const int MaximumIdeDisks = 2;

    /// <summary>1 to 64.</summary>
    public int CpuCount { get; init; } = 4;

    /// <summary>Bytes of RAM: a multiple of 4096, at least 1 MiB.</summary>
    public ulong MemorySize { get; init; } = 64UL << 20;

    /// <summary>Bytes of ROM that ends at 4 GiB: a multiple of 4096, at most 4 MiB.</summary>
    public ulong RomSize { get; init; }
    public CpuModel Model { get; init; } = CpuModels.Skylake;

    /// <summary>What the real-time clock shows at the start.</summary>
    public DateTime RtcStart { get; init; } = CmosRtc.DefaultStart;
    public FetchProfile Profile { get; init; } = FetchProfiles.Coherent;

    /// <summary>
    /// The profile whose rule of cross-modifying code is checked at every instruction (<see cref="Emu.Execution.XmcMonitor"/>); null checks nothing. The
    /// coherent machine may check any, the modelled one its own.
    /// </summary>
    public FetchProfile? Check { get; init; }

    /// <summary>A reset that the guest asks for, or a triple fault, starts the machine again instead of ending the run: <see cref="Machine.Load"/> is done anew.</summary>
    public bool Reboot { get; init; }

    /// <summary>Its disks, in the order in which the guest finds them.</summary>
    public IReadOnlyList<DiskOptions> Disks { get; init; } = [];

    /// <summary>Where all randomness comes from.</summary>
    public ulong Seed { get; init; } = 1;
    public ScheduleKind Schedule { get; init; } = ScheduleKind.RoundRobin;

    /// <summary>
    /// Instructions that a CPU runs before the next one's turn; under <see cref="ScheduleKind.Random"/> the most. A coherent CPU goes on
    /// where no other can execute.
    /// </summary>
    public int Quantum { get; init; } = 256;

    /// <summary>Of <see cref="ScheduleKind.Pct"/>: the depth d, from 1; priorities change d - 1 times.</summary>
    public int PctDepth { get; init; } = 3;

    /// <summary>Of <see cref="ScheduleKind.Pct"/>: the events k among which they change; <see cref="Machine.PctSteps"/> counts those of a run.</summary>
    public ulong PctSteps { get; init; } = 1_000_000;

    /// <summary>The events of <see cref="ScheduleKind.Listed"/>.</summary>
    public IReadOnlyList<ScheduleEvent> Events { get; init; } = [];
}
