using System.Text;
using Emu.Devices;
using Emu.Interrupts;

namespace Emu.Boot;

/// <summary>
/// The tables by which firmware describes the machine (ACPI Specification, "ACPI Software Programming Model"): RSDP, RSDT, XSDT, FADT, FACS, MADT, HPET and
/// DSDT, laid out one behind the other.
/// </summary>
internal sealed class AcpiTables
{
    private const string OemId = "EMU   ";
    private const string OemTableId = "EMU PC  ";
    private const string CreatorId = "EMU ";
    private const int RsdpLength = 36;
    private const int HeaderLength = 36;

    private const int FacsLength = 64;

    /// <summary>Address spaces of a Generic Address Structure.</summary>
    private const byte SystemMemory = 0;
    private const byte SystemIo = 1;

    /// <summary>FADT flags.</summary>
    private const uint Wbinvd = 1 << 0;
    private const uint C1OnAllProcessors = 1 << 2;
    private const uint FixedSleepButtonAbsent = 1 << 5;
    private const uint FixedRtcWakeAbsent = 1 << 6;
    private const uint ResetRegisterSupported = 1 << 10;

    /// <summary>IA-PC boot architecture: ISA devices, and a keyboard controller.</summary>
    private const ushort LegacyDevices = 1 << 0;
    private const ushort Has8042 = 1 << 1;
    private const byte RtcCenturyRegister = 0x32;

    /// <summary>MADT flags: there are 8259s as well.</summary>
    private const uint PcatCompatible = 1;
    private const uint ProcessorEnabled = 1;

    /// <summary>MADT entries.</summary>
    private const byte LocalApicEntry = 0;
    private const byte IoApicEntry = 1;
    private const byte SourceOverrideEntry = 2;
    private const byte LocalNmiEntry = 4;
    private const byte AllProcessors = 0xFF;

    /// <summary>In a routing table: the function that an entry is for, the pin, and no device whose setting says more.</summary>
    private const uint AnyFunction = 0xFFFF;
    private const uint InterruptPinA = 0;
    private const uint NoLinkDevice = 0;

    /// <summary>MPS INTI flags: active high, level-triggered; as the bus has it.</summary>
    private const ushort LevelHigh = 0b1101;
    private const ushort AsTheBus = 0;

    private readonly ulong _address;
    private readonly List<byte> _bytes = [];

    /// <param name="address">Where the tables go, below 4 GiB and a multiple of 16.</param>
    /// <param name="cpus">How many CPUs there are; their APIC IDs count from 0.</param>
    public AcpiTables(ulong address, int cpus)
    {
        _address = address;
        _bytes.AddRange(new byte[RsdpLength]);
        ulong facs = AddFacs();
        ulong dsdt = Add("DSDT", 2, Dsdt());
        ulong fadt = Add("FACP", 5, Fadt(dsdt, facs));
        ulong madt = Add("APIC", 3, Madt(cpus));
        ulong hpet = Add("HPET", 1, HpetTable());
        ulong[] all = [fadt, madt, hpet];
        ulong rsdt = Add("RSDT", 1, Body(w => Array.ForEach(all, t => w.Write((uint)t))));
        ulong xsdt = Add("XSDT", 1, Body(w => Array.ForEach(all, w.Write)));
        byte[] rsdp = Rsdp(rsdt, xsdt);
        for (int i = 0; i < rsdp.Length; i++)
            _bytes[i] = rsdp[i];
    }

    /// <summary>All of them; the RSDP is the first.</summary>
    public byte[] ToArray() => [.. _bytes];

    private ulong Align(int multiple)
    {
        while (_bytes.Count % multiple != 0)
            _bytes.Add(0);
        return _address + (ulong)_bytes.Count;
    }

    /// <summary>Firmware ACPI Control Structure, which has neither header nor checksum: nothing sleeps, so that there is nothing to wake.</summary>
    private ulong AddFacs()
    {
        ulong address = Align(FacsLength);
        byte[] facs = new byte[FacsLength];
        "FACS"u8.CopyTo(facs);
        facs[4] = FacsLength;
        facs[32] = 2; // version
        _bytes.AddRange(facs);
        return address;
    }

    /// <summary>Appends a table, and returns its address.</summary>
    private ulong Add(string signature, byte revision, byte[] body)
    {
        ulong address = Align(16);
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
        _bytes.AddRange(table);
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

    /// <summary>Fixed ACPI Description Table, revision 5.1. The machine is in ACPI mode from the start: no SMI command port.</summary>
    private static byte[] Fadt(ulong dsdt, ulong facs)
    {
        var body = new byte[268 - HeaderLength];
        void Put(int offset, Action<BinaryWriter> write)
        {
            using var w = new BinaryWriter(new MemoryStream(body));
            w.BaseStream.Position = offset - HeaderLength;
            write(w);
        }
        Put(36, w => w.Write((uint)facs));
        Put(40, w => w.Write((uint)dsdt));
        Put(46, w => w.Write((ushort)PowerManagement.SciIrq));
        Put(56, w => w.Write((uint)PowerManagement.EventPort));
        Put(64, w => w.Write((uint)PowerManagement.ControlPort));
        Put(76, w => w.Write((uint)PowerManagement.TimerPort));
        Put(88, w => w.Write([4, 2, 0, 4])); // bytes of PM1_EVT, PM1_CNT, PM2_CNT and PM_TMR
        Put(96, w => w.Write((ushort)101)); // P_LVL2_LAT: no C2
        Put(98, w => w.Write((ushort)1001)); // P_LVL3_LAT: no C3
        Put(108, w => w.Write(RtcCenturyRegister));
        Put(109, w => w.Write((ushort)(LegacyDevices | Has8042)));
        Put(112, w => w.Write(Wbinvd | C1OnAllProcessors | FixedSleepButtonAbsent | FixedRtcWakeAbsent | ResetRegisterSupported));
        Put(116, w => WriteRegister(w, 8, 1, ResetControl.ChipsetReset));
        Put(128, w => w.Write(ResetControl.ChipsetResetValue));
        Put(131, w => w.Write((byte)1)); // minor version: 5.1
        Put(140, w => w.Write(dsdt));
        Put(148, w => WriteRegister(w, 32, 2, PowerManagement.EventPort));
        Put(172, w => WriteRegister(w, 16, 2, PowerManagement.ControlPort));
        Put(208, w => WriteRegister(w, 32, 3, PowerManagement.TimerPort));
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
        // ISA's IRQ 0 is wired to input 2.
        w.Write([SourceOverrideEntry, 10, 0, 0]);
        w.Write(2u);
        w.Write(AsTheBus);
        w.Write([SourceOverrideEntry, 10, 0, PowerManagement.SciIrq]);
        w.Write((uint)PowerManagement.SciIrq);
        w.Write(LevelHigh);
        w.Write([LocalNmiEntry, 6, AllProcessors, 0, 0, 1]);
    });

    /// <summary>IA-PC HPET Specification, "The ACPI 2.0 HPET Description Table (HPET)".</summary>
    private static byte[] HpetTable() => Body(w =>
    {
        w.Write(Hpet.BlockId);
        w.Write([SystemMemory, 64, 0, 0]);
        w.Write(Hpet.DefaultAddress);
        w.Write([0, 0x80, 0, 0]); // number 0; at least 128 of its clocks between interrupts; no page protection
    });

    /// <summary>Soft-off, and the devices that cannot be found by looking.</summary>
    private static byte[] Dsdt()
    {
        byte[] off = Aml.Named("_S5", Aml.Package(Aml.Integer(PowerManagement.SoftOff), Aml.Integer(0), Aml.Integer(0), Aml.Integer(0)));
        byte[] pci = Aml.Device("PCI0", Aml.Named("_HID", Aml.EisaId("PNP0A03")), Aml.Named("_UID", Aml.Integer(0)),
            Aml.Named("_CRS", Aml.Resources(
                Aml.BusNumbers(0, 0),
                Aml.Ports(PciHost.AddressPort, 8),
                Aml.PortWindow(0, PciHost.AddressPort - 1),
                Aml.PortWindow(PciHost.DataPort + 4, ushort.MaxValue),
                Aml.MemoryWindow((uint)PciHost.WindowStart, (uint)(PciHost.WindowEnd - 1)))),
            Aml.Named("_PRT", PciRouting()));
        byte[] serial = Device("COM1", "PNP0501", Aml.Ports(Uart16550.Com1, 8), Aml.IsaIrq(Uart16550.Com1Irq));
        byte[] clock = Device("RTC0", "PNP0B00", Aml.Ports(CmosRtc.IndexPort, 2), Aml.IsaIrq(CmosRtc.Irq));
        byte[] keyboard = Device("KBD0", "PNP0303", Aml.Ports(KeyboardController.DataPort, 1), Aml.Ports(KeyboardController.CommandPort, 1), Aml.IsaIrq(KeyboardController.KeyboardIrq));
        byte[] timer = Device("HPET", "PNP0103", Aml.FixedMemory((uint)Hpet.DefaultAddress, (uint)Hpet.Length));
        return [.. off, .. Aml.Scope("\\_SB", pci, serial, clock, keyboard, timer)];
    }

    /// <summary>
    /// PCI Routing Table (ACPI Specification, "_PRT (PCI Routing Table)"): INTA# of every device, by any function, is the same global interrupt, level-triggered and
    /// active low as PCI has it. Other pins are not wired.
    /// </summary>
    private static byte[] PciRouting() =>
        Aml.Package([.. Enumerable.Range(0, PciHost.Slots).Select(device =>
            Aml.Package(Aml.Integer((uint)device << 16 | AnyFunction), Aml.Integer(InterruptPinA), Aml.Integer(NoLinkDevice), Aml.Integer(PciHost.Irq)))]);

    private static byte[] Device(string name, string id, params byte[][] resources) =>
        Aml.Device(name, Aml.Named("_HID", Aml.EisaId(id)), Aml.Named("_UID", Aml.Integer(1)), Aml.Named("_CRS", Aml.Resources(resources)));

    /// <summary>Generic Address Structure of a port of so many bits, read in pieces of 1, 2 or 4 bytes (1, 2, 3).</summary>
    private static void WriteRegister(BinaryWriter w, byte bits, byte access, ushort port)
    {
        w.Write([SystemIo, bits, 0, access]);
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
