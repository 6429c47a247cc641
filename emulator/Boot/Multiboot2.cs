using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>
/// A kernel with a multiboot 2 header (Multiboot2 Specification, version 2.0): an ELF executable, or any file whose header gives load addresses. There is no
/// framebuffer and no EFI.
/// </summary>
public sealed class Multiboot2 : BootImage
{
    /// <summary>EAX at entry.</summary>
    public const uint BootloaderMagic = 0x36D7_6289;

    private const uint HeaderMagic = 0xE852_50D6;
    private const int SearchLength = 32768;
    private const int HeaderLength = 16;
    private const uint ArchitectureI386 = 0;
    private const ushort Optional = 1;

    /// <summary>Tags of the header.</summary>
    private const ushort EndTag = 0;
    private const ushort InformationRequest = 1;
    private const ushort AddressTag = 2;
    private const ushort EntryTag = 3;
    private const ushort ConsoleFlags = 4;
    private const ushort Framebuffer = 5;
    private const ushort ModuleAlignment = 6;
    private const ushort Relocatable = 10;
    private const uint ConsoleRequired = 1;

    private readonly bool _needsLongMode;

    private Multiboot2(string name, IReadOnlyList<ImageSegment> segments, ulong entry, SymbolTable symbols, bool needsLongMode)
        : base(name, ImageKind.Multiboot2, segments, entry, symbols)
    {
        _needsLongMode = needsLongMode;
    }

    /// <summary>False when there is no multiboot 2 header.</summary>
    /// <exception cref="BootException">There is one, and something is wrong.</exception>
    public static bool TryOpen(ReadOnlyMemory<byte> bytes, string name, [NotNullWhen(true)] out Multiboot2? image)
    {
        image = null;
        int header = FindHeader(bytes.Span);
        if (header < 0)
            return false;
        ElfFile? elf = ElfFile.IsElf(bytes.Span) ? ElfFile.Parse(bytes, name) : null;
        var reader = new HeaderReader(bytes, name, header);
        reader.ReadTags();
        IReadOnlyList<ImageSegment> segments;
        ulong entry;
        if (reader.Addresses != null)
        {
            entry = reader.Entry ?? throw reader.Bad("it gives load addresses (tag 2) and no entry (tag 3)", "add the entry tag");
            segments = [reader.Addresses.Segment(bytes, (uint)entry)];
        }
        else if (elf != null)
        {
            segments = MultibootElf.Segments(elf);
            entry = reader.Entry ?? MultibootElf.PhysicalEntry(elf, name);
            if (!segments.Any(s => entry - s.Address < s.MemorySize))
                throw reader.Bad($"the entry 0x{entry:x} of tag 3 is in no loaded segment", "name a physical address inside the kernel");
        }
        else
        {
            throw reader.Bad("the file is no ELF, and its header gives no load addresses (tag 2)", "link it as ELF or add the address tag");
        }
        image = new Multiboot2(name, segments, entry, elf?.Symbols ?? SymbolTable.Empty, elf?.Is64 ?? false);
        return true;
    }

    /// <inheritdoc/>
    public override void Load(PhysicalMemory memory, Cpu bootCpu, string commandLine = "", IReadOnlyList<BootModule>? modules = null)
    {
        if (_needsLongMode && !bootCpu.Model.Has(CpuFeature.LongMode))
            throw new BootException(Name, "", $"it is a 64-bit ELF, and the CPU model {bootCpu.Model.Name} has no 64-bit mode", "choose another model or the 32-bit build");
        CheckSegments(memory);
        FirmwareTables.Write(memory, bootCpu);
        var info = new Multiboot2Info(this, memory, commandLine, modules ?? []);
        LoadSegments(memory);
        info.Write();
        // Multiboot2 Specification, "I386 machine state"; A20 is always open here.
        Handover.ToProtectedMode(bootCpu, (uint)Entry, BootloaderMagic, (uint)info.Address);
        (bootCpu.Apic as LocalApic)?.EnterVirtualWireMode();
    }

    private static int FindHeader(ReadOnlySpan<byte> bytes)
    {
        int end = Math.Min(bytes.Length, SearchLength);
        for (int at = 0; at + HeaderLength <= end; at += 8)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]) != HeaderMagic)
                continue;
            uint sum = 0;
            for (int i = 0; i < HeaderLength; i += 4)
                sum += BinaryPrimitives.ReadUInt32LittleEndian(bytes[(at + i)..]);
            if (sum == 0)
                return at;
        }
        return -1;
    }

    /// <summary>What the tags of a header ask for.</summary>
    private sealed class HeaderReader(ReadOnlyMemory<byte> bytes, string name, int header)
    {
        private readonly string _where = $"multiboot 2 header at file offset 0x{header:x}";

        public MultibootAddresses? Addresses { get; private set; }
        public ulong? Entry { get; private set; }

        public BootException Bad(string what, string remedy) => new(name, _where, what, remedy);

        public void ReadTags()
        {
            uint architecture = Word(4);
            if (architecture != ArchitectureI386)
                throw Bad($"architecture {architecture} is not i386 (0)", "build it for x86");
            uint length = Word(8);
            if (length > bytes.Length - header)
                throw Bad($"its {length} bytes reach beyond the file", "the file is truncated: copy or build it again");
            for (uint at = HeaderLength; at + 8 <= length;)
            {
                uint size = Word(at + 4);
                if (Half(at) == EndTag)
                    return;
                if (size < 8 || size > length - at)
                    throw Bad($"the tag at its offset {at} has {size} bytes", "correct the tag");
                ReadTag(Half(at), (Half(at + 2) & Optional) != 0, at, size);
                at += (size + 7) & ~7u;
                if (at > length)
                    break;
            }
            throw Bad("its tags have no end", "add the end tag (type 0, size 8)");
        }

        private void ReadTag(ushort type, bool optional, uint at, uint size)
        {
            switch (type)
            {
                case InformationRequest:
                    for (uint i = at + 8; i + 4 <= at + size && !optional; i += 4)
                        if (!Multiboot2Info.Offers(Word(i)))
                            throw Bad($"it requires information {Word(i)}, which there is not here", "make the request optional (flag bit 0)");
                    break;
                case AddressTag when size >= 24:
                    Addresses = new MultibootAddresses(name, _where, header, Word(at + 8), Word(at + 12), Word(at + 16), Word(at + 20));
                    break;
                case EntryTag when size >= 12:
                    Entry = Word(at + 8);
                    break;
                case ConsoleFlags when optional || size < 12 || (Word(at + 8) & ConsoleRequired) == 0:
                case ModuleAlignment or Relocatable:
                    break;
                case Framebuffer or ConsoleFlags when !optional:
                    throw Bad($"it requires a display (tag {type}), and there is none", "make the tag optional (flag bit 0) and use the serial port");
                default:
                    if (!optional)
                        throw Bad($"it requires tag {type} of {size} bytes, which is not supported", "make the tag optional (flag bit 0)");
                    break;
            }
        }

        private ushort Half(uint offset) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.Span[(header + (int)offset)..]);
        private uint Word(uint offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.Span[(header + (int)offset)..]);
    }
}
