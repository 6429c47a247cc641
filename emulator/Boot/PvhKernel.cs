using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>
/// A kernel that is entered by Xen's PVH protocol (Xen, "x86/HVM direct boot ABI"): an ELF executable with a note XEN_ELFNOTE_PHYS32_ENTRY, entered there in
/// 32-bit protected mode with the address of a struct hvm_start_info in EBX.
/// </summary>
public sealed class PvhKernel : BootImage
{
    private const string NoteOwner = "Xen";
    private const uint NotePhys32Entry = 18;

    /// <summary>Struct hvm_start_info, version 1, and the entries of its lists.</summary>
    private const uint StartMagic = 0x336E_C578;
    private const uint Version = 1;
    private const int InfoLength = 56;
    private const int ModuleLength = 32;
    private const int RangeLength = 24;

    private PvhKernel(string name, IReadOnlyList<ImageSegment> segments, ulong entry, SymbolTable symbols)
        : base(name, ImageKind.Pvh, segments, entry, symbols)
    {
    }

    /// <summary>False when it has no such note.</summary>
    /// <exception cref="BootException">It has one that says nothing sensible.</exception>
    public static bool TryOpen(ElfFile elf, string name, [NotNullWhen(true)] out PvhKernel? kernel)
    {
        kernel = null;
        ElfNote note = elf.Notes.FirstOrDefault(n => n.Owner == NoteOwner && n.Type == NotePhys32Entry);
        if (note.Owner == null)
            return false;
        const string Where = "ELF note XEN_ELFNOTE_PHYS32_ENTRY";
        // Linux writes it as wide as a pointer; only 32 bits can be meant.
        if (note.Descriptor.Length is not (4 or 8))
            throw new BootException(name, Where, $"it has {note.Descriptor.Length} bytes, where an address has 4 or 8", "build the kernel again");
        ulong entry = note.Descriptor.Length == 4 ? BinaryPrimitives.ReadUInt32LittleEndian(note.Descriptor.Span) : BinaryPrimitives.ReadUInt64LittleEndian(note.Descriptor.Span);
        ImageSegment[] segments = [.. elf.Segments.Select(s => new ImageSegment(s.Where, s.PhysicalAddress, s.MemorySize, elf.Data(s)))];
        if (entry > uint.MaxValue || !segments.Any(s => entry - s.Address < s.MemorySize))
            throw new BootException(name, Where, $"the entry 0x{entry:x} is the physical address of no segment", "build the kernel again");
        kernel = new PvhKernel(name, segments, entry, elf.Symbols);
        return true;
    }

    /// <inheritdoc/>
    public override void Load(PhysicalMemory memory, Cpu bootCpu, string commandLine = "", IReadOnlyList<BootModule>? modules = null)
    {
        modules ??= [];
        CheckSegments(memory);
        var layout = new BootLayout(this, memory, modules);
        byte[][] texts = [Text(Name, "the command line", commandLine), .. modules.Select((m, i) => Text(m.Name, $"the command line of module {i}", m.CommandLine))];
        IReadOnlyList<MemoryRange> map = MemoryMap.Of(memory);
        ulong address = layout.PlaceBlock((ulong)(InfoLength + ModuleLength * modules.Count + RangeLength * map.Count + texts.Sum(t => t.Length)));

        FirmwareTables.Write(memory, bootCpu);
        LoadSegments(memory);
        layout.WriteModules();
        memory.TryWrite(address, StartInfo(address, layout, modules, map, texts));
        Handover.ToProtectedMode(bootCpu, (uint)Entry, 0, (uint)address);
        (bootCpu.Apic as LocalApic)?.EnterVirtualWireMode();
    }

    private static byte[] StartInfo(ulong address, BootLayout layout, IReadOnlyList<BootModule> modules, IReadOnlyList<MemoryRange> map, byte[][] texts)
    {
        ulong list = address + InfoLength;
        ulong ranges = list + ModuleLength * (ulong)modules.Count;
        ulong text = ranges + RangeLength * (ulong)map.Count;
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        w.Write(StartMagic);
        w.Write(Version);
        w.Write(0u);
        w.Write((uint)modules.Count);
        w.Write(modules.Count == 0 ? 0 : list);
        w.Write(text);
        w.Write(FirmwareTables.Rsdp);
        w.Write(ranges);
        w.Write((uint)map.Count);
        w.Write(0u);
        text += (ulong)texts[0].Length;
        for (int i = 0; i < modules.Count; i++)
        {
            w.Write(layout.Modules[i]);
            w.Write((ulong)modules[i].Data.Length);
            w.Write(text);
            w.Write(0UL);
            text += (ulong)texts[i + 1].Length;
        }
        foreach (MemoryRange range in map)
        {
            w.Write(range.Start);
            w.Write(range.Length);
            w.Write((uint)range.Type);
            w.Write(0u);
        }
        foreach (byte[] t in texts)
            w.Write(t);
        return stream.ToArray();
    }
}
