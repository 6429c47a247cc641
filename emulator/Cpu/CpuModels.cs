using System.Diagnostics.CodeAnalysis;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>
/// The processors that can be chosen by name. A model says what the real one said, less what this machine does not implement.
/// AVX, AVX2, FMA and F16C stay hidden, and XCR0 has x87 and SSE alone.
/// </summary>
public static class CpuModels
{
    private static readonly CpuFeatureSet P6 =
    [
        F.Fpu, F.Pse, F.Tsc, F.Msr, F.Pae, F.Mce, F.Cx8, F.Apic, F.Sep, F.Mtrr, F.Pge, F.Mca, F.Cmov, F.Pat, F.Pse36, F.Mmx, F.Fxsr, F.Sse,
        F.MultibyteNop, F.Vme, F.De,
    ];

    private static readonly CpuFeatureSet K8Features =
    [
        .. P6, F.Clflush, F.Sse2, F.Syscall, F.Nx, F.LongMode, F.Prefetchw,
    ];

    private static readonly CpuFeatureSet SkylakeFeatures =
    [
        .. P6, F.Clflush, F.Sse2, F.Monitor, F.Cx16, F.X2Apic, F.TscDeadline, F.Movbe, F.Popcnt, F.FsGsBase, F.Bmi1, F.Smep, F.Bmi2, F.Erms,
        F.Adx, F.Smap, F.Syscall, F.Nx, F.Gigabyte, F.Rdtscp, F.LongMode, F.LahfLm, F.Lzcnt, F.Prefetchw, F.InvariantTsc, F.Arat, F.TscAdjust, F.Pcid, F.Invpcid,
        F.Rdrand, F.Rdseed, F.Clflushopt, F.NoX87Selectors,
        F.Sse3, F.Ssse3, F.Sse41, F.Sse42, F.Aes, F.Pclmulqdq, F.Xsave, F.Xsaveopt, F.Xsavec, F.Xgetbv1, F.Xsaves,
    ];

    /// <summary>Coppermine: the CPU of the 2009 mail's "older archs lacking mfence".</summary>
    public static CpuModel Pentium3 { get; } = new()
    {
        Name = "pentium3",
        Description = "Intel Pentium III (Coppermine, 2000): 32 bits, no SSE2 and so no MFENCE or LFENCE, no x2APIC",
        Vendor = CpuVendor.Intel,
        Brand = "",
        Signature = 0x0000_0686, // family 6, model 8, stepping 6
        Features = P6,
        PhysicalAddressBits = 36,
        DefaultProfile = "p6",
        MaxBasicLeaf = 2,
        MaxExtendedLeaf = 0,
        Microcode = 0x08,
        MachineCheckBanks = 5,
        Caches = [new(1, CacheKind.Data, 16, 4, LineBytes: 32), new(1, CacheKind.Instruction, 16, 4, LineBytes: 32), new(2, CacheKind.Unified, 256, 8, LineBytes: 32)],
        // 82h 2nd level 256K 8-way; 08h code 16K; 04h 4M data TLB; 0Ch data 16K; 01h/02h code TLBs; 03h data TLB.
        CacheDescriptors = new CpuidResult(0x0302_0101, 0, 0, 0x0C04_0882),
    };

    /// <summary>The first 64-bit Opteron.</summary>
    public static CpuModel K8 { get; } = new()
    {
        Name = "k8",
        Description = "AMD Opteron (K8, 2003): 64 bits, no x2APIC, no CMPXCHG16B, no MONITOR, SYSCALL in legacy mode too",
        Vendor = CpuVendor.Amd,
        Brand = "AMD Opteron(tm) Processor 248",
        Signature = 0x0000_0F58, // family 15, model 5, stepping 8
        Features = K8Features,
        PhysicalAddressBits = 40,
        DefaultProfile = "amd",
        MaxBasicLeaf = 1,
        MaxExtendedLeaf = 0x8000_0008,
        Microcode = 0x3A,
        MachineCheckBanks = 5,
        Caches = [new(1, CacheKind.Data, 64, 2), new(1, CacheKind.Instruction, 64, 2), new(2, CacheKind.Unified, 1024, 16)],
    };

    /// <summary>A desktop CPU of 2015 with x2APIC, SMEP and SMAP.</summary>
    public static CpuModel Skylake { get; } = new()
    {
        Name = "skylake",
        Description = "Intel Core i7-6700 (Skylake, 2015): x2APIC, TSC deadline, SMEP, SMAP, 1-GByte pages",
        Vendor = CpuVendor.Intel,
        Brand = "Intel(R) Core(TM) i7-6700 CPU @ 1.00GHz",
        Signature = 0x0005_06E3, // family 6, model 5Eh, stepping 3
        Features = SkylakeFeatures,
        PhysicalAddressBits = 39,
        DefaultProfile = "intel",
        MaxBasicLeaf = 0x16,
        MaxExtendedLeaf = 0x8000_0008,
        Microcode = 0xF0,
        MachineCheckBanks = 8,
        Caches = [new(1, CacheKind.Data, 32, 8), new(1, CacheKind.Instruction, 32, 8), new(2, CacheKind.Unified, 256, 4), new(3, CacheKind.Unified, 8192, 16, SharedByAll: true)],
        CacheDescriptors = new CpuidResult(0x7603_6301, 0x00F0_B5FF, 0, 0x00C3_0000), // FFh: caches in leaf 4
    };

    /// <summary>As skylake, with SERIALIZE, UMIP and RDPID.</summary>
    public static CpuModel AlderLake { get; } = new()
    {
        Name = "alderlake",
        Description = "Intel Core i7-12700 (Alder Lake, 2021): as skylake, with SHA, SERIALIZE, UMIP, RDPID, CLWB and #AC for split locks",
        Vendor = CpuVendor.Intel,
        Brand = "12th Gen Intel(R) Core(TM) i7-12700 @ 1.00GHz",
        Signature = 0x0009_0672, // family 6, model 97h, stepping 2
        Features = [.. SkylakeFeatures, F.Serialize, F.Umip, F.Rdpid, F.Clwb, F.CoreCapabilities, F.Sha],
        PhysicalAddressBits = 46,
        DefaultProfile = "intel",
        MaxBasicLeaf = 0x20,
        MaxExtendedLeaf = 0x8000_0008,
        Microcode = 0x2E,
        MachineCheckBanks = 9,
        Caches = [new(1, CacheKind.Data, 48, 12), new(1, CacheKind.Instruction, 32, 8), new(2, CacheKind.Unified, 1280, 10), new(3, CacheKind.Unified, 25600, 10, SharedByAll: true)],
        CacheDescriptors = new CpuidResult(0x00FE_FF01, 0, 0, 0), // FFh: caches in leaf 4; FEh: TLBs in leaf 18h
    };

    /// <summary>All models, oldest first.</summary>
    public static IReadOnlyList<CpuModel> All { get; } = [Pentium3, K8, Skylake, AlderLake];

    /// <summary>Finds a model by its name, in any case.</summary>
    public static bool TryFind(string name, [NotNullWhen(true)] out CpuModel? model)
    {
        model = All.FirstOrDefault(m => m.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        return model != null;
    }
}
