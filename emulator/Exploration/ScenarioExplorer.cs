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
        if (directive.Kind == ExploreKind.Pct)
            throw new ArgumentException("pct asks for random schedules, and this goes through all", nameof(directive));
        ExplorationResult explored = Explorer.Run(new ScenarioSubject(scenario), options with
        {
            Preemptions = directive.Kind == ExploreKind.Preemptions ? directive.Parameter : options.Preemptions,
            EventsOnPath = directive.Events ?? options.EventsOnPath,
            States = directive.States ?? options.States,
            StopAtFinding = false,
        });
        var tally = new OutcomeTally(scenario);
        foreach (ExploredOutcome outcome in explored.Outcomes)
            tally.Add(outcome.Text, (int)Math.Min(outcome.Count, int.MaxValue), outcome.Holds);
        string? bound = explored.Problem ?? explored.Bound ?? (explored.Verdict == Verdict.Cancelled ? "it was cancelled" : null);
        return tally.Judge(new TallyContext
        {
            Exploration = new ScenarioExploration(directive.ToString(), bound == null, explored.States, explored.Events, bound),
            Problem = explored.Problem,
        });
    }
}
