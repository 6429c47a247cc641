namespace Emu.Memory;

/// <summary>An address after segmentation and before paging.</summary>
public readonly record struct LinearAddress(ulong Value)
{
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>An address after paging, as it appears on the bus.</summary>
public readonly record struct PhysicalAddress(ulong Value)
{
    public override string ToString() => $"0x{Value:x}";
}

/// <summary>A CPU's position in the machine, from 0; the boot processor is 0. Not its APIC ID.</summary>
public readonly record struct CpuIndex(int Value)
{
    public override string ToString() => Value.ToString();
}

/// <summary>Sizes and masks of a 4 KiB page, the grain of RAM bookkeeping.</summary>
public static class Page
{
    public const int Shift = 12;
    public const int Size = 1 << Shift;
    public const ulong OffsetMask = Size - 1;
    public const ulong Mask = ~OffsetMask;
}
