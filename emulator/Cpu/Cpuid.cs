using System.Numerics;
using System.Text;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>What CPUID leaves in the four registers.</summary>
public readonly record struct CpuidResult(uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>One of the four registers.</summary>
public enum CpuidRegister
{
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// <summary>Where CPUID reports a feature.</summary>
public readonly record struct CpuidFeatureBit(CpuFeature Feature, uint Leaf, CpuidRegister Register, int Bit, uint Subleaf = 0);

/// <summary>CPUID (SDM, "CPUID - CPU Identification"; AMD "CPUID Specification"): everything follows from the model's table.</summary>
public static unsafe class Cpuid
{
    /// <summary>Frequency of the TSC and of the crystal that leaf 15h names.</summary>
    public const uint TscHertz = 1_000_000_000;

    private const uint ExtendedBase = 0x8000_0000;
    private const uint BiosSignId = 0x8B;

    /// <summary>Every feature that has a bit, and its place.</summary>
    public static IReadOnlyList<CpuidFeatureBit> FeatureBits { get; } =
    [
        new(F.Fpu, 1, CpuidRegister.Edx, 0),
        new(F.Vme, 1, CpuidRegister.Edx, 1),
        new(F.De, 1, CpuidRegister.Edx, 2),
        new(F.Pse, 1, CpuidRegister.Edx, 3),
        new(F.Tsc, 1, CpuidRegister.Edx, 4),
        new(F.Msr, 1, CpuidRegister.Edx, 5),
        new(F.Pae, 1, CpuidRegister.Edx, 6),
        new(F.Mce, 1, CpuidRegister.Edx, 7),
        new(F.Cx8, 1, CpuidRegister.Edx, 8),
        new(F.Apic, 1, CpuidRegister.Edx, 9),
        new(F.Sep, 1, CpuidRegister.Edx, 11),
        new(F.Mtrr, 1, CpuidRegister.Edx, 12),
        new(F.Pge, 1, CpuidRegister.Edx, 13),
        new(F.Mca, 1, CpuidRegister.Edx, 14),
        new(F.Cmov, 1, CpuidRegister.Edx, 15),
        new(F.Pat, 1, CpuidRegister.Edx, 16),
        new(F.Pse36, 1, CpuidRegister.Edx, 17),
        new(F.Clflush, 1, CpuidRegister.Edx, 19),
        new(F.Mmx, 1, CpuidRegister.Edx, 23),
        new(F.Fxsr, 1, CpuidRegister.Edx, 24),
        new(F.Sse, 1, CpuidRegister.Edx, 25),
        new(F.Sse2, 1, CpuidRegister.Edx, 26),
        new(F.Sse3, 1, CpuidRegister.Ecx, 0),
        new(F.Pclmulqdq, 1, CpuidRegister.Ecx, 1),
        new(F.Monitor, 1, CpuidRegister.Ecx, 3),
        new(F.Ssse3, 1, CpuidRegister.Ecx, 9),
        new(F.Cx16, 1, CpuidRegister.Ecx, 13),
        new(F.Pcid, 1, CpuidRegister.Ecx, 17),
        new(F.Sse41, 1, CpuidRegister.Ecx, 19),
        new(F.Sse42, 1, CpuidRegister.Ecx, 20),
        new(F.X2Apic, 1, CpuidRegister.Ecx, 21),
        new(F.Movbe, 1, CpuidRegister.Ecx, 22),
        new(F.Popcnt, 1, CpuidRegister.Ecx, 23),
        new(F.TscDeadline, 1, CpuidRegister.Ecx, 24),
        new(F.Aes, 1, CpuidRegister.Ecx, 25),
        new(F.Xsave, 1, CpuidRegister.Ecx, 26),
        new(F.Rdrand, 1, CpuidRegister.Ecx, 30),
        new(F.Arat, 6, CpuidRegister.Eax, 2),
        new(F.FsGsBase, 7, CpuidRegister.Ebx, 0),
        new(F.TscAdjust, 7, CpuidRegister.Ebx, 1),
        new(F.Bmi1, 7, CpuidRegister.Ebx, 3),
        new(F.Smep, 7, CpuidRegister.Ebx, 7),
        new(F.Bmi2, 7, CpuidRegister.Ebx, 8),
        new(F.Erms, 7, CpuidRegister.Ebx, 9),
        new(F.Invpcid, 7, CpuidRegister.Ebx, 10),
        new(F.NoX87Selectors, 7, CpuidRegister.Ebx, 13),
        new(F.Rdseed, 7, CpuidRegister.Ebx, 18),
        new(F.Adx, 7, CpuidRegister.Ebx, 19),
        new(F.Smap, 7, CpuidRegister.Ebx, 20),
        new(F.Clflushopt, 7, CpuidRegister.Ebx, 23),
        new(F.Clwb, 7, CpuidRegister.Ebx, 24),
        new(F.Sha, 7, CpuidRegister.Ebx, 29),
        new(F.Umip, 7, CpuidRegister.Ecx, 2),
        new(F.Rdpid, 7, CpuidRegister.Ecx, 22),
        new(F.Serialize, 7, CpuidRegister.Edx, 14),
        new(F.CoreCapabilities, 7, CpuidRegister.Edx, 30),
        new(F.Xsaveopt, 0xD, CpuidRegister.Eax, 0, Subleaf: 1),
        new(F.Xsavec, 0xD, CpuidRegister.Eax, 1, Subleaf: 1),
        new(F.Xgetbv1, 0xD, CpuidRegister.Eax, 2, Subleaf: 1),
        new(F.Xsaves, 0xD, CpuidRegister.Eax, 3, Subleaf: 1),
        new(F.LahfLm, 0x8000_0001, CpuidRegister.Ecx, 0),
        new(F.Lzcnt, 0x8000_0001, CpuidRegister.Ecx, 5),
        new(F.Prefetchw, 0x8000_0001, CpuidRegister.Ecx, 8),
        new(F.Syscall, 0x8000_0001, CpuidRegister.Edx, 11),
        new(F.Nx, 0x8000_0001, CpuidRegister.Edx, 20),
        new(F.Gigabyte, 0x8000_0001, CpuidRegister.Edx, 26),
        new(F.Rdtscp, 0x8000_0001, CpuidRegister.Edx, 27),
        new(F.LongMode, 0x8000_0001, CpuidRegister.Edx, 29),
        new(F.InvariantTsc, 0x8000_0007, CpuidRegister.Edx, 8),
    ];

    /// <summary>The instruction: EAX and ECX in, four registers out; serialises. #GP(0) above CPL 0 with CPUID faulting switched on.</summary>
    public static bool Execute(CpuState* s)
    {
        Cpu cpu = Cpu.Of(s);
        if (s->Cpl != 0 && Msrs.CpuidFaults(s))
            return Access.Raise(s, Vector.GeneralProtection);
        uint leaf = (uint)s->Registers[0];
        // "BOOT_NT4": leaves above 2 are as if there were none.
        if ((s->MiscEnable & Msrs.MiscEnableLimitCpuid) != 0 && leaf is > 2 and < ExtendedBase)
            leaf = 2;
        CpuidResult r = Query(cpu.Model, leaf, (uint)s->Registers[1], cpu.Topology, cpu.ApicId);

        // Some bits follow the CPU's state.
        if (leaf == 0 && (s->MiscEnable & Msrs.MiscEnableLimitCpuid) != 0)
            r = r with { Eax = Math.Min(r.Eax, 2) };
        if (cpu.Model.Vendor == CpuVendor.Intel && leaf == 1)
        {
            // "Executing CPUID with EAX = 1 loads the signature of the update into IA32_BIOS_SIGN_ID."
            *cpu.Model.Msrs[BiosSignId].Field!(s) = (ulong)cpu.Model.Microcode << 32;
            if (cpu.Model.Has(F.Monitor) && (s->MiscEnable & Msrs.MiscEnableMonitor) == 0)
                r = r with { Ecx = r.Ecx & ~(1U << 3) };
        }
        if (leaf == 0x8000_0001 && (s->MiscEnable & Msrs.MiscEnableXdDisable) != 0)
            r = r with { Edx = r.Edx & ~(1U << 20) };
        // SDM, IA32_APIC_BASE: with the enable flag clear, CPUID reports no APIC.
        if (leaf == 1 && (s->ApicBase & Msrs.ApicBaseEnable) == 0)
            r = r with { Edx = r.Edx & ~(1U << 9), Ecx = r.Ecx & ~(1U << 21) };
        // "A value of 1 indicates that the OS has set CR4.OSXSAVE."
        if (leaf == 1 && (s->Paging.Cr4 & ControlBits.Cr4OsXsave) != 0)
            r = r with { Ecx = r.Ecx | 1U << 27 };
        // SDM, leaf 80000001H: "Bit 11: SYSCALL/SYSRET (when in 64-bit mode)".
        if (leaf == 0x8000_0001 && cpu.Model.Vendor == CpuVendor.Intel && !s->Is64Bit)
            r = r with { Edx = r.Edx & ~(1U << 11) };

        s->Registers[0] = r.Eax;
        s->Registers[3] = r.Ebx;
        s->Registers[1] = r.Ecx;
        s->Registers[2] = r.Edx;
        cpu.Serialise(SerialisingEvent.Cpuid);
        return true;
    }

    /// <summary>What a model answers.</summary>
    public static CpuidResult Query(CpuModel model, uint leaf, uint subleaf, CpuTopology topology, ApicId apicId)
    {
        if (leaf > model.MaxBasicLeaf && (leaf < ExtendedBase || leaf > model.MaxExtendedLeaf))
        {
            // Out of range: Intel answers with the data of the highest basic leaf, AMD with zeros.
            if (model.Vendor == CpuVendor.Amd)
                return default;
            leaf = model.MaxBasicLeaf;
        }
        CpuidResult features = Features(model, leaf, leaf is 7 or 0xD ? subleaf : 0);
        return leaf switch
        {
            0 => VendorLeaf(model, model.MaxBasicLeaf),
            1 => Leaf1(model, features, topology, apicId),
            2 => model.CacheDescriptors ?? default,
            4 => Leaf4(model, subleaf, topology),
            // MONITOR lines of 64 bytes; no extensions, no C-states below C1.
            5 => model.Has(F.Monitor) ? new(64, 64, 0, 0) : default,
            0xB => model.Has(F.X2Apic) ? LeafB(subleaf, topology, apicId) : default,
            0xD => model.Has(F.Xsave) ? LeafD(subleaf, features) : default,
            // TSC = crystal × EBX / EAX.
            0x15 => new(1, 1, TscHertz, 0),
            // Base, maximum and bus frequency in MHz.
            0x16 => new(1000, 1000, 100, 0),
            0x8000_0000 => VendorLeaf(model, model.MaxExtendedLeaf, extended: true),
            0x8000_0001 => Leaf80000001(model, features, topology),
            0x8000_0002 or 0x8000_0003 or 0x8000_0004 => BrandLeaf(model, (int)(leaf - 0x8000_0002)),
            0x8000_0005 => model.Vendor == CpuVendor.Amd ? new(0, 0, AmdL1(model, CacheKind.Data), AmdL1(model, CacheKind.Instruction)) : default,
            0x8000_0006 => new(0, 0, L2(model), 0),
            0x8000_0008 => Leaf80000008(model, topology),
            _ => features,
        };
    }

    private static CpuidResult Features(CpuModel model, uint leaf, uint subleaf = 0)
    {
        uint eax = 0, ebx = 0, ecx = 0, edx = 0;
        foreach (CpuidFeatureBit b in FeatureBits)
        {
            if (b.Leaf != leaf || b.Subleaf != subleaf || !model.Has(b.Feature))
                continue;
            switch (b.Register)
            {
                case CpuidRegister.Eax:
                    eax |= 1U << b.Bit;
                    break;
                case CpuidRegister.Ebx:
                    ebx |= 1U << b.Bit;
                    break;
                case CpuidRegister.Ecx:
                    ecx |= 1U << b.Bit;
                    break;
                default:
                    edx |= 1U << b.Bit;
                    break;
            }
        }
        return new(eax, ebx, ecx, edx);
    }

    private static CpuidResult VendorLeaf(CpuModel model, uint max, bool extended = false)
    {
        // Extended leaf 0 repeats the vendor's name with AMD; with Intel the registers are reserved.
        if (extended && model.Vendor == CpuVendor.Intel)
            return new(max, 0, 0, 0);
        ReadOnlySpan<byte> name = model.Vendor == CpuVendor.Intel ? "GenuineIntel"u8 : "AuthenticAMD"u8;
        return new(max, BitConverter.ToUInt32(name), BitConverter.ToUInt32(name[8..]), BitConverter.ToUInt32(name[4..]));
    }

    private static CpuidResult Leaf1(CpuModel model, CpuidResult features, CpuTopology topology, ApicId apicId)
    {
        uint ebx = apicId.Value << 24;
        if (model.Has(F.Clflush))
            ebx |= 8 << 8;
        uint edx = features.Edx;
        if (topology.Cpus > 1)
        {
            // HTT: the package has more than one logical processor, and bits 23:16 hold how many IDs are set aside for them.
            edx |= 1U << 28;
            ebx |= (BitOperations.RoundUpToPowerOf2((uint)topology.Cpus) & 0xFF) << 16;
        }
        return new(model.Signature, ebx, features.Ecx, edx);
    }

    private static CpuidResult Leaf4(CpuModel model, uint subleaf, CpuTopology topology)
    {
        if (subleaf >= model.Caches.Count)
            return default;
        CpuCache c = model.Caches[(int)subleaf];
        uint ids = BitOperations.RoundUpToPowerOf2((uint)topology.Cpus) - 1;
        uint eax = (uint)c.Kind | (uint)c.Level << 5 | 1U << 8 | (c.SharedByAll ? ids : 0) << 14 | (ids & 0x3F) << 26;
        uint sets = (uint)(c.Kilobytes * 1024 / (c.Ways * c.LineBytes));
        return new(eax, (uint)(c.LineBytes - 1) | (uint)(c.Ways - 1) << 22, sets - 1, 0);
    }

    /// <summary>Extended topology: one thread per core, all cores in one package.</summary>
    private static CpuidResult LeafB(uint subleaf, CpuTopology topology, ApicId apicId) => subleaf switch
    {
        0 => new(0, 1, 1 << 8, apicId.Value),
        1 => new(ApicIdBits(topology), (uint)topology.Cpus, 2 << 8 | 1, apicId.Value),
        _ => new(0, 0, subleaf & 0xFF, apicId.Value),
    };

    /// <summary>XSAVE: which components there are, and how large an area is; with XCR0 of x87 and SSE alone always the same.</summary>
    private static CpuidResult LeafD(uint subleaf, CpuidResult features) => subleaf switch
    {
        0 => new((uint)ExtendedState.Supported, ExtendedState.Size, ExtendedState.Size, 0),
        1 => features with { Ebx = ExtendedState.Size },
        _ => default,
    };

    private static CpuidResult Leaf80000001(CpuModel model, CpuidResult features, CpuTopology topology)
    {
        if (model.Vendor == CpuVendor.Intel)
            return features with { Eax = 0 };
        // AMD repeats the bits that both leaves have in the same place, and tells legacy software of several cores (CmpLegacy).
        const uint repeated = 0x0183_F3FF;
        uint ecx = features.Ecx | (topology.Cpus > 1 ? 2U : 0);
        return new(model.Signature, 0, ecx, features.Edx | (Features(model, 1).Edx & repeated));
    }

    private static CpuidResult Leaf80000008(CpuModel model, CpuTopology topology)
    {
        uint linear = model.Has(F.LongMode) ? 48U : 32U;
        uint ecx = model.Vendor == CpuVendor.Amd ? (uint)(topology.Cpus - 1) | ApicIdBits(topology) << 12 : 0;
        return new((uint)model.PhysicalAddressBits | linear << 8, 0, ecx, 0);
    }

    private static CpuidResult BrandLeaf(CpuModel model, int part)
    {
        Span<byte> brand = stackalloc byte[48];
        brand.Clear();
        Encoding.ASCII.GetBytes(model.Brand, brand[..47]);
        ReadOnlySpan<byte> p = brand[(16 * part)..];
        return new(BitConverter.ToUInt32(p), BitConverter.ToUInt32(p[4..]), BitConverter.ToUInt32(p[8..]), BitConverter.ToUInt32(p[12..]));
    }

    /// <summary>AMD leaf 80000005h: size in KBytes, ways, lines per tag, line size.</summary>
    private static uint AmdL1(CpuModel model, CacheKind kind)
    {
        CpuCache? c = model.Caches.FirstOrDefault(x => x.Level == 1 && x.Kind == kind);
        return c == null ? 0 : (uint)c.Kilobytes << 24 | (uint)c.Ways << 16 | 1 << 8 | (uint)c.LineBytes;
    }

    /// <summary>Leaf 80000006h ECX: size in KBytes, encoded ways, line size.</summary>
    private static uint L2(CpuModel model)
    {
        CpuCache? c = model.Caches.FirstOrDefault(x => x.Level == 2);
        if (c == null)
            return 0;
        uint ways = c.Ways switch
        {
            1 => 1,
            2 => 2,
            4 => 4,
            8 => 6,
            16 => 8,
            // Not a power of two: "see leaf 4".
            _ => 7,
        };
        return (uint)c.Kilobytes << 16 | ways << 12 | (uint)c.LineBytes;
    }

    private static uint ApicIdBits(CpuTopology topology) => (uint)BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)topology.Cpus));
}
