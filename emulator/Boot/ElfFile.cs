using System.Buffers.Binary;
using System.Text;

namespace Emu.Boot;

/// <summary>A PT_LOAD program header.</summary>
/// <param name="Number">Position among all program headers.</param>
/// <param name="HeaderOffset">Where in the file the header is.</param>
public readonly record struct ElfSegment(
    int Number, ulong HeaderOffset, ulong FileOffset, ulong VirtualAddress, ulong PhysicalAddress, ulong FileSize, ulong MemorySize)
{
    /// <summary>For messages.</summary>
    public string Where => $"segment {Number} (program header at file offset 0x{HeaderOffset:x})";
}

/// <summary>An entry of a PT_NOTE segment (System V ABI, "Note Section").</summary>
public readonly record struct ElfNote(string Owner, uint Type, ReadOnlyMemory<byte> Descriptor);

/// <summary>
/// An ELF executable for x86 (System V ABI, "Object Files"), checked: everything it refers to is inside the file. Reads nothing else than bytes.
/// </summary>
public sealed class ElfFile
{
    private const byte Class32 = 1;
    private const byte Class64 = 2;
    private const byte LittleEndian = 1;
    private const ushort TypeExecutable = 2;
    private const ushort MachineI386 = 3;
    private const ushort MachineX8664 = 62;
    private const uint SegmentLoad = 1;
    private const uint SegmentNote = 4;
    private const uint SectionSymbols = 2;
    private const uint SectionStrings = 3;
    private const uint SectionNoBits = 8;
    private const ushort SectionAbsolute = 0xFFF1;
    private const ushort FirstReservedSection = 0xFF00;
    private const string Rebuild = "the file is damaged or truncated: copy or build it again";

    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly string _name;

    private ElfFile(ReadOnlyMemory<byte> bytes, string name)
    {
        _bytes = bytes;
        _name = name;
    }

    public bool Is64 { get; private set; }

    /// <summary>e_entry: a virtual address.</summary>
    public ulong Entry { get; private set; }

    /// <summary>PT_LOAD segments that occupy memory, in file order.</summary>
    public IReadOnlyList<ElfSegment> Segments { get; private set; } = [];

    /// <summary>The notes, in file order.</summary>
    public IReadOnlyList<ElfNote> Notes { get; private set; } = [];

    public SymbolTable Symbols { get; private set; } = SymbolTable.Empty;

    private ReadOnlySpan<byte> Bytes => _bytes.Span;
    private ulong Length => (ulong)_bytes.Length;

    /// <summary>True when the bytes begin as an ELF file does.</summary>
    public static bool IsElf(ReadOnlySpan<byte> bytes) => bytes.StartsWith("\x7f"u8) && bytes.Length >= 4 && bytes[1..4].SequenceEqual("ELF"u8);

    /// <summary>Reads and checks an executable.</summary>
    /// <exception cref="BootException">It is not a sound x86 executable.</exception>
    public static ElfFile Parse(ReadOnlyMemory<byte> bytes, string name)
    {
        var elf = new ElfFile(bytes, name);
        elf.ReadHeader();
        return elf;
    }

    /// <summary>The file's bytes of a segment.</summary>
    public ReadOnlyMemory<byte> Data(ElfSegment segment) => _bytes.Slice((int)segment.FileOffset, (int)segment.FileSize);

    private BootException Bad(string where, string what, string remedy = Rebuild) => new(_name, where, what, remedy);

    private void ReadHeader()
    {
        if (!IsElf(Bytes))
            throw Bad("file offset 0x0", "no ELF magic", "give an ELF executable");
        if (Length < 20)
            throw Bad("file offset 0x4", $"the ELF header is cut off: the file has {Length} bytes");
        byte fileClass = Bytes[4];
        if (fileClass is not (Class32 or Class64))
            throw Bad("file offset 0x4", $"ELF class {fileClass} is neither 32-bit (1) nor 64-bit (2)");
        Is64 = fileClass == Class64;
        if (Bytes[5] != LittleEndian)
            throw Bad("file offset 0x5", $"ELF data encoding {Bytes[5]} is not little-endian (1)", "build it for x86");
        if (Length < (Is64 ? 64u : 52u))
            throw Bad("file offset 0x10", $"the ELF header is cut off: the file has {Length} bytes");
        ushort type = Word16(16);
        ushort machine = Word16(18);
        ushort wanted = Is64 ? MachineX8664 : MachineI386;
        if (machine != wanted)
            throw Bad("file offset 0x12", $"machine {machine} in a {(Is64 ? 64 : 32)}-bit ELF, where x86 has {wanted}", "build it for x86 (32-bit ELF: i386; 64-bit ELF: x86-64)");
        if (type != TypeExecutable)
            throw Bad("file offset 0x10", $"ELF type {type} is not an executable (2)", "link it at fixed addresses, without -r, -shared and -pie");
        Entry = Address(24, 24);
        ReadSegments();
        ReadSections();
    }

    private void ReadSegments()
    {
        ulong table = Address(28, 32);
        uint size = Word16(Is64 ? 54 : 42);
        uint count = Word16(Is64 ? 56 : 44);
        uint least = Is64 ? 56u : 32u;
        if (count == 0)
            throw Bad("ELF header", "there are no program headers, so nothing to load", "link it as an executable");
        if (size < least)
            throw Bad("ELF header", $"program headers of {size} bytes, where {least} are the least");
        CheckRange("program header table", table, (ulong)size * count);
        var segments = new List<ElfSegment>();
        var notes = new List<ElfNote>();
        for (int i = 0; i < count; i++)
        {
            int at = (int)table + i * (int)size;
            uint type = Word32(at);
            if (type == SegmentNote)
                ReadNotes(i, Is64 ? Word64(at + 8) : Word32(at + 4), Is64 ? Word64(at + 32) : Word32(at + 16), notes);
            if (type != SegmentLoad)
                continue;
            ElfSegment s = Is64
                ? new ElfSegment(i, (ulong)at, Word64(at + 8), Word64(at + 16), Word64(at + 24), Word64(at + 32), Word64(at + 40))
                : new ElfSegment(i, (ulong)at, Word32(at + 4), Word32(at + 8), Word32(at + 12), Word32(at + 16), Word32(at + 20));
            if (s.MemorySize == 0 && s.FileSize == 0)
                continue;
            CheckSegment(s);
            segments.Add(s);
        }
        if (segments.Count == 0)
            throw Bad("program header table", "no segment is to be loaded (PT_LOAD)", "link it as an executable");
        CheckOverlap(segments);
        Segments = segments;
        Notes = notes;
    }

    /// <summary>Each note has three words (lengths of name and descriptor, type), and then both, each filled up to a multiple of four bytes.</summary>
    private void ReadNotes(int number, ulong start, ulong length, List<ElfNote> notes)
    {
        string where = $"segment {number} (PT_NOTE)";
        CheckRange(where, start, length);
        ReadOnlyMemory<byte> rest = _bytes.Slice((int)start, (int)length);
        while (rest.Length >= 12)
        {
            uint nameLength = BinaryPrimitives.ReadUInt32LittleEndian(rest.Span);
            uint descriptorLength = BinaryPrimitives.ReadUInt32LittleEndian(rest.Span[4..]);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(rest.Span[8..]);
            rest = rest[12..];
            ulong nameRoom = (nameLength + 3UL) & ~3UL;
            if (nameRoom + descriptorLength > (ulong)rest.Length)
                throw Bad(where, "a note reaches beyond its segment");
            string owner = Encoding.UTF8.GetString(rest.Span[..(int)nameLength]).TrimEnd('\0');
            notes.Add(new ElfNote(owner, type, rest.Slice((int)nameRoom, (int)descriptorLength)));
            rest = rest[(int)Math.Min(nameRoom + ((descriptorLength + 3UL) & ~3UL), (ulong)rest.Length)..];
        }
    }

    private void CheckSegment(ElfSegment s)
    {
        CheckRange(s.Where, s.FileOffset, s.FileSize);
        if (s.FileSize > s.MemorySize)
            throw Bad(s.Where, $"0x{s.FileSize:x} bytes in the file for 0x{s.MemorySize:x} bytes of memory");
        ulong top = Is64 ? ulong.MaxValue : uint.MaxValue;
        if (s.MemorySize - 1 > top - s.PhysicalAddress || s.MemorySize - 1 > top - s.VirtualAddress)
            throw Bad(s.Where, $"0x{s.MemorySize:x} bytes from 0x{s.PhysicalAddress:x} wrap around the end of the address space");
    }

    private void CheckOverlap(List<ElfSegment> segments)
    {
        ElfSegment[] sorted = [.. segments.OrderBy(s => s.PhysicalAddress)];
        for (int i = 1; i < sorted.Length; i++)
        {
            ElfSegment a = sorted[i - 1];
            ElfSegment b = sorted[i];
            if (b.PhysicalAddress - a.PhysicalAddress < a.MemorySize)
                throw Bad(b.Where, $"it starts at 0x{b.PhysicalAddress:x}, inside segment {a.Number} (0x{a.PhysicalAddress:x} to 0x{a.PhysicalAddress + a.MemorySize - 1:x})",
                    "give the sections distinct load addresses in the linker script");
        }
    }

    private void ReadSections()
    {
        ulong table = Address(32, 40);
        uint size = Word16(Is64 ? 58 : 46);
        ulong count = Word16(Is64 ? 60 : 48);
        if (table == 0)
            return;
        uint least = Is64 ? 64u : 40u;
        if (size < least)
            throw Bad("ELF header", $"section headers of {size} bytes, where {least} are the least");
        if (count == 0)
        {
            // More than 0xFEFF sections: the number stands in the first section header.
            CheckRange("section header table", table, size);
            count = Section((int)table).Size;
        }
        if (count > Length / size)
            throw Bad("ELF header", $"{count} section headers of {size} bytes do not fit into {Length} bytes");
        CheckRange("section header table", table, count * size);
        var sections = new SectionHeader[(int)count];
        for (int i = 0; i < sections.Length; i++)
        {
            sections[i] = Section((int)table + i * (int)size);
            if (sections[i].Type is not (0 or SectionNoBits))
                CheckRange($"section {i}", sections[i].FileOffset, sections[i].Size);
        }
        for (int i = 0; i < sections.Length; i++)
        {
            if (sections[i].Type == SectionSymbols)
            {
                Symbols = ReadSymbols(i, sections);
                return;
            }
        }
    }

    private SymbolTable ReadSymbols(int number, SectionHeader[] sections)
    {
        SectionHeader table = sections[number];
        string where = $"section {number} (symbol table at file offset 0x{table.FileOffset:x})";
        ulong least = Is64 ? 24u : 16u;
        if (table.EntrySize < least || table.EntrySize > int.MaxValue)
            throw Bad(where, $"symbols of {table.EntrySize} bytes, where {least} are the least");
        if (table.Link >= (uint)sections.Length || sections[table.Link].Type != SectionStrings)
            throw Bad(where, $"its names should be in section {table.Link}, which is not a string table");
        SectionHeader strings = sections[table.Link];
        var symbols = new List<Symbol>();
        for (ulong at = 0; table.Size - at >= table.EntrySize; at += table.EntrySize)
        {
            Symbol? symbol = ReadSymbol((int)(table.FileOffset + at), strings, sections, where, at / table.EntrySize);
            if (symbol != null)
                symbols.Add(symbol.Value);
        }
        return new SymbolTable(symbols);
    }

    /// <summary>Null for what is no name of an address: undefined, section and file symbols.</summary>
    private Symbol? ReadSymbol(int at, SectionHeader strings, SectionHeader[] sections, string where, ulong number)
    {
        uint nameOffset = Word32(at);
        byte info = Bytes[at + (Is64 ? 4 : 12)];
        ushort section = Word16(at + (Is64 ? 6 : 14));
        ulong value = Is64 ? Word64(at + 8) : Word32(at + 4);
        ulong size = Is64 ? Word64(at + 16) : Word32(at + 8);
        bool absolute = section == SectionAbsolute;
        SymbolKind kind;
        switch (info & 0xF)
        {
            case 0:
                kind = SymbolKind.Label;
                break;
            case 1:
                kind = SymbolKind.Data;
                break;
            case 2:
                kind = SymbolKind.Function;
                break;
            default:
                return null;
        }
        if (nameOffset == 0 || section == 0 || (section >= FirstReservedSection && !absolute))
            return null;
        if (nameOffset >= strings.Size)
            throw Bad(where, $"the name of symbol {number} is at 0x{nameOffset:x} of a string table of 0x{strings.Size:x} bytes");
        ulong sectionEnd = 0;
        if (!absolute)
        {
            if (section >= sections.Length)
                throw Bad(where, $"symbol {number} is in section {section} of {sections.Length}");
            SectionHeader home = sections[section];
            sectionEnd = Saturate(home.Address, home.Size);
        }
        size = Saturate(value, size) - value;
        return new Symbol(Name(strings, nameOffset), value, size, absolute ? SymbolKind.Absolute : kind, sectionEnd);
    }

    private static ulong Saturate(ulong start, ulong size) => size > ulong.MaxValue - start ? ulong.MaxValue : start + size;

    private string Name(SectionHeader strings, uint offset)
    {
        ReadOnlySpan<byte> rest = Bytes.Slice((int)strings.FileOffset, (int)strings.Size)[(int)offset..];
        int end = rest.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
    }

    private readonly record struct SectionHeader(uint Type, ulong Address, ulong FileOffset, ulong Size, uint Link, ulong EntrySize);

    private SectionHeader Section(int at) => Is64
        ? new SectionHeader(Word32(at + 4), Word64(at + 16), Word64(at + 24), Word64(at + 32), Word32(at + 40), Word64(at + 56))
        : new SectionHeader(Word32(at + 4), Word32(at + 12), Word32(at + 16), Word32(at + 20), Word32(at + 24), Word32(at + 36));

    /// <summary>Refuses a range that is not inside the file.</summary>
    private void CheckRange(string where, ulong offset, ulong length)
    {
        if (offset > Length || length > Length - offset)
            throw Bad(where, $"0x{length:x} bytes at file offset 0x{offset:x} reach beyond the file's 0x{Length:x} bytes");
    }

    private ushort Word16(int at) => BinaryPrimitives.ReadUInt16LittleEndian(Bytes[at..]);

    private uint Word32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(Bytes[at..]);

    private ulong Word64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(Bytes[at..]);

    /// <summary>A field of the ELF header that is as wide as the class.</summary>
    private ulong Address(int at32, int at64) => Is64 ? Word64(at64) : Word32(at32);
}
