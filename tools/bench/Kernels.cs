namespace Emu.Bench;

/// <summary>A kernel of the bench guest and how often to repeat it.</summary>
/// <param name="EmuRepetitions">Long enough to stand out from the start of the program; so for QEMU.</param>
/// <param name="Target">The ratio to QEMU's rate that the project wants to reach; 0 for none of its own.</param>
internal sealed record Kernel(string Name, int EmuRepetitions, int QemuRepetitions, int Cpus, double Target = 0);

/// <summary>The kernels of guest/bench, and the figures that they are held against.</summary>
internal static class Kernels
{
    /// <summary>Guest MIPS of these eight have a target for their geometric mean.</summary>
    public static readonly Kernel[] Compute =
    [
        new("alu", 20, 200, 1),
        new("sieve", 3, 6, 1),
        new("crc", 40, 150, 1),
        new("fib", 40, 100, 1),
        new("sort", 1, 1, 1),
        new("matmul", 4, 20, 1),
        new("copy", 40, 120, 1),
        new("interp", 3, 5, 1),
    ];

    /// <summary>Packed integers in XMM registers.</summary>
    public static readonly Kernel[] Vectors =
    [
        new("blend", 600, 300, 1, 0.5),
    ];

    /// <summary>Floating point: SSE2 and x87.</summary>
    public static readonly Kernel[] Floating =
    [
        new("scalar", 40, 60, 1, 0.5),
        new("packed", 40, 60, 1, 0.5),
        new("x87", 10, 10, 1),
    ];

    public static readonly Kernel[] Events =
    [
        new("repmovsb", 2000, 250, 1, 8),
        new("patch", 3000, 100, 1, 25),
        new("codestore", 8000, 4000, 1),
        new("int3", 1500, 250, 1, 2),
        new("cr3", 100, 80, 1),
        new("lapic", 1000, 1500, 1),
        new("port", 1000, 1500, 1),
        new("ipi-hlt", 2000, 400, 2, 3),
        new("ipi-pause", 2000, 400, 2, 3),
    ];

    public const double GeometricMeanTarget = 0.3;
}
