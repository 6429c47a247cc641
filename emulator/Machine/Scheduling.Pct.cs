using Emu.Cpus;
using Emu.Execution;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Machines;

/// <summary>The schedule of probabilistic concurrency testing: each step is one event of one agent.</summary>
public sealed unsafe partial class Machine
{
    /// <summary>Agents of a CPU, in the order of their numbers: it executes, fetches, drains, and messages to it are delivered.</summary>
    public const int PctAgentsPerCpu = 4;

    private readonly PctPriorities? _pct;
    private readonly Func<int, bool>? _canStep;

    /// <summary>CPUs whose fetch unit can read no further before they execute.</summary>
    private readonly bool[] _fetchBlocked;

    /// <summary>Events so far under <see cref="ScheduleKind.Pct"/>: the k of its bound.</summary>
    public ulong PctSteps => _pct?.Steps ?? 0;

    /// <summary>One event. False when nobody can do anything.</summary>
    private bool RunPctSlice()
    {
        int agent = _pct!.Next(_canStep!);
        if (agent < 0)
            return false;
        int cpu = agent / PctAgentsPerCpu;
        switch (agent % PctAgentsPerCpu)
        {
            case 0:
                _fetchBlocked[cpu] = false;
                ExecuteOne(cpu);
                // It waits for another CPU, which must get its turn.
                if (_cpus[cpu].State->YieldRequested != 0)
                    _pct.Yield(agent);
                break;
            case 1:
                int before = _agents[cpu].Queue.Ready;
                _agents[cpu].FetchAhead(_random);
                _fetchBlocked[cpu] = _agents[cpu].Queue.Ready == before;
                break;
            case 2:
                _agents[cpu].Drain();
                break;
            default:
                Fabric.DeliverNext(new CpuIndex(cpu));
                break;
        }
        return true;
    }

    private void ExecuteOne(int index)
    {
        Cpu cpu = _cpus[index];
        BeginSlice(cpu, 1);
        cpu.State->YieldRequested = 0;
        long retired = _coherent ? _interpreter.Run(cpu, 1, keepsTurn: false) : _agents[index].Execute(out bool one) && one ? 1 : 0;
        cpu.State->Budget = 0;
        EndSlice(cpu, retired);
    }

    private bool CanStep(int agent)
    {
        int cpu = agent / PctAgentsPerCpu;
        switch (agent % PctAgentsPerCpu)
        {
            case 0:
                return MayExecute(_cpus[cpu]);
            case 1:
                return Options.Profile.Depth != 0 && !_fetchBlocked[cpu] && _cpus[cpu].State->Activity == Activity.Active && _agents[cpu].WantsToFetch;
            case 2:
                return _cpus[cpu].StoreBuffer.Count != 0;
            default:
                foreach (InterruptMessage message in Fabric.Pending)
                    if (message.Target.Value == cpu && Fabric.IsDeliverable(message))
                        return true;
                return false;
        }
    }
}
