namespace Emu.Execution;

/// <summary>SplitMix64 (Steele, Lea and Flood, 2014): the only source of randomness in a machine; one word of state.</summary>
public sealed class DeterministicRandom(ulong seed)
{
    /// <summary>The state; part of a snapshot.</summary>
    public ulong State { get; set; } = seed;

    /// <summary>64 random bits.</summary>
    public ulong Next()
    {
        State += 0x9E37_79B9_7F4A_7C15;
        ulong z = State;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }

    /// <summary>A number from 0 up to but not including <paramref name="bound"/>.</summary>
    public int Next(int bound) => (int)(((Next() >> 32) * (ulong)bound) >> 32);

    /// <summary>True once in <paramref name="n"/> times.</summary>
    public bool OneIn(int n) => Next(n) == 0;
}
