using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Emu.Instructions;

/// <summary>
/// Element by element, for XMM and MMX alike: logic, comparison, addition and subtraction with wrap-around and with saturation, averages, minima and
/// maxima, absolute values and signs. The bitwise instructions for packed floating-point numbers are these too.
/// </summary>
public static class PackedArithmetic
{
    public readonly struct And : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => a & b;
    }

    /// <summary>PANDN, ANDNPS, ANDNPD: it is the destination that is inverted.</summary>
    public readonly struct AndNot : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => Vector128.AndNot(b, a);
    }

    public readonly struct Or : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => a | b;
    }

    public readonly struct Xor : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => a ^ b;
    }

    /// <summary>Operations on elements of a type.</summary>
    /// <typeparam name="T">Its sign matters to saturation, comparison, minimum and maximum.</typeparam>
    public readonly struct Add<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => (a.As<byte, T>() + b.As<byte, T>()).AsByte();
    }

    public readonly struct Subtract<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => (a.As<byte, T>() - b.As<byte, T>()).AsByte();
    }

    public readonly struct AddSaturated<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.AddSaturate(a.As<byte, T>(), b.As<byte, T>()).AsByte();
    }

    public readonly struct SubtractSaturated<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.SubtractSaturate(a.As<byte, T>(), b.As<byte, T>()).AsByte();
    }

    public readonly struct Equal<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.Equals(a.As<byte, T>(), b.As<byte, T>()).AsByte();
    }

    public readonly struct Greater<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.GreaterThan(a.As<byte, T>(), b.As<byte, T>()).AsByte();
    }

    public readonly struct Minimum<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.Min(a.As<byte, T>(), b.As<byte, T>()).AsByte();
    }

    public readonly struct Maximum<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.Max(a.As<byte, T>(), b.As<byte, T>()).AsByte();
    }

    /// <summary>PABSx; the most negative number stays as it is.</summary>
    public readonly struct Absolute<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            Vector128<T> negative = Vector128.LessThan(b.As<byte, T>(), Vector128<T>.Zero);
            return ((b.As<byte, T>() ^ negative) - negative).AsByte();
        }
    }

    /// <summary>PSIGNx: negated where the source is negative, zero where it is zero.</summary>
    public readonly struct Sign<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            Vector128<T> sign = b.As<byte, T>();
            Vector128<T> negative = Vector128.LessThan(sign, Vector128<T>.Zero);
            Vector128<T> zero = Vector128.Equals(sign, Vector128<T>.Zero);
            return Vector128.AndNot((a.As<byte, T>() ^ negative) - negative, zero).AsByte();
        }
    }

    /// <summary>PAVGB, PAVGW: (a + b + 1) / 2 of unsigned numbers, without a ninth or seventeenth bit.</summary>
    public readonly struct AverageBytes : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            (a | b) - ((a ^ b) >>> 1);
    }

    public readonly struct AverageWords : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            ((a | b).AsUInt16() - ((a ^ b).AsUInt16() >>> 1)).AsByte();
    }
}
