using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Emu.Instructions;

/// <summary>Products of packed integers, and sums of absolute differences. The host's instruction where it has one, else the same in portable vectors.</summary>
public static class PackedMultiply
{
    /// <summary>PMULLW, PMULLD: the lower half of each product.</summary>
    public readonly struct Low<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => (a.As<byte, T>() * b.As<byte, T>()).AsByte();
    }

    /// <summary>PMULHW: the upper half of each signed product.</summary>
    public readonly struct High : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Sse2.IsSupported ? Sse2.MultiplyHigh(a.AsInt16(), b.AsInt16()).AsByte() : Portable(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b)
        {
            (Vector128<int> low, Vector128<int> high) = Products(a.AsInt16(), b.AsInt16());
            return Vector128.Narrow(low >> 16, high >> 16).AsByte();
        }
    }

    /// <summary>PMULHUW: the upper half of each unsigned product.</summary>
    public readonly struct HighUnsigned : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Sse2.IsSupported ? Sse2.MultiplyHigh(a.AsUInt16(), b.AsUInt16()).AsByte() : Portable(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b)
        {
            (Vector128<uint> a0, Vector128<uint> a1) = Vector128.Widen(a.AsUInt16());
            (Vector128<uint> b0, Vector128<uint> b1) = Vector128.Widen(b.AsUInt16());
            return Vector128.Narrow((a0 * b0) >>> 16, (a1 * b1) >>> 16).AsByte();
        }
    }

    /// <summary>PMULHRSW: (a × b + 4000h) >> 15, the low word of it.</summary>
    public readonly struct HighRounded : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Ssse3.IsSupported ? Ssse3.MultiplyHighRoundScale(a.AsInt16(), b.AsInt16()).AsByte() : Portable(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b)
        {
            (Vector128<int> low, Vector128<int> high) = Products(a.AsInt16(), b.AsInt16());
            Vector128<int> half = Vector128.Create(0x4000);
            return Vector128.Narrow((low + half) >> 15, (high + half) >> 15).AsByte();
        }
    }

    /// <summary>PMADDWD: neighbouring signed products added. 8000h × 8000h twice wraps to 80000000h.</summary>
    public readonly struct AddProducts : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Sse2.IsSupported ? Sse2.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16()).AsByte() : Portable(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b)
        {
            Vector128<int> even = ((a.AsInt32() << 16) >> 16) * ((b.AsInt32() << 16) >> 16);
            Vector128<int> odd = (a.AsInt32() >> 16) * (b.AsInt32() >> 16);
            return (even + odd).AsByte();
        }
    }

    /// <summary>PMADDUBSW: bytes of the destination unsigned, of the source signed; neighbouring products added with saturation.</summary>
    public readonly struct AddByteProducts : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Ssse3.IsSupported ? Ssse3.MultiplyAddAdjacent(a, b.AsSByte()).AsByte() : Portable(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b)
        {
            Vector128<short> even = (a.AsInt16() & Vector128.Create((short)0xFF)) * ((b.AsInt16() << 8) >> 8);
            Vector128<short> odd = (a.AsUInt16() >>> 8).AsInt16() * (b.AsInt16() >> 8);
            return Vector128.AddSaturate(even, odd).AsByte();
        }
    }

    /// <summary>PMULUDQ: the even doublewords, to quadwords.</summary>
    public readonly struct EvenUnsigned : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Sse2.IsSupported ? Sse2.Multiply(a.AsUInt32(), b.AsUInt32()).AsByte() : Portable(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b) =>
            Vector128.Create((ulong)a.AsUInt32()[0] * b.AsUInt32()[0], (ulong)a.AsUInt32()[2] * b.AsUInt32()[2]).AsByte();
    }

    /// <summary>PMULDQ: the even doublewords, signed.</summary>
    public readonly struct EvenSigned : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Sse41.IsSupported ? Sse41.Multiply(a.AsInt32(), b.AsInt32()).AsByte() : Portable(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b) =>
            Vector128.Create((long)a.AsInt32()[0] * b.AsInt32()[0], (long)a.AsInt32()[2] * b.AsInt32()[2]).AsByte();
    }

    /// <summary>PSADBW: of each eight bytes the sum of the absolute differences, to a quadword.</summary>
    public readonly struct SumOfDifferences : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Sse2.IsSupported ? Sse2.SumAbsoluteDifferences(a, b).AsByte() : Portable(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b)
        {
            Vector128<byte> difference = Vector128.Max(a, b) - Vector128.Min(a, b);
            Vector128<ushort> words = (difference.AsUInt16() & Vector128.Create((ushort)0xFF)) + (difference.AsUInt16() >>> 8);
            Vector128<uint> doublewords = (words.AsUInt32() & Vector128.Create(0xFFFFU)) + (words.AsUInt32() >>> 16);
            return ((doublewords.AsUInt64() & Vector128.Create(0xFFFF_FFFFUL)) + (doublewords.AsUInt64() >>> 32)).AsByte();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<int> Low, Vector128<int> High) Products(Vector128<short> a, Vector128<short> b)
    {
        (Vector128<int> a0, Vector128<int> a1) = Vector128.Widen(a);
        (Vector128<int> b0, Vector128<int> b1) = Vector128.Widen(b);
        return (a0 * b0, a1 * b1);
    }
}
