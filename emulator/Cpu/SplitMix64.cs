namespace Emu.Cpus;

/// <summary>SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators"): one word of state.</summary>
public static class SplitMix64
{
    /// <summary>64 random bits.</summary>
    public static ulong Next(ref ulong state)
    {
        ulong z = state += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
