using System.Text;
using Emu.Devices;
using Emu.Interrupts;

namespace Emu.Boot;

/// <summary>
/// The tables by which firmware describes the machine (ACPI Specification, "ACPI Software Programming Model"): RSDP, RSDT, XSDT, FADT, MADT and DSDT, laid out
/// one behind the other.
/// </summary>
internal sealed class AcpiTables
{
    private const string OemId = "EMU   ";
    private const string OemTableId = "EMU PC  ";
    private const string CreatorId = "EMU ";
    private const int RsdpLength = 36;
    private const int HeaderLength = 36;

    /// <summary>Address spaces of a Generic Address Structure.</summary>
    private const byte SystemIo = 1;

    /// <summary>FADT flags.</summary>
    private const uint Wbinvd = 1 << 0;
    private const uint FixedPowerButtonAbsent = 1 << 4;
    private const uint FixedSleepButtonAbsent = 1 << 5;
    private const uint ResetRegisterSupported = 1 << 10;
    private const uint HardwareReduced = 1 << 20;

    /// <summary>MADT flags: there are 8259s as well.</summary>
    private const uint PcatCompatible = 1;
    private const uint ProcessorEnabled = 1;

    /// <summary>MADT entries.</summary>
    private const byte LocalApicEntry = 0;
    private const byte IoApicEntry = 1;
    private const byte SourceOverrideEntry = 2;
    private const byte LocalNmiEntry = 4;
    private const byte AllProcessors = 0xFF;

    private readonly ulong _address;
    private readonly MemoryStream _bytes = new();

    /// <param name="address">Where the tables go, below 4 GiB and a multiple of 16.</param>
    /// <param name="cpus">How many CPUs there are; their APIC IDs count from 0.</param>
    public AcpiTables(ulong address, int cpus)
    {
        _address = address;
        _bytes.Write(new byte[RsdpLength]);
        ulong dsdt = Add("DSDT", 2, Dsdt());
        ulong fadt = Add("FACP", 5, Fadt(dsdt));
        ulong madt = Add("APIC", 3, Madt(cpus));
        ulong[] all = [fadt, madt];
        ulong rsdt = Add("RSDT", 1, Body(w => Array.ForEach(all, t => w.Write((uint)t))));
        ulong xsdt = Add("XSDT", 1, Body(w => Array.ForEach(all, w.Write)));
        byte[] rsdp = Rsdp(rsdt, xsdt);
        _bytes.Position = 0;
        _bytes.Write(rsdp);
    }

    /// <summary>All of them; the RSDP is the first.</summary>
    public byte[] ToArray() => _bytes.ToArray();

    /// <summary>Appends a table, and returns its address.</summary>
    private ulong Add(string signature, byte revision, byte[] body)
    {
        while (_bytes.Length % 16 != 0)
            _bytes.WriteByte(0);
        ulong address = _address + (ulong)_bytes.Length;
        byte[] table = Body(w =>
        {
            w.Write(Encoding.ASCII.GetBytes(signature));
            w.Write((uint)(HeaderLength + body.Length));
            w.Write(revision);
            w.Write((byte)0); // checksum
            w.Write(Encoding.ASCII.GetBytes(OemId));
            w.Write(Encoding.ASCII.GetBytes(OemTableId));
            w.Write(1u);
            w.Write(Encoding.ASCII.GetBytes(CreatorId));
            w.Write(1u);
            w.Write(body);
        });
        table[9] = Checksum(table);
        _bytes.Write(table);
        return address;
    }

    private static byte[] Rsdp(ulong rsdt, ulong xsdt)
    {
        byte[] rsdp = Body(w =>
        {
            w.Write("RSD PTR "u8);
            w.Write((byte)0); // checksum of the first 20 bytes
            w.Write(Encoding.ASCII.GetBytes(OemId));
            w.Write((byte)2);
            w.Write((uint)rsdt);
            w.Write((uint)RsdpLength);
            w.Write(xsdt);
            w.Write(0u); // checksum of all, and reserved
        });
        rsdp[8] = Checksum(rsdp.AsSpan(0, 20));
        rsdp[32] = Checksum(rsdp);
        return rsdp;
    }

    /// <summary>Fixed ACPI Description Table, revision 5. Hardware-reduced: no SCI, no PM timer, no PM1 registers.</summary>
    private static byte[] Fadt(ulong dsdt)
    {
        var body = new byte[268 - HeaderLength];
        void Put(int offset, Action<BinaryWriter> write)
        {
            using var w = new BinaryWriter(new MemoryStream(body));
            w.BaseStream.Position = offset - HeaderLength;
            write(w);
        }
        Put(40, w => w.Write((uint)dsdt));
        Put(112, w => w.Write(Wbinvd | FixedPowerButtonAbsent | FixedSleepButtonAbsent | ResetRegisterSupported | HardwareReduced));
        Put(116, w => WriteRegister(w, ResetControl.ChipsetReset));
        Put(128, w => w.Write(ResetControl.ChipsetResetValue));
        Put(131, w => w.Write((byte)1)); // minor version: 5.1
        Put(140, w => w.Write(dsdt));
        return body;
    }

    /// <summary>Multiple APIC Description Table.</summary>
    private static byte[] Madt(int cpus) => Body(w =>
    {
        w.Write((uint)ApicBase.DefaultAddress);
        w.Write(PcatCompatible);
        for (int i = 0; i < cpus; i++)
        {
            w.Write([LocalApicEntry, 8, (byte)i, (byte)i]);
            w.Write(ProcessorEnabled);
        }
        w.Write([IoApicEntry, 12, FirmwareTables.IoApicId, 0]);
        w.Write((uint)IoApic.DefaultAddress);
        w.Write(0u); // its input 0 is global interrupt 0
        // ISA's IRQ 0 is wired to input 2; polarity and trigger as the bus has them.
        w.Write([SourceOverrideEntry, 10, 0, 0]);
        w.Write(2u);
        w.Write((ushort)0);
        w.Write([LocalNmiEntry, 6, AllProcessors, 0, 0, 1]);
    });

    /// <summary>The devices that cannot be found by looking.</summary>
    private static byte[] Dsdt() => Aml.Scope("\\_SB",
        Aml.Device("COM1",
            Aml.Named("_HID", Aml.EisaId("PNP0501")),
            Aml.Named("_UID", Aml.Integer(1)),
            Aml.Named("_STA", Aml.Integer(0xF)),
            Aml.Named("_CRS", Aml.Resources(Aml.Ports(Uart16550.Com1, 8), Aml.IsaIrq(Uart16550.Com1Irq)))));

    /// <summary>Generic Address Structure of an 8-bit port.</summary>
    private static void WriteRegister(BinaryWriter w, ushort port)
    {
        w.Write([SystemIo, 8, 0, 1]);
        w.Write((ulong)port);
    }

    private static byte[] Body(Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        write(w);
        return stream.ToArray();
    }

    /// <summary>What makes the sum of all bytes zero.</summary>
    internal static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
            sum += b;
        return (byte)-sum;
    }
}
