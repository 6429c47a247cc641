using Emu.Memory;

namespace Emu.Boot;

/// <summary>What a multiboot 2 loader tells the kernel (Multiboot2 Specification, "Boot information format"): a list of tags.</summary>
internal sealed class Multiboot2Info
{
    private const string LoaderName = "Emu";

    private const uint End = 0;
    private const uint CommandLine = 1;
    private const uint BootLoaderName = 2;
    private const uint Module = 3;
    private const uint BasicMemory = 4;
    private const uint MemoryRanges = 6;
    private const uint AcpiOldRsdp = 14;
    private const uint AcpiNewRsdp = 15;
    private const int RangeLength = 24;

    private readonly PhysicalMemory _memory;
    private readonly byte[] _commandLine;
    private readonly byte[][] _lines;
    private readonly IReadOnlyList<BootModule> _modules;
    private readonly BootLayout _layout;

    /// <summary>The tables of the firmware are in memory already.</summary>
    /// <exception cref="BootException">Something does not fit.</exception>
    public Multiboot2Info(BootImage image, PhysicalMemory memory, string commandLine, IReadOnlyList<BootModule> modules)
    {
        _memory = memory;
        _modules = modules;
        _commandLine = BootImage.Text(image.Name, "the command line", commandLine);
        _lines = [.. modules.Select((m, i) => BootImage.Text(m.Name, $"the command line of module {i}", m.CommandLine))];
        _layout = new BootLayout(image, memory, modules);
        Address = _layout.PlaceBlock((ulong)Build().Length);
    }

    /// <summary>EBX at entry.</summary>
    public ulong Address { get; }

    /// <summary>True for a tag that a kernel may require.</summary>
    public static bool Offers(uint type) => type is CommandLine or BootLoaderName or Module or BasicMemory or MemoryRanges or AcpiOldRsdp or AcpiNewRsdp;

    /// <summary>Puts the modules and the tags into memory.</summary>
    public void Write()
    {
        _layout.WriteModules();
        _memory.TryWrite(Address, Build());
    }

    private byte[] Build()
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        w.Write(0UL); // total size, and reserved
        Tag(w, CommandLine, _commandLine);
        Tag(w, BootLoaderName, BootImage.Text("", "", LoaderName));
        for (int i = 0; i < _modules.Count; i++)
        {
            uint start = (uint)_layout.Modules[i];
            Tag(w, Module, [.. BitConverter.GetBytes(start), .. BitConverter.GetBytes(start + (uint)_modules[i].Data.Length), .. _lines[i]]);
        }
        Tag(w, BasicMemory, [.. BitConverter.GetBytes((uint)(MemoryMap.ConventionalEnd >> 10)), .. BitConverter.GetBytes((uint)((_memory.LowSize - MemoryMap.HighStart) >> 10))]);
        Tag(w, MemoryRanges, Map());
        Tag(w, AcpiOldRsdp, Rsdp(20));
        Tag(w, AcpiNewRsdp, Rsdp(36));
        Tag(w, End, []);
        byte[] info = stream.ToArray();
        BitConverter.TryWriteBytes(info, info.Length);
        return info;
    }

    private byte[] Map()
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        w.Write(RangeLength);
        w.Write(0u); // version
        foreach (MemoryRange range in MemoryMap.Of(_memory))
        {
            w.Write(range.Start);
            w.Write(range.Length);
            w.Write((uint)range.Type);
            w.Write(0u);
        }
        return stream.ToArray();
    }

    /// <summary>A copy of the RSDP, as long as its version says.</summary>
    private byte[] Rsdp(int length)
    {
        var copy = new byte[length];
        _memory.TryRead(FirmwareTables.Rsdp, copy);
        return copy;
    }

    /// <summary>A tag starts at a multiple of 8; its size does not count what fills the gap.</summary>
    private static void Tag(BinaryWriter w, uint type, ReadOnlySpan<byte> contents)
    {
        w.Write(type);
        w.Write((uint)(8 + contents.Length));
        w.Write(contents);
        while (w.BaseStream.Position % 8 != 0)
            w.Write((byte)0);
    }
}
