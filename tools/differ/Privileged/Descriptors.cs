namespace Emu.Differ.Privileged;

/// <summary>Descriptors as 64-bit words (SDM, "Segment Descriptors", "Gate Descriptors").</summary>
internal static class Descriptors
{
    public const int Code = 0xB, ConformingCode = 0xF, ExecuteOnly = 0x9, Data = 0x3, ReadOnly = 0x1, ExpandDown = 0x7;

    /// <summary>A code or data segment; flat unless a limit in bytes is given.</summary>
    public static ulong Segment(int type, int dpl, uint? limit = null, uint @base = 0, bool present = true, bool big = true)
    {
        uint l = limit ?? 0xFFFFF;
        return l & 0xFFFF | (ulong)(@base & 0xFF_FFFF) << 16 | (ulong)type << 40 | 1UL << 44 | (ulong)dpl << 45 | (present ? 1UL << 47 : 0)
            | (ulong)(l >> 16 & 0xF) << 48 | (big ? 1UL << 54 : 0) | (limit == null ? 1UL << 55 : 0) | (ulong)(@base >> 24) << 56;
    }

    /// <summary>A segment of 64-bit code: L, and not D.</summary>
    public static ulong LongCode(int type, int dpl, bool present = true) => Segment(type, dpl, present: present, big: false) | 1UL << 53;

    public static ulong System(int type, uint @base, uint limit, int dpl = 0, bool present = true) =>
        Segment(type, dpl, limit, @base, present, big: false) & ~(1UL << 44);

    public static ulong Gate(ushort selector, uint offset, int type, int dpl, int count = 0, bool present = true) =>
        offset & 0xFFFF | (ulong)selector << 16 | (ulong)count << 32 | (ulong)type << 40 | (ulong)dpl << 45 | (present ? 1UL << 47 : 0)
        | (ulong)(offset >> 16) << 48;
}
