using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>
/// A kernel with a multiboot 1 header (Multiboot Specification, version 0.6.96): an ELF executable, or any file whose header gives load addresses.
/// </summary>
public sealed class Multiboot1 : BootImage
{
    /// <summary>EAX at entry.</summary>
    public const uint BootloaderMagic = 0x2BADB002;

    private const uint HeaderMagic = 0x1BADB002;
    private const int SearchLength = 8192;

    /// <summary>Header flags: bits 15:0 are requirements, a loader that does not know one must refuse.</summary>
    private const uint PageAlign = 1 << 0;
    private const uint MemoryInfo = 1 << 1;
    private const uint VideoMode = 1 << 2;
    private const uint Requirements = 0xFFFF;
    private const uint AddressFields = 1 << 16;

    private readonly bool _needsLongMode;

    private Multiboot1(string name, IReadOnlyList<ImageSegment> segments, ulong entry, SymbolTable symbols, bool needsLongMode)
        : base(name, ImageKind.Multiboot1, segments, entry, symbols)
    {
        _needsLongMode = needsLongMode;
    }

    /// <summary>False when there is no multiboot header.</summary>
    /// <exception cref="BootException">There is one, and something is wrong.</exception>
    public static bool TryOpen(ReadOnlyMemory<byte> bytes, string name, [NotNullWhen(true)] out Multiboot1? image)
    {
        image = null;
        int header = FindHeader(bytes.Span);
        if (header < 0)
            return false;
        uint flags = Word(bytes, header + 4);
        CheckFlags(name, header, flags);
        bool isElf = ElfFile.IsElf(bytes.Span);
        ElfFile? elf = isElf ? ElfFile.Parse(bytes, name) : null;
        if ((flags & AddressFields) != 0)
        {
            string where = $"multiboot header at file offset 0x{header:x}";
            if (header + 32 > bytes.Length)
                throw new BootException(name, where, "its address fields are cut off", "the file is truncated: copy or build it again");
            uint entry = Word(bytes, header + 28);
            var addresses = new MultibootAddresses(name, where, header, Word(bytes, header + 12), Word(bytes, header + 16), Word(bytes, header + 20), Word(bytes, header + 24));
            image = new Multiboot1(name, [addresses.Segment(bytes, entry)], entry, elf?.Symbols ?? SymbolTable.Empty, elf?.Is64 ?? false);
        }
        else if (elf != null)
        {
            image = new Multiboot1(name, MultibootElf.Segments(elf), MultibootElf.PhysicalEntry(elf, name), elf.Symbols, elf.Is64);
        }
        else
            throw new BootException(name, $"multiboot header at file offset 0x{header:x}", "the file is no ELF, and its header gives no load addresses (flag bit 16)",
                "link it as ELF or fill in the address fields");
        return true;
    }

    /// <inheritdoc/>
    public override void Load(PhysicalMemory memory, Cpu bootCpu, string commandLine = "", IReadOnlyList<BootModule>? modules = null)
    {
        if (_needsLongMode && !bootCpu.Model.Has(CpuFeature.LongMode))
            throw new BootException(Name, "", $"it is a 64-bit ELF, and the CPU model {bootCpu.Model.Name} has no 64-bit mode", "choose another model or the 32-bit build");
        CheckSegments(memory);
        FirmwareTables.Write(memory, bootCpu);
        var info = new MultibootInfo(this, memory, commandLine, modules ?? []);
        LoadSegments(memory);
        info.Write();
        // Multiboot Specification, "Machine state"; A20 is always open here.
        Handover.ToProtectedMode(bootCpu, (uint)Entry, BootloaderMagic, (uint)info.Address);
        (bootCpu.Apic as LocalApic)?.EnterVirtualWireMode();
    }

    private static int FindHeader(ReadOnlySpan<byte> bytes)
    {
        int end = Math.Min(bytes.Length, SearchLength);
        for (int at = 0; at + 12 <= end; at += 4)
        {
            uint flags = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(at + 4)..]);
            uint checksum = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(at + 8)..]);
            if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]) == HeaderMagic && HeaderMagic + flags + checksum == 0)
                return at;
        }
        return -1;
    }

    private static void CheckFlags(string name, int header, uint flags)
    {
        string where = $"multiboot header at file offset 0x{header:x}";
        if ((flags & VideoMode) != 0)
            throw new BootException(name, where, "it requires a video mode (flag bit 2), and there is no display", "clear the bit and use the serial port");
        uint unknown = flags & Requirements & ~(PageAlign | MemoryInfo);
        if (unknown != 0)
            throw new BootException(name, where, $"it requires features 0x{unknown:x} that multiboot 1 does not define", "clear these flag bits");
    }

    private static uint Word(ReadOnlyMemory<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.Span[at..]);
}
