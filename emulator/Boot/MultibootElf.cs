namespace Emu.Boot;

/// <summary>How multiboot loaders read an ELF executable.</summary>
internal static class MultibootElf
{
    public static ImageSegment[] Segments(ElfFile elf) => [.. elf.Segments.Select(s => new ImageSegment(s.Where, s.PhysicalAddress, s.MemorySize, elf.Data(s)))];

    /// <summary>e_entry is virtual; the CPU starts without paging, at the physical address of the same byte.</summary>
    /// <exception cref="BootException">There is no such byte, or it is out of reach.</exception>
    public static ulong PhysicalEntry(ElfFile elf, string name)
    {
        foreach (ElfSegment s in elf.Segments)
            if (elf.Entry - s.VirtualAddress < s.MemorySize)
                return Check(name, elf.Entry - s.VirtualAddress + s.PhysicalAddress);
        // Linked at one address and entered at its physical twin.
        foreach (ElfSegment s in elf.Segments)
            if (elf.Entry - s.PhysicalAddress < s.MemorySize)
                return Check(name, elf.Entry);
        throw new BootException(name, "ELF header", $"the entry 0x{elf.Entry:x} is in no loaded segment", "name the entry with ENTRY() in the linker script");
    }

    private static ulong Check(string name, ulong entry)
    {
        if (entry <= uint.MaxValue)
            return entry;
        throw new BootException(name, "ELF header", $"the entry lies at physical 0x{entry:x}, out of reach of 32-bit protected mode", "load the image below 4 GiB");
    }
}

/// <summary>The load addresses that a multiboot header gives of a file that is no ELF ("a.out kludge"): one segment, whose place in the file follows from that of the header.</summary>
/// <param name="Where">Of the header, for messages.</param>
/// <param name="Header">Its offset in the file.</param>
/// <param name="LoadEnd">0: the file is loaded to its end.</param>
/// <param name="BssEnd">0: nothing is to be zeroed.</param>
internal sealed record MultibootAddresses(string Name, string Where, int Header, uint HeaderAddress, uint Load, uint LoadEnd, uint BssEnd)
{
    private const string Remedy = "correct the address fields, or leave them out and link it as ELF";

    /// <summary>The segment, checked; the entry lies in it.</summary>
    /// <exception cref="BootException">The addresses contradict each other or the file.</exception>
    public ImageSegment Segment(ReadOnlyMemory<byte> bytes, uint entry)
    {
        if (Load > HeaderAddress || HeaderAddress - Load > (uint)Header)
            throw Bad($"header_addr 0x{HeaderAddress:x} and load_addr 0x{Load:x} put the start of the load before the start of the file");
        int start = Header - (int)(HeaderAddress - Load);
        uint inFile = (uint)(bytes.Length - start);
        uint length = LoadEnd == 0 ? inFile : LoadEnd - Load;
        if (LoadEnd != 0 && (LoadEnd < Load || length > inFile))
            throw Bad($"load_end_addr 0x{LoadEnd:x} asks for 0x{length:x} bytes where the file has 0x{inFile:x}");
        if (length > uint.MaxValue - Load)
            throw Bad($"0x{length:x} bytes from load_addr 0x{Load:x} wrap around the end of the address space");
        ulong end = Math.Max((ulong)Load + length, BssEnd);
        if (BssEnd != 0 && BssEnd < Load + length)
            throw Bad($"bss_end_addr 0x{BssEnd:x} is below the end of the load, 0x{Load + length:x}");
        if (end == Load)
            throw Bad("nothing is to be loaded");
        if (entry - Load >= end - Load || entry < Load)
            throw Bad($"entry_addr 0x{entry:x} is not in the load, 0x{Load:x} to 0x{end - 1:x}");
        return new ImageSegment(Where, Load, end - Load, bytes.Slice(start, (int)length));
    }

    private BootException Bad(string what) => new(Name, Where, what, Remedy);
}
