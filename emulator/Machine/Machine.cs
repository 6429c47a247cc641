using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Devices;
using Emu.Execution;
using Emu.Fetch;
using Emu.Instructions;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Machines;

/// <summary>
/// A deterministic SMP machine: built by one constructor, run, stepped, inspected, snapshotted and restored. One seed, one image, one profile:
/// one execution. Not for use by several threads at once; several machines may run side by side.
/// </summary>
public sealed unsafe partial class Machine : IDisposable, IClock, ITimeline
{
    /// <summary>Executions of stale bytes that are kept; the first are the ones that explain.</summary>
    private const int MaximumStale = 1000;

    /// <summary>Timers that pass while every CPU is halted with interrupts off, before the machine is taken to have ended.</summary>
    private const int DeafTimers = 1000;

    private readonly CodeCache _cache;
    private readonly Stepper _stepper;
    private readonly Interpreter _interpreter;
    private readonly CodeHistory _history;
    private readonly Cpu[] _cpus;
    private readonly ModelledCpu[] _agents;
    private readonly List<ITimed> _timed = [];
    private readonly List<ISnapshotted> _devices = [];
    private readonly DeterministicRandom _random;
    private readonly RamSnapshots _ram;
    private readonly bool _coherent;

    /// <summary>Ticks at the start of the slice that runs, or now when none does.</summary>
    private ulong _sliceStart;

    /// <summary>Budget of the slice that runs, and its CPU.</summary>
    private long _sliceBudget;
    private CpuState* _running;

    /// <summary>No other CPU can execute until something wakes it: an event, or (see <see cref="IsAlone"/>) a store to a line that it monitors.</summary>
    private bool _alone;

    private ulong _nextEvent;
    private int _turn;
    private int _listPosition;
    private RunResult? _stop;
    private ExecutionWatch? _watch;
    private ulong _hash;

    /// <summary>Builds the machine: memory, bus, CPUs with their local APICs, the platform's devices, and the engine that runs them.</summary>
    /// <exception cref="ArgumentException">The options contradict each other or exceed a limit.</exception>
    public Machine(MachineOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.CpuCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.CpuCount, MachineOptions.MaximumCpus);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Quantum, 1);
        Options = options;
        _coherent = options.Profile.IsCoherent;
        Memory = new PhysicalMemory(options.MemorySize, options.RomSize);
        Bus = new Bus();
        Fabric = new InterruptFabric(Report) { Immediate = true };
        _ram = new RamSnapshots(Memory);
        _random = new DeterministicRandom(options.Seed);
        _cache = new CodeCache(Memory);
        _history = new CodeHistory(Memory);
        // Only where a fetch may see old bytes is there anything to remember.
        if (!_coherent)
            Memory.Observe(_history);
        var decoder = new InstructionDecoder(options.Model);
        _stepper = new Stepper(decoder);
        _interpreter = new Interpreter(_cache, new BlockBuilder(Memory, _cache, decoder), _stepper);

        _eagerness = new ulong[options.CpuCount];
        Array.Fill(_eagerness, 4UL);
        _cpus = new Cpu[options.CpuCount];
        _agents = new ModelledCpu[options.CpuCount];
        for (int i = 0; i < _cpus.Length; i++)
        {
            var cpu = new Cpu(new CpuIndex(i), options.Model, Memory, Bus, options.Profile, options.Profile.StoreBuffer) { Clock = this, OnAlert = GiveWay, Topology = new CpuTopology(options.CpuCount) };
            cpu.State->RandomState = options.Seed + ((ulong)i << 32);
            var apic = new LocalApic(cpu, Fabric, this);
            cpu.Apic = apic;
            Add(apic);
            _cpus[i] = cpu;
            _agents[i] = new ModelledCpu(cpu, _stepper, _cache, _history) { OnStale = NoteStale };
            // No queue to empty.
            if (_coherent)
                cpu.OnSerialise = null;
        }
        _cache.Attach(_cpus);
        if (options.Check is { } rule)
            Monitor = AttachMonitor(rule, decoder);
        Add(Fabric);
        BuildPlatform();
        // INIT and SIPI take effect when they are delivered; other messages may be held back by a random schedule.
        Fabric.Immediate = options.Schedule is not (ScheduleKind.Random or ScheduleKind.Pct) || _coherent;
        _fetchBlocked = new bool[options.CpuCount];
        if (options.Schedule != ScheduleKind.Pct)
            return;
        _pct = new PctPriorities(options.CpuCount * PctAgentsPerCpu, options.PctDepth, options.PctSteps, _random);
        _canStep = CanStep;
    }

    public MachineOptions Options { get; }
    public PhysicalMemory Memory { get; }
    public Bus Bus { get; }
    public InterruptFabric Fabric { get; }
    public IReadOnlyList<Cpu> Cpus => _cpus;

    /// <summary>The CPUs as agents, for schedules that order each event.</summary>
    public IReadOnlyList<ModelledCpu> Agents => _agents;

    /// <summary>The checker of cross-modifying code, where <see cref="MachineOptions.Check"/> asks for one.</summary>
    public XmcMonitor? Monitor { get; }

    /// <summary>Tells when chosen addresses are reached; the first use of it attaches it.</summary>
    public ExecutionWatch Watch => _watch ??= AttachWatch();

    /// <summary>What code was; for an explorer that takes the machine back to earlier states.</summary>
    internal CodeHistory History => _history;

    /// <summary>Instructions retired by all CPUs.</summary>
    public ulong Instructions { get; private set; }

    /// <summary>Ticks: instructions retired, and those skipped while every CPU was waiting for a timer.</summary>
    public ulong Now => _running == null ? _sliceStart : _sliceStart + (ulong)(_sliceBudget - Remaining(_running));

    /// <summary>What the guest asked for that is not modelled, one line each; the first <see cref="MaximumReports"/>.</summary>
    public List<string> Reports { get; } = [];

    /// <summary>A guest that goes on asking fills no memory of the host.</summary>
    public const int MaximumReports = 1000;

    internal void Report(string line)
    {
        if (Reports.Count < MaximumReports)
            Reports.Add(line);
    }

    /// <summary>The first executions of stale bytes.</summary>
    public List<StaleExecution> StaleExecutions { get; } = [];

    /// <summary>How many there were.</summary>
    public long StaleCount { get; private set; }

    /// <summary>Hash of the execution so far: which CPU ran how far to which registers, and all that memory and devices hold now.</summary>
    public ulong RunHash => StateHash.Combine(_hash, StateHash.OfMachine(this));

    ulong IClock.Now(CpuIndex cpu) => Now;

    void ITimeline.EventMoved()
    {
        _nextEvent = 0;
        if (_running != null)
            _running->ExitRequested |= CpuState.LookAround;
        // A slice of one that runs alone is longer than a timer may be late.
        if (_alone)
            EndSliceEarly();
    }

    /// <summary>An event waits for a CPU: one that runs alone makes room for it.</summary>
    private void GiveWay(Cpu to)
    {
        if (_alone && _running != to.State)
            EndSliceEarly();
    }

    private void EndSliceEarly()
    {
        if (_running == null)
            return;
        _running->ExitRequested |= CpuState.LookAround;
        _running->YieldRequested = CpuState.MustYield;
    }

    /// <summary>Asks the machine to stop after the present instruction; for devices.</summary>
    public void RequestStop(RunResult result)
    {
        _stop ??= result;
        foreach (Cpu cpu in _cpus)
            cpu.RequestExit();
        if (_running != null)
            _running->YieldRequested = CpuState.MustYield;
    }

    /// <summary>Runs until the guest ends, or for at most this many instructions.</summary>
    public RunResult Run(ulong maxInstructions = ulong.MaxValue) => RunUntil(ulong.MaxValue, maxInstructions)!;

    /// <summary>
    /// Runs until the guest ends, for at most this many instructions, or up to the first moment between two slices at which so many ticks have passed; null then.
    /// Where a run is interrupted in this way changes nothing of it.
    /// </summary>
    public RunResult? RunUntil(ulong now, ulong maxInstructions = ulong.MaxValue)
    {
        ulong end = maxInstructions > ulong.MaxValue - Instructions ? ulong.MaxValue : Instructions + maxInstructions;
        while (_stop == null || TryReboot())
        {
            if (_sliceStart >= now)
                return null;
            if (Instructions >= end)
                return new RunResult(StopReason.InstructionLimit, 0, $"stopped after {Instructions} instructions, as --max-instructions asked; {Describe()}");
            AdvanceTimers();
            if (!RunSlice(end - Instructions) && _stop == null && !SkipIdleTime())
                return new RunResult(StopReason.AllHalted, 0, $"no CPU executes and no timer is set to wake one; {Describe()}");
        }
        return _stop;
    }

    /// <summary>Some CPU is halted and takes interrupts: a device could wake it.</summary>
    public bool AwaitsInterrupt
    {
        get
        {
            foreach (Cpu cpu in _cpus)
                if (cpu.State->Activity is Activity.Halted or Activity.Waiting or Activity.Frozen && (cpu.State->SystemFlags & Rflags.If) != 0)
                    return true;
            return false;
        }
    }

    /// <summary>Lets one CPU execute exactly one instruction or take one event, from memory as it is or through its queue as the profile says.</summary>
    /// <returns>False when it does not execute.</returns>
    public bool Step(CpuIndex index)
    {
        AdvanceTimers();
        Cpu cpu = _cpus[index.Value];
        BeginSlice(cpu, 1);
        bool ran;
        long retired;
        if (_coherent)
        {
            retired = _interpreter.Run(cpu, 1, keepsTurn: false);
            ran = retired != 0;
        }
        else
        {
            ran = _agents[index.Value].Execute(out bool one);
            retired = one ? 1 : 0;
        }
        EndSlice(cpu, retired);
        return ran;
    }

    /// <summary>One line about every CPU: where it is and what it does.</summary>
    public string Describe()
    {
        var parts = new List<string>();
        foreach (Cpu cpu in _cpus)
        {
            string state = cpu.State->Activity switch
            {
                Activity.Active => "running",
                Activity.Halted => (cpu.State->SystemFlags & Rflags.If) != 0 ? "halted" : "halted with interrupts off",
                Activity.Shutdown => "shut down",
                Activity.WaitForSipi => "waiting for SIPI",
                Activity.Frozen => "frozen by an x87 exception",
                _ => "in MWAIT",
            };
            parts.Add($"CPU {cpu.Index} {state} at 0x{cpu.State->Rip:x}");
        }
        return string.Join(", ", parts);
    }

    public void Dispose()
    {
        foreach (ModelledCpu agent in _agents)
            agent.Dispose();
        foreach (Cpu cpu in _cpus)
            cpu.Dispose();
        _stepper.Dispose();
        _cache.Dispose();
        Memory.Dispose();
        foreach (DiskImage image in _images)
            image.Dispose();
    }

    /// <summary>Instructions of the slice that have not executed yet.</summary>
    private static long Remaining(CpuState* s) => s->Budget + s->Deferred + Chain.Outstanding(s);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void AdvanceTimers()
    {
        // Between slices, when no CPU runs.
        ulong now = _sliceStart;
        if (now >= _nextEvent)
            AdvanceTimers(now);
    }

    private void AdvanceTimers(ulong now)
    {
        _nextEvent = ulong.MaxValue;
        foreach (ITimed t in _timed)
        {
            if (t.NextEvent <= now)
                t.Advance(now);
        }
        foreach (ITimed t in _timed)
            _nextEvent = Math.Min(_nextEvent, t.NextEvent);
    }

    /// <summary>All CPUs wait: time goes on to the next timer. False when there is none, or when no CPU would hear it.</summary>
    private bool SkipIdleTime()
    {
        if (AwaitsInterrupt)
            return SkipToTimer();
        // Interrupts are off everywhere. A timer may still make an NMI, a reset or an end; when a thousand of them did not, the others will not either.
        for (int i = 0; i < DeafTimers && SkipToTimer(); i++)
        {
            AdvanceTimers();
            if (_stop != null || Fabric.Pending.Count != 0)
                return true;
            foreach (Cpu cpu in _cpus)
                if (MayExecute(cpu))
                    return true;
        }
        return false;
    }

    private bool SkipToTimer()
    {
        foreach (ModelledCpu agent in _agents)
            agent.Cpu.StoreBuffer.DrainAll();
        if (Fabric.Pending.Count != 0)
        {
            Fabric.Deliver(Fabric.Pending[0]);
            return true;
        }
        _nextEvent = ulong.MaxValue;
        foreach (ITimed t in _timed)
            _nextEvent = Math.Min(_nextEvent, t.NextEvent);
        if (_nextEvent == ulong.MaxValue)
            return false;
        _sliceStart = Math.Max(_sliceStart, _nextEvent);
        _nextEvent = 0;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void BeginSlice(Cpu cpu, long budget)
    {
        _running = cpu.State;
        _sliceBudget = budget;
        _running->Budget = budget;
        _running->Deferred = 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void EndSlice(Cpu cpu, long retired)
    {
        _running = null;
        _sliceStart += (ulong)retired;
        Instructions += (ulong)retired;
        _hash = StateHash.Combine(_hash, StateHash.OfProgress(cpu));
        if (cpu.State->Exit == ExitReason.Unsupported || cpu.State->Activity == Activity.Shutdown)
            StopAfter(cpu);
    }

    private void StopAfter(Cpu cpu)
    {
        if (cpu.State->Exit == ExitReason.Unsupported)
            RequestStop(new RunResult(StopReason.Unsupported, 0, cpu.StopMessage ?? "unsupported"));
        else
            RequestStop(new RunResult(StopReason.TripleFault, 0, $"CPU {cpu.Index} shut down by a triple fault at RIP 0x{cpu.State->Rip:x}; {Describe()}"));
    }

    private XmcMonitor AttachMonitor(FetchProfile rule, InstructionDecoder decoder)
    {
        bool coherent = Options.Profile.IsCoherent;
        if (!coherent && rule != Options.Profile)
            throw new ArgumentException($"the machine fetches by profile {Options.Profile.Name}, so that no other's rule can be checked in it; {rule.Name} was asked for", nameof(rule));
        var monitor = new XmcMonitor(rule, coherent, Memory, _cache, decoder, _cpus);
        if (coherent)
            _interpreter.Monitor = monitor;
        else
            foreach (ModelledCpu agent in _agents)
                agent.Monitor = monitor;
        return monitor;
    }

    private ExecutionWatch AttachWatch()
    {
        var watch = new ExecutionWatch(_cache, _cpus);
        _interpreter.Watch = watch;
        foreach (ModelledCpu agent in _agents)
            agent.Watch = watch;
        return watch;
    }

    private void NoteStale(StaleExecution stale)
    {
        StaleCount++;
        if (StaleExecutions.Count < MaximumStale)
            StaleExecutions.Add(stale);
    }
}
