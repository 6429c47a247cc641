namespace Emu.Float;

/// <summary>From the exact result of an operation to a number of its format: rounding, overflow, underflow (SDM Vol. 1, "Floating-Point Exception Conditions").</summary>
public static class Rounder
{
    /// <summary>Added to or taken from the exponent of an x87 register's result when underflow or overflow is unmasked.</summary>
    private const int ExtendedBias = 24576;

    /// <summary>Rounds to a format; zeros, infinities and NaNs stay as they are.</summary>
    public static void Round<F>(ref Number n, ref FloatContext c) where F : struct, IFloatFormat
    {
        c.RoundedUp = false;
        if (n.Kind == NumberKind.Finite)
            RoundFinite<F>(ref n, ref c, F.Bits == 80 ? 64 - c.Precision : 64 - F.SignificandBits);
    }

    /// <summary>Rounds to extended format with all its bits, whatever the precision control says.</summary>
    public static void RoundFully(ref Number n, ref FloatContext c)
    {
        c.RoundedUp = false;
        if (n.Kind == NumberKind.Finite)
            RoundFinite<Extended>(ref n, ref c, 0);
    }

    private static void RoundFinite<F>(ref Number n, ref FloatContext c, int drop) where F : struct, IFloatFormat
    {
        (int exponent, ulong significand, ulong rest) = (n.Exponent, n.Significand, n.Rest);
        bool inexact = RoundAt(ref n, ref c, drop);
        // "Tininess is detected after rounding", as though the exponent had no limit.
        if (n.Exponent < 1 - F.MaxExponent)
        {
            if ((c.Masked & FloatFlags.Underflow) == 0)
            {
                c.Raised |= FloatFlags.Underflow;
                if (F.Bits == 80)
                    n.Exponent += ExtendedBias;
            }
            else if (c.FlushToZero)
            {
                c.Raised |= FloatFlags.Underflow | FloatFlags.Precision;
                n.Kind = NumberKind.Zero;
                return;
            }
            else
            {
                ShiftRight(ref significand, ref rest, 1 - F.MaxExponent - exponent);
                (n.Exponent, n.Significand, n.Rest) = (1 - F.MaxExponent, significand, rest);
                inexact = RoundAt(ref n, ref c, drop);
                if (n.Significand == 0)
                    n.Kind = NumberKind.Zero;
                if (inexact)
                    c.Raised |= FloatFlags.Underflow;
            }
        }
        else if (n.Exponent > F.MaxExponent)
        {
            c.Raised |= FloatFlags.Overflow;
            if ((c.Masked & FloatFlags.Overflow) == 0)
            {
                if (F.Bits == 80)
                    n.Exponent -= ExtendedBias;
            }
            else
            {
                inexact = true;
                c.RoundedUp = c.Rounding == Rounding.Nearest || c.Rounding == (n.Negative ? Rounding.Down : Rounding.Up);
                if (c.RoundedUp)
                    n.Kind = NumberKind.Infinity;
                else
                    (n.Exponent, n.Significand) = (F.MaxExponent, ulong.MaxValue << drop);
            }
        }
        if (inexact)
            c.Raised |= FloatFlags.Precision;
        n.Rest = 0;
    }

    /// <summary>Rounds away the low bits of the significand and all below. True when they were not zero.</summary>
    private static bool RoundAt(ref Number n, ref FloatContext c, int drop)
    {
        ulong mask = drop == 0 ? 0 : ulong.MaxValue >> (64 - drop);
        ulong low = n.Significand & mask;
        c.RoundedUp = false;
        if ((low | n.Rest) == 0)
            return false;
        bool up;
        if (c.Rounding == Rounding.Nearest)
        {
            // The part that is dropped, as a fraction of 64 bits; what lies below them only makes it larger.
            ulong fraction = drop == 0 ? n.Rest : low << (64 - drop);
            bool beyond = drop != 0 && n.Rest != 0;
            const ulong half = 1UL << 63;
            bool odd = (n.Significand >> drop & 1) != 0;
            up = fraction > half || (fraction == half && (beyond || odd));
        }
        else
        {
            up = c.Rounding == (n.Negative ? Rounding.Down : Rounding.Up);
        }
        n.Significand &= ~mask;
        if (up)
        {
            c.RoundedUp = true;
            ulong sum = n.Significand + (1UL << drop);
            if (sum < n.Significand)
            {
                sum = 1UL << 63;
                n.Exponent++;
            }
            n.Significand = sum;
        }
        return true;
    }

    /// <summary>Shifts 128 bits to the right; what falls out stays behind as a sticky last bit.</summary>
    public static void ShiftRight(ref ulong high, ref ulong low, int by)
    {
        if (by == 0)
            return;
        if (by < 64)
        {
            bool lost = low << (64 - by) != 0;
            low = high << (64 - by) | low >> by | (lost ? 1UL : 0);
            high >>= by;
        }
        else if (by < 128)
        {
            by -= 64;
            bool lost = low != 0 || (by != 0 && high << (64 - by) != 0);
            low = high >> by | (lost ? 1UL : 0);
            high = 0;
        }
        else
        {
            low = (high | low) != 0 ? 1UL : 0;
            high = 0;
        }
    }

    /// <summary>Rounds to an integral value in the same format (FRNDINT, ROUNDPD); a result of zero keeps the sign.</summary>
    public static void RoundToIntegral(ref Number n, ref FloatContext c)
    {
        c.RoundedUp = false;
        if (n.Kind != NumberKind.Finite || n.Exponent >= 63)
            return;
        if (n.Exponent < -1)
        {
            // Below a half: as good as any other number there.
            (n.Exponent, n.Significand, n.Rest) = (-2, 1UL << 63, 0);
        }
        // One bit more than is dropped must exist to round at: bring the number to the exponent 0 at least.
        ulong high = n.Significand, low = n.Rest;
        int exponent = Math.Max(n.Exponent, 0);
        ShiftRight(ref high, ref low, exponent - n.Exponent);
        (n.Significand, n.Rest, n.Exponent) = (high, low, exponent);
        if (RoundAt(ref n, ref c, 63 - exponent))
            c.Raised |= FloatFlags.Precision;
        n.Rest = 0;
        if (n.Significand == 0)
            n.Kind = NumberKind.Zero;
    }

    /// <summary>Rounds to a signed integer of so many bits; false when it does not fit, or is none.</summary>
    public static bool TryRoundToInteger(in Number n, int bits, ref FloatContext c, out long value)
    {
        value = 0;
        c.RoundedUp = false;
        if (n.Kind == NumberKind.Zero)
            return true;
        if (n.Kind != NumberKind.Finite || n.Exponent > 63)
            return false;
        Number integral = n;
        FloatFlags before = c.Raised;
        RoundToIntegral(ref integral, ref c);
        if (integral.Kind == NumberKind.Zero)
            return true;
        ulong magnitude = integral.Significand >> (63 - Math.Min(integral.Exponent, 63));
        ulong limit = 1UL << (bits - 1);
        if (integral.Exponent > 63 || magnitude > (integral.Negative ? limit : limit - 1))
        {
            c.Raised = before;
            c.RoundedUp = false;
            return false;
        }
        value = (long)(integral.Negative ? 0 - magnitude : magnitude);
        return true;
    }
}
