namespace Emu.Cpus;

/// <summary>Features that change what an instruction does or whether it exists; each is a CPUID bit.</summary>
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
}

/// <summary>A processor by name: what CPUID says, which instructions exist, which fetch profile is its default.</summary>
public sealed class CpuModel
{
    public required string Name { get; init; }
    public required string Description { get; init; }
    public required CpuFeatures Features { get; init; }
    public required int PhysicalAddressBits { get; init; }
    public required string DefaultProfile { get; init; }

    public bool Has(CpuFeatures f) => (Features & f) == f;
}
