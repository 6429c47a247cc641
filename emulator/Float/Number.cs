using System.Numerics;
using System.Runtime.CompilerServices;

namespace Emu.Float;

/// <summary>A binary format. Exponents are unbiased.</summary>
public interface IFloatFormat
{
    /// <summary>Bits of the significand, the integer bit included.</summary>
    static abstract int SignificandBits { get; }

    /// <summary>Of the largest finite number; of the smallest normal one it is 1 less this.</summary>
    static abstract int MaxExponent { get; }

    /// <summary>Bits of the encoding.</summary>
    static abstract int Bits { get; }
}

/// <summary>IEEE 754 binary32.</summary>
public readonly struct Binary32 : IFloatFormat
{
    public static int SignificandBits => 24;
    public static int MaxExponent => 127;
    public static int Bits => 32;
}

/// <summary>IEEE 754 binary64.</summary>
public readonly struct Binary64 : IFloatFormat
{
    public static int SignificandBits => 53;
    public static int MaxExponent => 1023;
    public static int Bits => 64;
}

/// <summary>The double extended format of x87, whose integer bit is explicit.</summary>
public readonly struct Extended : IFloatFormat
{
    public static int SignificandBits => 64;
    public static int MaxExponent => 16383;
    public static int Bits => 80;
}

public enum NumberKind : byte
{
    Zero,
    Finite,
    Infinity,
    QuietNaN,
    SignalingNaN,

    /// <summary>Of the extended format: unnormals, pseudo-infinities, pseudo-NaNs (SDM, "Unsupported Double Extended-Precision Floating-Point Encodings and Pseudo-Denormals").</summary>
    Unsupported,
}

/// <summary>
/// A number of any format, taken apart. A finite one is ±Significand.Rest × 2^(Exponent - 63) with bit 63 of the significand set, denormals included. Of a
/// NaN the significand is that which it has, or would have, in extended format.
/// </summary>
public struct Number
{
    public ulong Significand;

    /// <summary>64 more bits below the significand; the last one is sticky. Zero in operands.</summary>
    public ulong Rest;
    public int Exponent;
    public NumberKind Kind;
    public bool Negative;

    /// <summary>It was encoded as a denormal (or, in extended format, pseudo-denormal).</summary>
    public bool Denormal;

    private const ulong Top = 1UL << 63;
    private const ulong Quiet = 1UL << 62;

    public readonly bool IsNaN => Kind is NumberKind.QuietNaN or NumberKind.SignalingNaN;

    /// <summary>The default NaN of every format: "real indefinite".</summary>
    public static Number Indefinite => new() { Kind = NumberKind.QuietNaN, Negative = true, Significand = Top | Quiet };

    public static Number Zero(bool negative) => new() { Kind = NumberKind.Zero, Negative = negative };

    public static Number Infinity(bool negative) => new() { Kind = NumberKind.Infinity, Negative = negative };

    public static Number One(bool negative) => new() { Kind = NumberKind.Finite, Negative = negative, Significand = Top };

    /// <summary>±significand × 2^(exponent - 63), significand not zero.</summary>
    public static Number Finite(bool negative, int exponent, ulong significand, ulong rest = 0)
    {
        if (significand == 0)
            (significand, rest, exponent) = (rest, 0, exponent - 64);
        int shift = BitOperations.LeadingZeroCount(significand);
        if (shift != 0)
            (significand, rest) = (significand << shift | rest >> (64 - shift), rest << shift);
        return new() { Kind = NumberKind.Finite, Negative = negative, Exponent = exponent - shift, Significand = significand, Rest = rest };
    }

    public static Number FromInteger(long value) =>
        value == 0 ? Zero(false) : Finite(value < 0, 63, value < 0 ? 0 - (ulong)value : (ulong)value);

    /// <summary>A NaN made quiet; others as they are.</summary>
    public readonly Number Quieted()
    {
        Number n = this;
        if (n.Kind == NumberKind.SignalingNaN)
            (n.Kind, n.Significand) = (NumberKind.QuietNaN, n.Significand | Quiet);
        return n;
    }

    public readonly Number Negated() => this with { Negative = !Negative };

    /// <summary>Takes a binary32 or binary64 number apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Number Unpack<F>(ulong bits) where F : struct, IFloatFormat
    {
        int width = F.SignificandBits - 1;
        ulong fraction = bits << (64 - width) >> 1;
        int exponentMask = 2 * F.MaxExponent + 1;
        int exponent = (int)(bits >> width) & exponentMask;
        Number n = default;
        n.Negative = (bits >> (F.Bits - 1) & 1) != 0;
        if ((uint)(exponent - 1) < (uint)(exponentMask - 1))
        {
            n.Kind = NumberKind.Finite;
            n.Exponent = exponent - F.MaxExponent;
            n.Significand = fraction | Top;
        }
        else if (exponent == 0)
        {
            if (fraction == 0)
                return n;
            int shift = BitOperations.LeadingZeroCount(fraction);
            n.Kind = NumberKind.Finite;
            n.Denormal = true;
            n.Exponent = 1 - F.MaxExponent - shift;
            n.Significand = fraction << shift;
        }
        else if (fraction == 0)
        {
            n.Kind = NumberKind.Infinity;
        }
        else
        {
            n.Kind = (fraction & Quiet) != 0 ? NumberKind.QuietNaN : NumberKind.SignalingNaN;
            n.Significand = fraction | Top;
        }
        return n;
    }

    /// <summary>Takes an extended number apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Number UnpackExtended(ulong significand, ulong signAndExponent)
    {
        int exponent = (int)signAndExponent & 0x7FFF;
        Number n = default;
        n.Negative = (signAndExponent & 0x8000) != 0;
        n.Significand = significand;
        n.Exponent = exponent - Extended.MaxExponent;
        if ((long)significand < 0 && (uint)(exponent - 1) < 0x7FFE)
        {
            n.Kind = NumberKind.Finite;
            return n;
        }
        if (exponent == 0)
        {
            if (significand == 0)
                return n;
            int shift = BitOperations.LeadingZeroCount(significand);
            n.Kind = NumberKind.Finite;
            n.Denormal = true;
            n.Exponent = 1 - Extended.MaxExponent - shift;
            n.Significand = significand << shift;
        }
        else if ((long)significand >= 0)
        {
            n.Kind = NumberKind.Unsupported;
        }
        else if (significand == Top)
        {
            n.Kind = NumberKind.Infinity;
        }
        else
        {
            n.Kind = (significand & Quiet) != 0 ? NumberKind.QuietNaN : NumberKind.SignalingNaN;
        }
        return n;
    }

    /// <summary>The encoding in binary32 or binary64 of a number that was rounded to it.</summary>
    public readonly ulong Pack<F>() where F : struct, IFloatFormat
    {
        int width = F.SignificandBits - 1;
        ulong sign = Negative ? 1UL << (F.Bits - 1) : 0;
        ulong fraction = Significand << 1 >> (64 - width);
        ulong special = (ulong)(2 * F.MaxExponent + 1) << width;
        return Kind switch
        {
            NumberKind.Zero => sign,
            // A denormal has the least exponent and a clear top bit.
            NumberKind.Finite => sign | fraction | (ulong)(Exponent + F.MaxExponent - ((long)Significand < 0 ? 0 : 1)) << width,
            NumberKind.Infinity => sign | special,
            _ => sign | special | fraction,
        };
    }

    /// <summary>Sign and exponent of the encoding in extended format of a number that was rounded to it; its significand is <see cref="ExtendedSignificand"/>.</summary>
    public readonly ushort ExtendedExponent()
    {
        int sign = Negative ? 0x8000 : 0;
        return (ushort)(Kind switch
        {
            NumberKind.Zero => sign,
            NumberKind.Finite => sign | (Exponent + Extended.MaxExponent - ((long)Significand < 0 ? 0 : 1)),
            _ => sign | 0x7FFF,
        });
    }

    public readonly ulong ExtendedSignificand() => Kind switch
    {
        NumberKind.Zero => 0,
        NumberKind.Infinity => Top,
        _ => Significand,
    };
}
