using static Emu.Interrupts.RegisterAccess;

namespace Emu.Interrupts;

/// <summary>Offsets of the local APIC's registers in its page; the x2APIC MSR is 0x800 + offset / 16 (SDM, "Local APIC Register Address Map").</summary>
public static class ApicRegister
{
    public const int Id = 0x020;
    public const int Version = 0x030;
    public const int TaskPriority = 0x080;
    public const int ArbitrationPriority = 0x090;
    public const int ProcessorPriority = 0x0A0;
    public const int Eoi = 0x0B0;
    public const int RemoteRead = 0x0C0;
    public const int LogicalDestination = 0x0D0;
    public const int DestinationFormat = 0x0E0;
    public const int SpuriousVector = 0x0F0;

    /// <summary>First of eight.</summary>
    public const int InService = 0x100;

    /// <summary>First of eight.</summary>
    public const int TriggerMode = 0x180;

    /// <summary>First of eight.</summary>
    public const int InterruptRequest = 0x200;
    public const int ErrorStatus = 0x280;
    public const int LvtCmci = 0x2F0;
    public const int IcrLow = 0x300;
    public const int IcrHigh = 0x310;
    public const int LvtTimer = 0x320;
    public const int LvtThermal = 0x330;
    public const int LvtPerformance = 0x340;
    public const int LvtLint0 = 0x350;
    public const int LvtLint1 = 0x360;
    public const int LvtError = 0x370;
    public const int InitialCount = 0x380;
    public const int CurrentCount = 0x390;
    public const int DivideConfiguration = 0x3E0;
    public const int SelfIpi = 0x3F0;
}

/// <summary>Delivery modes of the ICR, of the local vector table and of the I/O APIC.</summary>
public enum DeliveryMode : byte
{
    Fixed = 0,
    LowestPriority = 1,
    Smi = 2,

    /// <summary>Remote read on the oldest APICs; reserved since.</summary>
    Reserved = 3,
    Nmi = 4,
    Init = 5,
    StartUp = 6,
    ExtInt = 7,
}

/// <summary>Errors as ESR shows them (SDM, "Error Handling").</summary>
[Flags]
public enum ApicErrors : uint
{
    None = 0,
    SendChecksum = 1 << 0,
    ReceiveChecksum = 1 << 1,

    /// <summary>No APIC accepted a message; detected on the APIC bus of the P6 family only.</summary>
    SendAccept = 1 << 2,
    ReceiveAccept = 1 << 3,
    RedirectableIpi = 1 << 4,
    SendIllegalVector = 1 << 5,
    ReceiveIllegalVector = 1 << 6,
    IllegalRegisterAddress = 1 << 7,
}

/// <summary>Fields of the interrupt command register.</summary>
public static class Icr
{
    public static readonly BitField Vector = new("Vector", 7, 0);
    public static readonly BitField Mode = new("Delivery Mode", 10, 8);
    public static readonly BitField Logical = new("Destination Mode", 11);

    /// <summary>Always idle: the message is on the fabric when the write completes, and its delivery is the fabric's event.</summary>
    public static readonly BitField DeliveryStatus = new("Delivery Status", 12, 12, Read);
    public static readonly BitField Level = new("Level", 14);
    public static readonly BitField Trigger = new("Trigger Mode", 15);
    public static readonly BitField Shorthand = new("Destination Shorthand", 19, 18);

    /// <summary>In the upper half, xAPIC mode.</summary>
    public static readonly BitField Destination = new("Destination", 31, 24);
}

/// <summary>Values of <see cref="Icr.Shorthand"/>.</summary>
public enum Shorthand
{
    None = 0,
    Self = 1,
    AllIncludingSelf = 2,
    AllExcludingSelf = 3,
}

/// <summary>Fields of an entry of the local vector table.</summary>
public static class Lvt
{
    public static readonly BitField Vector = new("Vector", 7, 0);
    public static readonly BitField Mode = new("Delivery Mode", 10, 8);
    public static readonly BitField DeliveryStatus = new("Delivery Status", 12, 12, Read);
    public static readonly BitField Polarity = new("Interrupt Input Pin Polarity", 13, 13, ReadWrite, "pins are set asserted or not, whatever the voltage");
    public static readonly BitField RemoteIrr = new("Remote IRR Flag", 14, 14, Read);
    public static readonly BitField Trigger = new("Trigger Mode", 15);
    public static readonly BitField Mask = new("Mask", 16);
    public static readonly BitField TimerMode = new("Timer Mode", 18, 17);
}

/// <summary>Fields of the spurious-interrupt vector register.</summary>
public static class Svr
{
    public static readonly BitField Vector = new("Spurious Vector", 7, 0);
    public static readonly BitField Enable = new("APIC Software Enable", 8);
    public static readonly BitField FocusChecking = new("Focus Processor Checking", 9, 9, ReadWrite, "lowest-priority messages know no focus processor");
    public static readonly BitField EoiSuppression = new("EOI-Broadcast Suppression", 12);
}

/// <summary>A register of the local APIC in its two modes.</summary>
/// <param name="Layout">Fields, and access in xAPIC mode.</param>
/// <param name="X2Apic">Access in x2APIC mode.</param>
public sealed record ApicRegisterLayout(RegisterLayout Layout, RegisterAccess X2Apic);

/// <summary>All registers of the local APIC (SDM, "Local APIC Register Address Map" and "Local APIC Register Address Map Supported by x2APIC").</summary>
public static class ApicRegisters
{
    private static readonly BitField s_all = new("Value", 31, 0);

    public static IReadOnlyList<ApicRegisterLayout> All { get; } =
    [
        // In x2APIC mode all 32 bits are the ID.
        Register(ApicRegister.Id, "Local APIC ID", Read, Read, new BitField("APIC ID", 31, 24)),
        Register(ApicRegister.Version, "Local APIC Version", Read, Read,
            new BitField("Version", 7, 0), new BitField("Max LVT Entry", 23, 16), new BitField("EOI-Broadcast Suppression supported", 24)),
        Register(ApicRegister.TaskPriority, "TPR", ReadWrite, ReadWrite, new BitField("Task-Priority Sub-Class", 3, 0), new BitField("Task-Priority Class", 7, 4)),
        Register(ApicRegister.ArbitrationPriority, "APR", Read, None, new BitField("Arbitration Priority", 7, 0)),
        Register(ApicRegister.ProcessorPriority, "PPR", Read, Read, new BitField("Processor-Priority Sub-Class", 3, 0), new BitField("Processor-Priority Class", 7, 4)),
        Register(ApicRegister.Eoi, "EOI", Write, Write),
        Register(ApicRegister.RemoteRead, "RRD", Read, None, new BitField("Value", 31, 0, Read, "remote read messages are not sent; reads 0")),
        // In x2APIC mode read-only: cluster in the upper half, one bit of sixteen in the lower.
        Register(ApicRegister.LogicalDestination, "LDR", ReadWrite, Read, new BitField("Logical APIC ID", 31, 24)),
        Register(ApicRegister.DestinationFormat, "DFR", ReadWrite, None, new BitField("Model", 31, 28), new BitField("Reserved (1)", 27, 0, Read)),
        Register(ApicRegister.SpuriousVector, "SVR", ReadWrite, ReadWrite, Svr.Vector, Svr.Enable, Svr.FocusChecking, Svr.EoiSuppression),
        .. Eight(ApicRegister.InService, "ISR"),
        .. Eight(ApicRegister.TriggerMode, "TMR"),
        .. Eight(ApicRegister.InterruptRequest, "IRR"),
        Register(ApicRegister.ErrorStatus, "ESR", ReadWrite, ReadWrite, new BitField("Errors", 7, 0)),
        Register(ApicRegister.LvtCmci, "LVT CMCI", ReadWrite, ReadWrite, Lvt.Vector, Lvt.Mode, Lvt.DeliveryStatus, Lvt.Mask),
        Register(ApicRegister.IcrLow, "ICR", ReadWrite, ReadWrite, Icr.Vector, Icr.Mode, Icr.Logical, Icr.DeliveryStatus, Icr.Level, Icr.Trigger, Icr.Shorthand),
        Register(ApicRegister.IcrHigh, "ICR (63:32)", ReadWrite, None, Icr.Destination),
        Register(ApicRegister.LvtTimer, "LVT Timer", ReadWrite, ReadWrite, Lvt.Vector, Lvt.DeliveryStatus, Lvt.Mask, Lvt.TimerMode),
        Register(ApicRegister.LvtThermal, "LVT Thermal Sensor", ReadWrite, ReadWrite, Lvt.Vector, Lvt.Mode, Lvt.DeliveryStatus, Lvt.Mask),
        Register(ApicRegister.LvtPerformance, "LVT Performance Monitoring", ReadWrite, ReadWrite, Lvt.Vector, Lvt.Mode, Lvt.DeliveryStatus, Lvt.Mask),
        Register(ApicRegister.LvtLint0, "LVT LINT0", ReadWrite, ReadWrite,
            Lvt.Vector, Lvt.Mode, Lvt.DeliveryStatus, Lvt.Polarity, Lvt.RemoteIrr, Lvt.Trigger, Lvt.Mask),
        Register(ApicRegister.LvtLint1, "LVT LINT1", ReadWrite, ReadWrite,
            Lvt.Vector, Lvt.Mode, Lvt.DeliveryStatus, Lvt.Polarity, Lvt.RemoteIrr, Lvt.Trigger, Lvt.Mask),
        Register(ApicRegister.LvtError, "LVT Error", ReadWrite, ReadWrite, Lvt.Vector, Lvt.DeliveryStatus, Lvt.Mask),
        Register(ApicRegister.InitialCount, "Timer Initial Count", ReadWrite, ReadWrite, s_all),
        Register(ApicRegister.CurrentCount, "Timer Current Count", Read, Read, s_all),
        Register(ApicRegister.DivideConfiguration, "Timer Divide Configuration", ReadWrite, ReadWrite,
            new BitField("Divide Value (1:0)", 1, 0), new BitField("Divide Value (2)", 3)),
        Register(ApicRegister.SelfIpi, "SELF IPI", None, Write, new BitField("Vector", 7, 0)),
    ];

    private static readonly ApicRegisterLayout?[] s_byIndex = MakeIndex();

    /// <summary>The register at an offset that is a multiple of 16; null where there is none.</summary>
    public static ApicRegisterLayout? At(int offset) => (uint)offset < 0x400 ? s_byIndex[offset >> 4] : null;

    /// <summary>The registers that a generation has in its page, by bits 9:4 of their offset; null where there is none.</summary>
    internal static RegisterLayout?[] PageOf(ApicGeneration generation) =>
        [.. s_byIndex.Select(r => r != null && r.Layout.Access != None && generation.Has(r.Layout.Offset) ? r.Layout : null)];

    private static ApicRegisterLayout Register(int offset, string name, RegisterAccess xApic, RegisterAccess x2Apic, params BitField[] fields) =>
        new(new RegisterLayout(offset, name, xApic, fields), x2Apic);

    private static IEnumerable<ApicRegisterLayout> Eight(int offset, string name) =>
        Enumerable.Range(0, 8).Select(i => Register(offset + 16 * i, $"{name} ({32 * i + 31}:{32 * i})", Read, Read, s_all));

    private static ApicRegisterLayout?[] MakeIndex()
    {
        var index = new ApicRegisterLayout?[0x40];
        foreach (ApicRegisterLayout r in All)
            index[r.Layout.Offset >> 4] = r;
        return index;
    }
}
