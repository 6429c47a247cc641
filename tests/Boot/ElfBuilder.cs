using System.Buffers.Binary;
using System.Text;

namespace Emu.Tests.Boot;

/// <summary>Writes small ELF executables, right or wrong at will.</summary>
internal sealed class ElfBuilder(bool is64)
{
    public const uint MultibootMagic = 0x1BADB002;

    private readonly List<(ulong Virtual, ulong Physical, byte[] Data, ulong MemorySize)> _segments = [];
    private readonly List<byte> _notes = [];
    private readonly List<(string Name, ulong Value, ulong Size, byte Kind, ushort Section)> _symbols = [];

    public ulong Entry { get; set; } = 0x10_0010;
    public ushort Type { get; set; } = 2;
    public ushort Machine { get; set; } = (ushort)(is64 ? 62 : 3);

    /// <summary>Flags of the multiboot header at the start of the first segment; null leaves it out.</summary>
    public uint? MultibootFlags { get; set; } = 3;

    public int HeaderSize => is64 ? 64 : 52;
    public int ProgramHeaderSize => is64 ? 56 : 32;
    public int SectionHeaderSize => is64 ? 64 : 40;
    public int SymbolSize => is64 ? 24 : 16;

    /// <summary>A kernel of one segment of code at 1 MiB and one of data with bss behind it.</summary>
    public static ElfBuilder Kernel(bool is64)
    {
        var elf = new ElfBuilder(is64);
        elf.Segment(0x10_0000, [.. new byte[16], 0xFA, 0xF4]);
        elf.Segment(0x10_2000, "data"u8.ToArray(), 0x3000);
        elf.Symbol("_start", 0x10_0010, 2, 2, 1);
        elf.Symbol("message", 0x10_2000, 4, 1, 2);
        elf.Symbol("_end", 0x10_5000, 0, 0, 2);
        elf.Symbol("SIZE", 0x1234, 0, 0, 0xFFF1);
        elf.Symbol("undefined", 0, 0, 0, 0);
        elf.Symbol("file.c", 0, 0, 4, 0xFFF1);
        return elf;
    }

    public void Segment(ulong address, byte[] data, ulong memorySize = 0, ulong? physical = null) =>
        _segments.Add((address, physical ?? address, data, Math.Max(memorySize, (ulong)data.Length)));

    public void Symbol(string name, ulong value, ulong size, byte kind, ushort section) => _symbols.Add((name, value, size, kind, section));

    /// <summary>A note, in a PT_NOTE segment behind the others.</summary>
    public void Note(string owner, uint type, byte[] descriptor)
    {
        byte[] name = [.. Encoding.ASCII.GetBytes(owner), 0];
        _notes.AddRange([.. BitConverter.GetBytes(name.Length), .. BitConverter.GetBytes(descriptor.Length), .. BitConverter.GetBytes(type)]);
        foreach (byte[] part in (byte[][])[name, descriptor])
            _notes.AddRange([.. part, .. new byte[-part.Length & 3]]);
    }

    public int ProgramHeader(int segment) => HeaderSize + segment * ProgramHeaderSize;

    /// <summary>Header, program headers, segments, symbols, strings, section headers: null, one for each segment, .symtab, .strtab.</summary>
    public byte[] Build()
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        int headers = _segments.Count + (_notes.Count == 0 ? 0 : 1);
        int data = ProgramHeader(headers);
        int[] offsets = new int[_segments.Count];
        for (int i = 0; i < offsets.Length; i++)
        {
            offsets[i] = data;
            data += _segments[i].Data.Length;
        }
        int notesAt = data;
        data += _notes.Count;
        var strings = new MemoryStream();
        strings.WriteByte(0);
        int symbolsAt = data;
        int stringsAt = symbolsAt + (_symbols.Count + 1) * SymbolSize;
        byte[] symbolBytes = Symbols(strings);
        int sectionsAt = stringsAt + (int)strings.Length;

        w.Write([0x7F, (byte)'E', (byte)'L', (byte)'F', (byte)(is64 ? 2 : 1), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        w.Write(Type);
        w.Write(Machine);
        w.Write(1u);
        Word(w, Entry);
        Word(w, (ulong)HeaderSize);
        Word(w, (ulong)sectionsAt);
        w.Write(0u);
        w.Write((ushort)HeaderSize);
        w.Write((ushort)ProgramHeaderSize);
        w.Write((ushort)headers);
        w.Write((ushort)SectionHeaderSize);
        w.Write((ushort)(_segments.Count + 3));
        w.Write((ushort)0);
        for (int i = 0; i < _segments.Count; i++)
            ProgramHeader(w, 1, offsets[i], _segments[i].Virtual, _segments[i].Physical, _segments[i].Data.Length, _segments[i].MemorySize);
        if (_notes.Count != 0)
            ProgramHeader(w, 4, notesAt, 0, 0, _notes.Count, (ulong)_notes.Count);
        for (int i = 0; i < _segments.Count; i++)
            w.Write(SegmentData(i));
        w.Write([.. _notes]);
        w.Write(symbolBytes);
        w.Write(strings.ToArray());
        Section(w, 0, 0, 0, 0, 0, 0);
        for (int i = 0; i < _segments.Count; i++)
            Section(w, 1, _segments[i].Virtual, (ulong)offsets[i], (ulong)_segments[i].Data.Length, 0, 0);
        Section(w, 2, 0, (ulong)symbolsAt, (ulong)symbolBytes.Length, (uint)(_segments.Count + 2), (ulong)SymbolSize);
        Section(w, 3, 0, (ulong)stringsAt, (ulong)strings.Length, 0, 0);
        return stream.ToArray();
    }

    /// <summary>The multiboot header of three words.</summary>
    public static byte[] MultibootHeader(uint flags)
    {
        var bytes = new byte[12];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, MultibootMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), flags);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), unchecked(0u - MultibootMagic) - flags);
        return bytes;
    }

    private byte[] SegmentData(int segment)
    {
        byte[] data = [.. _segments[segment].Data];
        if (segment == 0 && MultibootFlags != null)
            MultibootHeader(MultibootFlags.Value).CopyTo(data, 0);
        return data;
    }

    private void ProgramHeader(BinaryWriter w, uint type, int offset, ulong virt, ulong physical, int length, ulong memorySize)
    {
        w.Write(type);
        if (is64)
            w.Write(7u);
        Word(w, (ulong)offset);
        Word(w, virt);
        Word(w, physical);
        Word(w, (ulong)length);
        Word(w, memorySize);
        if (!is64)
            w.Write(7u);
        Word(w, 1);
    }

    private byte[] Symbols(MemoryStream strings)
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        w.Write(new byte[SymbolSize]);
        foreach ((string name, ulong value, ulong size, byte kind, ushort section) in _symbols)
        {
            uint at = (uint)strings.Length;
            strings.Write(Encoding.ASCII.GetBytes(name));
            strings.WriteByte(0);
            w.Write(at);
            if (is64)
            {
                w.Write(kind);
                w.Write((byte)0);
                w.Write(section);
                w.Write(value);
                w.Write(size);
            }
            else
            {
                w.Write((uint)value);
                w.Write((uint)size);
                w.Write(kind);
                w.Write((byte)0);
                w.Write(section);
            }
        }
        return stream.ToArray();
    }

    private void Section(BinaryWriter w, uint type, ulong address, ulong offset, ulong size, uint link, ulong entrySize)
    {
        w.Write(0u);
        w.Write(type);
        Word(w, 0);
        Word(w, address);
        Word(w, offset);
        Word(w, size);
        w.Write(link);
        w.Write(0u);
        Word(w, 0);
        Word(w, entrySize);
    }

    private void Word(BinaryWriter w, ulong value)
    {
        if (is64)
            w.Write(value);
        else
            w.Write((uint)value);
    }
}
