using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Emu.Boot;

/// <summary>
/// Reads an uncompressed 64-bit Linux kernel: an ELF executable whose entry is startup_64, entered as the 64-bit boot protocol says at the physical address that
/// its header gives.
/// </summary>
public static class Vmlinux
{
    /// <summary>ELF notes of this owner are Linux's own (LINUX_ELFNOTE_BUILD_SALT, LINUX_ELFNOTE_LTO_INFO).</summary>
    private const string NoteOwner = "Linux";

    private const uint CommandLineSize = 2047;
    private const uint RamdiskMaximum = 0x7FFF_FFFF;

    /// <summary>Protocol 2.15: what the zero page of a kernel says that has no setup header of its own.</summary>
    private const ushort Protocol = 0x020F;

    /// <summary>False when it is no such kernel.</summary>
    /// <exception cref="BootException">It is one, and damaged.</exception>
    public static bool TryOpen(ElfFile elf, string name, [NotNullWhen(true)] out LinuxKernel? kernel)
    {
        kernel = null;
        if (!elf.Is64 || !elf.Notes.Any(n => n.Owner == NoteOwner))
            return false;
        ImageSegment[] segments = [.. elf.Segments.Select(s => new ImageSegment(s.Where, s.PhysicalAddress, s.MemorySize, elf.Data(s)))];
        if (!segments.Any(s => elf.Entry - s.Address < s.MemorySize))
            throw new BootException(name, "ELF header", $"the entry 0x{elf.Entry:x} is the physical address of no segment", "give the vmlinux of an x86-64 build");
        kernel = new LinuxKernel(name, segments, elf.Entry, elf.Symbols, ImageKind.Linux64,
            new LinuxSetup(Header(), CommandLineSize, RamdiskMaximum, segments.Min(s => s.Address), segments.Max(s => s.End)));
        return true;
    }

    private static byte[] Header()
    {
        var header = new byte[0x268 - LinuxSetup.Start];
        header[0x1FE - LinuxSetup.Start] = 0x55;
        header[0x1FF - LinuxSetup.Start] = 0xAA;
        "HdrS"u8.CopyTo(header.AsSpan(0x202 - LinuxSetup.Start));
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(0x206 - LinuxSetup.Start), Protocol);
        header[0x211 - LinuxSetup.Start] = 1; // LOADED_HIGH
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(0x22C - LinuxSetup.Start), RamdiskMaximum);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(0x238 - LinuxSetup.Start), CommandLineSize);
        return header;
    }
}
