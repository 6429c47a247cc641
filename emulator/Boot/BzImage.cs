using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Emu.Boot;

/// <summary>
/// Reads a bzImage (Linux, Documentation/arch/x86/boot.rst, "The Linux/x86 Boot Protocol"): real-mode sectors with the setup header, which are not run here, and
/// behind them the protected-mode part, which unpacks the kernel by itself.
/// </summary>
public static class BzImage
{
    /// <summary>From this version on a kernel takes a 32-bit command line pointer, and so can be entered without its real-mode part.</summary>
    public const ushort OldestProtocol = 0x0202;

    private const int SetupSectors = 0x1F1;
    private const int Magic = 0x202;
    private const int Version = 0x206;
    private const int LoadFlags = 0x211;
    private const int RamdiskMaximum = 0x22C;
    private const int KernelAlignment = 0x230;
    private const int RelocatableKernel = 0x234;
    private const int ExtendedLoadFlags = 0x236;
    private const int CommandLineSize = 0x238;
    private const int PreferredAddress = 0x258;
    private const int InitSize = 0x260;

    private const byte LoadedHigh = 1;
    private const ushort Has64BitEntry = 1;
    private const int SectorSize = 512;
    private const ulong LoadAddress = 0x10_0000;
    private const ulong Offset64 = 0x200;
    private const uint OldRamdiskMaximum = 0x37FF_FFFF;
    private const uint OldCommandLineSize = 255;
    private const string Damaged = "the file is damaged or truncated: copy it again";

    /// <summary>False when these bytes are no bzImage.</summary>
    /// <param name="kind">By which entry, <see cref="ImageKind.Linux32"/> or <see cref="ImageKind.Linux64"/>; null takes the 64-bit one where there is one.</param>
    /// <exception cref="BootException">It is one, and cannot be booted.</exception>
    public static bool TryOpen(ReadOnlyMemory<byte> bytes, string name, ImageKind? kind, [NotNullWhen(true)] out LinuxKernel? kernel)
    {
        kernel = null;
        ReadOnlySpan<byte> b = bytes.Span;
        if (kind is not (null or ImageKind.Linux32 or ImageKind.Linux64))
            return false;
        if (b.Length < 0x208 || !b[Magic..].StartsWith("HdrS"u8))
            return false;
        ushort version = Word(b, Version);
        if (version < OldestProtocol)
            throw new BootException(name, $"file offset 0x{Version:x}", $"boot protocol {version >> 8}.{version & 0xFF:00} is too old: a kernel without a 32-bit command line pointer needs a BIOS",
                $"give a kernel of protocol {OldestProtocol >> 8}.{OldestProtocol & 0xFF:00} (Linux 2.4) or later");
        int headerEnd = Magic + b[0x201];
        if (headerEnd > b.Length || headerEnd < CommandLinePointerEnd)
            throw new BootException(name, "file offset 0x201", $"the setup header ends at 0x{headerEnd:x}", Damaged);
        // What the header of an old kernel does not have reads as zero.
        Span<byte> header = stackalloc byte[0x280];
        b[..Math.Min(headerEnd, header.Length)].CopyTo(header);
        if ((header[LoadFlags] & LoadedHigh) == 0)
            throw new BootException(name, $"file offset 0x{LoadFlags:x}", "it is a zImage, which is loaded below 640 KiB", "build a bzImage");
        int setup = (header[SetupSectors] == 0 ? 4 : header[SetupSectors]) + 1;
        if (setup * SectorSize >= b.Length)
            throw new BootException(name, $"file offset 0x{SetupSectors:x}", $"{setup} setup sectors, and the file has {b.Length} bytes", Damaged);
        ReadOnlyMemory<byte> code = bytes[(setup * SectorSize)..];
        ImageKind mode = Mode(name, version, header, kind);
        ulong work = WorkStart(version, header);
        kernel = new LinuxKernel(name,
            [new ImageSegment("protected-mode code", LoadAddress, (ulong)code.Length, code)],
            LoadAddress + (mode == ImageKind.Linux64 ? Offset64 : 0),
            SymbolTable.Empty,
            mode,
            new LinuxSetup(bytes[LinuxSetup.Start..headerEnd],
                version >= 0x0206 ? DoubleWord(header, CommandLineSize) : OldCommandLineSize,
                version >= 0x0203 ? DoubleWord(header, RamdiskMaximum) : OldRamdiskMaximum,
                work,
                work + Math.Max(DoubleWord(header, InitSize), (ulong)code.Length)));
        return true;
    }

    private const int CommandLinePointerEnd = 0x22C;

    private static ImageKind Mode(string name, ushort version, ReadOnlySpan<byte> header, ImageKind? wanted)
    {
        bool has64 = version >= 0x020C && (Word(header, ExtendedLoadFlags) & Has64BitEntry) != 0;
        if (wanted == ImageKind.Linux64 && !has64)
            throw new BootException(name, $"file offset 0x{ExtendedLoadFlags:x}", "this Linux kernel has no 64-bit entry", "take the 32-bit entry");
        return wanted ?? (has64 ? ImageKind.Linux64 : ImageKind.Linux32);
    }

    /// <summary>Where the kernel unpacks itself to: not below the address that it prefers; at its alignment above its load address where it prefers none.</summary>
    private static ulong WorkStart(ushort version, ReadOnlySpan<byte> header)
    {
        if (version < 0x020A)
            return LoadAddress;
        ulong preferred = BinaryPrimitives.ReadUInt64LittleEndian(header[PreferredAddress..]);
        ulong alignment = DoubleWord(header, KernelAlignment);
        if (header[RelocatableKernel] == 0 || alignment == 0 || !ulong.IsPow2(alignment))
            return Math.Min(preferred, uint.MaxValue);
        return Math.Max(Math.Min(preferred, uint.MaxValue), (LoadAddress + alignment - 1) & ~(alignment - 1));
    }

    private static ushort Word(ReadOnlySpan<byte> b, int at) => BinaryPrimitives.ReadUInt16LittleEndian(b[at..]);
    private static uint DoubleWord(ReadOnlySpan<byte> b, int at) => BinaryPrimitives.ReadUInt32LittleEndian(b[at..]);
}
