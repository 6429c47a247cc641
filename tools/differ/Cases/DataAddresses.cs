namespace Emu.Differ.Cases;

/// <summary>Where memory operands point: mostly into writable pages, often across a border, at times into what is read-only or not there.</summary>
public static class DataAddresses
{
    /// <summary>
    /// An address for an operand of <paramref name="size"/> bytes: linear in protected modes, an offset in the segment in real-address mode.
    /// </summary>
    public static ulong Pick(CodeMode mode, ref Dice dice, int addressBytes, int size)
    {
        if (mode == CodeMode.Real16)
            return PickOffset(ref dice, size);
        ulong page = PickBase(mode, ref dice, addressBytes);
        if (page is Arena.LastLowPage or Arena.FirstHighPage)
            return page + (dice.Percent(50) ? (ulong)dice.Below(Page) : page == Arena.LastLowPage ? Page - (ulong)dice.Below(size + 1) : 0UL - (ulong)dice.Below(size + 1));
        switch (dice.Below(100))
        {
            case < 74:
                return Inside(ref dice, page + 0x1000, 2, size);
            case < 84:
                return Across(ref dice, page + 0x2000, size);
            case < 88:
                return Across(ref dice, page + 0x3000, size); // into the read-only page
            case < 91:
                return Inside(ref dice, page + 0x3000, 1, size);
            case < 94:
                return Across(ref dice, page + 0x1000, size); // out of what is not there
            case < 97:
                return Across(ref dice, page + 0x4000, size); // into what is not there
            default:
                return Inside(ref dice, page + 0x4000, 4, size);
        }
    }

    private const int Page = 0x1000;

    private static ulong PickBase(CodeMode mode, ref Dice dice, int addressBytes)
    {
        if (!mode.Is64() || addressBytes != 8)
            return Arena.DataBase;
        return dice.Below(20) switch
        {
            < 17 when mode == CodeMode.User64 => Arena.DataBase,
            < 12 => Arena.DataBase,
            < 18 => Arena.HighDataBase,
            18 => Arena.LastLowPage,
            _ => Arena.FirstHighPage,
        };
    }

    private static ulong Inside(ref Dice dice, ulong start, int pages, int size)
    {
        ulong at = start + (ulong)dice.Below(pages * Page - Math.Min(size, Page));
        return dice.Percent(50) ? at & ~(ulong)(Math.Min(size, 16) - 1) : at;
    }

    /// <summary>So that at least one byte lies before the border and one behind it, where the operand is that long.</summary>
    private static ulong Across(ref Dice dice, ulong border, int size) => border - (ulong)(size <= 1 ? dice.Below(2) : 1 + dice.Below(size - 1));

    private static ulong PickOffset(ref Dice dice, int size) => dice.Below(20) switch
    {
        0 => (ulong)(0x1_0000 - dice.Below(size + 2)) & 0xFFFF,
        1 => (ulong)dice.Below(size + 1),
        2 => (ulong)(0x1000 * (1 + dice.Below(15)) - dice.Below(size + 1)),
        _ => (ulong)dice.Below(0x1_0000 - size),
    };
}
