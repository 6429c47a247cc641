using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>Conversions between one number and another: CVTSI2SS and SD, CVT(T)SS2SI and SD2SI, CVTSS2SD, CVTSD2SS. Widths are those of the number in the XMM register that is read or, from an integer, written.</summary>
public static unsafe class SseConvert
{
    /// <summary>CVTSI2SS, CVTSI2SD: from a general register or memory of 32 or 64 bits.</summary>
    public static void FromInteger(ref Lowering l, int size)
    {
        if (l.SizeOf(1) == 4)
            FromInteger<W32>(ref l, size);
        else
            FromInteger<W64>(ref l, size);
    }

    private static void FromInteger<TSource>(ref Lowering l, int size) where TSource : struct, IWidth
    {
        l.Op->Reg0 = l.VectorOf(0);
        if (l.IsMemory(1))
        {
            l.SelectStep<FromIntegerMemory<TSource>, SseUnit>(size, l.Memory());
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        l.SelectStep<FromIntegerRegister<TSource>, SseUnit>(size, AddressForm.None);
    }

    /// <summary>CVTSS2SI, CVTSD2SI and, truncating, CVTTSS2SI, CVTTSD2SI: into a general register of 32 or 64 bits.</summary>
    public static void ToInteger(ref Lowering l, int size, bool truncate)
    {
        l.Op->Immediate = truncate ? 1UL : 0;
        if (l.SizeOf(0) == 4)
            ToInteger<W32>(ref l, size);
        else
            ToInteger<W64>(ref l, size);
    }

    private static void ToInteger<TDestination>(ref Lowering l, int size) where TDestination : struct, IWidth
    {
        l.Op->Reg0 = l.RegisterOf(0);
        if (l.IsMemory(1))
        {
            l.SelectStep<ToIntegerMemory<TDestination>, SseUnit>(size, l.Memory());
            return;
        }
        l.Op->Reg1 = l.VectorOf(1);
        l.SelectStep<ToIntegerRegister<TDestination>, SseUnit>(size, AddressForm.None);
    }

    /// <summary>CVTSS2SD and CVTSD2SS, by the width of the source.</summary>
    public static void BetweenFormats(ref Lowering l, int sourceSize) => SseForms.Select<BetweenRegisters, BetweenMemory>(ref l, sourceSize);

    private readonly struct FromIntegerRegister<TSource> : IStep where TSource : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            Convert<W>(s, op, Width.SignExtend<TSource>(Width.Read<TSource>(s, op->Reg1)), exact: TSource.Bits == 32 && W.Bits == 64);
    }

    private readonly struct FromIntegerMemory<TSource> : IStep where TSource : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Load<TSource>(s, op, out ulong b) && Convert<W>(s, op, Width.SignExtend<TSource>(b), exact: TSource.Bits == 32 && W.Bits == 64);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Convert<W>(CpuState* s, Op* op, long value, bool exact) where W : struct, IWidth
    {
        if (!exact && !SseFloat.IsPlain(s))
            return SoftFromInteger<W>(s, op, value);
        ulong r = W.Bits == 32 ? BitConverter.SingleToUInt32Bits(value) : BitConverter.DoubleToUInt64Bits(value);
        Width.WriteAt<W>(FloatingRegisters.Xmm(s, op->Reg0), r);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool SoftFromInteger<W>(CpuState* s, Op* op, long value) where W : struct, IWidth
    {
        FloatContext c = SseFloat.Context(s);
        ulong r = W.Bits == 32 ? FromInteger<Binary32>(value, ref c) : FromInteger<Binary64>(value, ref c);
        if (!SseFloat.Finish(s, ref c))
            return false;
        Width.WriteAt<W>(FloatingRegisters.Xmm(s, op->Reg0), r);
        return true;
    }

    /// <summary>An integer rounded to a format.</summary>
    public static ulong FromInteger<F>(long value, ref FloatContext c) where F : struct, IFloatFormat
    {
        Number n = Number.FromInteger(value);
        Rounder.Round<F>(ref n, ref c);
        return n.Pack<F>();
    }

    private readonly struct ToIntegerRegister<TDestination> : IStep where TDestination : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            ToGeneral<TDestination, W>(s, op, Width.ReadAt<W>(FloatingRegisters.Xmm(s, op->Reg1)));
    }

    private readonly struct ToIntegerMemory<TDestination> : IStep where TDestination : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Load<W>(s, op, out ulong b) && ToGeneral<TDestination, W>(s, op, b);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool ToGeneral<TDestination, W>(CpuState* s, Op* op, ulong b) where TDestination : struct, IWidth where W : struct, IWidth
    {
        FloatContext c = SseFloat.Context(s);
        if (op->Immediate != 0)
            c.Rounding = Rounding.Zero;
        ulong r = W.Bits == 32 ? ToInteger<Binary32>(b, TDestination.Bits, ref c) : ToInteger<Binary64>(b, TDestination.Bits, ref c);
        if (!SseFloat.Finish(s, ref c))
            return false;
        Width.Write<TDestination>(s, op->Reg0, r);
        return true;
    }

    /// <summary>A number rounded to an integer; the integer indefinite, and invalid, when it does not fit. Denormals are not reported.</summary>
    public static ulong ToInteger<F>(ulong bits, int width, ref FloatContext c) where F : struct, IFloatFormat
    {
        if (Rounder.TryRoundToInteger(SseFloat.Unpack<F>(bits, ref c), width, ref c, out long value))
            return (ulong)value;
        c.Raised |= FloatFlags.Invalid;
        return 1UL << (width - 1);
    }

    private readonly struct BetweenRegisters : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            Between<W>(s, op, Width.ReadAt<W>(FloatingRegisters.Xmm(s, op->Reg1)));
    }

    private readonly struct BetweenMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Load<W>(s, op, out ulong b) && Between<W>(s, op, b);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Between<W>(CpuState* s, Op* op, ulong b) where W : struct, IWidth
    {
        byte* place = FloatingRegisters.Xmm(s, op->Reg0);
        if (W.Bits == 32)
        {
            // Of a normal number exact.
            if (!SseFloat.IsNormal<W32>(b))
                return SoftBetween<W>(s, op, b);
            *(double*)place = BitConverter.UInt32BitsToSingle((uint)b);
            return true;
        }
        ulong r = BitConverter.SingleToUInt32Bits((float)BitConverter.UInt64BitsToDouble(b));
        if (!SseFloat.IsPlain(s) || !SseFloat.IsNormal<W64>(b) || !SseFloat.IsNormal<W32>(r))
            return SoftBetween<W>(s, op, b);
        *(uint*)place = (uint)r;
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool SoftBetween<W>(CpuState* s, Op* op, ulong b) where W : struct, IWidth
    {
        byte* place = FloatingRegisters.Xmm(s, op->Reg0);
        FloatContext c = SseFloat.Context(s);
        ulong r = W.Bits == 32 ? Convert<Binary32, Binary64>(b, ref c) : Convert<Binary64, Binary32>(b, ref c);
        if (!SseFloat.Finish(s, ref c))
            return false;
        if (W.Bits == 32)
            *(ulong*)place = r;
        else
            *(uint*)place = (uint)r;
        return true;
    }

    /// <summary>A number in another format.</summary>
    public static ulong Convert<TFrom, TTo>(ulong bits, ref FloatContext c) where TFrom : struct, IFloatFormat where TTo : struct, IFloatFormat
    {
        FloatFlags before = c.Raised;
        c.Raised = FloatFlags.None;
        Number r = Operations.Convert<TTo>(SseFloat.Unpack<TFrom>(bits, ref c), ref c);
        c.Raised |= before;
        return r.Pack<TTo>();
    }
}
