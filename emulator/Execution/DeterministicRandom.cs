using Emu.Cpus;

namespace Emu.Execution;

/// <summary>The source of all randomness in a schedule: <see cref="SplitMix64"/>.</summary>
public sealed class DeterministicRandom(ulong seed)
{
    private ulong _state = seed;

    /// <summary>The state; part of a snapshot.</summary>
    public ulong State
    {
        get => _state;
        set => _state = value;
    }

    /// <summary>64 random bits.</summary>
    public ulong Next() => SplitMix64.Next(ref _state);

    /// <summary>A number from 0 up to but not including <paramref name="bound"/>.</summary>
    public int Next(int bound) => (int)(((Next() >> 32) * (ulong)bound) >> 32);

    /// <summary>True once in <paramref name="n"/> times.</summary>
    public bool OneIn(int n) => Next(n) == 0;
}
