using Emu.Memory;

namespace Emu.Boot;

/// <summary>
/// What a multiboot loader tells the kernel (Multiboot Specification, "Boot information format"): the information structure, and behind it in the same block
/// the memory map, the module list and all strings.
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

    private readonly BootImage _image;
    private readonly PhysicalMemory _memory;
    private readonly byte[] _commandLine;
    private readonly IReadOnlyList<BootModule> _modules;
    private readonly BootLayout _layout;

    /// <exception cref="BootException">Something does not fit.</exception>
    public MultibootInfo(BootImage image, PhysicalMemory memory, string commandLine, IReadOnlyList<BootModule> modules)
    {
        _image = image;
        _memory = memory;
        // As other loaders do, the image's name comes first.
        _commandLine = BootImage.Text(image.Name, "the command line", commandLine.Length == 0 ? image.Name : $"{image.Name} {commandLine}");
        _modules = modules;
        _layout = new BootLayout(image, memory, modules);
        Address = _layout.PlaceBlock((ulong)Build(0).Length);
    }

    /// <summary>EBX at entry.</summary>
    public ulong Address { get; }

    /// <summary>Puts the modules and the block into memory.</summary>
    public void Write()
    {
        _layout.WriteModules();
        _memory.TryWrite(Address, Build(Address));
    }

    private byte[] Build(ulong address)
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        byte[] map = Map();
        byte[][] lines = [.. _modules.Select((m, i) => BootImage.Text(m.Name, $"the command line of module {i}", m.CommandLine))];

        uint mapAt = (uint)address + InfoLength;
        uint modulesAt = mapAt + (uint)map.Length;
        uint commandLineAt = modulesAt + 16 * (uint)_modules.Count;
        uint loaderAt = commandLineAt + (uint)_commandLine.Length;
        byte[] loader = BootImage.Text(_image.Name, "", LoaderName);
        uint linesAt = loaderAt + (uint)loader.Length;

        w.Write(HasMemory | HasCommandLine | HasModules | HasMemoryMap | HasLoaderName);
        w.Write((uint)(MemoryMap.ConventionalEnd >> 10));
        w.Write((uint)((_memory.LowSize - MemoryMap.HighStart) >> 10));
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
            w.Write((uint)_layout.Modules[i]);
            w.Write((uint)_layout.Modules[i] + (uint)_modules[i].Data.Length);
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

    private byte[] Map()
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        foreach (MemoryRange range in MemoryMap.Of(_memory))
        {
            // The size of an entry does not count the size itself.
            w.Write(20u);
            w.Write(range.Start);
            w.Write(range.Length);
            w.Write((uint)range.Type);
        }
        return stream.ToArray();
    }
}
