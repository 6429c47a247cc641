using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>Operands of more than 8 bytes: vectors, x87 numbers, saved states. They are checked as a whole and then reach memory in pieces of 8 bytes or less.</summary>
public static unsafe partial class Access
{
    /// <summary>Reads 16 bytes.</summary>
    public static bool LoadVector(CpuState* s, ulong linear, AccessKind kind, out Vector128<byte> value)
    {
        byte* direct = (s->ModeKey & ModeKey.AlignmentChecked) == 0 ? ReadPointer(s, linear, 16, kind) : null;
        if (direct != null)
        {
            value = Vector128.Load(direct);
            return true;
        }
        Vector128<byte> read = default;
        bool ok = LoadBlock(s, linear, 16, kind, (byte*)&read);
        value = read;
        return ok;
    }

    /// <summary>Writes 16 bytes.</summary>
    public static bool StoreVector(CpuState* s, ulong linear, AccessKind kind, Vector128<byte> value) =>
        StoreBlock(s, linear, 16, kind, (byte*)&value);

    /// <summary>Reads up to a page of bytes; nothing is read when any of them cannot be.</summary>
    public static bool LoadBlock(CpuState* s, ulong linear, int size, AccessKind kind, byte* to)
    {
        int first = Math.Min(size, BytesInPage(linear));
        if (!CheckAlignment(s, linear, size, kind) || Translate(s, linear, first, kind) == null
            || (first < size && Translate(s, NextPage(s, linear), size - first, kind) == null))
            return false;
        for (int i = 0, piece; i < size; i += piece)
        {
            piece = Piece(i, first, size);
            ulong at = i < first ? linear + (ulong)i : NextPage(s, linear) + (ulong)(i - first);
            ulong value = Read(s, Translate(s, at, piece, kind), at, piece, kind);
            Unsafe.CopyBlockUnaligned(to + i, &value, (uint)piece);
        }
        return true;
    }

    /// <summary>Writes up to a page of bytes; nothing is written when any of them cannot be.</summary>
    public static bool StoreBlock(CpuState* s, ulong linear, int size, AccessKind kind, byte* from)
    {
        if (!ProbeWrite(s, linear, size, kind))
            return false;
        int first = Math.Min(size, BytesInPage(linear));
        for (int i = 0, piece; i < size; i += piece)
        {
            piece = Piece(i, first, size);
            ulong at = i < first ? linear + (ulong)i : NextPage(s, linear) + (ulong)(i - first);
            ulong value = 0;
            Unsafe.CopyBlockUnaligned(&value, from + i, (uint)piece);
            Write(s, Translate(s, at, piece, kind | AccessKind.Write), at, piece, kind, value);
        }
        return true;
    }

    /// <summary>Bytes of the next piece: the largest power of two up to 8 that stays inside the block and its page.</summary>
    private static int Piece(int done, int first, int size)
    {
        int left = (done < first ? first : size) - done;
        return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    }
}
