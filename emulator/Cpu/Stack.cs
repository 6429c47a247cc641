using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>The stack in every mode: the width of the stack pointer follows SS.B, or is 64 bits in 64-bit mode.</summary>
public static unsafe class Stack
{
    /// <summary>RSP, ESP or SP as the mode has it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Pointer(CpuState* s) => s->Registers[4] & Mask(s);

    /// <summary>Sets the stack pointer; a 16-bit one keeps the upper bits.</summary>
    public static void SetPointer(CpuState* s, ulong value)
    {
        ulong mask = Mask(s);
        s->Registers[4] = mask == 0xFFFF ? (s->Registers[4] & ~mask) | (value & mask) : value & mask;
    }

    /// <summary>Adds to the stack pointer.</summary>
    public static void Move(CpuState* s, int by) => SetPointer(s, Pointer(s) + (ulong)(long)by);

    /// <summary>Bits of the stack pointer in force.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Mask(CpuState* s) =>
        (s->ModeKey & ModeKey.CodeSizeMask) == 2 ? ulong.MaxValue : (s->ModeKey & ModeKey.Stack32) != 0 ? uint.MaxValue : 0xFFFF;

    /// <summary>Pushes <paramref name="size"/> bytes; false, and nothing changed, when the write faults.</summary>
    public static bool Push(CpuState* s, int size, ulong value)
    {
        ulong sp = (Pointer(s) - (ulong)size) & Mask(s);
        if (!Segmentation.TryLinear(s, SegmentIndex.Ss, sp, size, AccessKind.Write, out ulong linear)
            || !Access.Store(s, linear, size, AccessKind.Stack, value))
            return false;
        SetPointer(s, sp);
        return true;
    }

    /// <summary>Reads <paramref name="size"/> bytes at <paramref name="offset"/> above the stack pointer, and moves nothing.</summary>
    public static bool Peek(CpuState* s, int offset, int size, out ulong value)
    {
        value = 0;
        ulong sp = (Pointer(s) + (ulong)(long)offset) & Mask(s);
        return Segmentation.TryLinear(s, SegmentIndex.Ss, sp, size, AccessKind.Read, out ulong linear)
            && Access.Load(s, linear, size, AccessKind.Stack, out value);
    }

    /// <summary>Reads consecutive values of <paramref name="size"/> bytes from the stack pointer up, and moves nothing.</summary>
    public static bool PeekAll(CpuState* s, int size, Span<ulong> values)
    {
        int bytes = values.Length * size;
        ulong sp = Pointer(s);
        // In 64-bit mode and in flat segments the frame nearly always lies in one page of RAM; a pointer that wraps takes the other way.
        bool flat = (s->ModeKey & ModeKey.AlignmentChecked) == 0 && (s->Is64Bit || ((s->ModeKey & ModeKey.FlatData) != 0 && (s->ModeKey & ModeKey.Stack32) != 0 && sp + (ulong)bytes <= uint.MaxValue));
        byte* p = flat ? Access.ReadPointer(s, sp, bytes, AccessKind.Stack) : null;
        if (p == null)
        {
            for (int i = 0; i < values.Length; i++)
                if (!Peek(s, i * size, size, out values[i]))
                    return false;
            return true;
        }
        for (int i = 0; i < values.Length; i++)
            values[i] = size == 8 ? ((ulong*)p)[i] : size == 4 ? ((uint*)p)[i] : ((ushort*)p)[i];
        return true;
    }
}
