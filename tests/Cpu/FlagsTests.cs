using Emu.Cpus;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Emu.Tests.Processors;

public sealed unsafe class FlagsTests
{
    private static readonly ulong[] Six = [Rflags.Cf, Rflags.Pf, Rflags.Af, Rflags.Zf, Rflags.Sf, Rflags.Of];

    [Fact]
    public void Flags_EveryCombination_SurvivesSetAndGet()
    {
        using TestCpu t = new();
        for (int combination = 0; combination < 64; combination++)
        {
            ulong flags = Combination(combination);
            Flags.Set(t.S, flags | Rflags.If);
            Assert.Equal(flags | Rflags.If | Rflags.Reserved1, Flags.Get(t.S));
        }
    }

    [Fact]
    public void Flags_SetCarryOverflow_LeavesTheOtherFour()
    {
        using TestCpu t = new();
        for (int combination = 0; combination < 64; combination++)
        {
            for (int to = 0; to < 4; to++)
            {
                ulong flags = Combination(combination);
                Flags.Set(t.S, flags);
                Flags.SetCarryOverflow(t.S, (to & 1) != 0, (to & 2) != 0);
                ulong expected = flags & ~(Rflags.Cf | Rflags.Of) | ((to & 1) != 0 ? Rflags.Cf : 0) | ((to & 2) != 0 ? Rflags.Of : 0);
                Assert.Equal(expected | 2, Flags.Get(t.S));

                Flags.Set(t.S, flags);
                Flags.SetCarry(t.S, (to & 1) != 0);
                Assert.Equal(flags & ~Rflags.Cf | (uint)(to & 1) | 2, Flags.Get(t.S));
            }
        }
    }

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void Flags_OfAnAddition_AreThoseOfTheManual(int bits)
    {
        using TestCpu t = new();
        ulong mask = ulong.MaxValue >> (64 - bits);
        Prop.ForAll<ulong, ulong, bool>((x, y, carryIn) =>
        {
            ulong a = Spread(x) & mask, b = Spread(y) & mask, c = carryIn ? 1UL : 0;
            UInt128 wide = (UInt128)a + b + c;
            ulong result = (ulong)wide & mask;
            Flags.SetAdd(t.S, bits, a, b, result);
            Int128 signed = (Int128)Signed(a, bits) + Signed(b, bits) + c;
            return Flags.Get(t.S) == (2 | Common(result, bits) | Bit(wide > mask, Rflags.Cf) | Bit((a & 15) + (b & 15) + c > 15, Rflags.Af)
                | Bit(signed != Signed(result, bits), Rflags.Of));
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void Flags_OfASubtraction_AreThoseOfTheManual(int bits)
    {
        using TestCpu t = new();
        ulong mask = ulong.MaxValue >> (64 - bits);
        Prop.ForAll<ulong, ulong, bool>((x, y, borrowIn) =>
        {
            ulong a = Spread(x) & mask, b = Spread(y) & mask, c = borrowIn ? 1UL : 0;
            ulong result = (a - b - c) & mask;
            Flags.SetSubtract(t.S, bits, a, b, result);
            Int128 signed = (Int128)Signed(a, bits) - Signed(b, bits) - c;
            return Flags.Get(t.S) == (2 | Common(result, bits) | Bit(a < (UInt128)b + c, Rflags.Cf) | Bit((a & 15) < (b & 15) + c, Rflags.Af)
                | Bit(signed != Signed(result, bits), Rflags.Of));
        }).QuickCheckThrowOnFailure();
    }

    /// <summary>FsCheck's numbers are small; this reaches all bits, and keeps 0 and all ones likely.</summary>
    private static ulong Spread(ulong x) => (x % 5) switch
    {
        0 => x,
        1 => ulong.MaxValue - x,
        2 => x << 60 | x,
        3 => (1UL << (int)(x & 63)) - 1,
        _ => x * 0x9E37_79B9_7F4A_7C15,
    };

    private static ulong Common(ulong result, int bits) =>
        Bit(result == 0, Rflags.Zf) | Bit(Signed(result, bits) < 0, Rflags.Sf)
        | Bit(System.Numerics.BitOperations.PopCount(result & 0xFF) % 2 == 0, Rflags.Pf);

    private static long Signed(ulong v, int bits) => (long)(v << (64 - bits)) >> (64 - bits);

    private static ulong Bit(bool on, ulong bit) => on ? bit : 0;

    private static ulong Combination(int n)
    {
        ulong flags = 0;
        for (int i = 0; i < 6; i++)
            if ((n & 1 << i) != 0)
                flags |= Six[i];
        return flags;
    }
}
