using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>What a range of physical addresses is; the numbers are those of INT 15h, AX=E820h, and of every boot protocol since.</summary>
public enum MemoryRangeType : uint
{
    Available = 1,
    Reserved = 2,
}

/// <summary>A range of physical addresses. Bytes.</summary>
public readonly record struct MemoryRange(ulong Start, ulong Length, MemoryRangeType Type)
{
    /// <summary>The first address behind it.</summary>
    public ulong End => Start + Length;
}

/// <summary>The memory map of a PC, as its firmware tells it (ACPI Specification, "System Address Map Interfaces").</summary>
public static class MemoryMap
{
    /// <summary>End of conventional memory: where the extended BIOS data area starts.</summary>
    public const ulong ConventionalEnd = 0x9_FC00;

    /// <summary>End of the extended BIOS data area: where the display's memory starts.</summary>
    public const ulong LowEnd = 0xA_0000;

    /// <summary>The 64 KiB of the system BIOS, in which tables lie.</summary>
    public const ulong BiosStart = 0xF_0000;

    /// <summary>Extended memory starts here.</summary>
    public const ulong HighStart = 0x10_0000;

    /// <summary>What this much RAM looks like: the ranges in ascending order, none of them empty.</summary>
    public static IReadOnlyList<MemoryRange> Of(PhysicalMemory memory)
    {
        MemoryRange[] all =
        [
            new(0, ConventionalEnd, MemoryRangeType.Available),
            new(ConventionalEnd, LowEnd - ConventionalEnd, MemoryRangeType.Reserved),
            new(BiosStart, HighStart - BiosStart, MemoryRangeType.Reserved),
            new(HighStart, memory.LowSize - HighStart, MemoryRangeType.Available),
            new(IoApic.DefaultAddress, IoApic.Length, MemoryRangeType.Reserved),
            new(ApicBase.DefaultAddress, Page.Size, MemoryRangeType.Reserved),
            new(PhysicalMemory.HighBase, memory.Size - memory.LowSize, MemoryRangeType.Available),
        ];
        return [.. all.Where(r => r.Length != 0)];
    }
}
