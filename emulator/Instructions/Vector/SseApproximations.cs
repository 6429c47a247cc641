using Emu.Float;

namespace Emu.Instructions;

/// <summary>
/// RCPPS, RCPSS, RSQRTPS, RSQRTSS. "The relative error is at most 1.5 × 2^-12"; which approximation it is differs between processors (SDM and AMD APM give the
/// bound only). Here: the upper 12 bits of the fraction pick an interval, of which the middle is inverted and rounded to 14 bits, so that the error is
/// below 2^-12. No exception is reported, rounding control and DAZ do not count: a denormal is a zero, and a result that would be denormal is zero.
/// </summary>
public static class SseApproximations
{
    private const int IndexBits = 12, ResultBits = 14;

    public readonly struct Reciprocal : ISseOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat
        {
            Number n = Number.Unpack<Binary32>(b);
            if (n.IsNaN)
                return n.Quieted().Pack<Binary32>();
            if (n.Kind == NumberKind.Infinity)
                return Number.Zero(n.Negative).Pack<Binary32>();
            if (n.Kind == NumberKind.Zero || n.Denormal)
                return Number.Infinity(n.Negative).Pack<Binary32>();
            // Middle of the interval, in units of half of it: 2^13 to 2^14.
            ulong middle = 2 * (n.Significand >> (63 - IndexBits)) + 1;
            ulong quotient = ((1UL << (IndexBits + 1 + ResultBits + 1)) / middle + 1) >> 1;
            return Encode(n.Negative, -n.Exponent - 1, quotient, ResultBits - 1);
        }
    }

    public readonly struct ReciprocalSquareRoot : ISseOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat
        {
            Number n = Number.Unpack<Binary32>(b);
            if (n.IsNaN)
                return n.Quieted().Pack<Binary32>();
            if (n.Kind == NumberKind.Zero || n.Denormal)
                return Number.Infinity(n.Negative).Pack<Binary32>();
            if (n.Negative)
                return Number.Indefinite.Pack<Binary32>();
            if (n.Kind == NumberKind.Infinity)
                return 0;
            // 1 to 4, with an even exponent. The host's root and quotient are correctly rounded everywhere.
            int odd = n.Exponent & 1;
            double middle = (double)(2 * (n.Significand >> (63 - IndexBits)) + 1) / (1 << (IndexBits + 1)) * (1 << odd);
            ulong root = (ulong)((1 << ResultBits) / Math.Sqrt(middle) + 0.5);
            return Encode(false, -(n.Exponent - odd) / 2 - 1, root, ResultBits - 1);
        }
    }

    /// <summary>significand × 2^(exponent - bits), or zero where that is below the normal numbers.</summary>
    private static ulong Encode(bool negative, int exponent, ulong significand, int bits)
    {
        Number n = Number.Finite(negative, exponent + 63 - bits, significand);
        return (n.Exponent < 1 - Binary32.MaxExponent ? Number.Zero(negative) : n).Pack<Binary32>();
    }
}
