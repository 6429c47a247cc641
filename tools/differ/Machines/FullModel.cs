using Emu.Cpus;

namespace Emu.Differ.Machines;

/// <summary>A processor that has every feature Emu knows, so that every instruction can be compared.</summary>
public static class FullModel
{
    public static CpuModel Instance { get; } = new()
    {
        Name = "full",
        Description = "every feature",
        Vendor = CpuVendor.Intel,
        Brand = "",
        Signature = CpuModels.AlderLake.Signature,
        Features = [.. Enum.GetValues<CpuFeature>()],
        PhysicalAddressBits = 46,
        DefaultProfile = "coherent",
        MaxBasicLeaf = CpuModels.AlderLake.MaxBasicLeaf,
        MaxExtendedLeaf = CpuModels.AlderLake.MaxExtendedLeaf,
        Caches = CpuModels.AlderLake.Caches,
        CacheDescriptors = CpuModels.AlderLake.CacheDescriptors,
        MachineCheckBanks = CpuModels.AlderLake.MachineCheckBanks,
        Microcode = CpuModels.AlderLake.Microcode,
    };
}
