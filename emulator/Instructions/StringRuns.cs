using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>
/// Runs of string iterations inside one page, on host memory. Only upwards, only without alignment checks, only in flat segments, and only where the TLB grants direct
/// access: not to devices, not to pages that hold code, not in a machine with store buffers.
/// </summary>
internal static unsafe class StringRuns
{
    /// <summary>Host address that an index register points to, for reading; null when runs are not possible there.</summary>
    /// <param name="most">Bytes to the end of the page.</param>
    public static byte* Readable(CpuState* s, Op* op, int register, byte segment, out ulong most, ulong atMost = Page.Size)
    {
        most = 0;
        if (!TryLinear(s, op, register, segment, out ulong linear))
            return null;
        TlbEntry* e = s->Tlb->Entries + Tlb.IndexOf(linear);
        if (e->ReadTag != (linear & Page.Mask))
        {
            e = Access.Translate(s, linear, 1, AccessKind.Read);
            if (e == null || e->ReadTag != (linear & Page.Mask))
                return null;
        }
        most = Math.Min(atMost, Page.Size - (linear & Page.OffsetMask));
        return (byte*)((nint)linear + e->Addend);
    }

    /// <summary>Host address that an index register points to in ES, for writing.</summary>
    public static byte* Writable(CpuState* s, Op* op, int register, out ulong most)
    {
        most = 0;
        if (!TryLinear(s, op, register, (byte)SegmentIndex.Es, out ulong linear))
            return null;
        TlbEntry* e = s->Tlb->Entries + Tlb.IndexOf(linear);
        if (e->WriteTag != (linear & Page.Mask))
        {
            e = Access.Translate(s, linear, 1, AccessKind.Write);
            if (e == null || e->WriteTag != (linear & Page.Mask))
                return null;
        }
        most = Page.Size - (linear & Page.OffsetMask);
        return (byte*)((nint)linear + e->Addend);
    }

    /// <summary>Copies upwards with the result of going element by element, where source and destination overlap as well.</summary>
    public static void Copy(byte* to, byte* from, nuint bytes, int element)
    {
        nuint distance = (nuint)(to - from);
        // A destination below the source never overtakes it (the distance is then huge); one far enough above never meets it.
        if (distance >= bytes)
        {
            Buffer.MemoryCopy(from, to, bytes, bytes);
            return;
        }
        if (distance == 0)
            return;
        if (distance < (nuint)element)
        {
            for (nuint i = 0; i < bytes; i += (nuint)element)
                Buffer.MemoryCopy(from + i, to + i, element, element);
            return;
        }
        // The bytes between source and destination repeat. What has been written lengthens the source for the next piece.
        for (nuint done = 0; done < bytes;)
        {
            nuint n = Math.Min(distance + done, bytes - done);
            Buffer.MemoryCopy(from, to + done, n, n);
            done += n;
        }
    }

    /// <summary>Fills elements.</summary>
    public static void Fill<W>(byte* to, int elements, ulong value) where W : struct, IWidth
    {
        switch (W.Bits)
        {
            case 8:
                new Span<byte>(to, elements).Fill((byte)value);
                break;
            case 16:
                new Span<ushort>(to, elements).Fill((ushort)value);
                break;
            case 32:
                new Span<uint>(to, elements).Fill((uint)value);
                break;
            default:
                new Span<ulong>(to, elements).Fill(value);
                break;
        }
    }

    /// <summary>Iterations of REPNE (<paramref name="untilEqual"/>) or REPE SCAS over these elements.</summary>
    public static int Scan<W>(byte* at, int elements, ulong value, bool untilEqual) where W : struct, IWidth
    {
        int found = W.Bits switch
        {
            8 => Find(new ReadOnlySpan<byte>(at, elements), (byte)value, untilEqual),
            16 => Find(new ReadOnlySpan<ushort>(at, elements), (ushort)value, untilEqual),
            32 => Find(new ReadOnlySpan<uint>(at, elements), (uint)value, untilEqual),
            _ => Find(new ReadOnlySpan<ulong>(at, elements), value, untilEqual),
        };
        return found < 0 ? elements : found + 1;
    }

    private static int Find<T>(ReadOnlySpan<T> span, T value, bool equal) where T : IEquatable<T> =>
        equal ? span.IndexOf(value) : span.IndexOfAnyExcept(value);

    private static bool TryLinear(CpuState* s, Op* op, int register, byte segment, out ulong linear)
    {
        linear = Strings.Index(s, op, register);
        if ((s->SystemFlags & Rflags.Df) != 0 || (s->ModeKey & ModeKey.AlignmentChecked) != 0)
            return false;
        if ((s->ModeKey & ModeKey.CodeSizeMask) == 2)
        {
            if (segment < (byte)SegmentIndex.Fs)
                return true;
            linear += (&s->Es)[segment].Base;
            return op->AddressSize == 8;
        }
        return op->AddressSize == 4 && (s->ModeKey & ModeKey.FlatData) != 0
            && segment is (byte)SegmentIndex.Ds or (byte)SegmentIndex.Es or (byte)SegmentIndex.Ss;
    }
}
