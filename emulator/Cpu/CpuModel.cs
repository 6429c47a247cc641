using System.Collections;
using System.Runtime.CompilerServices;

namespace Emu.Cpus;

/// <summary>Features that change what an instruction does or whether it exists; each is a CPUID bit (see <see cref="Cpuid.FeatureBits"/>).</summary>
public enum CpuFeature
{
    Fpu,
    Tsc,
    Msr,
    Pae,
    Cx8,
    Apic,
    Sep,
    Pge,
    Cmov,
    Pse,
    Mmx,
    Fxsr,
    Sse,
    Sse2,
    Sse3,
    Cx16,
    Popcnt,
    X2Apic,
    TscDeadline,
    Syscall,
    Nx,
    LongMode,
    Rdtscp,
    Gigabyte,
    Smep,
    Smap,
    Serialize,
    Monitor,
    LahfLm,
    Movbe,
    Bmi1,
    Bmi2,
    Lzcnt,
    FsGsBase,
    Pat,
    Clflush,

    /// <summary>0F 1F: no CPUID bit; on every P6 and later.</summary>
    MultibyteNop,
    Pcid,
    Umip,
    Adx,
    Erms,
    Rdrand,
    Prefetchw,
    Invpcid,
    Rdpid,
    Ssse3,
    Sse41,
    Sse42,
    Mce,
    Mca,
    Mtrr,
    Pse36,
    InvariantTsc,
    Arat,

    /// <summary>CR4.VME and CR4.PVI: interrupt redirection and virtual interrupts.</summary>
    Vme,

    /// <summary>CR4.DE: I/O breakpoints, and DR4 and DR5 undefined.</summary>
    De,
    Aes,
    Pclmulqdq,
    Sha,
    Rdseed,
    Xsave,
    Xsaveopt,

    /// <summary>The selectors of the x87 instruction and data pointers are saved as 0 ("deprecates FPU CS and FPU DS values").</summary>
    NoX87Selectors,

    /// <summary>XSAVEC and the compacted form of XRSTOR.</summary>
    Xsavec,
    Xsaves,

    /// <summary>XGETBV with ECX = 1.</summary>
    Xgetbv1,
    Clflushopt,
    Clwb,
    TscAdjust,

    /// <summary>IA32_CORE_CAPABILITIES: here, #AC for split locks.</summary>
    CoreCapabilities,
}

/// <summary>A set of features, written as a collection: <c>[F.Fpu, F.Tsc]</c>.</summary>
[CollectionBuilder(typeof(CpuFeatureSet), nameof(Of))]
public readonly record struct CpuFeatureSet : IEnumerable<CpuFeature>
{
    // Two words and not a UInt128: what takes one is not compiled ahead of time.
    private readonly ulong _low, _high;

    private CpuFeatureSet(ulong low, ulong high) => (_low, _high) = (low, high);

    public static CpuFeatureSet Of(ReadOnlySpan<CpuFeature> features)
    {
        (ulong low, ulong high) = (0, 0);
        foreach (CpuFeature f in features)
        {
            if ((int)f < 64)
                low |= 1ul << (int)f;
            else
                high |= 1ul << (int)f;
        }
        return new(low, high);
    }

    public bool IsEmpty => (_low | _high) == 0;

    public bool Contains(CpuFeature f) => (((int)f < 64 ? _low : _high) >> (int)f & 1) != 0;

    public bool Overlaps(CpuFeatureSet other) => (_low & other._low | _high & other._high) != 0;

    public CpuFeatureSet Except(CpuFeatureSet other) => new(_low & ~other._low, _high & ~other._high);

    public IEnumerator<CpuFeature> GetEnumerator()
    {
        foreach (CpuFeature f in Enum.GetValues<CpuFeature>())
            if (Contains(f))
                yield return f;
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>Who made it: the vendors differ in SYSCALL, SYSENTER and CPUID.</summary>
public enum CpuVendor
{
    Intel,
    Amd,
}

/// <summary>What a cache holds.</summary>
public enum CacheKind
{
    Data = 1,
    Instruction = 2,
    Unified = 3,
}

/// <summary>A cache, for CPUID only; the machine has none. Lines are 64 bytes unless said otherwise.</summary>
public sealed record CpuCache(int Level, CacheKind Kind, int Kilobytes, int Ways, bool SharedByAll = false, int LineBytes = 64);

/// <summary>How many logical CPUs there are; set by the machine, told by CPUID.</summary>
public readonly record struct CpuTopology(int Cpus);

/// <summary>A local APIC's ID as set at power-up. It need not be the CPU's index, though it is on this machine.</summary>
public readonly record struct ApicId(uint Value)
{
    public override string ToString() => Value.ToString();
}

/// <summary>A processor by name: what CPUID says, which instructions exist, which fetch profile is its default.</summary>
public sealed class CpuModel
{
    public required string Name { get; init; }
    public required string Description { get; init; }
    public required CpuVendor Vendor { get; init; }

    /// <summary>Up to 47 characters, in leaves 0x80000002-4.</summary>
    public required string Brand { get; init; }

    /// <summary>CPUID leaf 1 EAX: extended family and model, type, family, model, stepping.</summary>
    public required uint Signature { get; init; }
    public required CpuFeatureSet Features { get; init; }
    public required int PhysicalAddressBits { get; init; }
    public required string DefaultProfile { get; init; }
    public required uint MaxBasicLeaf { get; init; }

    /// <summary>0 where there are no extended leaves.</summary>
    public required uint MaxExtendedLeaf { get; init; }
    public required IReadOnlyList<CpuCache> Caches { get; init; }

    /// <summary>Leaf 2: EAX, EBX, ECX, EDX with descriptors of caches and TLBs; null where there is no leaf 2.</summary>
    public CpuidResult? CacheDescriptors { get; init; }

    /// <summary>Revision of the microcode, which IA32_BIOS_SIGN_ID and AMD's PATCH_LEVEL tell.</summary>
    public required uint Microcode { get; init; }

    /// <summary>Banks of the machine-check architecture.</summary>
    public required int MachineCheckBanks { get; init; }

    /// <summary>The model-specific registers that it has, but for the x2APIC's.</summary>
    public IReadOnlyDictionary<uint, Msr> Msrs => field ??= MsrTable.All.Where(m => m.ExistsOn(this)).ToDictionary(m => m.Address);

    public bool Has(CpuFeature f) => Features.Contains(f);
}
