using Emu.Interrupts;

namespace Emu.Devices;

/// <summary>Numbers of the virtio specification 1.1 that a block device over PCI needs.</summary>
internal static class VirtioRegisters
{
    /// <summary>PCI_CAP_ID_VNDR, and cfg_type of the capabilities ("Virtio Structure PCI Capabilities").</summary>
    public const byte VendorCapability = 0x09;
    public const byte CommonConfiguration = 1;
    public const byte NotifyConfiguration = 2;
    public const byte IsrConfiguration = 3;
    public const byte DeviceConfiguration = 4;
    public const byte PciConfiguration = 5;

    /// <summary>Offsets in struct virtio_pci_common_cfg ("Common configuration structure layout").</summary>
    public const int DeviceFeatureSelect = 0x00;
    public const int DeviceFeature = 0x04;
    public const int DriverFeatureSelect = 0x08;
    public const int DriverFeature = 0x0C;
    public const int MsixConfiguration = 0x10;
    public const int NumberOfQueues = 0x12;
    public const int DeviceStatus = 0x14;
    public const int QueueSelect = 0x16;
    public const int QueueSize = 0x18;
    public const int QueueMsixVector = 0x1A;
    public const int QueueEnable = 0x1C;
    public const int QueueDescriptors = 0x20;
    public const int QueueDriver = 0x28;
    public const int QueueDevice = 0x30;

    /// <summary>"Device Status Field".</summary>
    public static readonly BitField Acknowledge = new("ACKNOWLEDGE", 0);
    public static readonly BitField Driver = new("DRIVER", 1);
    public static readonly BitField DriverOk = new("DRIVER_OK", 2);
    public static readonly BitField FeaturesOk = new("FEATURES_OK", 3);
    public static readonly BitField NeedsReset = new("DEVICE_NEEDS_RESET", 6, 6, RegisterAccess.Read);
    public static readonly BitField Failed = new("FAILED", 7);
    public static readonly RegisterLayout Status = new(DeviceStatus, "device_status", RegisterAccess.ReadWrite, Acknowledge, Driver, DriverOk, FeaturesOk, NeedsReset, Failed);

    /// <summary>Bits of the ISR status besides that of the queue.</summary>
    public const byte ConfigurationChanged = 2;

    /// <summary>Feature bits: VIRTIO_BLK_F_SEG_MAX, BLK_SIZE, FLUSH; VIRTIO_F_VERSION_1.</summary>
    public const int FeatureSegments = 2;
    public const int FeatureBlockSize = 6;
    public const int FeatureFlush = 9;
    public const int FeatureVersion1 = 32;

    /// <summary>Flags of a descriptor, and of the available ring.</summary>
    public const ushort NextFlag = 1;
    public const ushort WriteFlag = 2;
    public const ushort IndirectFlag = 4;
    public const ushort NoInterruptFlag = 1;

    /// <summary>Types of requests and their status ("Device Operation" of the block device).</summary>
    public const uint TypeIn = 0;
    public const uint TypeOut = 1;
    public const uint TypeFlush = 4;
    public const uint TypeGetId = 8;
    public const byte StatusOk = 0;
    public const byte StatusIoError = 1;
    public const byte StatusUnsupported = 2;
}
