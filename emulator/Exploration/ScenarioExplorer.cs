using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>Explores a scenario and judges it by its final states, as <see cref="ScenarioRunner"/> judges one by its runs.</summary>
public static class ScenarioExplorer
{
    /// <summary>True where the file asks for orders of events that an exploration goes through; <c>pct</c> asks for random ones.</summary>
    public static bool IsAskedFor(Scenario scenario) => scenario.Explore is { Kind: ExploreKind.Exhaustive or ExploreKind.Preemptions };

    /// <summary>Explores.</summary>
    /// <param name="directive">What to go through; the bounds that it names count before those of <paramref name="options"/>.</param>
    public static ScenarioResult Run(Scenario scenario, ExploreDirective directive, ExplorationOptions options)
    {
        var subject = new ScenarioSubject(scenario);
        options = Bounded(directive, options);
        return Judge(subject, directive, Explorer.Run(subject, options));
    }

    /// <summary>The options with what a directive asks for.</summary>
    public static ExplorationOptions Bounded(ExploreDirective directive, ExplorationOptions options)
    {
        if (directive.Kind == ExploreKind.Pct)
            throw new ArgumentException("pct asks for random schedules, and this goes through all", nameof(directive));
        return options with
        {
            Preemptions = directive.Kind == ExploreKind.Preemptions ? directive.Parameter : options.Preemptions,
            EventsOnPath = directive.Events ?? options.EventsOnPath,
            States = directive.States ?? options.States,
            StopAtFinding = false,
        };
    }

    /// <summary>The verdict on a scenario that was explored; its steps are the shortest run that decides.</summary>
    public static ScenarioResult Judge(ScenarioSubject subject, ExploreDirective directive, ExplorationResult explored)
    {
        Scenario scenario = subject.Scenario;
        WitnessTable? table = explored.Deciding == null ? null : WitnessTable.Play(subject, explored, explored.Deciding);
        var tally = new OutcomeTally(scenario);
        foreach (ExploredOutcome outcome in explored.Outcomes)
            tally.Add(outcome.Text, (int)Math.Min(outcome.Count, int.MaxValue), outcome.Holds, outcome.End);
        string? bound = explored.Problem ?? explored.Bound ?? (explored.Verdict == Verdict.Cancelled ? "it was cancelled" : null);
        ScenarioResult result = tally.Judge(new TallyContext
        {
            Exploration = new ScenarioExploration(directive.ToString(), bound == null, explored.States, explored.Events, bound),
            Problem = explored.Problem,
            Steps = table?.Steps ?? [],
        });
        return table == null ? result : result with { Watches = table.Watches };
    }
}
