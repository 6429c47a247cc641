using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>Far JMP, CALL and RET, IRET, SYSCALL, SYSRET, SYSENTER, SYSEXIT. All leave to the loop, with RIP set.</summary>
public static unsafe class FarTransfers
{
    /// <summary>Far JMP, to an immediate pointer or one in memory.</summary>
    public static void Jump(ref Lowering l)
    {
        if (l.IsMemory(0))
            l.Select<JumpMemory>(MemoryPointer(ref l));
        else
            l.Select<JumpDirect>(ImmediatePointer(ref l));
    }

    /// <summary>Far CALL.</summary>
    public static void Call(ref Lowering l)
    {
        if (l.IsMemory(0))
            l.Select<CallMemory>(MemoryPointer(ref l));
        else
            l.Select<CallDirect>(ImmediatePointer(ref l));
    }

    /// <summary>Far RET; <paramref name="size"/> is that of each value on the stack.</summary>
    public static void Return(ref Lowering l, int size)
    {
        l.Flow = FlowKind.Ends;
        l.Op->Immediate = l.Instruction.OpCount == 0 ? 0UL : l.Instruction.Immediate16;
        l.Select<ReturnFar>(size);
    }

    /// <summary>IRET, IRETD, IRETQ.</summary>
    public static void InterruptReturn(ref Lowering l, int size)
    {
        l.Flow = FlowKind.Ends;
        l.Select<ReturnFromInterrupt>(size);
    }

    public static void Syscall(ref Lowering l) => l.Use(&EnterSyscall, FlowKind.Ends);

    public static void Sysenter(ref Lowering l) => l.Use(&EnterSysenter, FlowKind.Ends);

    public static void Sysret(ref Lowering l, int size)
    {
        l.Op->OperandSize = (byte)size;
        l.Use(&LeaveSysret, FlowKind.Ends);
    }

    public static void Sysexit(ref Lowering l, int size)
    {
        l.Op->OperandSize = (byte)size;
        l.Use(&LeaveSysexit, FlowKind.Ends);
    }

    /// <summary>Reads a far pointer from the operation's memory operand: an offset of the operand size, then a selector.</summary>
    internal static bool LoadPointer<W>(CpuState* s, Op* op, out ulong offset, out ushort selector) where W : struct, IWidth
    {
        offset = 0;
        selector = 0;
        int size = Width.Bytes<W>();
        if (!Full.Linear(s, op, size + 2, AccessKind.Read, out ulong linear)
            || !Access.Load(s, linear, size, Full.Kind(op), out offset)
            || !Access.Load(s, DescriptorTables.Linear(s, linear + (ulong)size), 2, Full.Kind(op), out ulong v))
            return false;
        selector = (ushort)v;
        return true;
    }

    private static int MemoryPointer(ref Lowering l)
    {
        l.Flow = FlowKind.Ends;
        l.Memory();
        return l.Instruction.MemorySize switch { Iced.Intel.MemorySize.SegPtr16 => 2, Iced.Intel.MemorySize.SegPtr32 => 4, _ => 8 };
    }

    /// <summary>Immediate = offset, Displacement = selector.</summary>
    private static int ImmediatePointer(ref Lowering l)
    {
        l.Flow = FlowKind.Ends;
        bool wide = l.Kind(0) == Iced.Intel.OpKind.FarBranch32;
        l.Op->Immediate = wide ? l.Instruction.FarBranch32 : l.Instruction.FarBranch16;
        l.Op->Displacement = l.Instruction.FarBranchSelector;
        return wide ? 4 : 2;
    }

    private readonly struct JumpDirect : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAt(s, op, FarTransfer.Jump(s, (ushort)op->Displacement, op->Immediate, Width.Bytes<W>(), Op.NextRipOf(op)));
        }
    }

    private readonly struct JumpMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAt(s, op, LoadPointer<W>(s, op, out ulong offset, out ushort selector)
                && FarTransfer.Jump(s, selector, offset, Width.Bytes<W>(), Op.NextRipOf(op)));
        }
    }

    private readonly struct CallDirect : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAt(s, op,
                FarTransfer.Call(s, (ushort)op->Displacement, op->Immediate, Width.Bytes<W>(), Op.NextRipOf(op)));
        }
    }

    private readonly struct CallMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAt(s, op, LoadPointer<W>(s, op, out ulong offset, out ushort selector)
                && FarTransfer.Call(s, selector, offset, Width.Bytes<W>(), Op.NextRipOf(op)));
        }
    }

    private readonly struct ReturnFar : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAt(s, op, FarReturn.Execute(s, Width.Bytes<W>(), (ushort)op->Immediate));
        }
    }

    private readonly struct ReturnFromInterrupt : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAt(s, op, Iret.Execute(s, Width.Bytes<W>(), Op.NextRipOf(op)));
        }
    }

    private static Op* EnterSyscall(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.LeaveAt(s, op, SystemCalls.Syscall(s, Op.NextRipOf(op)));
    }

    private static Op* EnterSysenter(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.LeaveAt(s, op, SystemCalls.Sysenter(s));
    }

    private static Op* LeaveSysret(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.LeaveAt(s, op, SystemCalls.Sysret(s, op->OperandSize));
    }

    private static Op* LeaveSysexit(CpuState* s, Op* op)
    {
        SystemOperation.Begin(s, op);
        return SystemOperation.LeaveAt(s, op, SystemCalls.Sysexit(s, op->OperandSize));
    }
}
