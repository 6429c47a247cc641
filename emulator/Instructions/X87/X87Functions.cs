using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>FABS, FCHS, FRNDINT, FSCALE, FXTRACT, FPREM and FPREM1.</summary>
public static unsafe class X87Functions
{
    /// <summary>FABS: the sign bit, whatever the number is.</summary>
    public readonly struct Absolute : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!X87.NeedTop(s))
                return;
            X87.Signal(s, FloatFlags.None, c1: false);
            X87.Register(s, 0)[1] &= X87.ExponentMask;
        }
    }

    /// <summary>FCHS.</summary>
    public readonly struct ChangeSign : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!X87.NeedTop(s))
                return;
            X87.Signal(s, FloatFlags.None, c1: false);
            X87.Register(s, 0)[1] ^= 0x8000;
        }
    }

    /// <summary>FRNDINT.</summary>
    public readonly struct RoundToInteger : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!X87.NeedTop(s))
                return;
            FloatContext c = X87.Context(s);
            Number n = X87.Read(s, 0);
            if (n.Kind >= NumberKind.QuietNaN)
            {
                n = Operations.NaN<X87NaNs>(n, n, ref c);
            }
            else
            {
                Operations.NoteDenormals(n, n, ref c);
                if ((c.Unmasked & FloatFlags.BeforeResult) == 0)
                    Rounder.RoundToIntegral(ref n, ref c);
            }
            X87.Finish(s, ref c, 0, n);
        }
    }

    /// <summary>FSCALE: ST(0) times two to the power of ST(1), which is truncated.</summary>
    public readonly struct Scale : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!NeedBoth(s))
                return;
            FloatContext c = X87.Context(s);
            Number n = Compute(X87.Read(s, 0), X87.Read(s, 1), ref c);
            if ((c.Unmasked & FloatFlags.BeforeResult) == 0)
            {
                Rounder.RoundFully(ref n, ref c);
                ClampBiased(ref n, ref c);
            }
            X87.Finish(s, ref c, 0, n);
        }

        private static Number Compute(in Number a, in Number b, ref FloatContext c)
        {
            if (a.Kind >= NumberKind.QuietNaN || b.Kind >= NumberKind.QuietNaN)
                return Operations.NaN<X87NaNs>(a, b, ref c);
            if (b.Kind == NumberKind.Infinity)
            {
                if (a.Kind == (b.Negative ? NumberKind.Infinity : NumberKind.Zero))
                    return Operations.Invalid(ref c);
                Operations.NoteDenormals(a, b, ref c);
                return b.Negative ? Number.Zero(a.Negative) : Number.Infinity(a.Negative);
            }
            Operations.NoteDenormals(a, b, ref c);
            if (a.Kind != NumberKind.Finite || b.Kind == NumberKind.Zero || b.Exponent < 0)
                return a;
            // Beyond 2^16 every number over- or underflows.
            int power = b.Exponent > 16 ? 0x1_0000 : (int)(b.Significand >> (63 - b.Exponent));
            return a with { Exponent = a.Exponent + (b.Negative ? -power : power) };
        }

        /// <summary>
        /// "If the result is still out of range after the bias of an unmasked overflow or underflow, it is an infinity or zero" (SDM Vol. 1, "Numeric
        /// Overflow Exception", of FSCALE).
        /// </summary>
        private static void ClampBiased(ref Number n, ref FloatContext c)
        {
            if (n.Kind != NumberKind.Finite || (n.Exponent <= Extended.MaxExponent && n.Exponent >= -Extended.MaxExponent))
                return;
            if (n.Exponent < 0 && (c.Unmasked & FloatFlags.Underflow) == 0)
                return; // A denormal.
            c.Raised |= FloatFlags.Precision;
            c.RoundedUp = n.Exponent > 0;
            n = c.RoundedUp ? Number.Infinity(n.Negative) : Number.Zero(n.Negative);
        }
    }

    /// <summary>FXTRACT: the exponent into ST(0), and the significand pushed.</summary>
    public readonly struct Extract : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            bool empty = X87.IsEmpty(s, 0);
            if (empty || !X87.IsEmpty(s, 7))
            {
                if (!X87.StackFault(s, overflow: !empty))
                    return;
                X87.Write(s, 0, Number.Indefinite);
                X87.Push(s, Number.Indefinite);
                return;
            }
            FloatContext c = X87.Context(s);
            Number n = X87.Read(s, 0), exponent;
            switch (n.Kind)
            {
                case NumberKind.Zero:
                    c.Raised |= FloatFlags.ZeroDivide;
                    exponent = Number.Infinity(negative: true);
                    break;
                case NumberKind.Infinity:
                    exponent = Number.Infinity(negative: false);
                    break;
                case NumberKind.Finite:
                    Operations.NoteDenormals(n, n, ref c);
                    exponent = Number.FromInteger(n.Exponent);
                    n.Exponent = 0;
                    break;
                default:
                    n = exponent = Operations.NaN<X87NaNs>(n, n, ref c);
                    break;
            }
            if (X87.Finish(s, ref c, 0, exponent))
                X87.Push(s, n);
        }
    }

    /// <summary>FPREM truncates the quotient, FPREM1 rounds it to the nearest integer.</summary>
    public interface IQuotient
    {
        static abstract bool ToNearest { get; }
    }

    public readonly struct Truncated : IQuotient
    {
        public static bool ToNearest => false;
    }

    public readonly struct ToNearest : IQuotient
    {
        static bool IQuotient.ToNearest => true;
    }

    /// <summary>ST(0) modulo ST(1); C2 tells that there is more to do, else C0, C3 and C1 are the low bits of the quotient.</summary>
    public readonly struct Remainder<T> : IX87Operation where T : struct, IQuotient
    {
        public static void Execute(CpuState* s, Op* op)
        {
            const int codes = X87Status.C0 | X87Status.C2 | X87Status.C3;
            s->Floating.Status &= 0xFFFF ^ X87Status.C2;
            if (!NeedBoth(s))
                return;
            FloatContext c = X87.Context(s);
            Number a = X87.Read(s, 0), b = X87.Read(s, 1), result;
            ulong quotient = 0;
            bool partial = false, isInvalid = true;
            if (a.Kind >= NumberKind.QuietNaN || b.Kind >= NumberKind.QuietNaN)
            {
                result = Operations.NaN<X87NaNs>(a, b, ref c);
            }
            else if (a.Kind == NumberKind.Infinity || b.Kind == NumberKind.Zero)
            {
                result = Operations.Invalid(ref c);
            }
            else
            {
                isInvalid = false;
                Operations.NoteDenormals(a, b, ref c);
                result = a.Kind == NumberKind.Zero || b.Kind == NumberKind.Infinity ? a : Finite.Remainder(a, b, T.ToNearest, out quotient, out partial);
                if ((c.Unmasked & FloatFlags.BeforeResult) == 0)
                    Rounder.RoundFully(ref result, ref c);
            }
            if (!X87.Finish(s, ref c, 0, result) || isInvalid)
                return;
            int status = s->Floating.Status & ~(codes | X87Status.C1);
            if (partial)
                status |= X87Status.C2;
            else
                status |= ((quotient & 4) != 0 ? X87Status.C0 : 0) | ((quotient & 2) != 0 ? X87Status.C3 : 0) | ((quotient & 1) != 0 ? X87Status.C1 : 0);
            s->Floating.Status = (ushort)status;
        }
    }

    /// <summary>True when ST(0) and ST(1) are not empty; otherwise the stack underflows into ST(0).</summary>
    public static bool NeedBoth(CpuState* s)
    {
        if (!X87.IsEmpty(s, 0) && !X87.IsEmpty(s, 1))
            return true;
        X87.Underflow(s, 0);
        return false;
    }
}
