namespace Emu.Float;

/// <summary>
/// ±Significand × 2^(Exponent - 127) with bit 127 of the significand set, or zero: what transcendental functions are computed with, so that one rounding
/// at the end decides. Results are truncated, with an error of a few units in the 127th place.
/// </summary>
internal readonly struct Wide
{
    public readonly UInt128 Significand;
    public readonly int Exponent;
    public readonly bool Negative;

    public Wide(bool negative, int exponent, UInt128 significand)
    {
        int shift = (int)UInt128.LeadingZeroCount(significand);
        Negative = negative;
        Significand = significand == 0 ? 0 : significand << shift;
        Exponent = exponent - shift;
    }

    public static Wide One { get; } = Of(1);

    public bool IsZero => Significand == 0;

    public static Wide Of(int value) => new(value < 0, 127, (UInt128)(uint)Math.Abs(value));

    public static Wide Of(in Number n) => new(n.Negative, n.Exponent, new UInt128(n.Significand, n.Rest));

    /// <summary>As the exact result of an operation, which is never a number of fewer bits: the last bit is sticky.</summary>
    public Number ToNumber() =>
        IsZero ? Number.Zero(Negative) : Number.Finite(Negative, Exponent, (ulong)(Significand >> 64), (ulong)Significand | 1);

    public Wide Absolute => new(false, Exponent, Significand);

    /// <summary>This times a power of two.</summary>
    public Wide Scale(int power) => new(Negative, Exponent + power, Significand);

    public static Wide operator -(Wide a) => new(!a.Negative, a.Exponent, a.Significand);

    public static Wide operator -(Wide a, Wide b) => a + -b;

    public static Wide operator +(Wide a, Wide b)
    {
        if (a.IsZero)
            return b;
        if (b.IsZero)
            return a;
        if (a.Exponent < b.Exponent || (a.Exponent == b.Exponent && a.Significand < b.Significand))
            (a, b) = (b, a);
        // One bit is given up for the carry; what falls out stays behind as a last bit, so that 1 less a trifle is less than 1.
        UInt128 x = a.Significand >> 1;
        int shift = a.Exponent - b.Exponent + 1;
        UInt128 y = shift < 128 ? b.Significand >> shift : 0;
        if (shift >= 128 || y << shift != b.Significand)
            y |= 1;
        return new Wide(a.Negative, a.Exponent + 1, a.Negative == b.Negative ? x + y : x - y);
    }

    public static Wide operator *(Wide a, Wide b) => new(a.Negative ^ b.Negative, a.Exponent + b.Exponent + 1, High(a.Significand, b.Significand));

    /// <summary>The divisor is not zero.</summary>
    public static Wide operator /(Wide a, Wide b)
    {
        // Long division of a dividend below the divisor, bit by bit.
        UInt128 rest = a.Significand, quotient = 0;
        int exponent = a.Exponent - b.Exponent;
        bool carry = false;
        for (int i = 0; i < 128; i++)
        {
            quotient <<= 1;
            if (carry || rest >= b.Significand)
            {
                rest -= b.Significand;
                quotient |= 1;
            }
            carry = rest >> 127 != 0;
            rest <<= 1;
        }
        return new Wide(a.Negative ^ b.Negative, exponent, quotient);
    }

    /// <summary>The upper 128 of the 256 bits of a product, but for the carry out of its lowest quarter.</summary>
    private static UInt128 High(UInt128 a, UInt128 b)
    {
        ulong a1 = (ulong)(a >> 64), a0 = (ulong)a, b1 = (ulong)(b >> 64), b0 = (ulong)b;
        UInt128 low = (UInt128)a0 * b0, first = (UInt128)a1 * b0, second = (UInt128)a0 * b1;
        UInt128 middle = (low >> 64) + (ulong)first + (ulong)second;
        return (UInt128)a1 * b1 + (first >> 64) + (second >> 64) + (middle >> 64);
    }
}
