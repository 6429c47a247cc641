using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>From offset to linear address, with the checks of each mode.</summary>
public static unsafe class Segmentation
{
    /// <summary>
    /// The linear address of an operand of <paramref name="size"/> bytes at an offset in a segment; false with #GP(0), or #SS(0) through SS,
    /// when the segment does not permit it (SDM, "Limit Checking" and "Type Checking"). Canonicality is checked by the translation.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryLinear(CpuState* s, SegmentIndex segment, ulong offset, int size, AccessKind kind, out ulong linear)
    {
        if ((s->ModeKey & ModeKey.CodeSizeMask) != 2)
            return TryLinearChecked(s, segment, offset, size, kind, out linear);
        linear = segment >= SegmentIndex.Fs ? (&s->Es)[(int)segment].Base + offset : offset;
        return true;
    }

    private static bool TryLinearChecked(CpuState* s, SegmentIndex segment, ulong offset, int size, AccessKind kind, out ulong linear)
    {
        ref SegmentRegister r = ref (&s->Es)[(int)segment];
        linear = (r.Base + offset) & uint.MaxValue;
        Vector vector = segment == SegmentIndex.Ss ? Vector.StackFault : Vector.GeneralProtection;
        if (r.Usable == 0)
            return Access.Raise(s, Vector.GeneralProtection);
        bool code = (r.Attributes & SegmentAttributes.Code) != 0;
        if (s->ProtectedMode && !s->Virtual8086)
        {
            bool flag = (r.Attributes & SegmentAttributes.WritableOrReadable) != 0;
            // A write needs a writable data segment; a read needs a data segment or a readable code segment.
            if ((kind & AccessKind.Write) != 0 ? code || !flag : code && !flag)
                return Access.Raise(s, vector);
        }
        return IsWithinLimit(in r, offset, size) || Access.Raise(s, vector);
    }

    /// <summary>SDM, "Limit Checking": of an expand-down segment the offsets above the limit are valid.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsWithinLimit(in SegmentRegister r, ulong offset, int size)
    {
        ulong last = offset + (ulong)(size - 1);
        const int expandDown = SegmentAttributes.ExpandDownOrConforming;
        if ((r.Attributes & (SegmentAttributes.Code | expandDown)) != expandDown)
            return last <= r.Limit;
        ulong top = (r.Attributes & SegmentAttributes.D) != 0 ? uint.MaxValue : 0xFFFFUL;
        return offset > r.Limit && last <= top;
    }
}
