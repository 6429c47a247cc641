using Emu.Cpus;
using Emu.Devices;
using Emu.Memory;

namespace Emu.Boot;

/// <summary>
/// What firmware leaves in memory for a kernel to find: ACPI tables, the tables of the MultiProcessor Specification, and the BIOS data area. All of it lies where
/// <see cref="MemoryMap"/> has reserved memory, or in page 0.
/// </summary>
public static class FirmwareTables
{
    /// <summary>Address of the RSDP; all other ACPI tables follow it.</summary>
    public const ulong Rsdp = MemoryMap.BiosStart;

    /// <summary>Address of the MP floating pointer structure.</summary>
    public const ulong MpPointer = MemoryMap.BiosStart + 0x8000;

    /// <summary>BIOS data area: COM1's port; segment of the extended BIOS data area; KiB of conventional memory.</summary>
    public const ulong Com1Port = 0x400;
    public const ulong ExtendedDataSegment = 0x40E;
    public const ulong ConventionalKilobytes = 0x413;

    /// <summary>The I/O APIC's ID, as after reset.</summary>
    internal const byte IoApicId = 0;

    /// <summary>Writes all of it, for the machine that this CPU is part of.</summary>
    public static void Write(PhysicalMemory memory, Cpu bootCpu)
    {
        memory.TryWrite(Rsdp, new AcpiTables(Rsdp, bootCpu.Topology.Cpus).ToArray());
        memory.TryWrite(MpPointer, MpTables.Build((uint)MpPointer, bootCpu.Topology.Cpus, bootCpu.Model));
        memory.Write(Com1Port, 2, Uart16550.Com1);
        memory.Write(ExtendedDataSegment, 2, MemoryMap.ConventionalEnd >> 4);
        memory.Write(ConventionalKilobytes, 2, MemoryMap.ConventionalEnd >> 10);
        // The extended area begins with its own size in KiB.
        memory.Write(MemoryMap.ConventionalEnd, 1, (MemoryMap.LowEnd - MemoryMap.ConventionalEnd) >> 10);
    }
}
