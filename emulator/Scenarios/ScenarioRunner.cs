using Emu.Machines;

namespace Emu.Scenarios;

/// <summary>Plays a scenario and judges it.</summary>
public static class ScenarioRunner
{
    /// <summary>Plays the pinned schedule, or the number of random ones that the file asks for.</summary>
    public static ScenarioResult Run(Scenario scenario)
    {
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

    private static ScenarioResult RunSampled(Scenario scenario, ScenarioRun run)
    {
        var tally = new OutcomeTally(scenario);
        string? problem = null;
        // The run worth showing is the first that decides.
        ulong? witness = null;
        for (int i = 0; i < scenario.Runs && problem == null; i++)
        {
            ulong seed = scenario.Seed + (ulong)i;
            run.Begin(null);
            run.End(RandomSchedule.Play(scenario, run, seed));
            problem = run.Problem;
            if (tally.Count(run.Book) || problem != null)
                witness ??= seed;
        }
        var recorder = new StepRecorder(scenario, run.Machine);
        if (witness is { } chosen)
        {
            run.Begin(recorder);
            RandomSchedule.Play(scenario, run, chosen);
        }
        return tally.Judge(new TallyContext { Problem = problem, Steps = recorder.Steps, WitnessSeed = witness });
    }
}
