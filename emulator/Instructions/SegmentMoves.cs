using Emu.Cpus;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>MOV, PUSH and POP of segment registers; LDS, LES, LFS, LGS, LSS. Loads end the block: decoded code depends on flat segments.</summary>
public static unsafe class SegmentMoves
{
    /// <summary>The selector of a segment operand, by its number in <see cref="Op.Reg1"/>.</summary>
    private static ref SegmentRegister Segment(CpuState* s, Op* op) => ref (&s->Es)[op->Reg1];

    private static byte Number(Register register) => (byte)(register - Register.ES);

    /// <summary>MOV r/m, Sreg: 16 bits to memory; a 32- or 64-bit register is zero-extended.</summary>
    public static void Store(ref Lowering l)
    {
        l.Op->Reg1 = Number(l.Instruction.Op1Register);
        if (l.IsMemory(0))
        {
            l.Select<StoreMemory>(2, l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<StoreRegister>(l.SizeOf(0));
    }

    /// <summary>MOV Sreg, r/m16.</summary>
    public static void Load(ref Lowering l)
    {
        l.Flow = FlowKind.EndsAfter;
        l.Op->Reg1 = Number(l.Instruction.Op0Register);
        if (l.IsMemory(1))
        {
            l.Memory();
            l.Select<LoadMemory>(2);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(1);
        l.Select<LoadRegister>(2);
    }

    /// <summary>PUSH Sreg: the selector, zero-extended to the operand size.</summary>
    public static void Push(ref Lowering l)
    {
        l.Op->Reg1 = Number(l.Instruction.Op0Register);
        l.Select<PushSegment>(-l.Instruction.StackPointerIncrement);
    }

    /// <summary>POP Sreg.</summary>
    public static void Pop(ref Lowering l)
    {
        l.Flow = FlowKind.EndsAfter;
        l.Op->Reg1 = Number(l.Instruction.Op0Register);
        l.Select<PopSegment>(l.Instruction.StackPointerIncrement);
    }

    /// <summary>LDS and its like: a far pointer from memory.</summary>
    public static void LoadPointer(ref Lowering l, SegmentIndex segment)
    {
        l.Flow = FlowKind.EndsAfter;
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Reg1 = (byte)segment;
        l.Memory();
        l.Select<LoadFarPointer>(l.SizeOf(0));
    }

    private static bool LoadSegment(CpuState* s, Op* op, ushort selector)
    {
        if (!SegmentLoad.Load(s, (SegmentIndex)op->Reg1, selector))
            return false;
        // "Loading the SS register with a MOV instruction suppresses or inhibits some debug exceptions and inhibits interrupts on the following
        // instruction boundary" (SDM, MOV); POP SS likewise.
        if (op->Reg1 == (byte)SegmentIndex.Ss)
            s->InterruptShadow = 2;
        return true;
    }

    private readonly struct StoreRegister : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Segment(s, op).Selector);
            return Chain.Next(s, op);
        }
    }

    private readonly struct StoreMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Store<W>(s, op, Segment(s, op).Selector) ? M.Next(s, op) : M.Failed(s, op);
    }

    private readonly struct LoadRegister : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAfter(s, op, LoadSegment(s, op, (ushort)Width.Read<W>(s, op->Reg0)));
        }
    }

    private readonly struct LoadMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            return SystemOperation.LeaveAfter(s, op, Full.Load<W>(s, op, out ulong v) && LoadSegment(s, op, (ushort)v));
        }
    }

    private readonly struct PushSegment : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            SystemOperation.Next(s, op, Stack.Push(s, Width.Bytes<W>(), Segment(s, op).Selector));
    }

    private readonly struct PopSegment : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            ulong mask = Stack.Mask(s);
            ulong sp = Stack.Pointer(s) + (ulong)Width.Bytes<W>();
            if (!Stack.Peek(s, 0, Width.Bytes<W>(), out ulong v) || !LoadSegment(s, op, (ushort)v))
                return Full.Failed(s, op);
            // By the width of the stack that it was popped from: POP SS may have changed it.
            s->Registers[4] = mask == 0xFFFF ? (s->Registers[4] & ~mask) | (sp & mask) : sp & mask;
            return Chain.LeaveAfter(s, op);
        }
    }

    private readonly struct LoadFarPointer : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SystemOperation.Begin(s, op);
            if (!FarTransfers.LoadPointer<W>(s, op, out ulong offset, out ushort selector)
                || !SegmentLoad.TryPrepare(s, (SegmentIndex)op->Reg1, selector, out SegmentRegister register))
                return Full.Failed(s, op);
            Segment(s, op) = register;
            CpuMode.Update(s);
            Width.Write<W>(s, op->Reg0, offset);
            return Chain.LeaveAfter(s, op);
        }
    }
}
