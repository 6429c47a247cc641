using Emu.Interrupts;
using static Emu.Interrupts.RegisterAccess;

namespace Emu.Devices;

/// <summary>Registers of an ATA channel (ATA/ATAPI-6, "Interface register definitions and descriptions").</summary>
internal static class IdeRegisters
{
    /// <summary>From the command block's base.</summary>
    public const int Data = 0;
    public const int Error = 1;
    public const int Features = 1;
    public const int SectorCount = 2;
    public const int LbaLow = 3;
    public const int LbaMid = 4;
    public const int LbaHigh = 5;
    public const int Device = 6;
    public const int Status = 7;
    public const int Command = 7;

    public static readonly BitField Err = new("ERR", 0);
    public static readonly BitField Drq = new("DRQ", 3);
    public static readonly BitField SeekComplete = new("DSC", 4);
    public static readonly BitField DeviceFault = new("DF", 5);
    public static readonly BitField Ready = new("DRDY", 6);
    public static readonly BitField Busy = new("BSY", 7, 7, Read, "commands take no time");
    public static readonly RegisterLayout StatusLayout = new(Status, "Status", Read, Err, Drq, SeekComplete, DeviceFault, Ready, Busy);

    public static readonly BitField Abort = new("ABRT", 2);
    public static readonly BitField NotFound = new("IDNF", 4);
    public static readonly BitField Uncorrectable = new("UNC", 6);
    public static readonly RegisterLayout ErrorLayout = new(Error, "Error", Read, Abort, NotFound, Uncorrectable);

    public static readonly BitField Head = new("Head, or LBA 27:24", 3, 0);
    public static readonly BitField Second = new("DEV", 4);
    public static readonly BitField Lba = new("LBA", 6);
    public static readonly BitField Obsolete = new("Obsolete (1)", 7);
    public static readonly BitField Obsolete5 = new("Obsolete (1)", 5);
    public static readonly RegisterLayout DeviceLayout = new(Device, "Device", ReadWrite, Head, Second, Obsolete5, Lba, Obsolete);

    public static readonly BitField NoInterrupt = new("nIEN", 1);
    public static readonly BitField SoftReset = new("SRST", 2);
    public static readonly BitField HighOrder = new("HOB", 7);
    public static readonly RegisterLayout ControlLayout = new(0, "Device Control", Write, NoInterrupt, SoftReset, HighOrder);
}
