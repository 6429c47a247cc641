using System.Numerics;

namespace Emu.Differ.Cases;

/// <summary>SplitMix64: a generator of our own, so that a seed means the same cases under every version of .NET.</summary>
public struct Dice(ulong seed)
{
    private static readonly ulong[] s_boundaries =
    [
        0, 1, 2, 3, 0x0F, 0x10, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x1_0000,
        0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF, 0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000,
        0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_FFFF_8000, 0xFFFF_FFFF_FFFF_FF80, 0xFFFF_FFFF_FFFF_FFFE, 0xFFFF_FFFF_FFFF_FFFF,
        0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, 0x0102_0408_1020_4080,
    ];

    private ulong _state = seed;

    /// <summary>The dice of case <paramref name="number"/> of a run: every case can be made without those before it.</summary>
    public static Dice ForCase(ulong seed, int mode, long number)
    {
        var dice = new Dice(seed ^ (ulong)mode << 56);
        return new Dice(dice.Next() + (ulong)number * 0xD6E8_FEB8_6659_FD93);
    }

    public ulong Next()
    {
        ulong z = _state += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ z >> 30) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ z >> 27) * 0x94D0_49BB_1331_11EB;
        return z ^ z >> 31;
    }

    /// <summary>0 to <paramref name="below"/> - 1.</summary>
    public int Below(int below) => (int)((UInt128)Next() * (ulong)below >> 64);

    /// <summary>True <paramref name="percent"/> times in a hundred.</summary>
    public bool Percent(int percent) => Below(100) < percent;

    public T Pick<T>(ReadOnlySpan<T> of) => of[Below(of.Length)];

    /// <summary>A value at which something may tip over: a boundary, a neighbour of a power of two, a small one, or any.</summary>
    public ulong Value()
    {
        switch (Below(8))
        {
            case 0 or 1 or 2:
                return s_boundaries[Below(s_boundaries.Length)];
            case 3:
                return (1UL << Below(64)) + (ulong)(Below(3) - 1);
            case 4:
                return (ulong)Below(256);
            case 5:
                return BitOperations.RotateLeft(Next() >> Below(64), Below(64));
            default:
                return Next();
        }
    }
}
