using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS and FSINCOS. Special operands as in the manual's tables (SDM Vol. 2, under each name). The precision control does not count.</summary>
public static unsafe class X87Transcendental
{
    /// <summary>A function of one or two finite numbers and their special cases; results are rounded by the caller.</summary>
    public interface IFunction
    {
        /// <param name="x">ST(0).</param>
        /// <param name="y">ST(1), where there are two operands.</param>
        static abstract Number Apply(in Number x, in Number y, ref FloatContext c);
    }

    /// <summary>ST(0) from ST(0).</summary>
    public readonly struct Unary<T> : IX87Operation where T : struct, IFunction
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!X87.NeedTop(s))
                return;
            FloatContext c = X87.Context(s);
            Number x = X87.Read(s, 0);
            Number result = x.Kind >= NumberKind.QuietNaN ? Operations.NaN<X87NaNs>(x, x, ref c) : T.Apply(x, x, ref c);
            Complete(s, ref c, 0, ref result);
        }
    }

    /// <summary>ST(1) from ST(0) and ST(1), and a pop.</summary>
    public readonly struct Binary<T> : IX87Operation where T : struct, IFunction
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (X87.IsEmpty(s, 0) || X87.IsEmpty(s, 1))
            {
                if (X87.Underflow(s, 1))
                    X87.Pop(s);
                return;
            }
            FloatContext c = X87.Context(s);
            Number x = X87.Read(s, 0), y = X87.Read(s, 1);
            bool isNaN = x.Kind >= NumberKind.QuietNaN || y.Kind >= NumberKind.QuietNaN;
            Number result = isNaN ? Operations.NaN<X87NaNs>(x, y, ref c) : T.Apply(x, y, ref c);
            if (Complete(s, ref c, 1, ref result))
                X87.Pop(s);
        }
    }

    private static bool Complete(CpuState* s, ref FloatContext c, int i, ref Number result)
    {
        if ((c.Unmasked & FloatFlags.BeforeResult) == 0)
            Rounder.RoundFully(ref result, ref c);
        return X87.Finish(s, ref c, i, result);
    }

    /// <summary>F2XM1: 2^x - 1. "If the source value is outside of -1 to +1, the result is undefined": here it is ST(0) and called inexact, as on CPUs.</summary>
    public readonly struct Exponential : IFunction
    {
        public static Number Apply(in Number x, in Number y, ref FloatContext c)
        {
            if (x.Kind == NumberKind.Infinity)
                return x.Negative ? Number.One(negative: true) : x;
            if (x.Kind == NumberKind.Zero)
                return x;
            Operations.NoteDenormals(x, x, ref c);
            if (x.Exponent >= 0)
            {
                if (x.Exponent > 0 || x.Significand != 1UL << 63)
                {
                    c.Raised |= FloatFlags.Precision;
                    return x;
                }
                return x.Negative ? x with { Exponent = -1 } : x;
            }
            return Transcendental.ExponentialLessOne(Wide.Of(x)).ToNumber();
        }
    }

    /// <summary>FYL2X: y × log2(x).</summary>
    public readonly struct Logarithm : IFunction
    {
        public static Number Apply(in Number x, in Number y, ref FloatContext c)
        {
            if (x.Kind == NumberKind.Zero)
            {
                if (y.Kind == NumberKind.Zero)
                    return Operations.Invalid(ref c);
                if (y.Kind == NumberKind.Finite)
                    c.Raised |= FloatFlags.ZeroDivide;
                return Number.Infinity(!y.Negative);
            }
            if (x.Negative)
                return Operations.Invalid(ref c);
            if (x.Kind == NumberKind.Infinity)
            {
                if (y.Kind == NumberKind.Zero)
                    return Operations.Invalid(ref c);
                Operations.NoteDenormals(y, y, ref c);
                return Number.Infinity(y.Negative);
            }
            bool isPower = x.Significand == 1UL << 63;
            if (y.Kind == NumberKind.Infinity && isPower && x.Exponent == 0)
                return Operations.Invalid(ref c);
            Operations.NoteDenormals(x, y, ref c);
            // Below 1 the logarithm is negative; that of 1 is +0.
            bool negative = y.Negative ^ (x.Exponent < 0);
            if (y.Kind != NumberKind.Finite)
                return y with { Negative = negative };
            if (isPower)
                return x.Exponent == 0 ? Number.Zero(negative) : Finite.Multiply(y, Number.FromInteger(x.Exponent));
            return (Transcendental.Logarithm(Wide.Of(x)) * Wide.Of(y)).ToNumber();
        }
    }

    /// <summary>FYL2XP1: y × log2(x + 1). Outside of its range the manual leaves it undefined; here it is computed as far as there is a logarithm, and else ST(0).</summary>
    public readonly struct LogarithmOfOnePlus : IFunction
    {
        public static Number Apply(in Number x, in Number y, ref FloatContext c)
        {
            if (x.Kind == NumberKind.Zero)
            {
                if (y.Kind == NumberKind.Infinity)
                    return Operations.Invalid(ref c);
                Operations.NoteDenormals(y, y, ref c);
                return Number.Zero(x.Negative ^ y.Negative);
            }
            if (x.Kind == NumberKind.Infinity && (x.Negative || y.Kind == NumberKind.Zero))
                return Operations.Invalid(ref c);
            Operations.NoteDenormals(x, y, ref c);
            if (x.Kind == NumberKind.Finite && x.Negative && x.Exponent >= 0)
            {
                c.Raised |= FloatFlags.Precision;
                return x;
            }
            bool negative = x.Negative ^ y.Negative;
            if (x.Kind == NumberKind.Infinity || y.Kind == NumberKind.Infinity)
                return Number.Infinity(negative);
            if (y.Kind == NumberKind.Zero)
                return Number.Zero(negative);
            return (Transcendental.LogarithmOfOnePlus(Wide.Of(x)) * Wide.Of(y)).ToNumber();
        }
    }

    /// <summary>FPATAN: the angle of the point (ST(0), ST(1)).</summary>
    public readonly struct ArcTangent : IFunction
    {
        public static Number Apply(in Number x, in Number y, ref FloatContext c)
        {
            Operations.NoteDenormals(x, y, ref c);
            if (x.Kind == NumberKind.Finite && y.Kind == NumberKind.Finite)
                return Transcendental.ArcTangent(Wide.Of(y), Wide.Of(x)).ToNumber();
            // Eighths of a turn.
            int eighths = (x.Kind, y.Kind) switch
            {
                (NumberKind.Infinity, NumberKind.Infinity) => x.Negative ? 3 : 1,
                (_, NumberKind.Infinity) => 2,
                (NumberKind.Infinity, _) or (_, NumberKind.Zero) => x.Negative ? 4 : 0,
                _ => 2,
            };
            return eighths == 0 ? Number.Zero(y.Negative) : (Transcendental.Pi * Wide.Of(y.Negative ? -eighths : eighths)).Scale(-2).ToNumber();
        }
    }

    /// <summary>FSIN.</summary>
    public readonly struct Sine : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!NeedAngle(s) || !TryAngle(s, out FloatContext c, out Number sine, out _))
                return;
            Complete(s, ref c, 0, ref sine);
        }
    }

    /// <summary>FCOS.</summary>
    public readonly struct Cosine : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!NeedAngle(s) || !TryAngle(s, out FloatContext c, out _, out Number cosine))
                return;
            Complete(s, ref c, 0, ref cosine);
        }
    }

    /// <summary>FSINCOS: the sine into ST(0), and the cosine pushed.</summary>
    public readonly struct SineAndCosine : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!NeedOneAndRoom(s) || !TryAngle(s, out FloatContext c, out Number sine, out Number cosine))
                return;
            if ((c.Unmasked & FloatFlags.BeforeResult) == 0)
                Rounder.RoundFully(ref cosine, ref c);
            if (Complete(s, ref c, 0, ref sine))
                X87.Push(s, cosine);
        }
    }

    /// <summary>FPTAN: the tangent into ST(0), and 1.0 pushed; of a NaN and of an infinity a NaN is pushed.</summary>
    public readonly struct Tangent : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!NeedOneAndRoom(s) || !TryAngle(s, out FloatContext c, out Number sine, out Number cosine))
                return;
            Number tangent = sine.Kind == NumberKind.Finite ? (Wide.Of(sine) / Wide.Of(cosine)).ToNumber() : sine;
            if (Complete(s, ref c, 0, ref tangent))
                X87.Push(s, tangent.IsNaN ? tangent : Number.One(negative: false));
        }
    }

    /// <summary>
    /// Sine and cosine of ST(0), not yet rounded. False when it is 2^63 or more: C2 tells that there was no result.
    /// </summary>
    private static bool TryAngle(CpuState* s, out FloatContext c, out Number sine, out Number cosine)
    {
        c = X87.Context(s);
        Number x = X87.Read(s, 0);
        sine = cosine = x;
        if (x.Kind >= NumberKind.QuietNaN)
        {
            sine = cosine = Operations.NaN<X87NaNs>(x, x, ref c);
        }
        else if (x.Kind == NumberKind.Infinity)
        {
            sine = cosine = Operations.Invalid(ref c);
        }
        else if (x.Kind == NumberKind.Zero)
        {
            cosine = Number.One(negative: false);
        }
        else if (x.Exponent >= 63)
        {
            s->Floating.Status = (ushort)((s->Floating.Status & ~X87Status.C1) | X87Status.C2);
            return false;
        }
        else
        {
            Operations.NoteDenormals(x, x, ref c);
            (Wide a, Wide b) = Transcendental.SineAndCosine(x);
            (sine, cosine) = (a.ToNumber(), b.ToNumber());
        }
        return true;
    }

    /// <summary>True when ST(0) is not empty. C2 is clear from here on.</summary>
    private static bool NeedAngle(CpuState* s)
    {
        s->Floating.Status &= 0xFFFF ^ X87Status.C2;
        return X87.NeedTop(s);
    }

    /// <summary>True when ST(0) is not empty and ST(7) is, with C2 clear; otherwise a stack fault, with indefinites in both places when masked.</summary>
    private static bool NeedOneAndRoom(CpuState* s)
    {
        s->Floating.Status &= 0xFFFF ^ X87Status.C2;
        bool empty = X87.IsEmpty(s, 0);
        if (!empty && X87.IsEmpty(s, 7))
            return true;
        if (X87.StackFault(s, overflow: !empty))
        {
            X87.Write(s, 0, Number.Indefinite);
            X87.Push(s, Number.Indefinite);
        }
        return false;
    }
}
