using Emu.Cpus;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>
/// Several PUSHes or POPs of 64-bit registers in a row, as functions and interrupt handlers begin and end with, in one handler that looks at the TLB
/// and at RSP once. The operations stay as they are: the handler stands in the first, and where the TLB does not serve all of the run, they execute
/// one by one.
/// </summary>
public static unsafe class StackRuns
{
    private const int WordBytes = 8;

    /// <summary>Instructions of the run that begins at a position; 0 where there are fewer than two.</summary>
    public static int LengthAt(ReadOnlySpan<Instruction> instructions, int at)
    {
        Code code = instructions[at].Code;
        if (code is not (Code.Push_r64 or Code.Pop_r64))
            return 0;
        int end = at;
        // RSP itself is pushed as it was, and popped over what was counted.
        while (end < instructions.Length && instructions[end].Code == code && instructions[end].Op0Register != Register.RSP)
            end++;
        return end - at > 1 ? end - at : 0;
    }

    /// <summary>Gives the first operation of a run the handler of all.</summary>
    public static void Fuse(in Instruction first, Op* op, int length)
    {
        op->Immediate = (ulong)length;
        if (first.Code == Code.Push_r64)
            op->Handler = &Push;
        else
            op->Handler = &Pop;
    }

    private static Op* Push(CpuState* s, Op* op)
    {
        ulong bytes = op->Immediate * WordBytes;
        ulong lowest = ((ulong*)s)[4] - bytes;
        TlbEntry* e = Tlb.Slot(s->Tlb, lowest);
        if (((lowest + bytes - 1) & Page.Mask) != e->WriteTag)
            return op->Full(s, op);
        byte* bottom = (byte*)((nint)lowest + e->Addend);
        byte* to = bottom + bytes;
        do
        {
            to -= WordBytes;
            *(ulong*)to = *(ulong*)((byte*)s + op->Reg0);
            op++;
        }
        while (to != bottom);
        ((ulong*)s)[4] = lowest;
        return Dispatch.Run(s, op);
    }

    private static Op* Pop(CpuState* s, Op* op)
    {
        ulong bytes = op->Immediate * WordBytes;
        ulong lowest = ((ulong*)s)[4];
        TlbEntry* e = Tlb.Slot(s->Tlb, lowest);
        if (((lowest + bytes - 1) & Page.Mask) != e->ReadTag)
            return op->Full(s, op);
        byte* from = (byte*)((nint)lowest + e->Addend);
        byte* top = from + bytes;
        do
        {
            *(ulong*)((byte*)s + op->Reg0) = *(ulong*)from;
            from += WordBytes;
            op++;
        }
        while (from != top);
        ((ulong*)s)[4] = lowest + bytes;
        return Dispatch.Run(s, op);
    }
}
