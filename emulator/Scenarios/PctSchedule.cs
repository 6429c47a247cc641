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
    public double Probability => 1 / (Agents * Math.Pow(Events, Depth - 1));
}

/// <summary>
/// Orders events by random priorities (Burckhardt, Kothari, Musuvathi, Nagarakatti: "A Randomized Scheduler with Probabilistic Guarantees of Finding
/// Bugs", ASPLOS 2010): of the agents that can do something the one with the highest priority does, and at depth - 1 random points the agent whose turn it
/// is falls behind all others.
/// </summary>
internal sealed class PctSchedule
{
    private const int PerCpu = 3;
    private const int MaximumUnits = 128;

    /// <summary>
    /// Events after which an agent that alone has its way, as in a waiting loop, falls behind the others: priorities alone would let it wait for ever for
    /// those that it keeps from running.
    /// </summary>
    private const int Patience = 64;

    private readonly Scenario _scenario;
    private readonly ScenarioRun _run;
    private readonly int[] _priorities;
    private readonly DeterministicRandom _random;
    private readonly int[] _changes;
    private int _lowest;

    private PctSchedule(Scenario scenario, ScenarioRun run, ulong seed, int depth, int events)
    {
        _scenario = scenario;
        _run = run;
        _random = new DeterministicRandom(seed);
        _priorities = [.. Enumerable.Range(1, AgentsOf(scenario))];
        for (int i = _priorities.Length - 1; i > 0; i--)
        {
            int k = _random.Next(i + 1);
            (_priorities[i], _priorities[k]) = (_priorities[k], _priorities[i]);
        }
        _changes = new int[depth - 1];
        for (int i = 0; i < _changes.Length; i++)
            _changes[i] = 1 + _random.Next(events);
    }

    public static int AgentsOf(Scenario scenario) => scenario.CpuCount * PerCpu + 1;

    /// <param name="events">Events of a run, among which the points of change are drawn.</param>
    /// <returns>False when the limit of events was reached before the run was over.</returns>
    public static bool Play(Scenario scenario, ScenarioRun run, ulong seed, int depth, int events) =>
        new PctSchedule(scenario, run, seed, depth, events).Play();

    private bool Play()
    {
        int last = -1;
        int inARow = 0;
        while (_run.Count < _scenario.Limit)
        {
            int agent = Highest();
            if (agent < 0 || _run.IsOver)
                return true;
            inARow = agent == last ? inARow + 1 : 1;
            last = agent;
            int before = _run.Count;
            Let(agent);
            // Nothing came of it: it has to wait for another.
            if (_run.Count == before || inARow >= Patience || _changes.Contains(_run.Count))
            {
                _priorities[agent] = --_lowest;
                inARow = 0;
            }
        }
        return _run.IsOver;
    }

    private int Highest()
    {
        int best = -1;
        for (int i = 0; i < _priorities.Length; i++)
            if ((best < 0 || _priorities[i] > _priorities[best]) && CanAct(i))
                best = i;
        return best;
    }

    private bool CanAct(int agent)
    {
        if (agent == _priorities.Length - 1)
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
        if (agent == _priorities.Length - 1)
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
