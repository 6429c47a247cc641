using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Execution;

/// <summary>
/// What happens between two instructions, in the order of the manual (SDM, "Prioritization of Concurrent Events"): INIT and SIPI, traps of the
/// instruction before, NMI, interrupts; then the next instruction's faults.
/// </summary>
public static unsafe class Events
{
    /// <summary>Takes whatever is due. False when the CPU does not execute: halted, shut down, or waiting for a SIPI.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Service(Cpu cpu) =>
        // Nearly always nothing waits.
        (cpu.Mailbox == Mail.None && !cpu.HasInterrupt && cpu.State->Activity == Activity.Active) || Take(cpu);

    private static bool Take(Cpu cpu)
    {
        CpuState* s = cpu.State;
        if (cpu.Mailbox != Mail.None)
            ServiceMail(cpu);
        if (s->Activity is Activity.Shutdown or Activity.WaitForSipi)
            return false;
        // Held off behind STI and MOV SS until one more instruction has run.
        if (s->InterruptShadow == 0)
        {
            if (s->NmiBlocked == 0 && cpu.Take(Mail.Nmi))
            {
                s->Activity = Activity.Active;
                EventDelivery.Deliver(s, Vector.Nmi, EventKind.Nmi);
            }
            else if ((s->SystemFlags & Rflags.If) != 0 && cpu.HasInterrupt)
            {
                s->Activity = Activity.Active;
                EventDelivery.Deliver(s, (Vector)cpu.Apic.AcknowledgeInterrupt(), EventKind.ExternalInterrupt);
            }
        }
        if (s->Activity == Activity.Waiting && MonitoredLine.Triggered(s))
            s->Activity = Activity.Active;
        return s->Activity == Activity.Active;
    }

    /// <summary>Deals with why a chain returned.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Finish(Cpu cpu)
    {
        CpuState* s = cpu.State;
        switch (s->Exit)
        {
            case ExitReason.Fault:
                s->Exit = ExitReason.None;
                EventDelivery.DeliverFault(s);
                break;
            case ExitReason.Halt:
                s->Exit = ExitReason.None;
                s->Activity = Activity.Halted;
                break;
        }
    }

    /// <summary>Ends a single step: the shadow of STI or MOV SS passes, and TF traps.</summary>
    /// <param name="shadow">Shadow before the instruction: it covered this one.</param>
    /// <param name="trap">TF was set before the instruction.</param>
    public static void AfterStep(Cpu cpu, bool retired, int shadow, bool trap)
    {
        CpuState* s = cpu.State;
        if (retired && shadow != 0 && s->InterruptShadow == shadow)
            s->InterruptShadow = 0;
        if (s->Exit != ExitReason.None)
        {
            s->InterruptShadow = 0;
            Finish(cpu);
            if (!retired)
                return;
        }
        // "When the TF flag is set, a debug exception is generated after the instruction" (SDM, "Single-Step Exception Condition");
        // MOV SS holds it off.
        if (retired && trap && s->InterruptShadow != 2 && s->Activity == Activity.Active)
        {
            s->Dr6 |= 1UL << 14;
            EventDelivery.Deliver(s, Vector.Debug, EventKind.Trap);
        }
    }

    private static void ServiceMail(Cpu cpu)
    {
        CpuState* s = cpu.State;
        if (cpu.Take(Mail.Init))
        {
            cpu.StoreBuffer.DrainAll();
            Reset.Init(cpu);
            cpu.Serialise(SerialisingEvent.Init);
        }
        // A SIPI counts only in the wait-for-SIPI state (SDM, "MP Initialization Protocol Algorithm").
        if (cpu.Take(Mail.Sipi) && s->Activity == Activity.WaitForSipi)
            Reset.StartUp(cpu, cpu.SipiVector);
        cpu.Take(Mail.Smi);
    }
}
