using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>Bits of <see cref="CpuState.ModeKey"/>: what decoded code depends on besides its bytes.</summary>
public static class ModeKey
{
    /// <summary>Default operand and address size of code: 0 = 16, 1 = 32, 2 = 64 bits.</summary>
    public const uint CodeSizeMask = 3;

    /// <summary>SS.B, or 64-bit mode: the stack pointer is wider than 16 bits.</summary>
    public const uint Stack32 = 4;

    /// <summary>DS, ES and SS are flat, writable and usable, so that in 32-bit code an offset is a linear address.</summary>
    public const uint FlatData = 8;

    /// <summary>CPL is 3.</summary>
    public const uint User = 0x10;

    /// <summary>CS is not flat: base is not zero or its limit is below 4 GiB - 1.</summary>
    public const uint CsNotFlat = 0x20;

    /// <summary>Real-address or virtual-8086 mode.</summary>
    public const uint Real = 0x40;

    /// <summary>
    /// CR0.EM or CR0.TS is set or CR4.OSFXSR is clear: x87, MMX and SSE instructions look at those bits before they execute. Where it is clear they
    /// need not look.
    /// </summary>
    public const uint FloatingChecked = 0x80;

    /// <summary>CPL is 3, and CR0.AM and RFLAGS.AC are set: data must be aligned. Operands are then reached in full only.</summary>
    public const uint AlignmentChecked = 0x100;

    /// <summary>MSR_TEST_CTRL asks for #AC where a locked access spans two cache lines: such operands are reached in full only.</summary>
    public const uint SplitLocksChecked = 0x200;

    /// <summary>All bits: what <see cref="CpuState.JumpKey"/> holds below its count.</summary>
    public const uint Mask = 0x3FF;
}

/// <summary>Keeps what is derived from control registers and segments in step with them.</summary>
public static unsafe class CpuMode
{
    /// <summary>One in the count that stands above the mode in <see cref="CpuState.JumpKey"/>.</summary>
    private const uint KeyCount = ModeKey.Mask + 1;
    private const ushort FlatDataBits = SegmentAttributes.CodeOrData | SegmentAttributes.Present | SegmentAttributes.WritableOrReadable;

    /// <summary>Call after any change of CR0, CR4, EFER, a segment register, CPL or RFLAGS.AC/VM.</summary>
    public static void Update(CpuState* s)
    {
        uint key = 0;
        if (s->Is64Bit)
            key = 2 | ModeKey.Stack32 | ModeKey.FlatData;
        else
        {
            if ((s->Cs.Attributes & SegmentAttributes.D) != 0)
                key |= 1;
            if ((s->Ss.Attributes & SegmentAttributes.D) != 0)
                key |= ModeKey.Stack32;
            if (IsFlatData(s->Ds) && IsFlatData(s->Es) && IsFlatData(s->Ss))
                key |= ModeKey.FlatData;
            if (s->Cs.Base != 0 || s->Cs.Limit != uint.MaxValue)
                key |= ModeKey.CsNotFlat;
            if (!s->ProtectedMode || s->Virtual8086)
                key |= ModeKey.Real;
        }
        if (s->Cpl == 3)
            key |= ModeKey.User;
        if ((s->Paging.Cr0 & (ControlBits.Cr0Em | ControlBits.Cr0Ts)) != 0 || (s->Paging.Cr4 & ControlBits.Cr4OsFxsr) == 0)
            key |= ModeKey.FloatingChecked;
        if (s->Cpl == 3 && (s->SystemFlags & Rflags.Ac) != 0 && (s->Paging.Cr0 & ControlBits.Cr0Am) != 0)
            key |= ModeKey.AlignmentChecked;
        if (s->SplitLockControl != 0)
            key |= ModeKey.SplitLocksChecked;
        s->ModeKey = key;
        s->JumpKey = (Math.Max(s->JumpKey, KeyCount) & ~ModeKey.Mask) | key; // Never 0, which empty entries have.
        s->Tlb = s->Tlbs + TlbIndex(s);
    }

    /// <summary>Which translations apply: 2 for CPL 3, 1 for supervisor code that SMAP restrains, 0 for other supervisor code.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int TlbIndex(CpuState* s)
    {
        if (s->Cpl == 3)
            return 2;
        return (s->Paging.Cr4 & PagingBits.Cr4Smap) != 0 && (s->SystemFlags & Rflags.Ac) == 0 ? 1 : 0;
    }

    /// <summary>Drops translations in all three sets, and the code that was found through them.</summary>
    public static void FlushTlb(CpuState* s, bool keepGlobal)
    {
        for (int i = 0; i < 3; i++)
            s->Tlbs[i].Flush(keepGlobal);
        DropJumps(s);
    }

    /// <summary>INVLPG.</summary>
    public static void FlushPage(CpuState* s, ulong linear)
    {
        for (int i = 0; i < 3; i++)
            s->Tlbs[i].FlushPage(linear);
        DropJumps(s);
    }

    /// <summary>Branch targets were found through translations that are gone: all entries of the jump cache lose their key.</summary>
    private static void DropJumps(CpuState* s)
    {
        s->JumpKey += KeyCount;
        // After 2^22 changes the count repeats, and entries of that age must not come back to life.
        if (s->JumpKey < KeyCount)
        {
            s->JumpKey |= KeyCount;
            Cpu.Of(s).ClearJumpCache();
        }
    }

    private static bool IsFlatData(in SegmentRegister r) =>
        r.Usable != 0 && r.Base == 0 && r.Limit == uint.MaxValue && (r.Attributes & FlatDataBits) == FlatDataBits
        && (r.Attributes & (SegmentAttributes.Code | SegmentAttributes.ExpandDownOrConforming)) == 0;
}
