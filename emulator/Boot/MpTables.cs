using System.Text;
using Emu.Cpus;
using Emu.Interrupts;

namespace Emu.Boot;

/// <summary>
/// The tables by which kernels without ACPI find CPUs and interrupts (Intel MultiProcessor Specification, version 1.4, "MP Configuration Table"): the floating
/// pointer structure, and behind it the configuration table.
/// </summary>
internal static class MpTables
{
    private const int PointerLength = 16;
    private const byte Revision = 4;

    /// <summary>Types of entries, in whose order they stand.</summary>
    private const byte ProcessorEntry = 0;
    private const byte BusEntry = 1;
    private const byte IoApicEntry = 2;
    private const byte IoInterruptEntry = 3;
    private const byte LocalInterruptEntry = 4;

    private const byte Enabled = 1;
    private const byte BootProcessor = 2;
    private const byte LocalApicVersion = 0x14;
    private const byte IoApicVersion = 0x20;

    /// <summary>Types of interrupts; polarity and trigger are those of the bus (flags 0).</summary>
    private const byte VectoredInterrupt = 0;
    private const byte NonMaskable = 1;
    private const byte ExternalInterrupt = 3;
    private const byte IsaBus = 0;
    private const byte AllLocalApics = 0xFF;

    /// <summary>ISA lines: IRQ 2 is the cascade of the 8259s.</summary>
    private const int IsaLines = 16;
    private const int Cascade = 2;

    /// <summary>Both structures for a machine with so many CPUs of this model.</summary>
    /// <param name="address">Where they go: below 1 MiB, a multiple of 16.</param>
    public static byte[] Build(uint address, int cpus, CpuModel model)
    {
        byte[] table = Table(cpus, model);
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        w.Write("_MP_"u8);
        w.Write(address + PointerLength);
        // Length in units of 16 bytes, revision, checksum, and features: a configuration table is there, and no IMCR: the 8259s reach the CPU by
        // way of the local APIC ("virtual wire mode").
        w.Write([1, Revision, 0, 0, 0, 0, 0, 0]);
        byte[] pointer = stream.ToArray();
        pointer[10] = AcpiTables.Checksum(pointer);
        return [.. pointer, .. table];
    }

    private static byte[] Table(int cpus, CpuModel model)
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        int entries = Entries(w, cpus, model);
        byte[] body = stream.ToArray();
        stream.SetLength(0);
        w.Write("PCMP"u8);
        w.Write((ushort)(44 + body.Length));
        w.Write([Revision, 0]);
        w.Write(Encoding.ASCII.GetBytes("EMU     EMU PC      "));
        w.Write(0u); // no OEM table
        w.Write((ushort)0);
        w.Write((ushort)entries);
        w.Write((uint)ApicBase.DefaultAddress);
        w.Write(0u); // no extended entries
        w.Write(body);
        byte[] table = stream.ToArray();
        table[7] = AcpiTables.Checksum(table);
        return table;
    }

    /// <summary>Writes all entries, and says how many.</summary>
    private static int Entries(BinaryWriter w, int cpus, CpuModel model)
    {
        int count = 0;
        for (int i = 0; i < cpus; i++, count++)
        {
            w.Write([ProcessorEntry, (byte)i, LocalApicVersion, (byte)(i == 0 ? Enabled | BootProcessor : Enabled)]);
            w.Write(model.Signature);
            w.Write(Cpuid.Query(model, 1, 0, new CpuTopology(cpus), new ApicId((uint)i)).Edx);
            w.Write(0UL);
        }
        w.Write([BusEntry, IsaBus]);
        w.Write("ISA   "u8);
        w.Write([IoApicEntry, FirmwareTables.IoApicId, IoApicVersion, Enabled]);
        w.Write((uint)IoApic.DefaultAddress);
        count += 2;
        for (int irq = 0; irq < IsaLines; irq++)
        {
            if (irq == Cascade)
                continue;
            w.Write([IoInterruptEntry, VectoredInterrupt, 0, 0, IsaBus, (byte)irq, FirmwareTables.IoApicId, (byte)(irq == 0 ? 2 : irq)]);
            count++;
        }
        w.Write([LocalInterruptEntry, ExternalInterrupt, 0, 0, IsaBus, 0, AllLocalApics, 0]);
        w.Write([LocalInterruptEntry, NonMaskable, 0, 0, IsaBus, 0, AllLocalApics, 1]);
        return count + 2;
    }
}
