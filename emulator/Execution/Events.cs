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
        bool noTrap = s->NoTrap != 0;
        s->NoTrap = 0;
        if (s->Exit != ExitReason.None)
        {
            // Of an instruction that faults nothing is left to be reported.
            if (!retired)
                s->PendingDebug = 0;
            s->InterruptShadow = 0;
            Finish(cpu);
            if (!retired)
                return;
        }
        // "When the TF flag is set, a debug exception is generated after the instruction" (SDM, "Single-Step Exception Condition"); with BTF only behind
        // branches. MOV SS holds it off, and other debug traps until the next instruction has run.
        bool branches = (s->DebugControl & Msrs.DebugControlBranches) != 0;
        if (retired && trap && !noTrap && s->InterruptShadow != 2 && !(branches && s->Rip == s->SequentialRip))
            s->PendingDebug |= DebugRegisters.Dr6SingleStep;
        if (s->DebugArmed != 0 && !retired)
            s->SystemFlags |= s->ResumeHeld; // A repeated instruction that is not through.
        if (s->PendingDebug != 0 && s->InterruptShadow != 2 && s->Activity != Activity.Shutdown)
            DebugRegisters.TakePending(s);
    }

    /// <summary>True when one instruction at a time must be executed: under TF, while a breakpoint is armed or a debug trap waits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsStepping(CpuState* s) => ((s->SystemFlags & Rflags.Tf) | (ulong)s->DebugArmed | s->PendingDebug) != 0;

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
