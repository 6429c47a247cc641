using Emu.Execution;
using Emu.Interrupts;

namespace Emu.Scenarios;

/// <summary>
/// Draws the order of events at random. Every agent of every CPU has an eagerness of its own, from 1 to 64, which now and then is drawn anew: were they
/// equal, a store would hardly ever wait in its buffer while another CPU gets through a whole protocol, and were they fixed, no CPU would first be quick
/// and then late.
/// </summary>
internal static class RandomSchedule
{
    private const int Agents = 3;
    private const int MaximumUnits = 128;
    private const int Magnitudes = 7;

    /// <summary>Events between two changes of an eagerness, on average.</summary>
    private const int EventsPerChange = 12;

    /// <returns>False when the limit of events was reached before the run was over.</returns>
    public static bool Play(Scenario scenario, ScenarioRun run, ulong seed)
    {
        var random = new DeterministicRandom(seed);
        int[] eagerness = new int[scenario.CpuCount * Agents + 1];
        for (int i = 0; i < eagerness.Length; i++)
            eagerness[i] = Draw(random);
        while (run.Count < scenario.Limit)
        {
            if (random.OneIn(EventsPerChange))
                eagerness[random.Next(eagerness.Length)] = Draw(random);
            if (!Step(scenario, run, random, eagerness))
                return true;
        }
        return run.IsOver;
    }

    private static int Draw(DeterministicRandom random) => 1 << random.Next(Magnitudes);

    /// <summary>One event. False when there is none.</summary>
    private static bool Step(Scenario scenario, ScenarioRun run, DeterministicRandom random, int[] eagerness)
    {
        Span<ulong> units = stackalloc ulong[MaximumUnits];
        Span<int> weights = stackalloc int[eagerness.Length];
        int total = 0;
        for (int cpu = 0; cpu < scenario.CpuCount; cpu++)
        {
            bool executes = run.MayExecute(cpu);
            int at = cpu * Agents;
            weights[at] = executes ? eagerness[at] : 0;
            weights[at + 1] = executes && run.Machine.Agents[cpu].FetchCandidates(units) != 0 ? eagerness[at + 1] : 0;
            weights[at + 2] = run.Machine.Cpus[cpu].StoreBuffer.Count != 0 ? eagerness[at + 2] : 0;
        }
        weights[^1] = run.Machine.Fabric.Pending.Count != 0 ? eagerness[^1] : 0;
        foreach (int w in weights)
            total += w;
        if (total == 0 || run.IsOver)
            return false;
        int drawn = random.Next(total);
        int chosen = 0;
        while (drawn >= weights[chosen])
            drawn -= weights[chosen++];
        if (chosen == weights.Length - 1)
        {
            IReadOnlyList<InterruptMessage> pending = run.Machine.Fabric.Pending;
            InterruptMessage[] deliverable = [.. pending.Where(run.Machine.Fabric.IsDeliverable)];
            return run.Deliver(deliverable[random.Next(deliverable.Length)]);
        }
        int index = chosen / Agents;
        switch (chosen % Agents)
        {
            case 0:
                run.Execute(index);
                break;
            case 1:
                Fetch(run, index, random, units);
                break;
            default:
                run.Drain(index);
                break;
        }
        return true;
    }

    /// <summary>A fetch event of a random unit and version among those that are possible.</summary>
    public static void Fetch(ScenarioRun run, int cpu, DeterministicRandom random, Span<ulong> units)
    {
        ModelledCpu agent = run.Machine.Agents[cpu];
        int n = agent.FetchCandidates(units);
        if (n == 0)
            return;
        ulong unit = units[random.Next(n)];
        int versions = agent.Versions(unit);
        if (versions == 0 || !run.Fetch(cpu, unit, random.Next(versions)))
        {
            // Nothing is mapped there: the instructions before it come first.
            run.Execute(cpu);
        }
    }
}
