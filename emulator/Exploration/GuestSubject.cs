using System.Text;
using Emu.Boot;
using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Machines;

namespace Emu.Exploration;

/// <summary>
/// A kernel image, booted as ever until every CPU stands at a marker; from there on everything is explored until all have come to another. What is wrong
/// shows as a panic of the guest.
/// </summary>
public sealed class GuestSubject : Subject
{
    /// <summary>Called on every CPU where the exploration begins, and where the part of the CPU ends.</summary>
    public const string BeginMarker = "explore_begin", EndMarker = "explore_end";

    /// <summary>Where a panic has its words: <see cref="PanicReason"/>.</summary>
    public const string PanicMarker = "panic_stop", PanicReason = "panic_reason";

    private const ulong LongestBoot = 200_000_000;
    private const int LongestReason = 160;

    private readonly MachineOptions _options;
    private readonly Lock _lock = new();
    private readonly ulong _begin, _end, _panic, _reason;
    private MachineSnapshot? _start;

    /// <param name="image">With the four markers as symbols.</param>
    /// <param name="commandLine">For the guest.</param>
    /// <param name="options">The machine; schedule and seed do not matter.</param>
    /// <exception cref="BootException">The image lacks a marker.</exception>
    public GuestSubject(BootImage image, string commandLine, MachineOptions options)
    {
        Image = image;
        CommandLine = commandLine;
        Options = options;
        _options = options with { Schedule = ScheduleKind.RoundRobin, Profile = Unbounded(options.Profile) };
        Profile = options.Profile;
        _begin = Find(BeginMarker);
        _end = Find(EndMarker);
        _panic = Find(PanicMarker);
        _reason = Find(PanicReason);
    }

    /// <summary>The machine, as it was asked for.</summary>
    public MachineOptions Options { get; }

    public BootImage Image { get; }
    public string CommandLine { get; }
    public override string Name => $"{Image.Name} {CommandLine}";
    public override FetchProfile Profile { get; }

    /// <summary>Also find executions that the profile's rule of cross-modifying code forbids, whatever comes of them.</summary>
    public bool Check { get; init; }

    /// <summary>What the guest printed while it booted.</summary>
    public string Console { get; private set; } = "";

    /// <summary>Lines of source for tables; null where there are none.</summary>
    public WitnessSource? Source { get; init; }

    public override string Describe(ulong address) => Image.Symbols.Describe(address);

    internal override IReadOnlyList<ulong> Stops => [_end, _panic];

    /// <exception cref="BootException">The guest did not come to the marker.</exception>
    internal override SubjectRun Start() => new Run(this, Start(_options));

    internal override Machine StartPlain() => Start(Check ? _options with { Check = _options.Profile } : _options);

    private Machine Start(MachineOptions options)
    {
        var machine = new Machine(options);
        lock (_lock)
        {
            if (_start == null)
                Boot(machine);
            else
                machine.Restore(_start);
        }
        machine.Fabric.Immediate = false;
        return machine;
    }

    private void Boot(Machine machine)
    {
        var console = new StringBuilder();
        machine.SerialOutput = b => console.Append((char)b);
        machine.Load(Image, CommandLine);
        RunResult? end = machine.RunTo(_begin, LongestBoot);
        Console = console.ToString();
        if (end != null)
            throw new BootException(Name, $"last line \"{LastLine()}\"", $"the guest did not come to {BeginMarker}: {end.Message.TrimEnd('.')}", "give it explore=1 on its command line");
        machine.SerialOutput = null;
        _start = machine.TakeSnapshot();
    }

    private string LastLine() => Console.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault() ?? "nothing";

    private ulong Find(string name) => Image.Symbols.TryFind(name, out Symbol symbol)
        ? symbol.Address
        : throw new BootException(Image.Name, "symbol table", $"no symbol {name}", $"an image that is to be explored calls {BeginMarker} and {EndMarker}, and has {PanicMarker} and {PanicReason}");

    /// <summary>The finding's words where a CPU of the machine stands in a panic; else null.</summary>
    internal string? PanicOf(Machine machine) => machine.Agents.FirstOrDefault(a => a.LinearRip == _panic) is { } agent ? $"panic: {ReasonOf(agent.Cpu)}" : null;

    /// <summary>The words as the CPU that died sees them: where another one dies as well, they may still wait in its store buffer.</summary>
    private string ReasonOf(Cpu cpu)
    {
        Span<byte> bytes = stackalloc byte[LongestReason];
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = (byte)cpu.StoreBuffer.Load(_reason + (ulong)i, 1);
        int length = bytes.IndexOf((byte)0);
        return Encoding.ASCII.GetString(bytes[..(length < 0 ? bytes.Length : length)]);
    }

    private sealed class Run(GuestSubject subject, Machine machine) : SubjectRun(machine)
    {
        private bool _torn;

        public override ulong Happened
        {
            get => _torn ? 1UL : 0;
            set => _torn = value != 0;
        }

        public override void Stale(ExploredCpu cpu, StaleOutcome outcome, bool torn) => _torn |= torn && outcome is StaleOutcome.Retired or StaleOutcome.ExemptByInt3;

        public override bool Checks => subject.Check;

        public override Finding? Unsynchronised(ExploredCpu cpu, ulong linear, XmcVerdict verdict) =>
            new(FindingKind.UnsynchronisedExecution, $"CPU {cpu.Index} at {subject.Describe(linear)}: {verdict.Reason}");

        public override Finding? ReturnsInside(ExploredCpu cpu, ulong start) => new(FindingKind.SavedRipInsidePatch,
            $"CPU {cpu.Index} was interrupted at {subject.Describe(cpu.LinearRip)}, and comes back to the inside of what is now one instruction at {subject.Describe(start)}");

        public override Finding? After(ExploredMachine machine, ExploredCpu cpu)
        {
            if (DirectStart.ActivityOf(cpu.Cpu) == Activity.Shutdown)
                return new Finding(FindingKind.UnexpectedException, $"CPU {cpu.Index} shut down by a triple fault at {subject.Describe(cpu.LinearRip)}");
            return cpu.LinearRip == subject._panic ? Panic(subject.ReasonOf(cpu.Cpu)) : null;
        }

        public override bool IsAtAnEnd(ExploredCpu cpu) => cpu.LinearRip == subject._end;

        public override FinalState End(ExploredMachine machine, uint waiting, bool livelock)
        {
            if (waiting == 0)
                return new FinalState("done", true, false, null);
            var who = new List<string>();
            foreach (ExploredCpu cpu in machine.Cpus)
                if ((waiting >> cpu.Index & 1) != 0)
                    who.Add($"CPU {cpu.Index} at {subject.Describe(cpu.LinearRip)}");
            FindingKind kind = livelock ? FindingKind.Livelock : FindingKind.Deadlock;
            return new FinalState(kind.Name(), false, true, new Finding(kind, $"{string.Join(", ", who)}: wait{(who.Count == 1 ? "s" : "")} for what no CPU will do"));
        }

        /// <summary>The guest's own words; the kind follows from them.</summary>
        private Finding Panic(string reason)
        {
            FindingKind kind = _torn ? FindingKind.TornInstruction
                : reason.Contains("stale", StringComparison.Ordinal) ? FindingKind.StaleInstruction
                : reason.Contains("wrong target", StringComparison.Ordinal) ? FindingKind.WrongTarget
                : reason.Contains("protection", StringComparison.Ordinal) || reason.Contains("opcode", StringComparison.Ordinal)
                    || reason.Contains("breakpoint", StringComparison.Ordinal) || reason.Contains("int3", StringComparison.Ordinal)
                    || reason.Contains("fault", StringComparison.Ordinal) ? FindingKind.UnexpectedException
                : FindingKind.GuestPanic;
            return new Finding(kind, $"panic: {reason}");
        }
    }
}
