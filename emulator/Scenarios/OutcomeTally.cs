namespace Emu.Scenarios;

/// <summary>What is known of how the outcomes were found, beside the outcomes themselves.</summary>
internal sealed record TallyContext
{
    /// <summary>The file pins the order of events, so there was one run.</summary>
    public bool Pinned { get; init; }

    /// <summary>What was explored; null when runs were pinned or sampled.</summary>
    public ScenarioExploration? Exploration { get; init; }

    /// <summary>What PCT promises; null when it was not asked for.</summary>
    public PctBound? Pct { get; init; }

    /// <summary>Why the scenario could not be played to its end.</summary>
    public string? Problem { get; init; }

    /// <summary>A run worth showing.</summary>
    public IReadOnlyList<ScenarioStep> Steps { get; init; } = [];

    /// <summary>Seed of the sampled run that <see cref="Steps"/> shows.</summary>
    public ulong? WitnessSeed { get; init; }
}

/// <summary>Counts the outcomes of a scenario, however they were found, and compares them with what the file expects.</summary>
internal sealed class OutcomeTally(Scenario scenario)
{
    private readonly SortedDictionary<string, (int Count, bool Satisfies)> _states = new(StringComparer.Ordinal);
    private int _positive;
    private int _counted;
    private int _filtered;
    private int _unfinished;
    private int _deadlocks;
    private int _livelocks;

    /// <summary>
    /// An outcome that decides: it satisfies an <c>exists</c> or <c>~exists</c>, or violates a <c>forall</c>.
    /// </summary>
    public bool Decides(bool holds) => holds == (scenario.Quantifier != Quantifier.ForAll);

    /// <summary>Counts a run that has ended; true when it decides the condition.</summary>
    public bool Count(OutcomeBook book)
    {
        if (!book.Passes)
        {
            _filtered++;
            return false;
        }
        bool holds = book.Holds;
        Add(book.Describe(), 1, holds, book.Ending.End);
        return Decides(holds);
    }

    /// <summary>Counts an outcome.</summary>
    /// <param name="outcome">In herd's form, as <see cref="OutcomeBook.Describe"/> gives it.</param>
    /// <param name="count">How often it was seen; of an exploration, how many final states show it.</param>
    /// <param name="holds">The condition, without its quantifier, holds in it.</param>
    /// <param name="end">How these runs ended.</param>
    public void Add(string outcome, int count, bool holds, RunEnd end = RunEnd.Finished)
    {
        _states[outcome] = (_states.GetValueOrDefault(outcome).Count + count, holds);
        _positive += holds ? count : 0;
        _counted += count;
        _unfinished += end == RunEnd.Unfinished ? count : 0;
        _deadlocks += end == RunEnd.Deadlock ? count : 0;
        _livelocks += end == RunEnd.Livelock ? count : 0;
    }

    /// <summary>The verdict.</summary>
    public ScenarioResult Judge(TallyContext context)
    {
        int negative = _counted - _positive;
        // As herd has it: what has no outcome at all never happens.
        Observation observation = _positive == 0 ? Observation.Never : negative == 0 ? Observation.Always : Observation.Sometimes;
        bool ok = scenario.Quantifier switch
        {
            Quantifier.Exists => _positive != 0,
            Quantifier.NotExists => _positive == 0,
            _ => negative == 0,
        };
        return new ScenarioResult
        {
            File = scenario.FileName,
            Name = scenario.Name,
            Description = scenario.Description,
            Profile = scenario.Profile.Name,
            CpuCount = scenario.CpuCount,
            Pinned = context.Pinned,
            Exploration = context.Exploration,
            Pct = context.Pct,
            Runs = _counted + _filtered,
            Seed = scenario.Seed,
            Condition = scenario.ConditionText,
            Quantifier = scenario.Quantifier,
            States = [.. _states.Select(s => new ScenarioOutcome(s.Value.Count, s.Key, s.Value.Satisfies))],
            Positive = _positive,
            Negative = negative,
            Observation = observation,
            Ok = ok,
            Expected = scenario.Expected,
            AsExpected = context.Problem == null && (scenario.Expected == null ? ok : scenario.Expected == observation),
            Problem = context.Problem,
            Filtered = _filtered,
            Unfinished = _unfinished,
            Deadlocks = _deadlocks,
            Livelocks = _livelocks,
            Watches = scenario.Watches,
            Steps = context.Steps,
            WitnessSeed = context.WitnessSeed,
            Hash = scenario.Info.FirstOrDefault(i => i.Key == "Hash").Value,
        };
    }
}
