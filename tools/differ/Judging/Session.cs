using System.Diagnostics;
using Emu.Differ.Cases;
using Emu.Differ.Machines;
using Emu.Memory;
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

    /// <summary>So many cases of every code in the place of <see cref="Count"/> of random ones; 0 for those.</summary>
    public int PerCode { get; init; }

    /// <summary>Different failures to report in full.</summary>
    public int MaximumReports { get; init; } = 40;

    /// <summary>Breaks results of Emu before they are compared; for the test that the differ notices.</summary>
    public Action<Case, Outcome, PhysicalMemory>? Sabotage { get; init; }
}

/// <summary>A failure: the shrunk case, the path on which it showed, and what differed.</summary>
public sealed record Failure(Case Case, ExecutionPath Path, IReadOnlyList<Difference> Differences, string Found)
{
    public string Line => CaseText.Format(Case);

    /// <summary>Of a case that did not repeat: the cycles that it took, and those that it takes undisturbed.</summary>
    public (ulong First, ulong Second)? Cycles { get; init; }
}

/// <summary>Cases of one instruction code.</summary>
public record struct CodeTally(long Cases, long Agreed, long Different);

/// <summary>Random cases in some modes, one after the other, with statistics.</summary>
public sealed class Session(SessionOptions options)
{
    /// <summary>Every so many cases all paths run, also the one that is slow to prepare.</summary>
    private const int AllPathsEvery = 64;

    /// <summary>A case takes some thousands of cycles, nearly all of them for the signal that ends it. What it takes once another program has run in between is at least twice that.</summary>
    private const int InterruptedRatio = 2;

    private readonly HashSet<string> _seen = [];
    private readonly List<Suspect> _suspects = [];

    public long Cases { get; private set; }
    public long Agreed { get; private set; }
    public long Faults { get; private set; }
    public long Refused { get; private set; }
    public long Different { get; private set; }

    /// <summary>Cases of which the oracle gave two results: an error of the harness, or of the oracle.</summary>
    public long Unrepeated { get; private set; }

    /// <summary>Cases that the system interrupted, and that were run again; see <see cref="WasInterrupted"/>.</summary>
    public long Interrupted { get; private set; }

    public TimeSpan Elapsed { get; private set; }

    /// <summary>Cases that a row of the table of oracle errors explains, by row.</summary>
    public SortedDictionary<string, long> Explained { get; } = [];

    /// <summary>Cases by mode and code.</summary>
    public Dictionary<(CodeMode Mode, Code Code), CodeTally> ByCode { get; } = [];

    /// <summary>Cases that are to be run.</summary>
    public long Planned => options.PerCode == 0 ? options.Count : options.Modes.Sum(m => (long)Codes(m).Length * options.PerCode);

    /// <summary>Cases that agreed, by mode and code.</summary>
    public IEnumerable<KeyValuePair<(CodeMode Mode, Code Code), long>> Agreements => ByCode.Where(e => e.Value.Agreed > 0).Select(e => KeyValuePair.Create(e.Key, e.Value.Agreed));

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

    private Code[] Codes(CodeMode mode) => [.. Catalogue.For(mode).Codes.Where(options.Codes ?? (_ => true))];

    private void RunMode(CodeMode mode, long count, Stopwatch watch, TimeSpan end, Func<Session, bool>? tick)
    {
        Code[] codes = Codes(mode);
        if (options.PerCode != 0)
            count = (long)codes.Length * options.PerCode;
        if (codes.Length == 0)
            return;
        using var judge = new Judge(mode);
        judge.Emulator.Sabotage = options.Sabotage;
        var generator = new CaseGenerator(mode, options.Seed, codes, Judge.MayFollow, options.PerCode);
        var made = new Batch(judge.Oracle.BatchSize);
        var running = new Batch(judge.Oracle.BatchSize);
        made.Fill(generator, 0, count);
        // While the oracle runs a batch, the one before is judged and the next one made.
        for (long number = made.Count; made.Count > 0 || running.Count > 0;)
        {
            if (made.Count > 0)
                judge.Oracle.Submit(made.Cases);
            running.Judge(judge, this);
            Elapsed = watch.Elapsed;
            bool stop = Elapsed > end || tick?.Invoke(this) == false;
            if (made.Count > 0)
                judge.Oracle.Collect(made.Outcomes);
            CheckSuspects(judge);
            if (stop)
                return;
            (made, running) = (running, made);
            made.Fill(generator, number, count);
            number += made.Count;
        }
    }

    /// <summary>Cases and what the oracle made of them.</summary>
    private sealed class Batch(int size)
    {
        private readonly Case[] _cases = [.. Enumerable.Range(0, size).Select(_ => new Case())];
        private readonly Outcome[] _outcomes = [.. Enumerable.Range(0, size).Select(_ => new Outcome())];
        private long _first;

        public int Count { get; private set; }

        public IReadOnlyList<Case> Cases => new ArraySegment<Case>(_cases, 0, Count);

        public IReadOnlyList<Outcome> Outcomes => new ArraySegment<Outcome>(_outcomes, 0, Count);

        public void Fill(CaseGenerator generator, long first, long end)
        {
            _first = first;
            for (Count = 0; Count < size && first + Count < end; Count++)
                generator.Make(first + Count, _cases[Count]);
        }

        public void Judge(Judge judge, Session session)
        {
            for (int i = 0; i < Count; i++)
                session.Note(judge, _cases[i], judge.Run(_cases[i], _outcomes[i], (_first + i) % AllPathsEvery == 0 ? Paths.All : Paths.OneInTurn));
        }
    }

    private void Note(Judge judge, Case c, Verdict verdict)
    {
        Cases++;
        if (judge.Expected.Vector != Outcome.NoVector)
            Faults++;
        (CodeMode, Code) key = (c.Mode, c.First.Code);
        CodeTally tally = ByCode.GetValueOrDefault(key);
        tally.Cases++;
        switch (verdict)
        {
            case Verdict.Agree:
                Agreed++;
                tally.Agreed++;
                break;
            case Verdict.Explained:
                Explained[judge.Reason] = Explained.GetValueOrDefault(judge.Reason) + 1;
                break;
            case Verdict.Refused:
                Refused++;
                break;
            default:
                _suspects.Add(new Suspect(c.Copy(), key, judge.Path, judge.Differences, judge.Expected.Cycles));
                break;
        }
        ByCode[key] = tally;
    }

    /// <summary>A case that differed, until it has been run again.</summary>
    private sealed record Suspect(Case Case, (CodeMode, Code) Key, ExecutionPath Path, List<Difference> Differences, ulong Cycles);

    /// <summary>Runs again what differed, and shrinks what is new; not before the oracle is free.</summary>
    private void CheckSuspects(Judge judge)
    {
        foreach (Suspect s in _suspects)
        {
            CodeTally tally = ByCode[s.Key];
            Verdict again = judge.Run(s.Case);
            if (again == Verdict.Different)
            {
                Different++;
                tally.Different++;
                Report(judge, s.Case);
            }
            else if (WasInterrupted(s, judge, again))
            {
                Interrupted++;
                if (again == Verdict.Agree)
                {
                    Agreed++;
                    tally.Agreed++;
                }
                else
                {
                    Explained[judge.Reason] = Explained.GetValueOrDefault(judge.Reason) + 1;
                }
            }
            else
            {
                Unrepeated++;
                if (Failures.Count < options.MaximumReports)
                    Failures.Add(new Failure(s.Case, s.Path, s.Differences, CaseText.Format(s.Case)) { Cycles = (s.Cycles, judge.UndisturbedCycles(s.Case)) });
            }
            ByCode[s.Key] = tally;
        }
        _suspects.Clear();
    }

    /// <summary>
    /// True when the system ran something else while the case ran, and but for x87 pointers there is nothing that the second run has not. On AMD they do not survive
    /// that: saving a task's state stores zeros for them unless an unmasked exception is pending (APM Vol. 5, "FXSAVE"). It shows in the time that the case took.
    /// </summary>
    private static bool WasInterrupted(Suspect s, Judge judge, Verdict again)
    {
        if (judge.Oracle.Kind != OracleKind.Host || again == Verdict.Refused)
            return false;
        List<Difference> rest = HostDisagreements.WithoutLostPointers(s.Case, s.Differences);
        List<Difference> repeated = again == Verdict.Explained ? judge.Differences : [];
        return rest.Count < s.Differences.Count && rest.SequenceEqual(repeated) && s.Cycles > InterruptedRatio * judge.UndisturbedCycles(s.Case);
    }

    private void Report(Judge judge, Case c)
    {
        string kind = Kind(judge, c);
        if (Failures.Count >= options.MaximumReports || !_seen.Add(kind))
            return;
        // Shrunk to the same kind of failure, lest it become another one, or one that a table explains.
        Case small = Shrinker.Shrink(c, candidate => judge.Run(candidate) == Verdict.Different && SameFields(judge, kind, candidate));
        judge.Run(small);
        Failures.Add(new Failure(small, judge.Path, judge.Differences, CaseText.Format(c)));
    }

    private static bool SameFields(Judge judge, string kind, Case candidate) => Kind(judge, candidate).Split(' ')[0] == kind.Split(' ')[0];

    /// <summary>The instruction and what differs: failures of one kind mostly have one cause.</summary>
    private static string Kind(Judge judge, Case c) =>
        $"{c.First.Mnemonic} {string.Join(',', judge.Differences.Select(d => d.What.Split(' ')[0]).Distinct())}";
}
