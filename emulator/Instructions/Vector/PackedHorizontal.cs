using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>Neighbours with each other: PHADDx, PHSUBx, PHMINPOSUW, MPSADBW.</summary>
public static unsafe class PackedHorizontal
{
    public readonly struct AddWords : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => (EvenWords<W>(a, b) + OddWords<W>(a, b)).AsByte();
    }

    public readonly struct AddWordsSaturated : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.AddSaturate(EvenWords<W>(a, b), OddWords<W>(a, b)).AsByte();
    }

    public readonly struct AddDoublewords : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            (EvenDoublewords<W>(a, b) + OddDoublewords<W>(a, b)).AsByte();
    }

    public readonly struct SubtractWords : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => (EvenWords<W>(a, b) - OddWords<W>(a, b)).AsByte();
    }

    public readonly struct SubtractWordsSaturated : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.SubtractSaturate(EvenWords<W>(a, b), OddWords<W>(a, b)).AsByte();
    }

    public readonly struct SubtractDoublewords : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            (EvenDoublewords<W>(a, b) - OddDoublewords<W>(a, b)).AsByte();
    }

    /// <summary>PHMINPOSUW: the least word, and the first place where it stands.</summary>
    public readonly struct MinimumPosition : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            ushort* words = (ushort*)source;
            int least = 0;
            for (int i = 1; i < 8; i++)
                if (words[i] < words[least])
                    least = i;
            ulong result = words[least] | (ulong)least << 16;
            ((ulong*)destination)[0] = result;
            ((ulong*)destination)[1] = 0;
        }
    }

    /// <summary>MPSADBW: four bytes of the source (immediate bits 1:0) against four of the destination at eight places (from bit 2 on).</summary>
    public readonly struct SlidingDifferences : ILongVectorOperation
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            byte* from = destination + (immediate & 4);
            byte* block = source + 4 * (immediate & 3);
            UInt128 result = 0;
            for (int i = 0; i < 8; i++)
            {
                int sum = 0;
                for (int k = 0; k < 4; k++)
                    sum += Math.Abs(from[i + k] - block[k]);
                result |= (UInt128)(uint)sum << (16 * i);
            }
            *(UInt128*)destination = result;
        }
    }

    /// <summary>Narrowing without saturation keeps the lower half of each pair: the even elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<short> EvenWords<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
    {
        (a, b) = PackedShuffles.Pair<W>(a, b);
        return Vector128.Narrow(a.AsInt32(), b.AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<short> OddWords<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
    {
        (a, b) = PackedShuffles.Pair<W>(a, b);
        return Vector128.Narrow(a.AsInt32() >> 16, b.AsInt32() >> 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> EvenDoublewords<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
    {
        (a, b) = PackedShuffles.Pair<W>(a, b);
        return Vector128.Narrow(a.AsInt64(), b.AsInt64());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> OddDoublewords<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
    {
        (a, b) = PackedShuffles.Pair<W>(a, b);
        return Vector128.Narrow((a.AsUInt64() >>> 32).AsInt64(), (b.AsUInt64() >>> 32).AsInt64());
    }
}
