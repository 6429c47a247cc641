using Emu.Memory;

namespace Emu.Boot;

/// <summary>Decides where a loader puts what its kernel is told: the modules, and the block that describes them.</summary>
internal sealed class BootLayout
{
    /// <summary>The block goes below this when the image leaves room, out of the way of kernels and of what they put into low memory.</summary>
    private const ulong PreferredEnd = 0x9_F000;
    private const ulong PreferredStart = 0x1_0000;

    private readonly BootImage _image;
    private readonly PhysicalMemory _memory;
    private readonly IReadOnlyList<BootModule> _modules;
    private readonly ulong[] _addresses;
    private readonly ulong _end;

    /// <summary>Modules lie behind the image, each at the start of a page.</summary>
    /// <exception cref="BootException">They do not fit.</exception>
    public BootLayout(BootImage image, PhysicalMemory memory, IReadOnlyList<BootModule> modules)
    {
        _image = image;
        _memory = memory;
        _modules = modules;
        _addresses = new ulong[modules.Count];
        ulong end = AlignUp(Math.Max(MemoryMap.HighStart, image.Segments.Where(s => s.Address < memory.LowSize).Max(s => (ulong?)s.End) ?? 0));
        for (int i = 0; i < modules.Count; i++)
        {
            ulong length = (ulong)modules[i].Data.Length;
            if (end > memory.LowSize || length > memory.LowSize - end)
                throw new BootException(modules[i].Name, $"module {i}", $"0x{length:x} bytes do not fit into RAM from 0x{end:x} to 0x{memory.LowSize - 1:x}",
                    "give the machine more memory or a smaller module");
            _addresses[i] = end;
            end = AlignUp(end + length);
        }
        _end = end;
    }

    /// <summary>Physical address of each module.</summary>
    public IReadOnlyList<ulong> Modules => _addresses;

    /// <summary>Where a block of so many bytes goes.</summary>
    /// <exception cref="BootException">It does not fit.</exception>
    public ulong PlaceBlock(ulong length)
    {
        ulong start = (PreferredEnd - Math.Min(length, PreferredEnd)) & Page.Mask;
        if (start >= PreferredStart && !_image.Segments.Any(s => s.Address < start + length && start < s.End))
            return start;
        if (_memory.Contains(_end, length))
            return _end;
        throw new BootException(_image.Name, "", $"there is no room for 0x{length:x} bytes of boot information", "give the machine more memory or a shorter command line");
    }

    /// <summary>Puts the modules into memory.</summary>
    public void WriteModules()
    {
        for (int i = 0; i < _addresses.Length; i++)
            _memory.TryWrite(_addresses[i], _modules[i].Data.Span);
    }

    private static ulong AlignUp(ulong address) => (address + Page.OffsetMask) & Page.Mask;
}
