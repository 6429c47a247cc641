using System.Buffers.Binary;
using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>
/// A Linux kernel (Linux, Documentation/arch/x86/boot.rst, "32-bit Boot Protocol" and "64-bit Boot Protocol"), as bzImage (<see cref="BzImage"/>) or as uncompressed ELF (<see cref="Vmlinux"/>), with what it is told: the zero page ("struct
/// boot_params"), its command line, the initial RAM disk, and for the 64-bit entry page tables and a GDT. All but the RAM disk lies in the first 640 KiB.
/// </summary>
public sealed class LinuxKernel : BootImage
{
    private const ulong ZeroPage = 0x7000;
    private const ulong Gdt = 0x8000;
    private const ulong PageTables = 0x9000;
    private const ulong CommandLine = 0x2_0000;

    /// <summary>__BOOT_CS and __BOOT_DS.</summary>
    private const ushort CodeSelector = 0x10;
    private const ushort DataSelector = 0x18;

    /// <summary>Fields of struct boot_params.</summary>
    private const int AcpiRsdp = 0x070;
    private const int E820Count = 0x1E8;
    private const int E820Table = 0x2D0;
    private const int TypeOfLoader = 0x210;
    private const int RamdiskImage = 0x218;
    private const int RamdiskSize = 0x21C;
    private const int CommandLinePointer = 0x228;
    private const byte UnknownLoader = 0xFF;

    private readonly LinuxSetup _setup;

    internal LinuxKernel(string name, IReadOnlyList<ImageSegment> segments, ulong entry, SymbolTable symbols, ImageKind kind, LinuxSetup setup)
        : base(name, kind, segments, entry, symbols)
    {
        _setup = setup;
    }

    /// <summary>Where its startup_64 lies once the kernel has unpacked itself: the physical address at which it begins to execute as itself.</summary>
    public ulong UnpackedStart => _setup.WorkStart;

    /// <summary>The first physical address behind what it has unpacked, and works with until it has found its memory.</summary>
    public ulong UnpackedEnd => _setup.WorkEnd;

    private bool Is64 => Kind == ImageKind.Linux64;

    /// <inheritdoc/>
    public override void Load(PhysicalMemory memory, Cpu bootCpu, string commandLine = "", IReadOnlyList<BootModule>? modules = null)
    {
        if (Is64 && !bootCpu.Model.Has(CpuFeature.LongMode))
            throw new BootException(Name, "", $"it is a 64-bit kernel, and the CPU model {bootCpu.Model.Name} has no 64-bit mode", "choose another model");
        CheckSegments(memory);
        if (!memory.Contains(_setup.WorkStart, _setup.WorkEnd - _setup.WorkStart))
            throw new BootException(Name, "setup header", $"it needs memory up to 0x{_setup.WorkEnd - 1:x} to unpack itself, and RAM ends at 0x{memory.LowSize - 1:x}", "give the machine more memory");
        byte[] line = Line(commandLine);
        (ulong ramdisk, ReadOnlyMemory<byte> data) = PlaceRamdisk(memory, modules ?? []);

        FirmwareTables.Write(memory, bootCpu);
        LoadSegments(memory);
        memory.TryWrite(ramdisk, data.Span);
        memory.TryWrite(CommandLine, line);
        memory.TryWrite(ZeroPage, Parameters(memory, ramdisk, data.Length));
        Enter(memory, bootCpu);
        (bootCpu.Apic as LocalApic)?.EnterVirtualWireMode();
    }

    private void Enter(PhysicalMemory memory, Cpu cpu)
    {
        ulong attributes = Is64 ? 0x00AF_9B00_0000_FFFFUL : 0x00CF_9B00_0000_FFFFUL;
        ulong[] gdt = [0, 0, attributes, 0x00CF_9300_0000_FFFFUL];
        for (int i = 0; i < gdt.Length; i++)
            memory.Write(Gdt + 8 * (ulong)i, 8, gdt[i]);
        var table = new TableRegister { Base = Gdt, Limit = (ushort)(8 * gdt.Length - 1) };
        if (Is64)
            Handover.ToLongMode(cpu, Entry, IdentityMap(memory), table, CodeSelector, DataSelector);
        else
            Handover.ToProtectedMode(cpu, (uint)Entry, table, CodeSelector, DataSelector);
        Handover.SetRegister(cpu, GeneralRegister.Rsi, ZeroPage);
    }

    /// <summary>The first 4 GiB by pages of 2 MiB: PML4, PDPT, and four page directories.</summary>
    private static ulong IdentityMap(PhysicalMemory memory)
    {
        const ulong PresentWritable = 3;
        const ulong LargePage = 0x80;
        const ulong Directories = PageTables + 2 * Page.Size;
        memory.Write(PageTables, 8, PageTables + Page.Size | PresentWritable);
        for (ulong i = 0; i < 4; i++)
            memory.Write(PageTables + Page.Size + 8 * i, 8, Directories + i * Page.Size | PresentWritable);
        for (ulong i = 0; i < 2048; i++)
            memory.Write(Directories + 8 * i, 8, i << 21 | LargePage | PresentWritable);
        return PageTables;
    }

    private byte[] Line(string text)
    {
        byte[] line = Text(Name, "the command line", text);
        if (line.Length - 1 > (int)_setup.CommandLineSize)
            throw new BootException(Name, "", $"the command line has {line.Length - 1} bytes, and this kernel takes {_setup.CommandLineSize}", "shorten it");
        return line;
    }

    /// <summary>As high as the kernel allows, out of the way of its unpacking.</summary>
    private (ulong Address, ReadOnlyMemory<byte> Data) PlaceRamdisk(PhysicalMemory memory, IReadOnlyList<BootModule> modules)
    {
        if (modules.Count == 0)
            return (0, default);
        if (modules.Count > 1)
            throw new BootException(modules[1].Name, "--module", "a Linux kernel takes one initial RAM disk", "join the archives into one file");
        ReadOnlyMemory<byte> data = modules[0].Data;
        ulong length = (ulong)data.Length;
        ulong top = Math.Min(memory.LowSize, _setup.RamdiskMaximum + 1);
        ulong lowest = Segments.Max(s => s.End);
        lowest = Math.Max(lowest, _setup.WorkEnd);
        ulong start = (top - Math.Min(length, top)) & Page.Mask;
        if (length > top || start < lowest)
            throw new BootException(modules[0].Name, "initial RAM disk", $"0x{length:x} bytes do not fit between the kernel's end at 0x{lowest:x} and 0x{top - 1:x}",
                "give the machine more memory or a smaller file");
        return (start, data);
    }

    private byte[] Parameters(PhysicalMemory memory, ulong ramdisk, int ramdiskSize)
    {
        var page = new byte[Page.Size];
        _setup.Header.Span.CopyTo(page.AsSpan(LinuxSetup.Start));
        page[TypeOfLoader] = UnknownLoader;
        BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(AcpiRsdp), FirmwareTables.Rsdp);
        BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(CommandLinePointer), (uint)CommandLine);
        if (ramdiskSize != 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(RamdiskImage), (uint)ramdisk);
            BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(RamdiskSize), (uint)ramdiskSize);
        }
        IReadOnlyList<MemoryRange> map = MemoryMap.Of(memory);
        page[E820Count] = (byte)map.Count;
        for (int i = 0; i < map.Count; i++)
        {
            Span<byte> entry = page.AsSpan(E820Table + 20 * i);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, map[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], map[i].Length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], (uint)map[i].Type);
        }
        return page;
    }
}

/// <summary>What a kernel's setup header says of it.</summary>
/// <param name="Header">The header itself, which goes into the zero page at <see cref="Start"/>.</param>
/// <param name="CommandLineSize">Most bytes of the command line, without the terminating zero.</param>
/// <param name="RamdiskMaximum">Highest address that the RAM disk may occupy.</param>
/// <param name="WorkStart">Where the kernel starts to work in place once it is entered,</param>
/// <param name="WorkEnd">and the first address behind what it needs to come up.</param>
internal sealed record LinuxSetup(ReadOnlyMemory<byte> Header, uint CommandLineSize, ulong RamdiskMaximum, ulong WorkStart, ulong WorkEnd)
{
    /// <summary>Offset of the header, both in a bzImage and in the zero page.</summary>
    public const int Start = 0x1F1;
}
