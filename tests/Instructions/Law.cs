using System.Numerics;
using FsCheck;
using FsCheck.Fluent;

namespace Emu.Tests.Instructions;

/// <summary>Property tests over machine words: mostly edges and random bits, always the same sequence.</summary>
internal static class Law
{
    private static readonly ulong[] _edges =
    [
        0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000,
        0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, ulong.MaxValue,
    ];

    private static readonly Config _config = Config.QuickThrowOnFailure.WithMaxTest(400).WithReplay(2009, 1007);

    /// <summary>A word: an edge, a small number, or 64 random bits.</summary>
    public static Gen<ulong> Word { get; } = Gen.OneOf(
        Gen.Elements(_edges),
        Gen.Choose(0, 70).Select(i => (ulong)i),
        Gen.Choose(0, 0xFFFF).Select(i => (ulong)(uint)i).Four().Select(t => t.Item1 << 48 | t.Item2 << 32 | t.Item3 << 16 | t.Item4));

    public static void Holds(Action<ulong, ulong> law) =>
        Check.One(_config, Prop.ForAll(Word.Two().ToArbitrary(), t => law(t.Item1, t.Item2)));

    public static void Holds(Action<ulong, ulong, ulong> law) =>
        Check.One(_config, Prop.ForAll(Word.Three().ToArbitrary(), t => law(t.Item1, t.Item2, t.Item3)));

    public static void Holds(Action<ulong, ulong, ulong, ulong> law) =>
        Check.One(_config, Prop.ForAll(Word.Four().ToArbitrary(), t => law(t.Item1, t.Item2, t.Item3, t.Item4)));

    public static ulong Mask(int bits) => ulong.MaxValue >> (64 - bits);

    /// <summary>Two's complement value of the low bits.</summary>
    public static BigInteger Signed(ulong v, int bits)
    {
        BigInteger u = v & Mask(bits);
        return u >> (bits - 1) == 0 ? u : u - (BigInteger.One << bits);
    }

    /// <summary>The low bits of any integer.</summary>
    public static ulong Low(BigInteger v, int bits) => (ulong)(v & Mask(bits));

    /// <summary>SF, ZF and PF of a result.</summary>
    public static ulong ResultFlags(ulong r, int bits)
    {
        r &= Mask(bits);
        ulong f = 0;
        if (r == 0)
            f |= Cpus.Rflags.Zf;
        if (r >> (bits - 1) != 0)
            f |= Cpus.Rflags.Sf;
        if (BitOperations.PopCount(r & 0xFF) % 2 == 0)
            f |= Cpus.Rflags.Pf;
        return f;
    }

    /// <summary>What a register holds after its low bits were written: 32 bits clear the rest, 8 and 16 keep it.</summary>
    public static ulong Merge(ulong old, ulong r, int bits) => bits switch
    {
        64 => r,
        32 => r & uint.MaxValue,
        _ => (old & ~Mask(bits)) | (r & Mask(bits)),
    };
}
