namespace Emu.Float;

/// <summary>What becomes of NaN operands: x87 and SSE differ.</summary>
public interface INaNRule
{
    /// <summary>The result when at least one of two operands is a NaN, and neither is unsupported.</summary>
    static abstract Number Choose(in Number a, in Number b);
}

/// <summary>
/// x87: a quiet NaN before a signaling one, else the larger significand, else the positive one (SDM Vol. 1, "Rules for Handling NaNs": of two NaNs of a
/// kind "the NaN with the larger significand"; of equal ones CPUs take the positive).
/// </summary>
public readonly struct X87NaNs : INaNRule
{
    public static Number Choose(in Number a, in Number b)
    {
        if (!b.IsNaN)
            return a.Quieted();
        if (!a.IsNaN)
            return b.Quieted();
        if (a.Kind != b.Kind)
            return a.Kind == NumberKind.QuietNaN ? a : b;
        bool first = a.Significand != b.Significand ? a.Significand > b.Significand : !a.Negative;
        return (first ? a : b).Quieted();
    }
}

/// <summary>SSE: the first operand if it is a NaN, else the second.</summary>
public readonly struct SseNaNs : INaNRule
{
    public static Number Choose(in Number a, in Number b) => (a.IsNaN ? a : b).Quieted();
}

/// <summary>An operation on two numbers that are not NaNs, exact but for its sticky bit; it raises Invalid and ZeroDivide, and Denormal where it comes to that.</summary>
public interface IBinaryOperation
{
    static abstract Number Apply(in Number a, in Number b, ref FloatContext c);
}

public readonly struct Addition : IBinaryOperation
{
    public static Number Apply(in Number a, in Number b, ref FloatContext c)
    {
        if (a.Kind == NumberKind.Infinity || b.Kind == NumberKind.Infinity)
        {
            if (a.Kind == b.Kind && a.Negative != b.Negative)
                return Operations.Invalid(ref c);
            Operations.NoteDenormals(a, b, ref c);
            return a.Kind == NumberKind.Infinity ? a : b;
        }
        Operations.NoteDenormals(a, b, ref c);
        if (b.Kind != NumberKind.Zero)
            return a.Kind != NumberKind.Zero ? Finite.Add(a, b, c.Rounding) : b;
        if (a.Kind != NumberKind.Zero)
            return a;
        return Number.Zero(a.Negative == b.Negative ? a.Negative : c.Rounding == Rounding.Down);
    }
}

public readonly struct Subtraction : IBinaryOperation
{
    public static Number Apply(in Number a, in Number b, ref FloatContext c) => Addition.Apply(a, b.Negated(), ref c);
}

/// <summary>b - a: FSUBR.</summary>
public readonly struct ReverseSubtraction : IBinaryOperation
{
    public static Number Apply(in Number a, in Number b, ref FloatContext c) => Addition.Apply(b, a.Negated(), ref c);
}

public readonly struct Multiplication : IBinaryOperation
{
    public static Number Apply(in Number a, in Number b, ref FloatContext c)
    {
        bool zero = a.Kind == NumberKind.Zero || b.Kind == NumberKind.Zero;
        bool infinite = a.Kind == NumberKind.Infinity || b.Kind == NumberKind.Infinity;
        if (zero && infinite)
            return Operations.Invalid(ref c);
        Operations.NoteDenormals(a, b, ref c);
        bool negative = a.Negative ^ b.Negative;
        return zero ? Number.Zero(negative) : infinite ? Number.Infinity(negative) : Finite.Multiply(a, b);
    }
}

public readonly struct Division : IBinaryOperation
{
    public static Number Apply(in Number a, in Number b, ref FloatContext c)
    {
        bool negative = a.Negative ^ b.Negative;
        if (a.Kind == b.Kind && a.Kind != NumberKind.Finite)
            return Operations.Invalid(ref c);
        if (b.Kind == NumberKind.Zero)
        {
            // A denormal dividend is not reported with it: seen on CPUs, x87 and SSE.
            if (a.Kind == NumberKind.Finite)
                c.Raised |= FloatFlags.ZeroDivide;
            return Number.Infinity(negative);
        }
        Operations.NoteDenormals(a, b, ref c);
        if (a.Kind == NumberKind.Zero || b.Kind == NumberKind.Infinity)
            return Number.Zero(negative);
        return a.Kind == NumberKind.Infinity ? Number.Infinity(negative) : Finite.Divide(a, b);
    }
}

/// <summary>b / a: FDIVR.</summary>
public readonly struct ReverseDivision : IBinaryOperation
{
    public static Number Apply(in Number a, in Number b, ref FloatContext c) => Division.Apply(b, a, ref c);
}

/// <summary>The outcome of a comparison; unordered when an operand is a NaN or unsupported.</summary>
public enum Ordering
{
    Less,
    Equal,
    Greater,
    Unordered,
}

/// <summary>Operations with all their special cases, short of the instruction's own.</summary>
public static class Operations
{
    /// <summary>The default answer to an invalid operation.</summary>
    public static Number Invalid(ref FloatContext c)
    {
        c.Raised |= FloatFlags.Invalid;
        return Number.Indefinite;
    }

    public static void NoteDenormals(in Number a, in Number b, ref FloatContext c)
    {
        if (a.Denormal || b.Denormal)
            c.Raised |= FloatFlags.Denormal;
    }

    /// <summary>
    /// An operation on two numbers, rounded to a format. The order of exceptions is the manual's (SDM Vol. 1, "Floating-Point Exception Priority"): a
    /// NaN hides all that follows. When an exception that is found before the result is unmasked, the result means nothing.
    /// </summary>
    public static Number Binary<TOperation, TNaNs, F>(in Number a, in Number b, ref FloatContext c)
        where TOperation : struct, IBinaryOperation where TNaNs : struct, INaNRule where F : struct, IFloatFormat
    {
        c.RoundedUp = false;
        if (a.Kind >= NumberKind.QuietNaN || b.Kind >= NumberKind.QuietNaN)
            return NaN<TNaNs>(a, b, ref c);
        Number result = TOperation.Apply(a, b, ref c);
        if ((c.Unmasked & FloatFlags.BeforeResult) == 0)
            Rounder.Round<F>(ref result, ref c);
        return result;
    }

    /// <summary>The result for operands of which one at least is a NaN or unsupported.</summary>
    public static Number NaN<TNaNs>(in Number a, in Number b, ref FloatContext c) where TNaNs : struct, INaNRule
    {
        if (a.Kind == NumberKind.Unsupported || b.Kind == NumberKind.Unsupported)
            return Invalid(ref c);
        if (a.Kind == NumberKind.SignalingNaN || b.Kind == NumberKind.SignalingNaN)
            c.Raised |= FloatFlags.Invalid;
        return TNaNs.Choose(a, b);
    }

    /// <summary>The square root, rounded to a format.</summary>
    public static Number SquareRoot<F>(in Number a, ref FloatContext c) where F : struct, IFloatFormat
    {
        c.RoundedUp = false;
        if (a.Kind >= NumberKind.QuietNaN)
            return NaN<SseNaNs>(a, a, ref c);
        if (a.Kind == NumberKind.Zero)
            return a;
        if (a.Negative)
            return Invalid(ref c);
        if (a.Kind == NumberKind.Infinity)
            return a;
        NoteDenormals(a, a, ref c);
        Number result = Finite.SquareRoot(a);
        if ((c.Unmasked & FloatFlags.BeforeResult) == 0)
            Rounder.Round<F>(ref result, ref c);
        return result;
    }

    /// <summary>Compares; NaNs raise Invalid when they signal, or whenever they occur if <paramref name="quietToo"/>.</summary>
    public static Ordering Compare(in Number a, in Number b, bool quietToo, ref FloatContext c)
    {
        if (a.Kind >= NumberKind.QuietNaN || b.Kind >= NumberKind.QuietNaN)
        {
            if (quietToo || a.Kind > NumberKind.QuietNaN || b.Kind > NumberKind.QuietNaN)
                c.Raised |= FloatFlags.Invalid;
            return Ordering.Unordered;
        }
        NoteDenormals(a, b, ref c);
        int sign = Finite.Compare(a, b);
        return sign < 0 ? Ordering.Less : sign > 0 ? Ordering.Greater : Ordering.Equal;
    }

    /// <summary>A number of one format in another: rounded, NaNs made quiet. Denormals are reported.</summary>
    public static Number Convert<F>(in Number a, ref FloatContext c) where F : struct, IFloatFormat
    {
        c.RoundedUp = false;
        if (a.Kind >= NumberKind.QuietNaN)
            return NaN<SseNaNs>(a, a, ref c);
        NoteDenormals(a, a, ref c);
        Number result = a;
        if ((c.Unmasked & FloatFlags.BeforeResult) == 0)
            Rounder.Round<F>(ref result, ref c);
        return result;
    }
}
