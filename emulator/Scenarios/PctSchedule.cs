using Emu.Execution;
using Emu.Interrupts;

namespace Emu.Scenarios;

/// <summary>What probabilistic concurrency testing promises of one run.</summary>
/// <param name="Depth">Orderings between events that a bug needs.</param>
/// <param name="Agents">Fetch, execute and drain of each CPU, and the interrupt fabric.</param>
/// <param name="Events">Events of the longest run.</param>
public sealed record PctBound(int Depth, int Agents, int Events)
{
    /// <summary>A bug of this depth is met with at least this probability: 1/(n·k^(d-1)).</summary>
    public double Probability => PctPriorities.Bound(Agents, Depth, (ulong)Events);
}

/// <summary>Orders the events of a scenario by <see cref="PctPriorities"/>.</summary>
internal sealed class PctSchedule
{
    private const int PerCpu = 3;
    private const int MaximumUnits = 128;

    /// <summary>Events in a row after which an agent waits, as in a loop: scenarios are short.</summary>
    private const int Patience = 64;

    private readonly Scenario _scenario;
    private readonly ScenarioRun _run;
    private readonly DeterministicRandom _random;
    private readonly PctPriorities _priorities;

    private PctSchedule(Scenario scenario, ScenarioRun run, ulong seed, int depth, int events)
    {
        _scenario = scenario;
        _run = run;
        _random = new DeterministicRandom(seed);
        _priorities = new PctPriorities(AgentsOf(scenario), depth, (ulong)events, _random, Patience);
    }

    public static int AgentsOf(Scenario scenario) => scenario.CpuCount * PerCpu + 1;

    /// <param name="events">Events of a run, among which the points of change are drawn.</param>
    /// <returns>False when the limit of events was reached before the run was over.</returns>
    public static bool Play(Scenario scenario, ScenarioRun run, ulong seed, int depth, int events) =>
        new PctSchedule(scenario, run, seed, depth, events).Play();

    private bool Play()
    {
        while (_run.Count < _scenario.Limit)
        {
            int agent = _run.IsOver ? -1 : _priorities.Next(CanAct);
            if (agent < 0)
                return true;
            int before = _run.Count;
            Let(agent);
            // Nothing came of it: it has to wait for another.
            if (_run.Count == before)
                _priorities.Yield(agent);
        }
        return _run.IsOver;
    }

    private bool CanAct(int agent)
    {
        if (agent == AgentsOf(_scenario) - 1)
            return _run.Machine.Fabric.Pending.Count != 0;
        int cpu = agent / PerCpu;
        return (agent % PerCpu) switch
        {
            0 => _run.MayExecute(cpu),
            1 => _run.MayExecute(cpu) && _run.Machine.Agents[cpu].FetchCandidates(stackalloc ulong[MaximumUnits]) != 0,
            _ => _run.Machine.Cpus[cpu].StoreBuffer.Count != 0,
        };
    }

    private void Let(int agent)
    {
        if (agent == AgentsOf(_scenario) - 1)
        {
            InterruptMessage[] deliverable = [.. _run.Machine.Fabric.Pending.Where(_run.Machine.Fabric.IsDeliverable)];
            if (deliverable.Length != 0)
                _run.Deliver(deliverable[_random.Next(deliverable.Length)]);
            return;
        }
        int cpu = agent / PerCpu;
        switch (agent % PerCpu)
        {
            case 0:
                _run.Execute(cpu);
                break;
            case 1:
                RandomSchedule.Fetch(_run, cpu, _random, stackalloc ulong[MaximumUnits]);
                break;
            default:
                _run.Drain(cpu);
                break;
        }
    }
}
