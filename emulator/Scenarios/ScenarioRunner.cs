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
        var tally = new Tally(scenario);
        tally.Count(run);
        return tally.Judge(pinned: true, run.Problem ?? problem, finished ? 0 : 1, recorder.Steps, null);
    }

    private static ScenarioResult RunSampled(Scenario scenario, ScenarioRun run)
    {
        var tally = new Tally(scenario);
        int unfinished = 0;
        string? problem = null;
        // The run worth showing is the first that decides: that satisfies an exists or ~exists, or violates a forall.
        bool decisive = scenario.Quantifier != Quantifier.ForAll;
        ulong? witness = null;
        for (int i = 0; i < scenario.Runs && problem == null; i++)
        {
            ulong seed = scenario.Seed + (ulong)i;
            run.Begin(null);
            if (!RandomSchedule.Play(scenario, run, seed))
                unfinished++;
            problem = run.Problem;
            if (tally.Count(run) == decisive || problem != null)
                witness ??= seed;
        }
        var recorder = new StepRecorder(scenario, run.Machine);
        if (witness is { } chosen)
        {
            run.Begin(recorder);
            RandomSchedule.Play(scenario, run, chosen);
        }
        return tally.Judge(pinned: false, problem, unfinished, recorder.Steps, witness);
    }

    /// <summary>Counts outcomes and compares them with what the file expects.</summary>
    private sealed class Tally(Scenario scenario)
    {
        private readonly SortedDictionary<string, (int Count, bool Satisfies)> _states = new(StringComparer.Ordinal);
        private int _positive;
        private int _runs;

        /// <summary>Counts a run that has ended; true when the condition holds in it.</summary>
        public bool Count(ScenarioRun run)
        {
            bool holds = scenario.Condition.Holds(run);
            string text = string.Join(' ', scenario.Observed.Select(o => Describe(o, run)));
            _states[text] = (_states.GetValueOrDefault(text).Count + 1, holds);
            _positive += holds ? 1 : 0;
            _runs++;
            return holds;
        }

        public ScenarioResult Judge(bool pinned, string? problem, int unfinished, IReadOnlyList<ScenarioStep> steps, ulong? witness)
        {
            int negative = _runs - _positive;
            Observation observation = negative == 0 ? Observation.Always : _positive == 0 ? Observation.Never : Observation.Sometimes;
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
                Pinned = pinned,
                Runs = _runs,
                Seed = scenario.Seed,
                Condition = scenario.ConditionText,
                Quantifier = scenario.Quantifier,
                States = [.. _states.Select(s => new ScenarioOutcome(s.Value.Count, s.Key, s.Value.Satisfies))],
                Positive = _positive,
                Negative = negative,
                Observation = observation,
                Ok = ok,
                Expected = scenario.Expected,
                AsExpected = problem == null && (scenario.Expected == null ? ok : scenario.Expected == observation),
                Problem = problem,
                Unfinished = unfinished,
                Watches = scenario.Watches,
                Steps = steps,
                WitnessSeed = witness,
            };
        }

        private string Describe(object observed, ScenarioRun run) => observed switch
        {
            ScenarioLocation location => $"{location}={Value(run.Read(location), location)};",
            ScenarioEvent e => $"{(run.Happened(e) ? "" : "~")}{e};",
            _ => "",
        };

        /// <summary>Addresses by name, small numbers in decimal, as herd prints them; larger ones in hexadecimal.</summary>
        private string Value(ulong value, ScenarioLocation location) =>
            location.Size == 8 && scenario.Symbols.TryDescribe(value) is { } name ? name : value < 0x1_0000 ? value.ToString() : $"0x{value:x}";
    }
}
