using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>MOV, MOVZX, MOVSX, MOVSXD, LEA, XCHG, PUSH, POP, SETcc, CMOVcc.</summary>
public static unsafe class Moves
{
    /// <summary>MOV between general registers, memory and immediates. Moves of segment, control and debug registers are the System family's.</summary>
    public static void Mov(ref Lowering l)
    {
        Op* op = l.Op;
        int size = l.SizeOf(0);
        if (l.IsMemory(0))
        {
            AddressForm address = l.Memory();
            if (l.IsRegister(1))
            {
                op->Reg0 = l.RegisterOf(1);
                l.SelectStep<Store>(size, address);
            }
            else
            {
                op->Immediate = l.Immediate(1, size);
                l.SelectStep<StoreImmediate>(size, address);
            }
            return;
        }
        op->Reg0 = l.RegisterOf(0);
        if (l.IsRegister(1))
        {
            op->Reg1 = l.RegisterOf(1);
            l.SelectStep<Register>(size);
        }
        else if (l.IsMemory(1))
        {
            l.SelectStep<Load>(size, l.Memory());
        }
        else
        {
            op->Immediate = l.Immediate(1, size);
            l.SelectStep<Immediate>(size);
        }
    }

    /// <summary>MOVZX, MOVSX, MOVSXD: selected by the width of the source; the destination's is in the form.</summary>
    public static void Extend(ref Lowering l, bool signed)
    {
        Op* op = l.Op;
        op->Reg0 = l.RegisterOf(0);
        int from = l.SizeOf(1);
        AddressForm address = AddressForm.None;
        bool memory = l.IsMemory(1);
        if (memory)
            address = l.Memory();
        else
            op->Reg1 = l.RegisterOf(1);
        switch (l.SizeOf(0))
        {
            case 2:
                SelectExtend<W16>(ref l, signed, memory, from, address);
                break;
            case 4:
                SelectExtend<W32>(ref l, signed, memory, from, address);
                break;
            default:
                SelectExtend<W64>(ref l, signed, memory, from, address);
                break;
        }
    }

    /// <summary>LEA: the address without its segment, truncated to address size and then operand size.</summary>
    public static void Lea(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        bool indexed = l.Instruction.MemoryIndex != Iced.Intel.Register.None;
        l.Memory();
        int size = l.SizeOf(0);
        if (l.Op->AddressSize != 8)
            l.Select<LeaTruncated>(size);
        else if (indexed)
            l.SelectStep<LeaIndex>(size);
        else
            l.SelectStep<LeaBase>(size);
    }

    /// <summary>XCHG; with memory it is locked whatever the prefix.</summary>
    public static void Xchg(ref Lowering l)
    {
        Op* op = l.Op;
        if (l.IsMemory(0) || l.IsMemory(1))
        {
            op->Prefix |= OpPrefix.Lock;
            op->Reg0 = l.RegisterOf(l.IsMemory(0) ? 1 : 0);
            l.Select<XchgMemory>(l.SizeOf(0), l.Memory());
            return;
        }
        op->Reg0 = l.RegisterOf(0);
        op->Reg1 = l.RegisterOf(1);
        l.Select<XchgRegister>(l.SizeOf(0));
    }

    /// <summary>PUSH of a general register or an immediate; PUSH of memory and of segment registers is Full only.</summary>
    public static void Push(ref Lowering l)
    {
        Op* op = l.Op;
        int size = l.Instruction.StackPointerIncrement == 0 ? l.CodeBits / 8 : -l.Instruction.StackPointerIncrement;
        if (l.IsRegister(0))
        {
            op->Reg0 = l.RegisterOf(0);
            l.SelectStep<PushRegister>(size, l.StackMemory(-size));
        }
        else if (l.IsMemory(0))
        {
            l.Memory();
            l.Select<PushMemory>(size);
        }
        else
        {
            op->Immediate = l.Immediate(0, size);
            l.SelectStep<PushImmediate>(size, l.StackMemory(-size));
        }
    }

    /// <summary>POP to a general register or to memory.</summary>
    public static void Pop(ref Lowering l)
    {
        int size = l.Instruction.StackPointerIncrement;
        if (l.IsRegister(0))
        {
            l.Op->Reg0 = l.RegisterOf(0);
            l.SelectStep<PopRegister>(size, l.StackMemory(0));
            return;
        }
        l.Memory();
        l.Select<PopMemory>(size);
    }

    /// <summary>SETcc.</summary>
    public static void Set<T>(ref Lowering l) where T : struct, ICondition
    {
        if (l.IsMemory(0))
        {
            l.Select<SetMemory<T>>(1, l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.SelectStep<SetRegister<T>>(1);
    }

    /// <summary>CMOVcc: the source is read, and may fault, even if the condition is false; a 32-bit destination is zero-extended in any case.</summary>
    public static void Cmov<T>(ref Lowering l) where T : struct, ICondition
    {
        l.Op->Reg0 = l.RegisterOf(0);
        if (l.IsMemory(1))
        {
            l.SelectStep<CmovMemory<T>>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        l.SelectStep<CmovRegister<T>>(l.SizeOf(0));
    }

    private static void SelectExtend<TTo>(ref Lowering l, bool signed, bool memory, int from, AddressForm address) where TTo : struct, IWidth
    {
        if (memory && signed)
            l.SelectStep<SignExtendMemory<TTo>>(from, address);
        else if (memory)
            l.SelectStep<ZeroExtendMemory<TTo>>(from, address);
        else if (signed)
            l.SelectStep<SignExtendRegister<TTo>>(from);
        else
            l.SelectStep<ZeroExtendRegister<TTo>>(from);
    }

    private readonly struct Register : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Width.Read<W>(s, op->Reg1));
            return true;
        }
    }

    private readonly struct Immediate : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, op->Immediate);
            return true;
        }
    }

    private readonly struct Load : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong v))
                return false;
            Width.Write<W>(s, op->Reg0, v);
            return true;
        }
    }

    private readonly struct Store : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Store<W>(s, op, Width.Read<W>(s, op->Reg0));
    }

    private readonly struct StoreImmediate : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Store<W>(s, op, op->Immediate);
    }

    private readonly struct ZeroExtendRegister<TTo> : IStep where TTo : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<TTo>(s, op->Reg0, Width.Read<W>(s, op->Reg1));
            return true;
        }
    }

    private readonly struct ZeroExtendMemory<TTo> : IStep where TTo : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong v))
                return false;
            Width.Write<TTo>(s, op->Reg0, v);
            return true;
        }
    }

    private readonly struct SignExtendRegister<TTo> : IStep where TTo : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<TTo>(s, op->Reg0, (ulong)Width.SignExtend<W>(Width.Read<W>(s, op->Reg1)));
            return true;
        }
    }

    private readonly struct SignExtendMemory<TTo> : IStep where TTo : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong v))
                return false;
            Width.Write<TTo>(s, op->Reg0, (ulong)Width.SignExtend<W>(v));
            return true;
        }
    }

    private readonly struct LeaBase : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, BaseForm.Linear(s, op));
            return true;
        }
    }

    private readonly struct LeaIndex : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, IndexForm.Linear(s, op));
            return true;
        }
    }

    private readonly struct LeaTruncated : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Full.Offset(s, op));
            return Chain.Next(s, op);
        }
    }

    private readonly struct XchgRegister : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong a = Width.Read<W>(s, op->Reg0);
            ulong b = Width.Read<W>(s, op->Reg1);
            Width.Write<W>(s, op->Reg0, b);
            Width.Write<W>(s, op->Reg1, a);
            return Chain.Next(s, op);
        }
    }

    private readonly struct XchgMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong v, out nuint place))
                return M.Failed(s, op);
            M.Update<W>(s, op, place, Width.Read<W>(s, op->Reg0));
            Width.Write<W>(s, op->Reg0, v);
            return M.Next(s, op);
        }
    }

    private readonly struct PushRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Store<W>(s, op, Width.Read<W>(s, op->Reg0)))
                return false;
            M.MoveStackPointer(s, -Width.Bytes<W>());
            return true;
        }
    }

    private readonly struct PushImmediate : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Store<W>(s, op, op->Immediate))
                return false;
            M.MoveStackPointer(s, -Width.Bytes<W>());
            return true;
        }
    }

    private readonly struct PushMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            Full.Load<W>(s, op, out ulong v) && Stack.Push(s, Width.Bytes<W>(), v) ? Full.Next(s, op) : Full.Failed(s, op);
    }

    private readonly struct PopRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong v))
                return false;
            M.MoveStackPointer(s, Width.Bytes<W>());
            Width.Write<W>(s, op->Reg0, v); // After the move: POP RSP loads what was on the stack.
            return true;
        }
    }

    private readonly struct PopMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            // "If the ESP register is used as a base register for addressing a destination operand in memory, the POP instruction
            // computes the effective address of the operand after it increments the ESP register." (SDM, POP)
            if (!Stack.Peek(s, 0, Width.Bytes<W>(), out ulong v))
                return Full.Failed(s, op);
            ulong sp = s->Registers[4];
            Stack.Move(s, Width.Bytes<W>());
            if (Full.Store<W>(s, op, v))
                return Full.Next(s, op);
            s->Registers[4] = sp;
            return Full.Failed(s, op);
        }
    }

    private readonly struct SetRegister<T> : IStep where T : struct, ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W8>(s, op->Reg0, T.Holds(s) ? 1UL : 0UL);
            return true;
        }
    }

    private readonly struct SetMemory<T> : IForm where T : struct, ICondition
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Store<W8>(s, op, T.Holds(s) ? 1UL : 0UL) ? M.Next(s, op) : M.Failed(s, op);
    }

    private readonly struct CmovRegister<T> : IStep where T : struct, ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Width.Read<W>(s, T.Holds(s) ? op->Reg1 : op->Reg0));
            return true;
        }
    }

    private readonly struct CmovMemory<T> : IStep where T : struct, ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong v))
                return false;
            Width.Write<W>(s, op->Reg0, T.Holds(s) ? v : Width.Read<W>(s, op->Reg0));
            return true;
        }
    }
}
