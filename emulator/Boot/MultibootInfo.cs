using System.Text;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>
/// What a multiboot loader tells the kernel (Multiboot Specification, "Boot information format"): the information structure, and behind it in the same block
/// the memory map, the module list and all strings. Decides where the block and the modules go.
/// </summary>
internal sealed class MultibootInfo
{
    private const string LoaderName = "Emu";

    /// <summary>Flags: which fields are valid.</summary>
    private const uint HasMemory = 1 << 0;
    private const uint HasCommandLine = 1 << 2;
    private const uint HasModules = 1 << 3;
    private const uint HasMemoryMap = 1 << 6;
    private const uint HasLoaderName = 1 << 9;
    private const int InfoLength = 116;

    private const uint Available = 1;
    private const uint Reserved = 2;

    /// <summary>The memory map of a PC: where the extended BIOS data area starts, and where the BIOS lies.</summary>
    private const ulong ConventionalEnd = 0x9_FC00;
    private const ulong BiosStart = 0xF_0000;
    private const ulong MiB = 0x10_0000;

    /// <summary>The block goes below this when the image leaves room, out of the way of kernels and of what they put into low memory.</summary>
    private const ulong PreferredEnd = 0x9_F000;
    private const ulong PreferredStart = 0x1_0000;

    private readonly BootImage _image;
    private readonly PhysicalMemory _memory;
    private readonly byte[] _commandLine;
    private readonly IReadOnlyList<BootModule> _modules;
    private readonly ulong[] _moduleAddresses;

    /// <exception cref="BootException">Something does not fit.</exception>
    public MultibootInfo(BootImage image, PhysicalMemory memory, string commandLine, IReadOnlyList<BootModule> modules)
    {
        _image = image;
        _memory = memory;
        // As other loaders do, the image's name comes first.
        _commandLine = Text(image.Name, "the command line", commandLine.Length == 0 ? image.Name : $"{image.Name} {commandLine}");
        _modules = modules;
        _moduleAddresses = new ulong[modules.Count];
        ulong end = PlaceModules();
        ulong length = (ulong)Build(0).Length;
        Address = Place(length, end);
    }

    /// <summary>EBX at entry.</summary>
    public ulong Address { get; }

    /// <summary>Puts the modules and the block into memory.</summary>
    public void Write()
    {
        for (int i = 0; i < _modules.Count; i++)
            _memory.TryWrite(_moduleAddresses[i], _modules[i].Data.Span);
        _memory.TryWrite(Address, Build(Address));
    }

    /// <summary>Modules lie behind the image, each at the start of a page.</summary>
    private ulong PlaceModules()
    {
        ulong end = AlignUp(Math.Max(MiB, _image.Segments.Where(s => s.Address < _memory.LowSize).Max(s => (ulong?)s.End) ?? 0));
        for (int i = 0; i < _modules.Count; i++)
        {
            BootModule module = _modules[i];
            ulong length = (ulong)module.Data.Length;
            if (end > _memory.LowSize || length > _memory.LowSize - end)
                throw new BootException(module.Name, $"module {i}", $"0x{length:x} bytes do not fit into RAM from 0x{end:x} to 0x{_memory.LowSize - 1:x}",
                    "give the machine more memory or a smaller module");
            _moduleAddresses[i] = end;
            end = AlignUp(end + length);
        }
        return end;
    }

    private ulong Place(ulong length, ulong behindModules)
    {
        ulong start = (PreferredEnd - Math.Min(length, PreferredEnd)) & Page.Mask;
        if (start >= PreferredStart && !_image.Segments.Any(s => s.Address < start + length && start < s.End))
            return start;
        if (_memory.Contains(behindModules, length))
            return behindModules;
        throw new BootException(_image.Name, "", $"there is no room for 0x{length:x} bytes of boot information", "give the machine more memory or a shorter command line");
    }

    private byte[] Build(ulong address)
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        byte[] map = MemoryMap();
        byte[][] lines = [.. _modules.Select((m, i) => Text(m.Name, $"the command line of module {i}", m.CommandLine))];

        uint mapAt = (uint)address + InfoLength;
        uint modulesAt = mapAt + (uint)map.Length;
        uint commandLineAt = modulesAt + 16 * (uint)_modules.Count;
        uint loaderAt = commandLineAt + (uint)_commandLine.Length;
        byte[] loader = Text(_image.Name, "", LoaderName);
        uint linesAt = loaderAt + (uint)loader.Length;

        w.Write(HasMemory | HasCommandLine | HasModules | HasMemoryMap | HasLoaderName);
        w.Write((uint)(ConventionalEnd >> 10));
        w.Write((uint)((_memory.LowSize - MiB) >> 10));
        w.Write(0u);
        w.Write(commandLineAt);
        w.Write((uint)_modules.Count);
        w.Write(modulesAt);
        w.Write(new byte[16]);
        w.Write((uint)map.Length);
        w.Write(mapAt);
        w.Write(new byte[12]);
        w.Write(loaderAt);
        w.Write(new byte[InfoLength - (int)stream.Length]);

        w.Write(map);
        for (int i = 0; i < _modules.Count; i++)
        {
            w.Write((uint)_moduleAddresses[i]);
            w.Write((uint)_moduleAddresses[i] + (uint)_modules[i].Data.Length);
            w.Write(linesAt);
            w.Write(0u);
            linesAt += (uint)lines[i].Length;
        }
        w.Write(_commandLine);
        w.Write(loader);
        foreach (byte[] line in lines)
            w.Write(line);
        return stream.ToArray();
    }

    private byte[] MemoryMap()
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        Entry(w, 0, ConventionalEnd, Available);
        Entry(w, ConventionalEnd, 0xA_0000 - ConventionalEnd, Reserved);
        Entry(w, BiosStart, MiB - BiosStart, Reserved);
        Entry(w, MiB, _memory.LowSize - MiB, Available);
        Entry(w, IoApic.DefaultAddress, IoApic.Length, Reserved);
        Entry(w, ApicBase.DefaultAddress, Page.Size, Reserved);
        Entry(w, PhysicalMemory.HighBase, _memory.Size - _memory.LowSize, Available);
        return stream.ToArray();
    }

    private static void Entry(BinaryWriter w, ulong start, ulong length, uint type)
    {
        if (length == 0)
            return;
        // The size of an entry does not count the size itself.
        w.Write(20u);
        w.Write(start);
        w.Write(length);
        w.Write(type);
    }

    /// <summary>Zero-terminated; a zero inside would hide the rest from the kernel.</summary>
    private static byte[] Text(string image, string what, string text)
    {
        if (text.Contains('\0'))
            throw new BootException(image, "", $"{what} contains a zero character", "leave it out");
        return [.. Encoding.UTF8.GetBytes(text), 0];
    }

    private static ulong AlignUp(ulong address) => (address + Page.OffsetMask) & Page.Mask;
}
