using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>INT n, INT3, INTO, INT1 (ICEBP), UD0, UD1, UD2.</summary>
public static unsafe class SoftwareInterrupts
{
    public static void Int(ref Lowering l)
    {
        l.Op->Immediate = l.Instruction.Immediate8;
        l.Use(&InterruptN, FlowKind.Ends);
    }

    public static void Int3(ref Lowering l) => l.Use(&Breakpoint, FlowKind.Ends);

    public static void Int1(ref Lowering l) => l.Use(&IceBreakpoint, FlowKind.Ends);

    public static void Into(ref Lowering l) => l.Use(&OnOverflow);

    private static Op* InterruptN(CpuState* s, Op* op) => Raise(s, op, (Vector)op->Immediate, EventKind.SoftwareInterrupt);

    private static Op* Breakpoint(CpuState* s, Op* op) => Raise(s, op, Vector.Breakpoint, EventKind.SoftwareException);

    private static Op* IceBreakpoint(CpuState* s, Op* op) => Raise(s, op, Vector.Debug, EventKind.PrivilegedSoftwareException);

    private static Op* OnOverflow(CpuState* s, Op* op) =>
        Flags.Overflow(s) ? Raise(s, op, Vector.Overflow, EventKind.SoftwareException) : Chain.Next(s, op);

    /// <summary>Delivery is part of the instruction; a fault on the way is delivered in its place, with RIP at the instruction.</summary>
    private static Op* Raise(CpuState* s, Op* op, Vector vector, EventKind kind)
    {
        SystemOperation.Begin(s, op);
        // "INT n clears TF ... so no single-step trap follows" (SDM, "Single-Step Exception Condition").
        s->NoTrap = (s->SystemFlags & Rflags.Tf) != 0 ? 1 : 0;
        _ = EventDelivery.Deliver(s, vector, kind, null, Op.NextRipOf(op));
        return Chain.Continue(s, op);
    }
}
