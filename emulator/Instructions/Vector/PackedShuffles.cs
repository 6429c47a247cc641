using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Emu.Instructions;

/// <summary>
/// Elements to other places: PSHUFx, SHUFPx, PUNPCKx, UNPCKx, PACKx, PSLLDQ, PSRLDQ, PALIGNR, PBLENDx and BLENDPx by an immediate, MOVxDUP. What an
/// immediate selects stands in tables of controls and masks, and the operation holds an address in them.
/// </summary>
public static unsafe class PackedShuffles
{
    /// <summary>PSHUFB with a control whose bytes are 0 to 15, or have bit 7 set for a zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Shuffle(Vector128<byte> a, Vector128<byte> control) =>
        Ssse3.IsSupported ? Ssse3.Shuffle(a, control) : Vector128.Shuffle(a, control & Vector128.Create((byte)0x8F));

    /// <summary>PSHUFB. Of MMX the control has three bits.</summary>
    public readonly struct Bytes : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Shuffle(a, W.Bits == 128 ? b : b & Vector128.Create((byte)0x87));
    }

    /// <summary>PSHUFD.</summary>
    public readonly struct Doublewords : IVectorImmediate
    {
        public static ulong Control(byte immediate) => Tables.Doublewords(immediate);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b, ulong control) where W : struct, IWidth => Shuffle(b, Vector128.Load((byte*)control));
    }

    /// <summary>PSHUFLW, and PSHUFW of MMX.</summary>
    public readonly struct LowWords : IVectorImmediate
    {
        public static ulong Control(byte immediate) => Tables.LowWords(immediate);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b, ulong control) where W : struct, IWidth => Shuffle(b, Vector128.Load((byte*)control));
    }

    /// <summary>PSHUFHW.</summary>
    public readonly struct HighWords : IVectorImmediate
    {
        public static ulong Control(byte immediate) => Tables.HighWords(immediate);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b, ulong control) where W : struct, IWidth => Shuffle(b, Vector128.Load((byte*)control));
    }

    /// <summary>SHUFPS: two doublewords of the destination, then two of the source.</summary>
    public readonly struct Singles : IVectorImmediate
    {
        public static ulong Control(byte immediate) => Tables.Doublewords(immediate);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b, ulong control) where W : struct, IWidth =>
            Shuffle(a, Vector128.Load((byte*)control)).WithUpper(Shuffle(b, Vector128.Load((byte*)control)).GetUpper());
    }

    /// <summary>SHUFPD: a quadword of the destination, then one of the source.</summary>
    public readonly struct Doubles : IVectorImmediate
    {
        public static ulong Control(byte immediate)
        {
            int first = 2 * (immediate & 1), second = immediate & 2;
            return Tables.Doublewords((byte)(first | (first + 1) << 2 | second << 4 | (second + 1) << 6));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b, ulong control) where W : struct, IWidth => Singles.Execute<W>(a, b, control);
    }

    /// <summary>PALIGNR: destination : source, shifted right by bytes.</summary>
    public readonly struct Align : IVectorImmediate
    {
        public static ulong Control(byte immediate) => Math.Min(immediate, (byte)32);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b, ulong control) where W : struct, IWidth =>
            W.Bits == 128 ? Shuffle(b, Tables.Slide(16 + (int)control)) | Shuffle(a, Tables.Slide((int)control))
                : Shuffle(b.WithUpper(a.GetLower()), Tables.Slide(16 + (int)control));
    }

    /// <summary>PSLLDQ, PSRLDQ.</summary>
    public readonly struct BytesLeft : PackedShifts.IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => Shuffle(a, Tables.Slide(16 - (int)Math.Min(count, 16)));
    }

    public readonly struct BytesRight : PackedShifts.IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => Shuffle(a, Tables.Slide(16 + (int)Math.Min(count, 16)));
    }

    /// <summary>PUNPCKLx, UNPCKLPx: elements of the lower halves in turn. Of MMX a memory operand is 32 bits.</summary>
    public static void LowerInterleaveLow<T>(ref Lowering l) where T : unmanaged
    {
        if (VectorForms.IsMmx(l, 0))
            VectorForms.Narrow<InterleaveLow<T>, W32>(ref l);
        else
            VectorForms.Binary<InterleaveLow<T>>(ref l);
    }

    public readonly struct InterleaveLow<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            if (!Sse2.IsSupported)
                return Portable(a, b);
            if (sizeof(T) == 1)
                return Sse2.UnpackLow(a, b);
            if (sizeof(T) == 2)
                return Sse2.UnpackLow(a.AsUInt16(), b.AsUInt16()).AsByte();
            return sizeof(T) == 4 ? Sse2.UnpackLow(a.AsUInt32(), b.AsUInt32()).AsByte() : Sse2.UnpackLow(a.AsUInt64(), b.AsUInt64()).AsByte();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b) => sizeof(T) switch
        {
            1 => (Vector128.WidenLower(a) | (Vector128.WidenLower(b) << 8)).AsByte(),
            2 => (Vector128.WidenLower(a.AsUInt16()) | (Vector128.WidenLower(b.AsUInt16()) << 16)).AsByte(),
            4 => (Vector128.WidenLower(a.AsUInt32()) | (Vector128.WidenLower(b.AsUInt32()) << 32)).AsByte(),
            _ => a.WithUpper(b.GetLower()),
        };
    }

    /// <summary>PUNPCKHx, UNPCKHPx: elements of the upper halves in turn. Of MMX those are the upper half of what interleaving from the bottom gives.</summary>
    public readonly struct InterleaveHigh<T> : IVectorOperation where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            if (W.Bits == 64)
                return InterleaveLow<T>.Execute<W>(a, b).GetUpper().ToVector128Unsafe();
            if (!Sse2.IsSupported)
                return Portable(a, b);
            if (sizeof(T) == 1)
                return Sse2.UnpackHigh(a, b);
            if (sizeof(T) == 2)
                return Sse2.UnpackHigh(a.AsUInt16(), b.AsUInt16()).AsByte();
            return sizeof(T) == 4 ? Sse2.UnpackHigh(a.AsUInt32(), b.AsUInt32()).AsByte() : Sse2.UnpackHigh(a.AsUInt64(), b.AsUInt64()).AsByte();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b) =>
            InterleaveLow<T>.Portable(a.WithLower(a.GetUpper()), b.WithLower(b.GetUpper()));
    }

    /// <summary>What narrowing reads: destination and source; of MMX both in one vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (Vector128<byte> Low, Vector128<byte> High) Pair<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
    {
        if (W.Bits == 128)
            return (a, b);
        Vector128<byte> both = a.WithUpper(b.GetLower());
        return (both, both);
    }

    /// <summary>PACKSSWB, PACKSSDW, PACKUSWB, PACKUSDW: the elements of both halved in width, with saturation; the elements read are signed.</summary>
    public readonly struct PackWordsSigned : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            (a, b) = Pair<W>(a, b);
            return Vector128.NarrowWithSaturation(a.AsInt16(), b.AsInt16()).AsByte();
        }
    }

    public readonly struct PackDoublewordsSigned : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            (a, b) = Pair<W>(a, b);
            return Vector128.NarrowWithSaturation(a.AsInt32(), b.AsInt32()).AsByte();
        }
    }

    public readonly struct PackWordsUnsigned : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            (a, b) = Pair<W>(a, b);
            if (Sse2.IsSupported)
                return Sse2.PackUnsignedSaturate(a.AsInt16(), b.AsInt16());
            return Portable(a, b);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Portable(Vector128<byte> a, Vector128<byte> b) =>
            Vector128.NarrowWithSaturation(Vector128.Max(a.AsInt16(), default).AsUInt16(), Vector128.Max(b.AsInt16(), default).AsUInt16());
    }

    public readonly struct PackDoublewordsUnsigned : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.NarrowWithSaturation(Vector128.Max(a.AsInt32(), default).AsUInt32(), Vector128.Max(b.AsInt32(), default).AsUInt32()).AsByte();
    }

    /// <summary>MOVDDUP.</summary>
    public readonly struct DuplicateLowQuadword : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => b.WithUpper(b.GetLower());
    }

    /// <summary>MOVSLDUP.</summary>
    public readonly struct DuplicateEven : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.Shuffle(b.AsUInt32(), Vector128.Create(0U, 0, 2, 2)).AsByte();
    }

    /// <summary>MOVSHDUP.</summary>
    public readonly struct DuplicateOdd : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.Shuffle(b.AsUInt32(), Vector128.Create(1U, 1, 3, 3)).AsByte();
    }

    /// <summary>PBLENDW, BLENDPS, BLENDPD: each bit of the immediate chooses the source for an element.</summary>
    public readonly struct Blend<T> : IVectorImmediate where T : unmanaged
    {
        public static ulong Control(byte immediate) => Tables.Mask(sizeof(T) switch
        {
            2 => immediate,
            4 => Spread(immediate, 4, 2),
            _ => Spread(immediate, 2, 4),
        });

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b, ulong control) where W : struct, IWidth =>
            Vector128.ConditionalSelect(Vector128.Load((byte*)control), b, a);

        private static byte Spread(byte immediate, int bits, int copies)
        {
            int r = 0;
            for (int i = 0; i < bits * copies; i++)
                r |= (immediate >> (i / copies) & 1) << i;
            return (byte)r;
        }
    }

    /// <summary>Vectors that immediates select, in memory that does not move.</summary>
    private static class Tables
    {
        private const int Size = 256 * 16;
        private static readonly byte* _tables = Fill();

        public static ulong Doublewords(byte immediate) => At(0, immediate);

        public static ulong LowWords(byte immediate) => At(1, immediate);

        public static ulong HighWords(byte immediate) => At(2, immediate);

        /// <summary>All ones in the words whose bit is set.</summary>
        public static ulong Mask(byte words) => At(3, words);

        /// <summary>Controls that move bytes: left by 16 - <paramref name="position"/> below 16, right by <paramref name="position"/> - 16 above.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Slide(int position) =>
            Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(SlideBytes), (nuint)position);

        private static ReadOnlySpan<byte> SlideBytes =>
        [
            0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
            0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
            0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
        ];

        private static ulong At(int table, byte immediate) => (ulong)(_tables + table * Size + immediate * 16);

        private static byte* Fill()
        {
            byte* all = (byte*)NativeMemory.AlignedAlloc(4 * Size, 64);
            for (int i = 0; i < 256; i++)
            {
                byte* row = all + 16 * i;
                for (int j = 0; j < 16; j++)
                {
                    row[j] = (byte)(4 * (i >> (2 * (j / 4)) & 3) + j % 4);
                    int word = j % 8 / 2;
                    int chosen = 2 * (i >> (2 * word) & 3) + j % 2;
                    row[Size + j] = (byte)(j < 8 ? chosen : j);
                    row[2 * Size + j] = (byte)(j < 8 ? j : 8 + chosen);
                    row[3 * Size + j] = (byte)((i >> (j / 2) & 1) != 0 ? 0xFF : 0);
                }
            }
            return all;
        }
    }
}
