namespace Emu.Cpus;

/// <summary>What all transfers to another code segment have in common.</summary>
public static unsafe class CodeSegment
{
    /// <summary>True when code in this segment runs in 64-bit mode.</summary>
    public static bool Is64Bit(CpuState* s, Descriptor d) => s->LongModeActive && d.IsLong;

    /// <summary>In IA-32e mode a code segment with L and D both set is refused: #GP(selector).</summary>
    public static bool CheckLongBits(CpuState* s, Selector selector, Descriptor d) =>
        !(s->LongModeActive && d.IsLong && d.IsBig) || Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);

    /// <summary>The target must be canonical in 64-bit mode, else within the limit: #GP(0).</summary>
    public static bool CheckTarget(CpuState* s, Descriptor d, ulong rip) =>
        (Is64Bit(s, d) ? Access.IsCanonical(rip) : rip <= d.Limit) || Access.Raise(s, Vector.GeneralProtection);

    /// <summary>Loads CS and RIP and sets CPL; the caller calls <see cref="CpuMode.Update"/> when all else is loaded too.</summary>
    public static void Commit(CpuState* s, Selector selector, Descriptor d, int cpl, ulong rip)
    {
        s->Cs = d.ToRegister((ushort)((selector.Value & ~3) | cpl));
        // In 64-bit mode the base of CS is taken as 0 whatever the descriptor says.
        if (Is64Bit(s, d))
            s->Cs.Base = 0;
        s->Cpl = cpl;
        s->Rip = rip;
    }

    /// <summary>Real-address and virtual-8086 mode: the base is the selector times 16; #GP(0) beyond the limit.</summary>
    public static bool TryCommitReal(CpuState* s, ushort selector, ulong rip)
    {
        SegmentRegister cs = s->Virtual8086 ? SegmentLoad.Virtual8086(selector) : SegmentLoad.RealMode(s->Cs, selector);
        if (rip > cs.Limit)
            return Access.Raise(s, Vector.GeneralProtection);
        s->Cs = cs;
        s->Rip = rip;
        CpuMode.Update(s);
        return true;
    }

    /// <summary>Cuts an offset to an operand size in bytes.</summary>
    public static ulong Truncate(ulong offset, int operandSize) => operandSize switch
    {
        2 => offset & 0xFFFF,
        4 => offset & uint.MaxValue,
        _ => offset,
    };
}
