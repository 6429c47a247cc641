using Emu.Machines;

namespace Emu.Scenarios;

/// <summary>Plays a scenario and judges it.</summary>
public static class ScenarioRunner
{
    private const int MeasuredRuns = 20;

    /// <summary>Plays the pinned schedule, or the number of random ones that the file asks for.</summary>
    public static ScenarioResult Run(Scenario scenario)
    {
        // The checker knows nothing of going back to a start, as runs here do.
        if (scenario.Events.Any(e => e.Kind == ScenarioEventKind.Unsynchronised))
        {
            const string problem = "only an exploration judges 'unsynchronised'; put 'explore: exhaustive' in the place of a schedule, or ask for --explore";
            return new OutcomeTally(scenario).Judge(new TallyContext { Pinned = scenario.Schedule != null, Problem = problem });
        }
        using Machine machine = ScenarioMachine.Build(scenario);
        var run = new ScenarioRun(scenario, machine);
        return scenario.Schedule != null ? RunPinned(scenario, run) : RunSampled(scenario, run);
    }

    private static ScenarioResult RunPinned(Scenario scenario, ScenarioRun run)
    {
        var recorder = new StepRecorder(scenario, run.Machine);
        run.Begin(recorder);
        bool finished = new PinnedSchedule(scenario, run).Play(out string? problem);
        run.End(finished);
        var tally = new OutcomeTally(scenario);
        tally.Count(run.Book);
        return tally.Judge(new TallyContext { Pinned = true, Problem = run.Problem ?? problem, Steps = recorder.Steps });
    }

    /// <summary>
    /// How long a run is: of the points at which PCT changes priorities, which are drawn from as many events, each comes to lie within most runs, and none
    /// beyond the longest of a few.
    /// </summary>
    private static PctBound? Measure(Scenario scenario, ScenarioRun run)
    {
        if (scenario.Explore is not { Kind: ExploreKind.Pct } pct)
            return null;
        int longest = 1;
        for (int i = 0; i < MeasuredRuns; i++)
        {
            run.Begin(null);
            PctSchedule.Play(scenario, run, scenario.Seed + (ulong)i, 1, 1);
            longest = Math.Max(longest, run.Count);
        }
        return new PctBound(pct.Parameter, PctSchedule.AgentsOf(scenario), longest);
    }

    private static bool PlaySampled(Scenario scenario, ScenarioRun run, PctBound? pct, ulong seed) =>
        pct != null ? PctSchedule.Play(scenario, run, seed, pct.Depth, pct.Events) : RandomSchedule.Play(scenario, run, seed);

    private static ScenarioResult RunSampled(Scenario scenario, ScenarioRun run)
    {
        PctBound? pct = Measure(scenario, run);
        var tally = new OutcomeTally(scenario);
        string? problem = null;
        // The run worth showing is the first that decides.
        ulong? witness = null;
        for (int i = 0; i < scenario.Runs && problem == null; i++)
        {
            ulong seed = scenario.Seed + (ulong)i;
            run.Begin(null);
            run.End(PlaySampled(scenario, run, pct, seed));
            problem = run.Problem;
            if (tally.Count(run.Book) || problem != null)
                witness ??= seed;
        }
        var recorder = new StepRecorder(scenario, run.Machine);
        if (witness is { } chosen)
        {
            run.Begin(recorder);
            PlaySampled(scenario, run, pct, chosen);
        }
        return tally.Judge(new TallyContext { Problem = problem, Pct = pct, Steps = recorder.Steps, WitnessSeed = witness });
    }
}
