using Emu.Cpus;
using Emu.Execution;

namespace Emu.Machines;

/// <summary>Runs up to a place in the guest.</summary>
public sealed unsafe partial class Machine
{
    private const int MarkerQuantum = 64;

    /// <summary>
    /// Runs every CPU up to the first time that it stands at a linear address, and holds it there while others come; all in turn. CPUs that were
    /// never started do not count.
    /// </summary>
    /// <returns>Null when all have arrived; else how the guest ended, or that it went on for too long.</returns>
    public RunResult? RunTo(ulong linear, ulong maxInstructions)
    {
        // Whatever the schedule makes of messages later: on the way nobody decides when one is delivered.
        bool immediate = Fabric.Immediate;
        Fabric.Immediate = true;
        RunResult? end = RunAllTo(linear, maxInstructions);
        Fabric.Immediate = immediate;
        return end;
    }

    private RunResult? RunAllTo(ulong linear, ulong maxInstructions)
    {
        ulong end = Instructions + maxInstructions;
        while (_stop == null)
        {
            if (Instructions >= end)
                return new RunResult(StopReason.InstructionLimit, 0, $"not every CPU has come to 0x{linear:x} within {maxInstructions} instructions; {Describe()}");
            AdvanceTimers();
            bool all = true;
            bool ran = false;
            foreach (ModelledCpu agent in _agents)
            {
                if (agent.LinearRip == linear || agent.Cpu.State->Activity == Activity.WaitForSipi && agent.Cpu.Mailbox == Mail.None)
                    continue;
                all = false;
                ran |= RunTo(agent, linear);
            }
            if (all)
                return null;
            if (!ran && _stop == null && !SkipIdleTime())
                return new RunResult(StopReason.AllHalted, 0, $"no CPU executes, and not every one has come to 0x{linear:x}; {Describe()}");
        }
        return _stop;
    }

    private bool RunTo(ModelledCpu agent, ulong linear)
    {
        Cpu cpu = agent.Cpu;
        if (!MayExecute(cpu))
            return false;
        BeginSlice(cpu, MarkerQuantum);
        long retired = 0;
        for (int i = 0; i < MarkerQuantum && _stop == null && agent.LinearRip != linear && agent.Execute(out bool one); i++)
            retired += one ? 1 : 0;
        cpu.StoreBuffer.DrainAll();
        EndSlice(cpu, retired);
        return true;
    }
}
