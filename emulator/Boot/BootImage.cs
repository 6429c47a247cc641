using System.Text;
using Emu.Cpus;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>What kind of image it is, and so how a CPU enters it.</summary>
public enum ImageKind
{
    /// <summary>Multiboot 1: 32-bit protected mode.</summary>
    Multiboot1,

    /// <summary>Multiboot 2: 32-bit protected mode.</summary>
    Multiboot2,

    /// <summary>Linux, as bzImage: protected mode, as its boot protocol says.</summary>
    Linux32,

    /// <summary>Linux, as bzImage or as ELF: long mode.</summary>
    Linux64,

    /// <summary>Xen's PVH: 32-bit protected mode.</summary>
    Pvh,

    /// <summary>Raw bytes: real mode.</summary>
    FlatBinary,

    /// <summary>A ROM with the reset vector: real mode, as after reset.</summary>
    BiosRom,
}

/// <summary>A piece of an image and where in physical memory it goes; memory beyond the data is zeroed.</summary>
/// <param name="Where">Its place in the image, for messages.</param>
public readonly record struct ImageSegment(string Where, ulong Address, ulong MemorySize, ReadOnlyMemory<byte> Data)
{
    /// <summary>The first address behind it.</summary>
    public ulong End => Address + MemorySize;
}

/// <summary>A file that the loader puts into memory for the kernel, with a line of text.</summary>
public sealed record BootModule(string Name, ReadOnlyMemory<byte> Data, string CommandLine);

/// <summary>
/// Something bootable, read and checked; <see cref="Load"/> puts it into a machine. A wrong image is a <see cref="BootException"/>, whose message is
/// for the user.
/// </summary>
public abstract class BootImage
{
    private protected BootImage(string name, ImageKind kind, IReadOnlyList<ImageSegment> segments, ulong entry, SymbolTable symbols)
    {
        Name = name;
        Kind = kind;
        Segments = segments;
        Entry = entry;
        Symbols = symbols;
    }

    /// <summary>Display name, for messages.</summary>
    public string Name { get; }

    public ImageKind Kind { get; }

    public IReadOnlyList<ImageSegment> Segments { get; }

    /// <summary>Physical address of the first instruction.</summary>
    public ulong Entry { get; }

    public SymbolTable Symbols { get; }

    /// <summary>Recognises an image by its bytes. Flat binaries have no mark and are opened by <see cref="FlatBinary.Open"/>.</summary>
    /// <param name="kind">By which of the protocols that it offers; null takes the first of multiboot 1 and 2, Linux's 64-bit entry, its 32-bit entry, PVH.</param>
    /// <exception cref="BootException">It is of no supported kind, does not offer this one, or is damaged.</exception>
    public static BootImage Open(ReadOnlyMemory<byte> bytes, string name, ImageKind? kind = null)
    {
        bool Wants(ImageKind k) => kind == null || kind == k;
        if (Wants(ImageKind.Multiboot1) && Multiboot1.TryOpen(bytes, name, out Multiboot1? multiboot))
            return multiboot;
        if (Wants(ImageKind.Multiboot2) && Multiboot2.TryOpen(bytes, name, out Multiboot2? multiboot2))
            return multiboot2;
        if (BzImage.TryOpen(bytes, name, kind, out LinuxKernel? kernel))
            return kernel;
        if (ElfFile.IsElf(bytes.Span))
        {
            ElfFile elf = ElfFile.Parse(bytes, name);
            if (Wants(ImageKind.Linux64) && Vmlinux.TryOpen(elf, name, out kernel))
                return kernel;
            if (Wants(ImageKind.Pvh) && PvhKernel.TryOpen(elf, name, out PvhKernel? pvh))
                return pvh;
        }
        throw Unrecognised(bytes.Span, name, kind);
    }

    /// <summary>Reads a file and recognises it.</summary>
    /// <exception cref="BootException">The file cannot be read, or is not bootable.</exception>
    public static BootImage OpenFile(string path, ImageKind? kind = null) => Open(ReadFile(path), Path.GetFileName(path), kind);

    /// <summary>Reads a file whole; what the host objects to becomes the same kind of message.</summary>
    public static ReadOnlyMemory<byte> ReadFile(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : e.Message.ReplaceLineEndings(" ");
            throw new BootException(path, "", $"cannot be read: {why}", "check the path and its permissions");
        }
    }

    /// <summary>Puts the image, and what it is told, into memory and the boot CPU into the state that its kind prescribes. The CPU is fresh from reset.</summary>
    /// <exception cref="BootException">Something does not fit into memory, or into this CPU.</exception>
    public abstract void Load(PhysicalMemory memory, Cpu bootCpu, string commandLine = "", IReadOnlyList<BootModule>? modules = null);

    /// <summary>Refuses what does not lie in RAM, before anything is written.</summary>
    private protected void CheckSegments(PhysicalMemory memory)
    {
        foreach (ImageSegment s in Segments)
        {
            if (!memory.Contains(s.Address, s.MemorySize))
                throw new BootException(Name, s.Where, $"memory 0x{s.Address:x} to 0x{s.End - 1:x} is not all RAM (0x0 to 0x{memory.LowSize - 1:x})",
                    "give the machine more memory or link the image lower");
        }
    }

    private protected void LoadSegments(PhysicalMemory memory)
    {
        foreach (ImageSegment s in Segments)
        {
            memory.TryWrite(s.Address, s.Data.Span);
            Zero(memory, s.Address + (ulong)s.Data.Length, s.End);
        }
    }

    /// <summary>Zero-terminated; a zero inside would hide the rest from the kernel.</summary>
    internal static byte[] Text(string image, string what, string text)
    {
        if (text.Contains('\0'))
            throw new BootException(image, "", $"{what} contains a zero character", "leave it out");
        return [.. Encoding.UTF8.GetBytes(text), 0];
    }

    /// <summary>Pages that are zero already stay untouched: they may never have been given to us by the host.</summary>
    private static void Zero(PhysicalMemory memory, ulong start, ulong end)
    {
        Span<byte> buffer = stackalloc byte[Page.Size];
        ReadOnlySpan<byte> zeros = stackalloc byte[Page.Size];
        while (start < end)
        {
            int n = (int)Math.Min(end - start, Page.Size - (start & Page.OffsetMask));
            if (memory.TryRead(start, buffer[..n]) && buffer[..n].ContainsAnyExcept((byte)0))
                memory.TryWrite(start, zeros[..n]);
            start += (ulong)n;
        }
    }

    private static BootException Unrecognised(ReadOnlySpan<byte> bytes, string name, ImageKind? kind)
    {
        const string Supported = "give a multiboot 1 or 2 kernel, a Linux bzImage or vmlinux, an ELF kernel with a PVH entry, or name the file as --flat or --bios";
        string what =
            kind != null ? $"it cannot be booted as {kind.Value.ToString().ToLowerInvariant()}"
            : bytes.IsEmpty ? "the file is empty"
            : ElfFile.IsElf(bytes) ? "an ELF file without a multiboot header at its start, and no Linux or PVH kernel by its notes"
            : bytes.StartsWith("MZ"u8) ? "an MS-DOS or EFI executable, which is not supported"
            : bytes.StartsWith(new byte[] { 0x1F, 0x8B }) ? "a gzip file, which is not unpacked"
            : bytes.Length >= 512 && bytes[510] == 0x55 && bytes[511] == 0xAA ? "it looks like a boot sector, which says nothing of where it goes"
            : "no multiboot header at its start, and no known format";
        return new BootException(name, "", what, Supported);
    }
}
