using System.Numerics;
using Emu.Float;

namespace Emu.Tests.Float;

/// <summary>Rounding by its definition, on exact rationals: the number of the format next to a value in the wanted direction. Shares nothing with the code under test.</summary>
internal static class ExactOracle
{
    /// <summary>A value ±Numerator / Denominator × 2^Exponent.</summary>
    public readonly record struct Exact(BigInteger Numerator, BigInteger Denominator, int Exponent);

    /// <summary>The exact value of a finite number.</summary>
    public static Exact Of(in Number n) =>
        n.Kind == NumberKind.Zero ? new(0, 1, 0) : new(n.Negative ? -(BigInteger)n.Significand : n.Significand, 1, n.Exponent - 63);

    public static Exact Add(Exact a, Exact b)
    {
        int e = Math.Min(a.Exponent, b.Exponent);
        return new((a.Numerator << (a.Exponent - e)) + (b.Numerator << (b.Exponent - e)), 1, e);
    }

    public static Exact Multiply(Exact a, Exact b) => new(a.Numerator * b.Numerator, 1, a.Exponent + b.Exponent);

    public static Exact Divide(Exact a, Exact b) => new(a.Numerator * b.Numerator.Sign, BigInteger.Abs(b.Numerator), a.Exponent - b.Exponent);

    /// <summary>The square root with 200 bits, and one bit more that is set when it is not exact.</summary>
    public static Exact SquareRoot(Exact a)
    {
        int exponent = a.Exponent, shift = 400 + (exponent & 1);
        BigInteger radicand = a.Numerator << shift;
        BigInteger low = 0, high = BigInteger.One << (int)(radicand.GetBitLength() / 2 + 1);
        while (high - low > 1)
        {
            BigInteger middle = (low + high) >> 1;
            if (middle * middle <= radicand)
                low = middle;
            else
                high = middle;
        }
        return new((low << 1) + (low * low == radicand ? 0 : 1), 1, (exponent - shift) / 2 - 1);
    }

    /// <summary>Significand (as an integer) and exponent of its last bit of a nonzero value rounded to a format; null for an infinity.</summary>
    public static (BigInteger Significand, int LastBit)? Round(Exact x, int precision, int maxExponent, Rounding rounding, out FloatFlags flags)
    {
        BigInteger magnitude = BigInteger.Abs(x.Numerator);
        bool negative = x.Numerator.Sign < 0;
        // floor(log2(value))
        int log = (int)magnitude.GetBitLength() - (int)x.Denominator.GetBitLength();
        if (Less(magnitude, x.Denominator, log))
            log--;
        int exponent = log + x.Exponent;
        (BigInteger unbounded, _) = RoundAt(exponent - (precision - 1));
        bool tiny = unbounded.GetBitLength() > precision ? exponent + 1 < 1 - maxExponent : exponent < 1 - maxExponent;
        int last = Math.Max(exponent, 1 - maxExponent) - (precision - 1);
        (BigInteger significand, bool inexact) = RoundAt(last);
        flags = inexact ? FloatFlags.Precision : FloatFlags.None;
        if (tiny && inexact)
            flags |= FloatFlags.Underflow;
        if (significand.GetBitLength() - 1 + last > maxExponent)
        {
            flags = FloatFlags.Overflow | FloatFlags.Precision;
            if (rounding == Rounding.Nearest || rounding == (negative ? Rounding.Down : Rounding.Up))
                return null;
            return ((BigInteger.One << precision) - 1, maxExponent - (precision - 1));
        }
        return (significand, last);

        (BigInteger, bool) RoundAt(int lastBit)
        {
            int shift = x.Exponent - lastBit;
            BigInteger numerator = shift >= 0 ? magnitude << shift : magnitude, denominator = shift >= 0 ? x.Denominator : x.Denominator << -shift;
            BigInteger quotient = BigInteger.DivRem(numerator, denominator, out BigInteger rest);
            int half = (2 * rest).CompareTo(denominator);
            bool up = rounding switch
            {
                Rounding.Nearest => half > 0 || (half == 0 && !quotient.IsEven),
                Rounding.Zero => false,
                Rounding.Down => negative && !rest.IsZero,
                _ => !negative && !rest.IsZero,
            };
            return (up ? quotient + 1 : quotient, !rest.IsZero);
        }
    }

    /// <summary>a &lt; b × 2^log.</summary>
    private static bool Less(BigInteger a, BigInteger b, int log) => log >= 0 ? a < b << log : a << -log < b;
}
