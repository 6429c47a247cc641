using System.Runtime.CompilerServices;
namespace Emu.Cpus;

/// <summary>Where an event comes from: it decides which checks the gate is subject to, and what is pushed.</summary>
public enum EventKind
{
    /// <summary>An external interrupt.</summary>
    ExternalInterrupt,
    Nmi,

    /// <summary>A fault-class exception: RIP is the instruction's own, and RF is set in the pushed flags.</summary>
    Fault,

    /// <summary>A trap-class exception: single step.</summary>
    Trap,

    /// <summary>INT n: subject to the gate's DPL and, in virtual-8086 mode, to IOPL.</summary>
    SoftwareInterrupt,

    /// <summary>INT3 and INTO: subject to the gate's DPL.</summary>
    SoftwareException,

    /// <summary>INT1 (ICEBP): subject to neither.</summary>
    PrivilegedSoftwareException,
}

/// <summary>An event on its way through the IDT.</summary>
public readonly record struct CpuEvent(Vector Vector, EventKind Kind, uint? ErrorCode, ulong ReturnRip)
{
    /// <summary>INT n, INT3, INTO: the gate's DPL must be at least CPL.</summary>
    public bool ChecksDpl => Kind is EventKind.SoftwareInterrupt or EventKind.SoftwareException;

    /// <summary>EXT of the error codes of faults on the way: the event is external to the program (SDM, "Error Code").</summary>
    public uint External => ChecksDpl ? 0U : 1U;

    /// <summary>The error code that names the IDT entry: vector, IDT bit.</summary>
    public uint GateCode => (uint)Vector * 8 + 2;
}

/// <summary>
/// Interrupts, exceptions and INT instructions, from the vector to the first instruction of the handler, in every mode (SDM, "Interrupt and
/// Exception Handling"; AMD APM Vol. 2, "Exceptions and Interrupts"). A fault on the way is delivered in its place, as #DF where the table says so.
/// </summary>
[SkipLocalsInit]
public static unsafe class EventDelivery
{
    private enum EventClass
    {
        Benign,
        Contributory,
        PageFault,
        DoubleFault,
    }

    /// <summary>Delivers the fault or trap in <see cref="CpuState.Fault"/>; RIP is that of the instruction, or behind it for a trap.</summary>
    /// <returns>False on shutdown (triple fault), or with <see cref="ExitReason.Unsupported"/>.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool DeliverFault(CpuState* s)
    {
        FaultInfo f = s->Fault;
        CpuEvent e = Exception(s, in f, s->Rip);
        return Deliver(s, in e);
    }

    /// <summary>Delivers an event.</summary>
    /// <param name="s">The CPU; RIP is that of the present instruction, to which a fault during delivery returns.</param>
    /// <param name="vector">Its vector.</param>
    /// <param name="kind">Where it comes from.</param>
    /// <param name="errorCode">Pushed by some exceptions.</param>
    /// <param name="returnRip">The RIP to push; if null, the present one. Software events give that of the next instruction.</param>
    /// <returns>False on shutdown (triple fault), or with <see cref="ExitReason.Unsupported"/>.</returns>
    public static bool Deliver(CpuState* s, Vector vector, EventKind kind, uint? errorCode = null, ulong? returnRip = null)
    {
        var e = new CpuEvent(vector, kind, errorCode, returnRip ?? s->Rip);
        return Deliver(s, in e);
    }

    /// <summary>True for the exceptions that push an error code (SDM, "Protected-Mode Exceptions and Interrupts").</summary>
    public static bool HasErrorCode(Vector vector) =>
        vector is Vector.DoubleFault or (>= Vector.InvalidTss and <= Vector.PageFault) or Vector.AlignmentCheck;

    private static bool Deliver(CpuState* s, in CpuEvent e)
    {
        s->Exit = ExitReason.None;
        if (e.Kind == EventKind.Nmi)
            s->NmiBlocked = 1;
        Cpu cpu = Cpu.Of(s);
        if (KnownTransfers.Applies(s) && cpu.Known->TryDeliver(s, in e))
        {
            Arrived(cpu, in e);
            return true;
        }
        return DeliverChecked(cpu, e);
    }

    private static bool DeliverChecked(Cpu cpu, CpuEvent e)
    {
        CpuState* s = cpu.State;
        while (!TryDeliver(s, in e))
        {
            if (s->Exit == ExitReason.Unsupported)
                return false;
            FaultInfo f = s->Fault;
            if (f.Vector is >= Vector.InvalidTss and <= Vector.GeneralProtection)
                f.ErrorCode |= e.External;
            CpuEvent second = Exception(s, in f, s->Rip);
            // SDM, "Conditions for Generating a Double Fault".
            EventClass one = Class(in e), two = Class(in second);
            if (one == EventClass.DoubleFault)
            {
                // "If another contributory or page fault exception occurs while attempting to call the double-fault handler, the processor enters
                // shutdown mode."
                s->Activity = Activity.Shutdown;
                return false;
            }
            // #AC met by #AC, on a misaligned stack at CPL 3, would meet it for ever: the instruction is there to raise it again, after whatever else is due.
            if (one == EventClass.Benign && e.Kind == EventKind.Fault && second.Kind == EventKind.Fault && second.Vector == e.Vector)
                return true;
            bool twice = one == EventClass.Contributory ? two == EventClass.Contributory : one == EventClass.PageFault && two != EventClass.Benign;
            e = twice ? new CpuEvent(Vector.DoubleFault, EventKind.Fault, 0, s->Rip) : second;
        }
        CpuMode.Update(s);
        Arrived(cpu, in e);
        return true;
    }

    private static bool TryDeliver(CpuState* s, in CpuEvent e) =>
        !s->ProtectedMode ? RealModeDelivery.TryDeliver(s, in e)
        : s->LongModeActive ? LongModeDelivery.TryDeliver(s, in e)
        : ProtectedModeDelivery.TryDeliver(s, in e);

    /// <summary>The handler's first instruction is next.</summary>
    private static void Arrived(Cpu cpu, in CpuEvent e)
    {
        CpuState* s = cpu.State;
        s->InterruptShadow = 0;
        s->Activity = Activity.Active;
        // "The processor clears the GD flag upon entering to the debug exception handler", and "BTF when it generates a debug exception".
        if (e.Vector == Vector.Debug && e.Kind is EventKind.Fault or EventKind.Trap)
        {
            s->Dr7 &= ~DebugRegisters.Dr7GeneralDetect;
            s->DebugControl &= ~Msrs.DebugControlBranches;
        }
        // Neither vendor promises that taking an event serialises; a profile may say that it does.
        bool interrupt = e.Kind is EventKind.ExternalInterrupt or EventKind.Nmi;
        if (interrupt ? cpu.Profile.InterruptSerialises : e.Vector == Vector.Breakpoint && cpu.Profile.BreakpointSerialises)
            cpu.Serialise(interrupt ? SerialisingEvent.Interrupt : SerialisingEvent.Breakpoint);
    }

    /// <summary>An exception as an event; a page fault leaves its address in CR2 whether or not it is delivered.</summary>
    private static CpuEvent Exception(CpuState* s, in FaultInfo f, ulong rip)
    {
        if (f.Vector == Vector.PageFault)
            s->Paging.Cr2 = f.LinearAddress;
        return new CpuEvent(f.Vector, f.IsTrap != 0 ? EventKind.Trap : EventKind.Fault, HasErrorCode(f.Vector) ? f.ErrorCode : null, rip);
    }

    /// <summary>SDM, "Interrupt and Exception Classes": interrupts and INT n are benign whatever their vector.</summary>
    private static EventClass Class(in CpuEvent e)
    {
        if (e.Kind is not (EventKind.Fault or EventKind.Trap))
            return EventClass.Benign;
        return e.Vector switch
        {
            Vector.DivideError or Vector.InvalidTss or Vector.SegmentNotPresent or Vector.StackFault or Vector.GeneralProtection => EventClass.Contributory,
            Vector.PageFault => EventClass.PageFault,
            Vector.DoubleFault => EventClass.DoubleFault,
            _ => EventClass.Benign,
        };
    }

    /// <summary>RFLAGS as an event pushes them: RF is set for faults, so that an instruction breakpoint does not hit twice.</summary>
    internal static ulong PushedFlags(CpuState* s, in CpuEvent e) => Flags.Get(s) | (e.Kind == EventKind.Fault ? Rflags.Rf : 0);
}
