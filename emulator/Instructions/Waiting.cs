using Emu.Cpus;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>HLT, PAUSE, MONITOR, MWAIT. Each tells the schedule that the CPU waits for somebody else.</summary>
public static unsafe class Waiting
{
    public static void Hlt(ref Lowering l) => l.Use(&Halt, FlowKind.EndsAfter);

    public static void Pause(ref Lowering l) => l.Use(&Yield, FlowKind.EndsAfter);

    /// <summary>MONITOR: address in AX, EAX or RAX, in DS or the segment of a prefix.</summary>
    public static void Monitor(ref Lowering l)
    {
        l.Op->AddressSize = l.Instruction.Code switch { Code.Monitorw => 2, Code.Monitord => 4, _ => 8 };
        Register prefix = l.Instruction.SegmentPrefix;
        l.Op->Segment = prefix == Register.None ? (byte)SegmentIndex.Ds : (byte)(prefix - Register.ES);
        l.Op->Base = 0;
        l.Use(&Arm);
    }

    public static void Mwait(ref Lowering l) => l.Use(&Wait, FlowKind.EndsAfter);

    private static Op* Halt(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
            return Chain.Fault(s, op, Vector.GeneralProtection);
        s->Exit = ExitReason.Halt;
        return Chain.LeaveAfter(s, op);
    }

    private static Op* Yield(CpuState* s, Op* op)
    {
        s->YieldRequested = CpuState.MayYield;
        return Chain.LeaveAfter(s, op);
    }

    private static Op* Arm(CpuState* s, Op* op)
    {
        // "#UD if CPL > 0"; "#GP(0) if ECX != 0": no extensions are reported.
        if (s->Cpl != 0)
            return Chain.Fault(s, op, Vector.InvalidOpcode);
        if ((uint)s->Registers[1] != 0)
            return Chain.Fault(s, op, Vector.GeneralProtection);
        // "The address is checked as a load of one byte."
        if (!Full.Linear(s, op, 1, AccessKind.Read, out ulong linear) || !MonitoredLine.Arm(s, linear, Full.Kind(op)))
            return Full.Failed(s, op);
        return Full.Next(s, op);
    }

    private static Op* Wait(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
            return Chain.Fault(s, op, Vector.InvalidOpcode);
        if ((uint)s->Registers[1] != 0)
            return Chain.Fault(s, op, Vector.GeneralProtection);
        // Without an armed line, or when it has been stored to since, MWAIT does not wait.
        if (!MonitoredLine.Triggered(s))
            s->Activity = Activity.Waiting;
        s->YieldRequested = CpuState.MayYield;
        return Chain.LeaveAfter(s, op);
    }
}
