using Emu.Cpus;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>
/// A system ROM that ends at 4 GiB, where the CPU starts after reset at F000:FFF0 (SDM, "First Instruction Executed"). Its last 128 KiB are seen below 1 MiB
/// as well, from 0xE0000, and those of a ROM of 64 KiB from 0xF0000.
/// Deviates: what lies below 1 MiB is a copy in RAM that can be written, as behind a chipset whose shadowing is switched on; there are no PAM registers.
/// </summary>
public sealed class BiosRom : BootImage
{
    /// <summary>Sizes are multiples of this, up to <see cref="PhysicalMemory.MaximumRom"/>.</summary>
    public const int Granularity = 64 << 10;

    private const int ShadowSize = 128 << 10;
    private const ulong ResetVector = 0xFFFF_FFF0;

    private readonly ReadOnlyMemory<byte> _bytes;

    private BiosRom(string name, ReadOnlyMemory<byte> bytes)
        : base(name, ImageKind.BiosRom, [new ImageSegment("ROM", PhysicalMemory.HighBase - (ulong)bytes.Length, (ulong)bytes.Length, bytes)], ResetVector, SymbolTable.Empty)
    {
        _bytes = bytes;
    }

    /// <summary>Takes any bytes of the right size. The machine needs as much ROM.</summary>
    /// <exception cref="BootException">The size is none that a ROM has here.</exception>
    public static BiosRom Open(ReadOnlyMemory<byte> bytes, string name)
    {
        if (bytes.IsEmpty || bytes.Length % Granularity != 0 || (ulong)bytes.Length > PhysicalMemory.MaximumRom)
            throw new BootException(name, "", $"the ROM has {bytes.Length} bytes, which is no multiple of 64 KiB from 64 KiB to 4 MiB", "fill it up at its start, so that the reset vector stays at its end");
        return new BiosRom(name, bytes);
    }

    /// <inheritdoc/>
    public override void Load(PhysicalMemory memory, Cpu bootCpu, string commandLine = "", IReadOnlyList<BootModule>? modules = null)
    {
        if (commandLine.Length != 0 || modules is { Count: > 0 })
            throw new BootException(Name, "", "a ROM takes no command line and no modules", "leave them out or boot a kernel");
        if (memory.RomSize != (ulong)_bytes.Length)
            throw new BootException(Name, "", $"the machine has {memory.RomSize} bytes of ROM, and the file {_bytes.Length}", "give the machine as much ROM");
        memory.LoadRom(_bytes.Span);
        int shadow = Math.Min(_bytes.Length, ShadowSize);
        memory.TryWrite(MemoryMap.HighStart - (ulong)shadow, _bytes.Span[^shadow..]);
        // The CPU stays as reset has left it.
    }
}
