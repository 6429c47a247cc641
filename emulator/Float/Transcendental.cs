namespace Emu.Float;

/// <summary>
/// The functions of x87's transcendental instructions on finite numbers, by power series in <see cref="Wide"/>. All constants are computed here too. The
/// error is below 2^-115 of the result, far below the unit in the last place which the manual grants (SDM Vol. 1, "Approximation of Transcendental
/// Functions"); so results are correctly rounded but for one case in 2^50, which real processors are not.
/// </summary>
internal static class Transcendental
{
    private const int ExponentialTerms = 32, LogarithmTerms = 41, ArcTangentTerms = 16, TrigonometricTerms = 16;

    /// <summary>1 / (2k + 1).</summary>
    private static readonly Wide[] _oddReciprocals = [.. Enumerable.Range(0, LogarithmTerms).Select(k => Wide.One / Wide.Of(2 * k + 1))];

    /// <summary>1 / k!</summary>
    private static readonly Wide[] _factorialReciprocals = Factorials();

    private static readonly Wide _lnOf2 = LogarithmOfRatio(Wide.One / Wide.Of(3));

    /// <summary>atan(k / 16), each from the one before: the tangent of the difference is 16 / (256 + k(k - 1)).</summary>
    private static readonly Wide[] _arcTangents = ArcTangents();

    /// <summary>π with 126 bits.</summary>
    public static Wide Pi { get; } = _arcTangents[16].Scale(2);

    /// <summary>
    /// π/2 with the 66 bits that processors reduce arguments by: "C90FDAA2 2168C234 C" (SDM Vol. 1, "Pi"), in units of 2^-65.
    /// </summary>
    private static readonly UInt128 _halfPi = new(3, 0x243F_6A88_85A3_08D3);

    private const int HalfPiFraction = 65;

    /// <summary>2^x - 1, x between -1 and 1, not zero.</summary>
    public static Wide ExponentialLessOne(Wide x)
    {
        // (e^y - 1) / y = 1 + y/2! + y²/3! + ...
        Wide y = x * _lnOf2;
        Wide sum = _factorialReciprocals[ExponentialTerms];
        for (int k = ExponentialTerms - 1; k >= 1; k--)
            sum = sum * y + _factorialReciprocals[k];
        return y * sum;
    }

    /// <summary>log2(x), x positive and not a power of two.</summary>
    public static Wide Logarithm(Wide x)
    {
        // x = 2^e × m, m between √½ and √2, as nearly as its first bits tell.
        bool upper = x.Significand >> 120 >= 0xB5;
        int exponent = x.Exponent + (upper ? 1 : 0);
        Wide m = x.Scale(-exponent);
        Wide fraction = LogarithmOfRatio((m - Wide.One) / (m + Wide.One)) / _lnOf2;
        return Wide.Of(exponent) + fraction;
    }

    /// <summary>log2(1 + x), x above -1 and not zero.</summary>
    public static Wide LogarithmOfOnePlus(Wide x) =>
        x.Exponent >= -2 ? Logarithm(Wide.One + x) : LogarithmOfRatio(x / (Wide.Of(2) + x)) / _lnOf2;

    /// <summary>ln((1 + z) / (1 - z)) = 2z (1 + z²/3 + z⁴/5 + ...), |z| at most 1/3.</summary>
    private static Wide LogarithmOfRatio(Wide z)
    {
        Wide square = z * z;
        Wide sum = _oddReciprocals[LogarithmTerms - 1];
        for (int k = LogarithmTerms - 2; k >= 0; k--)
            sum = sum * square + _oddReciprocals[k];
        return (z * sum).Scale(1);
    }

    /// <summary>The angle of the point (x, y) to the positive half of the x axis; neither is zero.</summary>
    public static Wide ArcTangent(Wide y, Wide x)
    {
        Wide a = y.Absolute, b = x.Absolute;
        bool steep = a.Exponent > b.Exponent || (a.Exponent == b.Exponent && a.Significand > b.Significand);
        Wide angle = ArcTangentOfRatio(steep ? b / a : a / b);
        if (steep)
            angle = Pi.Scale(-1) - angle;
        if (x.Negative)
            angle = Pi - angle;
        return y.Negative ? -angle : angle;
    }

    /// <summary>atan(t), t between 0 and 1.</summary>
    private static Wide ArcTangentOfRatio(Wide t)
    {
        int k = t.Exponent < -5 ? 0 : (int)((t.Significand >> (127 - 5 - t.Exponent)) + 1) >> 1;
        if (k == 0)
            return ArcTangentSeries(t);
        Wide small = (t.Scale(4) - Wide.Of(k)) / (Wide.Of(16) + Wide.Of(k) * t);
        return small.IsZero ? _arcTangents[k] : _arcTangents[k] + ArcTangentSeries(small);
    }

    /// <summary>z (1 - z²/3 + z⁴/5 - ...), |z| at most 1/16.</summary>
    private static Wide ArcTangentSeries(Wide z)
    {
        Wide square = -(z * z);
        Wide sum = _oddReciprocals[ArcTangentTerms];
        for (int k = ArcTangentTerms - 1; k >= 0; k--)
            sum = sum * square + _oddReciprocals[k];
        return z * sum;
    }

    /// <summary>Sine and cosine of a number below 2^63 in magnitude, not zero.</summary>
    public static (Wide Sine, Wide Cosine) SineAndCosine(in Number x)
    {
        Wide rest = Reduce(x, out int quadrant);
        Wide sine = Sine(rest), cosine = Cosine(rest);
        return (quadrant & 3) switch
        {
            0 => (sine, cosine),
            1 => (cosine, -sine),
            2 => (-sine, -cosine),
            _ => (-cosine, sine),
        };
    }

    /// <summary>The number less the nearest multiple of π/2, exactly, and which multiple that is.</summary>
    private static Wide Reduce(in Number x, out int quadrant)
    {
        quadrant = 0;
        if (x.Exponent < -1)
            return Wide.Of(x);
        // The number in units of 2^-65 is an integer, since its exponent is at least -1; it is divided bit by bit.
        int zeros = x.Exponent + HalfPiFraction - 63;
        UInt128 rest = 0;
        int count = 0;
        for (int i = 63 + zeros; i >= 0; i--)
        {
            rest = rest << 1 | (i >= zeros ? x.Significand >> (i - zeros) & 1 : 0);
            count = count << 1 & 7;
            if (rest >= _halfPi)
            {
                rest -= _halfPi;
                count |= 1;
            }
        }
        bool over = rest << 1 > _halfPi;
        quadrant = (count + (over ? 1 : 0)) & 3;
        Wide reduced = new(over, 127 - HalfPiFraction, over ? _halfPi - rest : rest);
        if (x.Negative)
        {
            quadrant = -quadrant & 3;
            reduced = -reduced;
        }
        return reduced;
    }

    /// <summary>r (1 - r²/3! + r⁴/5! - ...), |r| at most π/4.</summary>
    private static Wide Sine(Wide r)
    {
        Wide square = -(r * r);
        Wide sum = _factorialReciprocals[2 * TrigonometricTerms - 1];
        for (int k = TrigonometricTerms - 2; k >= 0; k--)
            sum = sum * square + _factorialReciprocals[2 * k + 1];
        return r * sum;
    }

    private static Wide Cosine(Wide r)
    {
        Wide square = -(r * r);
        Wide sum = _factorialReciprocals[2 * TrigonometricTerms];
        for (int k = TrigonometricTerms - 1; k >= 0; k--)
            sum = sum * square + _factorialReciprocals[2 * k];
        return sum;
    }

    private static Wide[] Factorials()
    {
        var reciprocals = new Wide[ExponentialTerms + 1];
        reciprocals[0] = Wide.One;
        for (int k = 1; k <= ExponentialTerms; k++)
            reciprocals[k] = reciprocals[k - 1] / Wide.Of(k);
        return reciprocals;
    }

    private static Wide[] ArcTangents()
    {
        var angles = new Wide[17];
        for (int k = 1; k <= 16; k++)
            angles[k] = angles[k - 1] + ArcTangentSeries(Wide.Of(16) / Wide.Of(256 + k * (k - 1)));
        return angles;
    }
}
