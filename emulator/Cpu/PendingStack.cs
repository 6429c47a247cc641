using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>
/// A stack onto which a gate or an event pushes before it is in force: everything is checked, then written, and only then do SS, the stack
/// pointer and CPL change.
/// </summary>
[SkipLocalsInit]
public unsafe struct PendingStack
{
    public SegmentRegister Ss;
    public ulong Pointer;

    /// <summary>The privilege level at which it will be used, and with whose rights it is written.</summary>
    public int Cpl;

    /// <summary>64-bit mode: no segment.</summary>
    public bool Is64Bit;

    /// <summary>Error code of #SS when there is no room: the new SS's selector, or 0 on the same stack.</summary>
    public uint ErrorCode;

    /// <summary>The stack in force.</summary>
    public static PendingStack Present(CpuState* s) => new()
    {
        Ss = s->Ss,
        Pointer = Stack.Pointer(s),
        Cpl = s->Cpl,
        Is64Bit = s->Is64Bit,
    };

    /// <summary>
    /// SS:ESP for a privilege level from the current TSS of 16 or 32 bits (SDM, "Stack Switching"); #TS, or #SS when it is not present.
    /// </summary>
    public static bool TryFromTss(CpuState* s, int cpl, out PendingStack stack)
    {
        stack = default;
        bool wide = (s->Tr.Attributes & SegmentAttributes.TypeMask & ~SystemType.BusyBit) == SystemType.AvailableTss32;
        int width = wide ? 4 : 2;
        uint at = (uint)(width + 2 * width * cpl);
        if (at + (uint)width + 1 > s->Tr.Limit)
            return Access.Raise(s, Vector.InvalidTss, new Selector(s->Tr.Selector).ErrorCode);
        if (!Access.Load(s, DescriptorTables.Linear(s, s->Tr.Base + at), width, AccessKind.Implicit, out ulong pointer)
            || !Access.Load(s, DescriptorTables.Linear(s, s->Tr.Base + at + (uint)width), 2, AccessKind.Implicit, out ulong selector)
            || !SegmentLoad.TryPrepareStack(s, (ushort)selector, cpl, Vector.InvalidTss, allowNull: false, out SegmentRegister ss))
            return false;
        stack = new PendingStack { Ss = ss, Pointer = pointer, Cpl = cpl, ErrorCode = new Selector((ushort)selector).ErrorCode };
        return true;
    }

    /// <summary>
    /// RSP for a privilege level, or an entry of the interrupt stack table, from the 64-bit TSS (SDM, "Stack Switching in IA-32e Mode"); SS becomes
    /// null on a change of privilege.
    /// </summary>
    public static bool TryFromTss64(CpuState* s, int cpl, int interruptStack, out PendingStack stack)
    {
        stack = new PendingStack { Ss = cpl == s->Cpl ? s->Ss : SegmentLoad.NullStack(cpl), Cpl = cpl, Is64Bit = true };
        uint at = interruptStack == 0 ? (uint)(4 + 8 * cpl) : (uint)(28 + 8 * interruptStack);
        if (at + 7 > s->Tr.Limit)
            return Access.Raise(s, Vector.InvalidTss, new Selector(s->Tr.Selector).ErrorCode);
        if (!Access.Load(s, s->Tr.Base + at, 8, AccessKind.Implicit, out stack.Pointer))
            return false;
        // "If the new RSP is non-canonical THEN #SS(EXT)."
        return Access.IsCanonical(stack.Pointer) || Access.Raise(s, Vector.StackFault);
    }

    /// <summary>Pushes all values, the first one first, or none.</summary>
    public bool TryPush(CpuState* s, ReadOnlySpan<ulong> values, int size)
    {
        ulong mask = Mask;
        // With the rights of the privilege level at which the stack will be used.
        int cpl = s->Cpl;
        Tlb* tlb = s->Tlb;
        if (cpl != Cpl)
        {
            s->Cpl = Cpl;
            s->Tlb = s->Tlbs + CpuMode.TlbIndex(s);
        }
        int bytes = values.Length * size;
        ulong low = Linear((Pointer - (ulong)bytes) & mask);
        // Nearly always the frame lies in one page and the pointer does not wrap.
        bool together = (s->ModeKey & ModeKey.AlignmentChecked) == 0 && (low & Page.OffsetMask) + (ulong)bytes <= Page.Size && Pointer >= (ulong)bytes
            && (Is64Bit || Segmentation.IsWithinLimit(in Ss, Pointer - (ulong)bytes, bytes));
        // What holds for the first value holds for its page; it is that one's address which a page fault reports.
        bool ok = together ? Access.ProbeWrite(s, low + (ulong)(bytes - size), size, AccessKind.Stack) : CanPush(s, values.Length, size);
        byte* direct = ok && together ? Access.WritePointer(s, low, bytes, AccessKind.Stack) : null;
        if (direct != null)
        {
            WriteFrame(direct, values, size);
            Pointer = (Pointer - (ulong)bytes) & mask;
        }
        else if (ok)
        {
            ulong pointer = Pointer;
            foreach (ulong value in values)
            {
                pointer = (pointer - (ulong)size) & mask;
                _ = Access.Store(s, Linear(pointer), size, AccessKind.Stack, CodeSegment.Truncate(value, size));
            }
            Pointer = pointer;
        }
        s->Cpl = cpl;
        s->Tlb = tlb;
        return ok;
    }

    /// <summary>The first value has the highest address.</summary>
    private static void WriteFrame(byte* low, ReadOnlySpan<ulong> values, int size)
    {
        int last = values.Length - 1;
        for (int i = 0; i <= last; i++)
        {
            if (size == 8)
                ((ulong*)low)[last - i] = values[i];
            else if (size == 4)
                ((uint*)low)[last - i] = (uint)values[i];
            else
                ((ushort*)low)[last - i] = (ushort)values[i];
        }
    }

    /// <summary>Checks value by value: across pages, or where the pointer wraps or leaves the segment.</summary>
    private readonly bool CanPush(CpuState* s, int count, int size)
    {
        ulong pointer = Pointer;
        for (int i = 0; i < count; i++)
        {
            pointer = (pointer - (ulong)size) & Mask;
            if (!Is64Bit && !Segmentation.IsWithinLimit(in Ss, pointer, size))
                return Access.Raise(s, Vector.StackFault, ErrorCode);
            if (!Access.ProbeWrite(s, Linear(pointer), size, AccessKind.Stack))
                return false;
        }
        return true;
    }

    /// <summary>Puts the stack in force; the caller sets CPL and CS and then calls <see cref="CpuMode.Update"/>.</summary>
    public readonly void Commit(CpuState* s)
    {
        s->Ss = Ss;
        s->Registers[4] = Mask == 0xFFFF ? (s->Registers[4] & ~0xFFFFUL) | (Pointer & 0xFFFF) : Pointer;
    }

    private readonly ulong Mask =>
        Is64Bit ? ulong.MaxValue : (Ss.Attributes & SegmentAttributes.D) != 0 ? uint.MaxValue : 0xFFFF;

    private readonly ulong Linear(ulong pointer) => Is64Bit ? pointer : (Ss.Base + pointer) & uint.MaxValue;
}
