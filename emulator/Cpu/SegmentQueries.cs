namespace Emu.Cpus;

/// <summary>
/// LAR, LSL, VERR, VERW and ARPL: what a program may ask about a selector (SDM, "Pointer Validation"). They return false only with a fault
/// recorded; the answer is in ZF, which they set.
/// </summary>
public static unsafe class SegmentQueries
{
    /// <summary>LAR: access rights, bits 8 to 15 and 20 to 23 of the second doubleword.</summary>
    /// <param name="s">The CPU.</param>
    /// <param name="value">The selector.</param>
    /// <param name="granted">Whether the destination is to be written, as ZF says.</param>
    /// <param name="rights">What to write; a 16-bit destination takes the low half.</param>
    public static bool Lar(CpuState* s, ushort value, out bool granted, out uint rights)
    {
        rights = 0;
        if (!TryDescribe(s, value, out granted, out Descriptor d))
            return false;
        granted = granted && (!d.IsSystem || IsLarType(s, d.Type)) && IsVisible(s, value, d);
        if (granted)
            rights = (uint)(d.Raw >> 32) & 0x00F0_FF00;
        SetZero(s, granted);
        return true;
    }

    /// <summary>LSL: the limit in bytes.</summary>
    public static bool Lsl(CpuState* s, ushort value, out bool granted, out uint limit)
    {
        limit = 0;
        if (!TryDescribe(s, value, out granted, out Descriptor d))
            return false;
        granted = granted && (!d.IsSystem || IsLslType(s, d.Type)) && IsVisible(s, value, d);
        if (granted)
            limit = d.Limit;
        SetZero(s, granted);
        return true;
    }

    /// <summary>VERR: can the segment be read at this privilege?</summary>
    public static bool Verr(CpuState* s, ushort value)
    {
        if (!TryDescribe(s, value, out bool granted, out Descriptor d))
            return false;
        SetZero(s, granted && d.IsReadable && IsVisible(s, value, d));
        return true;
    }

    /// <summary>VERW: can it be written?</summary>
    public static bool Verw(CpuState* s, ushort value)
    {
        if (!TryDescribe(s, value, out bool granted, out Descriptor d))
            return false;
        SetZero(s, granted && d.IsWritableData && IsVisible(s, value, d));
        return true;
    }

    /// <summary>ARPL: raises the RPL of one selector to that of another; the result is to be written when <paramref name="adjusted"/>.</summary>
    public static bool Arpl(CpuState* s, ushort destination, ushort source, out bool adjusted, out ushort result)
    {
        adjusted = (destination & 3) < (source & 3);
        result = adjusted ? (ushort)((destination & ~3) | (source & 3)) : destination;
        if (!SystemTables.CheckProtected(s))
            return false;
        SetZero(s, adjusted);
        return true;
    }

    /// <summary>False only for a fault (real mode, page fault); <paramref name="found"/> false when the selector is null or beyond its table.</summary>
    private static bool TryDescribe(CpuState* s, ushort value, out bool found, out Descriptor d)
    {
        d = default;
        found = false;
        if (!SystemTables.CheckProtected(s))
            return false;
        Selector selector = new(value);
        if (selector.IsNull || !DescriptorTables.TryLocate(s, selector, 8, out ulong linear))
            return true;
        found = true;
        return DescriptorTables.TryReadAt(s, linear, out d);
    }

    /// <summary>"If the segment is not a conforming code segment, both CPL and RPL must be at most the DPL."</summary>
    private static bool IsVisible(CpuState* s, ushort value, Descriptor d) =>
        d.IsConforming || (s->Cpl <= d.Dpl && (value & 3) <= d.Dpl);

    /// <summary>SDM, "LAR", table of types: TSS, LDT, call gates, task gate.</summary>
    private static bool IsLarType(CpuState* s, int type) => s->LongModeActive
        ? type is SystemType.Ldt or SystemType.AvailableTss32 or SystemType.BusyTss32 or SystemType.CallGate32
        : type is SystemType.AvailableTss16 or SystemType.Ldt or SystemType.BusyTss16 or SystemType.CallGate16 or SystemType.TaskGate
            or SystemType.AvailableTss32 or SystemType.BusyTss32 or SystemType.CallGate32;

    /// <summary>SDM, "LSL", table of types: what has a limit.</summary>
    private static bool IsLslType(CpuState* s, int type) => s->LongModeActive
        ? type is SystemType.Ldt or SystemType.AvailableTss32 or SystemType.BusyTss32
        : type is SystemType.AvailableTss16 or SystemType.Ldt or SystemType.BusyTss16 or SystemType.AvailableTss32 or SystemType.BusyTss32;

    private static void SetZero(CpuState* s, bool zero)
    {
        ulong flags = Flags.Get(s);
        Flags.SetArithmetic(s, zero ? flags | Rflags.Zf : flags & ~Rflags.Zf);
    }
}
