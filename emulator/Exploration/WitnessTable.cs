using Emu.Execution;
using Emu.Fetch;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>
/// A witness as the table of the 2009 mail: a column for each CPU, memory, queues and store buffers at every step. Made by playing the steps once
/// more. Instructions that concern nobody else are counted, not shown; a fetch of bytes that were old when they were executed stands where it happened.
/// </summary>
public sealed class WitnessTable
{
    /// <summary>Variables shown in columns of their own; of the others the stores say enough.</summary>
    private const int MostVariables = 3;

    private readonly Subject _subject;
    private readonly List<WitnessEvent> _events;
    private readonly List<WitnessWatch> _watches;
    private readonly WitnessText _text;
    private readonly int _cpuCount;

    /// <summary>Rows of events.</summary>
    private readonly int[] _rowOf;

    private WitnessTable(ExploredMachine machine, WitnessText text, List<WitnessWatch> watches, WitnessRecorder recorder, FinalState end)
    {
        List<WitnessEvent> events = recorder.Events;
        _rowOf = new int[events.Count];
        (_subject, _text, _watches, _events, _cpuCount, Finding, Ending) = (machine.Subject, text, watches, events, machine.Cpus.Count, end.Finding, end.Finding?.Text ?? end.Outcome);
        FinalStates = [.. machine.Machine.Cpus.Select(StateMixer.OfCpu)];
        int[] shown = [.. Enumerable.Range(0, watches.Count).Where(i => watches[i].IsCode || watches[i].IsAsked)
            .Concat(Enumerable.Range(0, watches.Count).Where(i => !watches[i].IsCode && !watches[i].IsAsked && Changes(i) > 0).OrderByDescending(Changes).Take(MostVariables).Order())];
        Watches = [.. shown.Select(i => new WatchedBytes(watches[i].Name, watches[i].Address, watches[i].Length))];
        Steps = Rows(shown);
        Race = recorder.Race.Found(at => _rowOf[at], patch => _events.FindIndex(e => e.PatchesAfter > patch));
    }

    /// <summary>What is wrong at the end of it; null when nothing is.</summary>
    public Finding? Finding { get; }

    /// <summary>How it ends: the finding in words, or the outcome of a scenario.</summary>
    public string Ending { get; }

    /// <summary>The unsynchronised execution in which it ends, with rows of the table for times; null where nobody asked for the rule, and where none was met.</summary>
    public XmcRace? Race { get; }

    /// <summary>And in words, where a kernel was run.</summary>
    public XmcReport? Report => Race != null && _subject is GuestSubject guest ? new XmcReport(new XmcFinding(Race), guest.Image.Symbols, "row") : null;

    /// <summary>What the columns of memory show.</summary>
    public IReadOnlyList<WatchedBytes> Watches { get; }

    /// <summary>The rows.</summary>
    public IReadOnlyList<ScenarioStep> Steps { get; }

    public int CpuCount => _cpuCount;

    internal IReadOnlyList<WitnessEvent> Events => _events;

    /// <summary>Of each CPU, the hash of its state at the end.</summary>
    internal IReadOnlyList<ulong> FinalStates { get; }

    /// <summary>All that is watched, as it is at the end.</summary>
    internal IEnumerable<(WitnessWatch Watch, byte[] Bytes)> FinalMemory => _watches.Zip(_events[^1].Memory);

    /// <summary>Plays steps that an exploration of the subject has found.</summary>
    public static WitnessTable Play(Subject subject, ExplorationResult result, IReadOnlyList<Step> steps) =>
        Play(subject, machine => result.Shared ?? machine.Shared, steps);

    internal static WitnessTable Play(Subject subject, Func<ExploredMachine, SharedBytes> shared, IReadOnlyList<Step> steps)
    {
        using var machine = new ExploredMachine(subject, null);
        SharedBytes known = shared(machine);
        var text = new WitnessText(subject, machine);
        List<WitnessWatch> watches = WitnessWatch.Of(subject, known, machine.Machine, text);
        var recorder = new WitnessRecorder(machine, text, watches);
        recorder.Start();
        machine.Trace = recorder;
        machine.Begin(known);
        recorder.EndOfStep();
        var enabled = new List<Step>();
        foreach (Step step in steps)
        {
            machine.Enabled(enabled);
            if (!enabled.Exists(s => s.Cpu == step.Cpu && s.Kind == step.Kind && s.Message == step.Message))
                throw new WitnessException($"step {recorder.Events.Count}, {step.Kind} of CPU {step.Cpu}, cannot happen there: the witness is of another version of the program");
            recorder.BeginStep();
            machine.Apply(step);
            recorder.EndOfStep();
        }
        return new WitnessTable(machine, text, watches, recorder, machine.Finding is { } finding ? new FinalState("", false, true, finding) : End(machine, enabled));
    }

    /// <summary>Writes the table as plain text.</summary>
    public void Write(TextWriter output) => ScenarioTable.WriteTable([.. Watches.Select(w => w.Name)], _cpuCount, Steps, output);

    /// <summary>Where nothing can happen any more, what is wrong is that somebody waits.</summary>
    private static FinalState End(ExploredMachine machine, List<Step> enabled)
    {
        machine.Enabled(enabled);
        uint waiting = 0;
        foreach (ExploredCpu cpu in machine.Cpus)
            if (!machine.Run.IsAtAnEnd(cpu))
                waiting |= 1u << cpu.Index;
        return machine.Run.End(machine, waiting, livelock: enabled.Count != 0);
    }

    private int Changes(int watch)
    {
        int n = 0;
        for (int i = 1; i < _events.Count; i++)
            n += _events[i].Memory[watch].AsSpan().SequenceEqual(_events[i - 1].Memory[watch]) ? 0 : 1;
        return n;
    }

    /// <summary>A fetch that took place before what it fetched was executed.</summary>
    /// <param name="Before">Position of the event before which it happened.</param>
    /// <param name="Until">Position of the event that executes it.</param>
    private sealed record Ahead(int Cpu, int Before, int Until, ulong Start, byte[] Bytes);

    private List<ScenarioStep> Rows(int[] shown)
    {
        List<Ahead> fetches = FetchedAhead();
        WitnessSource? source = (_subject as GuestSubject)?.Source;
        var rows = new List<ScenarioStep>();
        for (int i = 0; i < _events.Count; i++)
        {
            WitnessEvent e = _events[i];
            foreach (Ahead f in fetches)
                if (f.Before == i)
                    Add(f.Cpu, "fetch", $"fetches {WitnessText.Hex(f.Bytes)} at {_text.Describe(f.Start)}", [], _events[i - 1], i - 1, f);
            _rowOf[i] = rows.Count;
            if (e.Shown)
            {
                string? line = e.Kind == "execute" ? source?.Describe(e.Rip) : null;
                Add(e.Cpu, e.Kind, e.Text, line == null ? e.Notes : [line, .. e.Notes], e, i, null);
                continue;
            }
            // As many as follow each other without anything worth a row.
            bool isDrain = e.Kind == "drain";
            int first = i, count = isDrain ? 1 : e.Instructions;
            int row = rows.Count;
            while (i + 1 < _events.Count && _events[i + 1] is { Shown: false } next && next.Cpu == e.Cpu && next.Kind == "drain" == isDrain && !fetches.Exists(f => f.Before == i + 1))
                count += isDrain | i++ < 0 ? 1 : next.Instructions;
            _rowOf.AsSpan(first, i - first + 1).Fill(row);
            string what = first == i && e.Kind == "execute" ? e.Text : isDrain ? $"{Count(count, "store")} of no interest here" : $"... {Count(count, "instruction")}";
            bool last = i == _events.Count - 1;
            Add(e.Cpu, isDrain ? "drain" : "run", last ? $"{what}, to {_text.Describe(_events[i].Rips[e.Cpu])}" : what, last && Finding != null ? [Finding.Text] : [], _events[i], i, null);
        }
        return rows;

        static string Count(int n, string what) => $"{n} {what}{(n == 1 ? "" : "s")}";

        void Add(int cpu, string kind, string text, IReadOnlyList<string> notes, WitnessEvent e, int at, Ahead? now)
        {
            var views = new CpuView[_cpuCount];
            for (int c = 0; c < _cpuCount; c++)
            {
                StoreView[] stores = [.. e.Stores[c].Select(s => new StoreView(_text.Describe(s.Address), WitnessText.Value(s, _watches.Exists(w => w.IsCode && w.Contains(s.Address)))))];
                string queue = string.Join(", ", fetches.Where(f => f.Cpu == c && ((f.Before <= at && f.Until > at) || (f == now) || (now != null && f.Before == at + 1 && fetches.IndexOf(f) < fetches.IndexOf(now))))
                    .Select(f => $"{_text.Describe(f.Start)}: {WitnessText.Hex(f.Bytes)}"));
                string rip = e.Rips.Length == 0 ? "" : _text.Describe(e.Rips[c]);
                views[c] = new CpuView(rip, queue, stores, new Dictionary<string, string>(), "running");
            }
            rows.Add(new ScenarioStep(rows.Count, cpu, kind, text, notes, [.. shown.Select(w => _watches[w].IsCode ? WitnessText.Hex(e.Memory[w]) : WitnessText.Number(e.Memory[w]))], views));
        }
    }

    /// <summary>Position of the event by which memory no longer holds what was fetched: the fetch comes right before it.</summary>
    internal int PlaceOf(WitnessFetch fetch) => _events.FindIndex(e => e.PatchesAfter > fetch.TakenAt);

    private List<Ahead> FetchedAhead()
    {
        var all = new List<Ahead>();
        for (int i = 0; i < _events.Count; i++)
        {
            foreach (WitnessFetch f in _events[i].Fetches)
            {
                if (!f.Old)
                    continue;
                int before = PlaceOf(f);
                (ulong start, byte[] bytes) = Instruction(f, before);
                int same = all.FindIndex(a => a.Cpu == _events[i].Cpu && a.Before == before && a.Until == i);
                if (same >= 0)
                    all[same] = Join(all[same], start, bytes);
                else
                    all.Add(new Ahead(_events[i].Cpu, before, i, start, bytes));
            }
        }
        return all;
    }

    /// <summary>What to show of a fetched unit: the part of it that belongs to the patched instruction, and where bytes are fetched in order, those before it.</summary>
    private (ulong Start, byte[] Bytes) Instruction(WitnessFetch f, int before)
    {
        int unit = f.Content.Length;
        int index = _watches.FindIndex(w => w.IsCode && w.Address < f.Physical + (ulong)unit && f.Physical < w.Address + (ulong)w.Length);
        if (index < 0)
            return (f.Unit, f.Content);
        WitnessWatch watch = _watches[index];
        ulong first = Math.Max(watch.Address, f.Physical);
        ulong end = Math.Min(watch.Address + (ulong)watch.Length, f.Physical + (ulong)unit);
        byte[] bytes = f.Content[(int)(first - f.Physical)..(int)(end - f.Physical)];
        if (_subject.Profile.Order == FetchOrder.InOrder && first > watch.Address)
        {
            bytes = [.. _events[before - 1].Memory[index][..(int)(first - watch.Address)], .. bytes];
            first = watch.Address;
        }
        return (first + (f.Unit - f.Physical), bytes);
    }

    private static Ahead Join(Ahead a, ulong start, byte[] bytes)
    {
        ulong from = Math.Min(a.Start, start);
        ulong to = Math.Max(a.Start + (ulong)a.Bytes.Length, start + (ulong)bytes.Length);
        byte[] all = new byte[to - from];
        a.Bytes.CopyTo(all, (int)(a.Start - from));
        bytes.CopyTo(all, (int)(start - from));
        return a with { Start = from, Bytes = all };
    }
}

/// <summary>A witness that cannot be read or played; the message is for the user.</summary>
public sealed class WitnessException(string message) : Exception(message);
