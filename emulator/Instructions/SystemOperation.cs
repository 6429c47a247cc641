using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>How instructions that call into the CPU's slow paths begin and end.</summary>
internal static unsafe class SystemOperation
{
    /// <summary>Makes RIP and the time exact: RIP is the instruction's own, the time includes it.</summary>
    public static void Begin(CpuState* s, Op* op)
    {
        s->CurrentOp = op;
        s->Rip = Op.RipOf(op);
    }

    /// <summary>Goes on with the next instruction, or leaves with the fault recorded.</summary>
    public static Op* Next(CpuState* s, Op* op, bool ok) => ok ? Full.Next(s, op) : Chain.Fault(s, op);

    /// <summary>Leaves behind the instruction, or with the fault recorded: what comes next may be decoded, translated or interrupted differently.</summary>
    public static Op* LeaveAfter(CpuState* s, Op* op, bool ok) => ok ? Chain.LeaveAfter(s, op) : Chain.Fault(s, op);

    /// <summary>Leaves where the instruction has set RIP, or with the fault recorded.</summary>
    public static Op* LeaveAt(CpuState* s, Op* op, bool ok) => ok ? Chain.Continue(s, op) : Chain.Fault(s, op);
}
