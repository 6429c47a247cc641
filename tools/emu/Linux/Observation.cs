using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Emu.Boot;
using Emu.Execution;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>What is broken in a run that must fail.</summary>
/// <param name="Name">As the table has it.</param>
internal sealed record Control(string Name, string Meaning, IReadOnlyList<FunctionBreak> Breaks)
{
    public static Control None { get; } = new("none", "Linux as it is", []);

    public static IReadOnlyList<Control> All { get; } =
    [
        None,
        new("no-sync", "text_poke_bp_batch without its rounds of IPIs", [new("text_poke_bp_batch", "on_each_cpu_cond_mask")]),
        new("no-core", "do_sync_core returns at once: only the IRET of its IPI serialises", [new("do_sync_core", null)]),
    ];
}

/// <summary>One cell: a workload under a profile, with a control or without.</summary>
/// <param name="Verdict">"clean", or what is wrong, in a few words.</param>
/// <param name="IsClean">Nothing is.</param>
/// <param name="IsExpected">Clean without a control, and not clean with one that must be caught.</param>
/// <param name="Details">All that is wrong, one line each.</param>
/// <param name="Functions">Runs of the counted functions, in the order of <see cref="KernelObserver.Counted"/>.</param>
internal sealed record ObservationResult(
    string Workload, string Control, string Profile, int Rounds, string Verdict, bool IsClean, bool IsExpected, IReadOnlyList<string> Details, IReadOnlyList<FunctionJson> Functions, int Sites, long Patched, long Traps,
    ulong Instructions, double Seconds, string RunHash);

/// <summary>Runs one cell and judges it.</summary>
internal sealed partial class Observation(Workload workload, Control control, FetchProfile profile, int rounds)
{
    /// <summary>The rule that is checked where the machine itself fetches at execution.</summary>
    private static readonly FetchProfile s_ruleOfCoherent = FetchProfiles.Intel;

    /// <summary>An oops is the end: what runs on behind it tells nothing more.</summary>
    private const string EndAtOops = "oops=panic";

    /// <summary>A guest that runs for so much longer than any workload takes has been caught in something.</summary>
    private const ulong MostInstructions = 20_000_000_000;
    private const ulong MostModelledInstructions = 2_500_000_000;

    private const string KprobeHandler = "kprobe_int3_handler";

    private readonly List<string> _wrong = [];
    private readonly List<string> _words = [];

    public ObservationResult Run(Terminal terminal, string kernel, ReadOnlySpan<byte> busybox, MachineOptions machine)
    {
        string script = workload.Script(rounds);
        MachineOptions options = machine with
        {
            MemorySize = (ulong)workload.Megabytes << 20,
            Profile = profile,
            Check = profile.IsCoherent ? s_ruleOfCoherent : profile,
            Schedule = profile.IsCoherent ? ScheduleKind.RoundRobin : ScheduleKind.Random,
        };
        string line = string.Join(' ', new[] { LinuxCommand.CommandLine, LinuxCommand.Quiet, EndAtOops, workload.KernelArguments }.Where(t => t.Length != 0));
        var modules = new KernelModules(kernel);
        foreach (string module in workload.Modules)
            modules.Add(module);
        using var run = new LinuxRun(new LinuxSetting(BootImage.OpenFile(kernel), new BootModule("initramfs", Initramfs.Build(busybox, script, modules, load: false), ""), line, options,
            new ObserverSettings(true, control.Breaks), CoherentBoot: !profile.IsCoherent, MostModelledInstructions));
        var output = new StringBuilder();
        RunResult result = run.Run(terminal, script, new ConsoleSettings(false, null, null, null, IdleTimeout: null, MaxInstructions: MostInstructions), b => output.Append((char)b));
        if (run.Observer!.Problem is { } problem)
            throw problem;
        Judge(run, result, output.ToString());
        PatchReport report = new(run.Observer, new ObserverSettings(true, control.Breaks));
        IReadOnlyCollection<PatchSite> sites = run.Observer.Patches.Sites;
        bool clean = _wrong.Count == 0;
        bool expected = control == Control.None ? clean : !clean || !workload.MustBeCaught.Contains(control.Name);
        return new ObservationResult(workload.Name, control.Name, profile.Name, rounds, clean ? "clean" : string.Join(", ", _words), clean, expected, _wrong,
            report.Functions(), sites.Count, sites.Sum(s => s.Times), sites.Sum(s => s.Traps), run.Machine.Instructions, Math.Round(run.Time.TotalSeconds, 1),
            string.Create(CultureInfo.InvariantCulture, $"0x{run.Machine.RunHash:x16}"));
    }

    private void Judge(LinuxRun run, RunResult result, string output)
    {
        KernelObserver observer = run.Observer!;
        if (run.Checker!.Findings.Count is > 0 and var n)
            Say(n == 1 ? "1 report" : $"{n} reports", run.Checker.Findings.Select(f => new XmcReport(f, observer.Symbols).Summary));
        StaleExecution[] stale = [.. run.Machine.StaleExecutions.Where(s => s.Outcome is StaleOutcome.Retired or StaleOutcome.GeneralProtection)];
        foreach (StaleOutcome outcome in stale.Select(s => s.Outcome).Distinct())
            Say(outcome == StaleOutcome.Retired ? "stale bytes executed" : "#GP of stale bytes", stale.Where(s => s.Outcome == outcome).Take(4).Select(s =>
                $"CPU {s.Cpu} at {observer.Symbols.Describe(s.Rip)} had fetched {XmcReport.Bytes(s.Fetched)}; memory holds {XmcReport.Bytes(s.Memory)}"));
        string last = output.Trim().Split('\n')[^1];
        if (!run.HasEnded)
        {
            Say("the guest dies", [$"{result.Message}; the console: {last}"]);
            return;
        }
        if (result.ExitCode != 0)
            Say("the guest complains", [$"status {result.ExitCode}: {last}"]);
        long hits = Hits().Match(output) is { Success: true } match ? long.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : 0;
        // The boot's self-test, and what the workload says of kprobes; an instruction that is stepped out of line ends in a breakpoint that __text_poke did not write.
        long known = 1 + workload.Expectations.Where(e => e.Function == KprobeHandler).Sum(e => Times(e.Times, hits));
        long strangers = observer.RunsOf(KprobeHandler)?.Sum() ?? 0;
        if (strangers > known)
            Say("stale breakpoint taken", [$"kprobe_int3_handler ran {strangers} times, and not {known}: a CPU executed a breakpoint that was gone, and that nobody knew any more"]);
        else
            Expect(KprobeHandler, strangers, known);
        Expect("breakpoints outside patched sites", observer.Patches.StrayTraps, 1 + hits);
        foreach ((string function, string times) in workload.Expectations)
            Expect($"{function} during the workload", observer.RunsSinceBegin(function), Times(times, hits));
    }

    /// <summary>A number of rounds or hits, or twice that.</summary>
    private long Times(string text, long hits) => text switch
    {
        "ROUNDS" => rounds,
        "hits" => hits,
        "2*hits" => 2 * hits,
        _ => throw new InvalidDataException($"workload {workload.Name} expects {text}"),
    };

    private void Expect(string what, long found, long expected)
    {
        if (found != expected)
            Say("wrong count", [$"{what}: {found}, and not {expected}"]);
    }

    private void Say(string word, IEnumerable<string> details)
    {
        if (!_words.Contains(word))
            _words.Add(word);
        _wrong.AddRange(details);
    }

    [GeneratedRegex(@"hits=(\d+)")]
    private static partial Regex Hits();
}
