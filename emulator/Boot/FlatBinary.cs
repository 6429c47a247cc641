using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>Raw bytes at a given address, entered in real mode: a boot sector at 0000:7C00, or anything else below 1 MiB.</summary>
public sealed class FlatBinary : BootImage
{
    public const ulong BootSectorAddress = 0x7C00;

    private readonly ushort _segment;
    private readonly ushort _offset;

    private FlatBinary(string name, ImageSegment segment, ushort entrySegment, ushort entryOffset)
        : base(name, ImageKind.FlatBinary, [segment], ((ulong)entrySegment << 4) + entryOffset, SymbolTable.Empty)
    {
        _segment = entrySegment;
        _offset = entryOffset;
    }

    /// <summary>Takes any bytes.</summary>
    /// <param name="address">Physical address of the first byte.</param>
    /// <param name="entrySegment">CS at entry.</param>
    /// <param name="entryOffset">IP at entry.</param>
    /// <exception cref="BootException">There are no bytes, or the entry is not in them.</exception>
    public static FlatBinary Open(
        ReadOnlyMemory<byte> bytes, string name, ulong address = BootSectorAddress, ushort entrySegment = 0, ushort entryOffset = (ushort)BootSectorAddress)
    {
        if (bytes.IsEmpty)
            throw new BootException(name, "", "the file is empty", "give a file with code in it");
        ulong entry = ((ulong)entrySegment << 4) + entryOffset;
        if (address > ulong.MaxValue - (ulong)bytes.Length)
            throw new BootException(name, "", $"0x{bytes.Length:x} bytes from 0x{address:x} wrap around the end of the address space", "choose a lower address");
        if (entry - address >= (ulong)bytes.Length)
            throw new BootException(name, "", $"the entry {entrySegment:x4}:{entryOffset:x4} is not in the image, which lies from 0x{address:x} to 0x{address + (ulong)bytes.Length - 1:x}",
                "choose an entry inside it");
        return new FlatBinary(name, new ImageSegment("flat binary", address, (ulong)bytes.Length, bytes), entrySegment, entryOffset);
    }

    /// <inheritdoc/>
    public override void Load(PhysicalMemory memory, Cpu bootCpu, string commandLine = "", IReadOnlyList<BootModule>? modules = null)
    {
        if (commandLine.Length != 0 || modules is { Count: > 0 })
            throw new BootException(Name, "", "a flat binary takes no command line and no modules", "leave them out or boot a multiboot kernel");
        CheckSegments(memory);
        LoadSegments(memory);
        Handover.ToRealMode(bootCpu, _segment, _offset);
        (bootCpu.Apic as LocalApic)?.EnterVirtualWireMode();
    }
}
