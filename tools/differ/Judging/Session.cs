using System.Diagnostics;
using Emu.Differ.Cases;
using Emu.Differ.Machines;
using Iced.Intel;

namespace Emu.Differ.Judging;

/// <summary>What a run is to do.</summary>
public sealed record SessionOptions
{
    public required ulong Seed { get; init; }
    public required IReadOnlyList<CodeMode> Modes { get; init; }

    /// <summary>Cases in all, over all modes; or long.MaxValue.</summary>
    public required long Count { get; init; }

    /// <summary>Time limit, or null.</summary>
    public TimeSpan? Time { get; init; }

    /// <summary>Which codes; all when null.</summary>
    public Func<Code, bool>? Codes { get; init; }

    /// <summary>Different failures to report in full.</summary>
    public int MaximumReports { get; init; } = 10;

    /// <summary>Breaks results of Emu before they are compared; for the test that the differ notices.</summary>
    public Action<Case, Outcome>? Sabotage { get; init; }
}

/// <summary>A failure: the shrunk case, the path on which it showed, and what differed.</summary>
public sealed record Failure(Case Case, ExecutionPath Path, IReadOnlyList<Difference> Differences, string Found)
{
    public string Line => CaseText.Format(Case);
}

/// <summary>Random cases in some modes, one after the other, with statistics.</summary>
public sealed class Session(SessionOptions options)
{
    /// <summary>Every so many cases the path that is slow to prepare runs as well.</summary>
    private const int JoinedEvery = 64;

    private readonly HashSet<string> _seen = [];

    public long Cases { get; private set; }
    public long Agreed { get; private set; }
    public long Faults { get; private set; }
    public long Refused { get; private set; }
    public long Different { get; private set; }
    public TimeSpan Elapsed { get; private set; }

    /// <summary>Cases that a row of the table of oracle errors explains, by row.</summary>
    public SortedDictionary<string, long> Explained { get; } = [];

    /// <summary>Cases by mode and code.</summary>
    public Dictionary<(CodeMode Mode, Code Code), (long Cases, long Different)> ByCode { get; } = [];

    /// <summary>The first failure of each kind.</summary>
    public List<Failure> Failures { get; } = [];

    /// <summary>Runs; <paramref name="tick"/> is called every now and then, and ends the run by returning false.</summary>
    public void Run(Func<Session, bool>? tick = null)
    {
        var watch = Stopwatch.StartNew();
        long share = options.Count == long.MaxValue ? long.MaxValue : (options.Count + options.Modes.Count - 1) / options.Modes.Count;
        var left = options.Count;
        for (int m = 0; m < options.Modes.Count; m++)
        {
            TimeSpan end = options.Time == null ? TimeSpan.MaxValue : options.Time.Value * (m + 1) / options.Modes.Count;
            long count = Math.Min(share, left);
            RunMode(options.Modes[m], count, watch, end, tick);
            if (left != long.MaxValue)
                left -= count;
        }
        Elapsed = watch.Elapsed;
    }

    private void RunMode(CodeMode mode, long count, Stopwatch watch, TimeSpan end, Func<Session, bool>? tick)
    {
        Code[] codes = [.. Catalogue.For(mode).Codes.Where(options.Codes ?? (_ => true))];
        if (codes.Length == 0)
            return;
        using var judge = new Judge(mode);
        judge.Emulator.Sabotage = options.Sabotage;
        var generator = new CaseGenerator(mode, options.Seed, codes, Judge.MayFollow);
        var c = new Case();
        for (long number = 0; number < count; number++)
        {
            generator.Make(number, c);
            Note(judge, c, judge.Run(c, number % generator.Slots != 0, number % JoinedEvery == 0));
            if (number % 256 != 255)
                continue;
            Elapsed = watch.Elapsed;
            if (Elapsed > end || tick?.Invoke(this) == false)
                return;
        }
    }

    private void Note(Judge judge, Case c, Verdict verdict)
    {
        Cases++;
        if (judge.Oracle.Vector != Outcome.NoVector)
            Faults++;
        (CodeMode, Code) key = (c.Mode, c.First.Code);
        (long cases, long different) = ByCode.GetValueOrDefault(key);
        switch (verdict)
        {
            case Verdict.Agree:
                Agreed++;
                break;
            case Verdict.Explained:
                Explained[judge.Reason] = Explained.GetValueOrDefault(judge.Reason) + 1;
                break;
            case Verdict.Refused:
                Refused++;
                break;
            default:
                Different++;
                different++;
                Report(judge, c);
                break;
        }
        ByCode[key] = (cases + 1, different);
    }

    private void Report(Judge judge, Case c)
    {
        string kind = Kind(judge, c);
        if (Failures.Count >= options.MaximumReports || !_seen.Add(kind))
            return;
        string found = CaseText.Format(c);
        // Shrunk to the same kind of failure, lest it become another one, or one that a table explains.
        Case small = Shrinker.Shrink(c, candidate => judge.Run(candidate, freshCode: false) == Verdict.Different && SameFields(judge, kind, candidate));
        judge.Run(small, freshCode: false);
        Failures.Add(new Failure(small, judge.Path, judge.Differences, found));
    }

    private static bool SameFields(Judge judge, string kind, Case candidate) => Kind(judge, candidate).Split(' ')[0] == kind.Split(' ')[0];

    /// <summary>The instruction and what differs: failures of one kind mostly have one cause.</summary>
    private static string Kind(Judge judge, Case c) =>
        $"{c.First.Mnemonic} {string.Join(',', judge.Differences.Select(d => d.What.Split(' ')[0]).Distinct())}";
}
