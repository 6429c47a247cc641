using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// XMM and MMX registers as vectors: the width <see cref="W128"/> stands for XMM, <see cref="W64"/> for MMX, whose value is the lower half of the
/// vector. A result's upper half does not matter for MMX.
/// </summary>
public static unsafe class VectorRegister
{
    /// <summary>MMX instructions: "#MF if there is a pending x87 FPU exception". False with that fault recorded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsReady<W>(CpuState* s) where W : struct, IWidth => W.Bits == 128 || X87.CheckPending(s);

    /// <summary>Where a register stands that is named by 16 times its number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Place<W>(CpuState* s, byte offset) where W : struct, IWidth =>
        W.Bits == 128 ? FloatingRegisters.Xmm(s, offset) : FloatingRegisters.Mmx(s, offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Read<W>(CpuState* s, byte offset) where W : struct, IWidth =>
        W.Bits == 128 ? Vector128.Load(Place<W>(s, offset)) : Vector128.CreateScalar(*(ulong*)Place<W>(s, offset)).AsByte();

    /// <summary>Writes a register. A write to MMX also fills the exponent and sign of the x87 register with ones (SDM, "Effect of MMX Instructions on the x87 Tag Word").</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<W>(CpuState* s, byte offset, Vector128<byte> value) where W : struct, IWidth
    {
        byte* place = Place<W>(s, offset);
        if (W.Bits == 128)
        {
            value.Store(place);
            return;
        }
        ((ulong*)place)[0] = value.AsUInt64().ToScalar();
        ((ulong*)place)[1] = 0xFFFF;
        EnterMmx<W>(s);
    }

    /// <summary>"The entire x87 FPU tag word is marked valid and the TOS is set to 0": after every MMX instruction but EMMS.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void EnterMmx<W>(CpuState* s) where W : struct, IWidth
    {
        if (W.Bits == 128)
            return;
        s->Floating.Tags = 0xFF;
        s->Floating.Status &= unchecked((ushort)~(7 << X87Status.TopShift));
    }

    /// <summary>Reads a memory operand as wide as the register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load<W, M, A>(CpuState* s, Op* op, out Vector128<byte> value) where W : struct, IWidth where M : struct, IMemory where A : struct, IAlignment
    {
        if (W.Bits == 128)
            return M.LoadVector<A>(s, op, out value);
        bool ok = M.Load<W64>(s, op, out ulong low);
        value = Vector128.CreateScalar(low).AsByte();
        return ok;
    }

    /// <summary>Writes a memory operand as wide as the register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Store<W, M, A>(CpuState* s, Op* op, Vector128<byte> value) where W : struct, IWidth where M : struct, IMemory where A : struct, IAlignment =>
        W.Bits == 128 ? M.StoreVector<A>(s, op, value) : M.Store<W64>(s, op, value.AsUInt64().ToScalar());
}

/// <summary>An operation on destination and source, into the destination.</summary>
public interface IVectorOperation
{
    /// <param name="a">The destination before.</param>
    /// <param name="b">The source.</param>
    static abstract Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth;
}

/// <summary>An operation on destination, source and an immediate byte, into the destination.</summary>
public interface IVectorImmediate
{
    /// <param name="control">What <see cref="Control"/> made of the immediate.</param>
    static abstract Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b, ulong control) where W : struct, IWidth;

    /// <summary>Made once, when the instruction is decoded: the immediate in a form that is quicker to use.</summary>
    static virtual ulong Control(byte immediate) => immediate;
}

/// <summary>An operation on XMM registers that is too long to stand in a handler. Source and destination may be the same.</summary>
public unsafe interface ILongVectorOperation
{
    /// <param name="destination">16 bytes.</param>
    /// <param name="source">16 bytes.</param>
    /// <param name="immediate">0 where there is none.</param>
    static abstract void Execute(CpuState* s, byte* destination, byte* source, int immediate);
}

/// <summary>How vector instructions reach their operands.</summary>
public static unsafe class VectorForms
{
    /// <summary>Selects handlers for <c>op v, v/m</c>: XMM or MMX by the destination, memory as wide as it and aligned.</summary>
    public static void Binary<T>(ref Lowering l) where T : struct, IVectorOperation
    {
        if (IsMmx(l, 0))
            Select<Registers<T>, Memory<T>, MmxUnit, W64>(ref l);
        else
            Select<Registers<T>, Memory<T>, SseUnit, W128>(ref l);
    }

    /// <summary>Selects handlers for <c>op v, v/m, imm8</c>.</summary>
    public static void Immediate<T>(ref Lowering l) where T : struct, IVectorImmediate
    {
        l.Op->Immediate = T.Control((byte)l.Immediate(2, 1));
        if (IsMmx(l, 0))
            Select<RegistersImmediate<T>, MemoryImmediate<T>, MmxUnit, W64>(ref l);
        else
            Select<RegistersImmediate<T>, MemoryImmediate<T>, SseUnit, W128>(ref l);
    }

    /// <summary>Selects handlers for <c>op xmm, xmm/m</c> where the memory operand is narrower than a register and need not be aligned: the rest reads as zero.</summary>
    public static void Narrow<T, TMemory>(ref Lowering l) where T : struct, IVectorOperation where TMemory : struct, IWidth
    {
        if (IsMmx(l, 0))
            Select<Registers<T>, NarrowMemory<T, TMemory>, MmxUnit, W64>(ref l);
        else
            Select<Registers<T>, NarrowMemory<T, TMemory>, SseUnit, W128>(ref l);
    }

    /// <summary>Selects handlers for <c>op xmm, xmm/m128</c> and <c>op xmm, xmm/m128, imm8</c>, of a memory operand with this alignment.</summary>
    public static void Long<T, A>(ref Lowering l) where T : struct, ILongVectorOperation where A : struct, IAlignment
    {
        int last = l.Instruction.OpCount - 1;
        l.Op->Immediate = l.Kind(last) == Iced.Intel.OpKind.Immediate8 ? l.Immediate(last, 1) : 0;
        Select<LongRegisters<T>, LongMemory<T, A>, SseUnit, W128>(ref l);
    }

    /// <summary>True when the operand is an MMX register.</summary>
    public static bool IsMmx(in Lowering l, int operand) => l.IsRegister(operand) && Iced.Intel.RegisterExtensions.IsMM(l.Instruction.GetOpRegister(operand));

    /// <summary>Selects a step by whether the second operand is a register or memory; the first is a vector register.</summary>
    public static void Select<TRegisters, TMemory, TUnit, W>(ref Lowering l)
        where TRegisters : struct, IStep where TMemory : struct, IStep where TUnit : struct, IFloatingUnit where W : struct, IWidth
    {
        l.Op->Reg0 = l.VectorOf(0);
        if (l.IsMemory(1))
        {
            l.SelectVector<TMemory, TUnit, W>(l.Memory());
            return;
        }
        l.Op->Reg1 = l.VectorOf(1);
        l.SelectVector<TRegisters, TUnit, W>(AddressForm.None);
    }

    private readonly struct Registers<T> : IStep where T : struct, IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, T.Execute<W>(VectorRegister.Read<W>(s, op->Reg0), VectorRegister.Read<W>(s, op->Reg1)));
            return true;
        }
    }

    private readonly struct Memory<T> : IStep where T : struct, IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s) || !VectorRegister.Load<W, M, Aligned>(s, op, out Vector128<byte> b))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, T.Execute<W>(VectorRegister.Read<W>(s, op->Reg0), b));
            return true;
        }
    }

    private readonly struct NarrowMemory<T, TMemory> : IStep where T : struct, IVectorOperation where TMemory : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s) || !M.Load<TMemory>(s, op, out ulong b))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, T.Execute<W>(VectorRegister.Read<W>(s, op->Reg0), Vector128.CreateScalar(b).AsByte()));
            return true;
        }
    }

    private readonly struct RegistersImmediate<T> : IStep where T : struct, IVectorImmediate
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, T.Execute<W>(VectorRegister.Read<W>(s, op->Reg0), VectorRegister.Read<W>(s, op->Reg1), op->Immediate));
            return true;
        }
    }

    private readonly struct MemoryImmediate<T> : IStep where T : struct, IVectorImmediate
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s) || !VectorRegister.Load<W, M, Aligned>(s, op, out Vector128<byte> b))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, T.Execute<W>(VectorRegister.Read<W>(s, op->Reg0), b, op->Immediate));
            return true;
        }
    }

    private readonly struct LongRegisters<T> : IStep where T : struct, ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            T.Execute(s, FloatingRegisters.Xmm(s, op->Reg0), FloatingRegisters.Xmm(s, op->Reg1), (int)op->Immediate);
            return true;
        }
    }

    /// <summary>The operand goes by way of the scratch bytes of the state: a local whose address is taken would keep the handler from ending in a jump.</summary>
    private readonly struct LongMemory<T, A> : IStep where T : struct, ILongVectorOperation where A : struct, IAlignment
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadVector<A>(s, op, out Vector128<byte> b))
                return false;
            b.Store((byte*)&s->ScratchLow);
            T.Execute(s, FloatingRegisters.Xmm(s, op->Reg0), (byte*)&s->ScratchLow, (int)op->Immediate);
            return true;
        }
    }
}
