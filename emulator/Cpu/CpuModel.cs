namespace Emu.Cpus;

/// <summary>Features that change what an instruction does or whether it exists; each is a CPUID bit (see <see cref="Cpuid.FeatureBits"/>).</summary>
[Flags]
public enum CpuFeatures : ulong
{
    None = 0,
    Fpu = 1UL << 0,
    Tsc = 1UL << 1,
    Msr = 1UL << 2,
    Pae = 1UL << 3,
    Cx8 = 1UL << 4,
    Apic = 1UL << 5,
    Sep = 1UL << 6,
    Pge = 1UL << 7,
    Cmov = 1UL << 8,
    Pse = 1UL << 9,
    Mmx = 1UL << 10,
    Fxsr = 1UL << 11,
    Sse = 1UL << 12,
    Sse2 = 1UL << 13,
    Sse3 = 1UL << 14,
    Cx16 = 1UL << 15,
    Popcnt = 1UL << 16,
    X2Apic = 1UL << 17,
    TscDeadline = 1UL << 18,
    Syscall = 1UL << 19,
    Nx = 1UL << 20,
    LongMode = 1UL << 21,
    Rdtscp = 1UL << 22,
    Gigabyte = 1UL << 23,
    Smep = 1UL << 24,
    Smap = 1UL << 25,
    Serialize = 1UL << 26,
    Monitor = 1UL << 27,
    LahfLm = 1UL << 28,
    Movbe = 1UL << 29,
    Bmi1 = 1UL << 30,
    Bmi2 = 1UL << 31,
    Lzcnt = 1UL << 32,
    FsGsBase = 1UL << 33,
    Pat = 1UL << 34,
    Clflush = 1UL << 35,

    /// <summary>0F 1F: no CPUID bit; on every P6 and later.</summary>
    MultibyteNop = 1UL << 36,
    Pcid = 1UL << 37,
    Umip = 1UL << 38,
    Adx = 1UL << 39,
    Erms = 1UL << 40,
    Rdrand = 1UL << 41,
    Prefetchw = 1UL << 42,
    Invpcid = 1UL << 43,
    Rdpid = 1UL << 44,
    Ssse3 = 1UL << 45,
    Sse41 = 1UL << 46,
    Sse42 = 1UL << 47,
    Mce = 1UL << 48,
    Mca = 1UL << 49,
    Mtrr = 1UL << 50,
    Pse36 = 1UL << 51,
    InvariantTsc = 1UL << 52,
    Arat = 1UL << 53,
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
    public required CpuFeatures Features { get; init; }
    public required int PhysicalAddressBits { get; init; }
    public required string DefaultProfile { get; init; }
    public required uint MaxBasicLeaf { get; init; }

    /// <summary>0 where there are no extended leaves.</summary>
    public required uint MaxExtendedLeaf { get; init; }
    public required IReadOnlyList<CpuCache> Caches { get; init; }

    /// <summary>Leaf 2: EAX, EBX, ECX, EDX with descriptors of caches and TLBs; null where there is no leaf 2.</summary>
    public CpuidResult? CacheDescriptors { get; init; }

    public bool Has(CpuFeatures f) => (Features & f) == f;
}
