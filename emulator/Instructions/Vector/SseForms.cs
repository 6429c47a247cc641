using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>An SSE operation on the elements of destination and source.</summary>
public interface ISseOperation
{
    /// <summary>False when only the source counts.</summary>
    static virtual bool UsesDestination => true;

    /// <summary>The result for one element, in every mode of MXCSR.</summary>
    /// <param name="i">Which element.</param>
    /// <param name="control">The immediate.</param>
    static abstract ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat;

    /// <summary>Brings the elements that are to meet to the same place (horizontal operations).</summary>
    static virtual void Arrange<F>(ref Vector128<byte> a, ref Vector128<byte> b) where F : struct, IFloatFormat
    {
    }
}

/// <summary>One that the host can do, where <see cref="SseFloat.IsPlain"/> and all numbers are normal: IEEE 754 then leaves one result only.</summary>
public interface ISseHostOperation : ISseOperation
{
    static abstract float Host(float a, float b);
    static abstract double Host(double a, double b);
    static abstract Vector128<float> Host(Vector128<float> a, Vector128<float> b);
    static abstract Vector128<double> Host(Vector128<double> a, Vector128<double> b);
}

/// <summary>
/// How SSE floating-point instructions reach their operands. Widths are those of an element, W32 or W64. What may take long is called, not inlined, so
/// that handlers stay frameless; a vector goes there through the scratch of the state.
/// </summary>
public static unsafe class SseForms
{
    /// <summary>Selects handlers for <c>op xmm, xmm/m</c> on the lowest element.</summary>
    public static void HostScalar<T>(ref Lowering l, int size) where T : struct, ISseHostOperation => Select<HostScalarRegisters<T>, HostScalarMemory<T>>(ref l, size);

    /// <summary>Selects handlers for <c>op xmm, xmm/m128</c> on all elements.</summary>
    public static void HostPacked<T>(ref Lowering l, int size) where T : struct, ISseHostOperation => Select<HostPackedRegisters<T>, HostPackedMemory<T>>(ref l, size);

    /// <summary>The same for operations that are always done by us, and may have an immediate.</summary>
    public static void Scalar<T>(ref Lowering l, int size) where T : struct, ISseOperation => Select<ScalarRegisters<T>, ScalarMemory<T>>(ref l, size);

    public static void Packed<T>(ref Lowering l, int size) where T : struct, ISseOperation => Select<PackedRegisters<T>, PackedMemory<T>>(ref l, size);

    /// <summary>Selects a step by whether the second operand is a register or memory. The first is an XMM register.</summary>
    public static void Select<TRegisters, TMemory>(ref Lowering l, int size) where TRegisters : struct, IStep where TMemory : struct, IStep
    {
        if (l.Instruction.OpCount == 3)
            l.Op->Immediate = l.Immediate(2, 1);
        l.Op->Reg0 = l.VectorOf(0);
        if (l.IsMemory(1))
        {
            l.SelectStep<TMemory, SseUnit>(size, l.Memory());
            return;
        }
        l.Op->Reg1 = l.VectorOf(1);
        l.SelectStep<TRegisters, SseUnit>(size, AddressForm.None);
    }

    private readonly struct HostScalarRegisters<T> : IStep where T : struct, ISseHostOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            HostScalar<T, W>(s, op, Width.ReadAt<W>(FloatingRegisters.Xmm(s, op->Reg1)));
    }

    private readonly struct HostScalarMemory<T> : IStep where T : struct, ISseHostOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Load<W>(s, op, out ulong b) && HostScalar<T, W>(s, op, b);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool HostScalar<T, W>(CpuState* s, Op* op, ulong b) where T : struct, ISseHostOperation where W : struct, IWidth
    {
        byte* place = FloatingRegisters.Xmm(s, op->Reg0);
        ulong a = Width.ReadAt<W>(place);
        ulong r = W.Bits == 32
            ? BitConverter.SingleToUInt32Bits(T.Host(BitConverter.UInt32BitsToSingle((uint)a), BitConverter.UInt32BitsToSingle((uint)b)))
            : BitConverter.DoubleToUInt64Bits(T.Host(BitConverter.UInt64BitsToDouble(a), BitConverter.UInt64BitsToDouble(b)));
        if (!SseFloat.IsPlain(s) || !SseFloat.IsNormal<W>(b) || !SseFloat.IsNormal<W>(r) || (T.UsesDestination && !SseFloat.IsNormal<W>(a)))
            return SoftScalar<T, W>(s, op, b);
        Width.WriteAt<W>(place, r);
        return true;
    }

    private readonly struct HostPackedRegisters<T> : IStep where T : struct, ISseHostOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            HostPacked<T, W>(s, op, Vector128.Load(FloatingRegisters.Xmm(s, op->Reg1)));
    }

    private readonly struct HostPackedMemory<T> : IStep where T : struct, ISseHostOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.LoadVector<Aligned>(s, op, out Vector128<byte> b) && HostPacked<T, W>(s, op, b);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool HostPacked<T, W>(CpuState* s, Op* op, Vector128<byte> b) where T : struct, ISseHostOperation where W : struct, IWidth
    {
        byte* place = FloatingRegisters.Xmm(s, op->Reg0);
        Vector128<byte> a = Vector128.Load(place);
        Vector128<byte> r = W.Bits == 32 ? T.Host(a.AsSingle(), b.AsSingle()).AsByte() : T.Host(a.AsDouble(), b.AsDouble()).AsByte();
        Vector128<byte> abnormal = SseFloat.Abnormal<W>(b) | SseFloat.Abnormal<W>(r);
        if (T.UsesDestination)
            abnormal |= SseFloat.Abnormal<W>(a);
        if (!SseFloat.IsPlain(s) || abnormal != Vector128<byte>.Zero)
        {
            b.Store((byte*)&s->ScratchLow);
            return SoftPacked<T, W>(s, op);
        }
        r.Store(place);
        return true;
    }

    private readonly struct ScalarRegisters<T> : IStep where T : struct, ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            SoftScalar<T, W>(s, op, Width.ReadAt<W>(FloatingRegisters.Xmm(s, op->Reg1)));
    }

    private readonly struct ScalarMemory<T> : IStep where T : struct, ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Load<W>(s, op, out ulong b) && SoftScalar<T, W>(s, op, b);
    }

    private readonly struct PackedRegisters<T> : IStep where T : struct, ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Vector128.Load(FloatingRegisters.Xmm(s, op->Reg1)).Store((byte*)&s->ScratchLow);
            return SoftPacked<T, W>(s, op);
        }
    }

    private readonly struct PackedMemory<T> : IStep where T : struct, ISseOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadVector<Aligned>(s, op, out Vector128<byte> b))
                return false;
            b.Store((byte*)&s->ScratchLow);
            return SoftPacked<T, W>(s, op);
        }
    }

    private static bool SoftScalar<T, W>(CpuState* s, Op* op, ulong b) where T : struct, ISseOperation where W : struct, IWidth =>
        W.Bits == 32 ? Soft<T, Binary32>(s, op, b) : Soft<T, Binary64>(s, op, b);

    private static bool SoftPacked<T, W>(CpuState* s, Op* op) where T : struct, ISseOperation where W : struct, IWidth =>
        W.Bits == 32 ? Soft<T, Binary32>(s, op) : Soft<T, Binary64>(s, op);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Soft<T, F>(CpuState* s, Op* op, ulong b) where T : struct, ISseOperation where F : struct, IFloatFormat
    {
        byte* place = FloatingRegisters.Xmm(s, op->Reg0);
        FloatContext c = SseFloat.Context(s);
        ulong a = F.Bits == 32 ? *(uint*)place : *(ulong*)place;
        ulong r = T.Element<F>(a, b, 0, (byte)op->Immediate, ref c);
        if (!SseFloat.Finish(s, ref c))
            return false;
        if (F.Bits == 32)
            *(uint*)place = (uint)r;
        else
            *(ulong*)place = r;
        return true;
    }

    /// <summary>All elements; the source is in the scratch of the state.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Soft<T, F>(CpuState* s, Op* op) where T : struct, ISseOperation where F : struct, IFloatFormat
    {
        byte* place = FloatingRegisters.Xmm(s, op->Reg0);
        Vector128<byte> a = Vector128.Load(place), b = Vector128.Load((byte*)&s->ScratchLow), r = default;
        T.Arrange<F>(ref a, ref b);
        FloatContext c = SseFloat.Context(s);
        for (int i = 0; i < 128 / F.Bits; i++)
            r = SseFloat.WithElement<F>(r, i, T.Element<F>(SseFloat.Element<F>(a, i), SseFloat.Element<F>(b, i), i, (byte)op->Immediate, ref c));
        if (!SseFloat.Finish(s, ref c))
            return false;
        r.Store(place);
        return true;
    }
}
