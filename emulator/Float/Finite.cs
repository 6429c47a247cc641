namespace Emu.Float;

/// <summary>
/// Exact arithmetic on finite numbers: each result has 128 bits, of which the last is sticky, so that rounding it once gives what rounding the exact
/// result gives.
/// </summary>
public static class Finite
{
    /// <summary>The sum. A sum of zero is positive, but negative when rounding down.</summary>
    public static Number Add(in Number a, in Number b, Rounding rounding)
    {
        bool aLarger = a.Exponent > b.Exponent || (a.Exponent == b.Exponent && a.Significand >= b.Significand);
        (Number x, Number y) = aLarger ? (a, b) : (b, a);
        ulong high = y.Significand, low = 0;
        Rounder.ShiftRight(ref high, ref low, x.Exponent - y.Exponent);
        if (x.Negative == y.Negative)
        {
            ulong sum = x.Significand + high;
            if (sum >= high)
                return x with { Significand = sum, Rest = low };
            return x with { Exponent = x.Exponent + 1, Significand = sum >> 1 | 1UL << 63, Rest = sum << 63 | low >> 1 | (low & 1) };
        }
        ulong difference = x.Significand - high - (low != 0 ? 1UL : 0);
        ulong rest = 0 - low;
        if ((difference | rest) == 0)
            return Number.Zero(rounding == Rounding.Down);
        return Number.Finite(x.Negative, x.Exponent, difference, rest);
    }

    public static Number Multiply(in Number a, in Number b)
    {
        ulong high = Math.BigMul(a.Significand, b.Significand, out ulong low);
        int exponent = a.Exponent + b.Exponent;
        if ((long)high < 0)
            exponent++;
        else
            (high, low) = (high << 1 | low >> 63, low << 1);
        return new() { Kind = NumberKind.Finite, Negative = a.Negative ^ b.Negative, Exponent = exponent, Significand = high, Rest = low };
    }

    public static Number Divide(in Number a, in Number b)
    {
        int exponent = a.Exponent - b.Exponent;
        // The dividend is made less than the divisor, but not less than half of it.
        ulong high = a.Significand, low = 0;
        if (high >= b.Significand)
            (high, low) = (high >> 1, high << 63);
        else
            exponent--;
        ulong quotient = DivideWide(high, low, b.Significand, out ulong remainder);
        ulong twice = remainder << 1;
        bool over = (long)remainder < 0 || twice > b.Significand;
        ulong rest = remainder == 0 ? 0 : over ? 0xC000_0000_0000_0000 : twice == b.Significand ? 0x8000_0000_0000_0000UL : 1;
        return new() { Kind = NumberKind.Finite, Negative = a.Negative ^ b.Negative, Exponent = exponent, Significand = quotient, Rest = rest };
    }

    /// <summary>The square root of a positive number.</summary>
    public static Number SquareRoot(in Number a)
    {
        // The radicand as 128 bits with an even exponent; its root has 64 bits.
        bool odd = (a.Exponent & 1) != 0;
        ulong high = odd ? a.Significand : a.Significand >> 1;
        ulong low = odd ? 0 : a.Significand << 63;
        ulong root = Root(high, low);
        ulong squareHigh = Math.BigMul(root, root, out ulong squareLow);
        ulong remainderHigh = high - squareHigh - (low < squareLow ? 1UL : 0);
        ulong remainder = low - squareLow;
        // Beyond half of the last bit when the remainder exceeds the root: (r + 1/2)² = r² + r + 1/4.
        bool over = remainderHigh != 0 || remainder > root;
        ulong rest = (remainderHigh | remainder) == 0 ? 0 : over ? 0xC000_0000_0000_0000 : 1UL;
        return new() { Kind = NumberKind.Finite, Exponent = a.Exponent >> 1, Significand = root, Rest = rest };
    }

    /// <summary>Largest integer whose square is not above a number of 128 bits, at least 2^126.</summary>
    private static ulong Root(ulong high, ulong low)
    {
        // 53 bits from the host's correctly rounded root, then Newton's step, then the last bit.
        double estimate = Math.Sqrt((double)(high >> 1 | 1) * 2.0 * 18446744073709551616.0);
        ulong root = estimate >= 18446744073709551615.0 ? ulong.MaxValue : (ulong)estimate;
        if (root <= high)
            root = high == ulong.MaxValue ? high : high + 1;
        if (root > high)
        {
            ulong quotient = DivideWide(high, low, root, out _);
            ulong sum = root + quotient;
            root = sum < root ? sum >> 1 | 1UL << 63 : sum >> 1;
        }
        while (IsSquareAbove(root, high, low))
            root--;
        while (root != ulong.MaxValue && !IsSquareAbove(root + 1, high, low))
            root++;
        return root;
    }

    private static bool IsSquareAbove(ulong root, ulong high, ulong low)
    {
        ulong squareHigh = Math.BigMul(root, root, out ulong squareLow);
        return squareHigh > high || (squareHigh == high && squareLow > low);
    }

    /// <summary>128 bits by 64; the divisor has its top bit set and is above the upper half, so that the quotient fits.</summary>
    public static ulong DivideWide(ulong high, ulong low, ulong divisor, out ulong remainder)
    {
        ulong q1 = DivideStep(ref high, low >> 32, divisor);
        ulong q0 = DivideStep(ref high, low & uint.MaxValue, divisor);
        remainder = high;
        return q1 << 32 | q0;
    }

    /// <summary>One digit of 32 bits: (rest × 2^32 + next) by the divisor.</summary>
    private static ulong DivideStep(ref ulong rest, ulong next, ulong divisor)
    {
        ulong top = divisor >> 32, bottom = divisor & uint.MaxValue;
        ulong digit = rest / top;
        ulong left = rest - digit * top;
        // Two too many at most.
        while (digit > uint.MaxValue || digit * bottom > (left << 32 | next))
        {
            digit--;
            left += top;
            if (left > uint.MaxValue)
                break;
        }
        rest = (rest << 32 | next) - digit * divisor;
        return digit;
    }

    /// <summary>Sign of a - b, for finite numbers and zeros and infinities.</summary>
    public static int Compare(in Number a, in Number b)
    {
        if (a.Kind == NumberKind.Zero && b.Kind == NumberKind.Zero)
            return 0;
        int signA = a.Kind == NumberKind.Zero ? 0 : a.Negative ? -1 : 1, signB = b.Kind == NumberKind.Zero ? 0 : b.Negative ? -1 : 1;
        if (signA != signB)
            return signA.CompareTo(signB);
        return signA * CompareMagnitudes(a, b);
    }

    private static int CompareMagnitudes(in Number a, in Number b)
    {
        bool infiniteA = a.Kind == NumberKind.Infinity, infiniteB = b.Kind == NumberKind.Infinity;
        if (infiniteA || infiniteB)
            return infiniteA.CompareTo(infiniteB);
        return a.Exponent != b.Exponent ? a.Exponent.CompareTo(b.Exponent) : a.Significand.CompareTo(b.Significand);
    }

    /// <summary>
    /// Remainder of a division, exact, with the quotient truncated or rounded to nearest (FPREM, FPREM1). Where the exponents differ by 64 or more only a
    /// part is done, which makes the exponent less by 32 to 63.
    /// </summary>
    public static Number Remainder(in Number a, in Number b, bool toNearest, out ulong quotient, out bool partial)
    {
        int difference = a.Exponent - b.Exponent;
        partial = difference >= 64;
        quotient = 0;
        if (difference < (toNearest ? -1 : 0))
            return a;
        // A part: as many steps as leave a multiple of 32 to do, which is what CPUs do.
        int steps = partial ? (difference & 31) | 32 : difference;
        ulong rest = a.Significand;
        int exponent = a.Exponent;
        bool carry = false;
        for (int i = 0; i <= steps; i++)
        {
            if (i != 0)
            {
                carry = (long)rest < 0;
                rest <<= 1;
                exponent--;
                quotient <<= 1;
            }
            if (carry || rest >= b.Significand)
            {
                rest -= b.Significand;
                quotient |= 1;
            }
        }
        bool negative = a.Negative;
        if (toNearest && !partial)
        {
            // Against half of the divisor; with a difference of -1 the rest is half as large as it looks.
            bool twiceOverflows = difference >= 0 && (long)rest < 0;
            ulong twice = difference >= 0 ? rest << 1 : rest;
            if (twiceOverflows || twice > b.Significand || (twice == b.Significand && (quotient & 1) != 0))
            {
                quotient++;
                negative = !negative;
                if (difference >= 0)
                    return Number.Finite(negative, exponent, b.Significand - rest);
                // 2b - rest, in units of half of b's.
                ulong high = b.Significand >> 63, low = b.Significand << 1;
                high -= low < rest ? 1UL : 0;
                return Number.Finite(negative, exponent + 64, high, low - rest);
            }
        }
        return rest == 0 ? Number.Zero(a.Negative) : Number.Finite(negative, exponent, rest);
    }
}
