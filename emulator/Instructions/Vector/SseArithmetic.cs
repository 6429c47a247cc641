using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>ADD, SUB, MUL, DIV, SQRT, MIN, MAX, ADDSUB, HADD and HSUB on packed and scalar numbers, and ROUND.</summary>
public static class SseArithmetic
{
    /// <summary>
    /// An operation on one element, computed by us. Each element starts with nothing raised: that an exception of another is not masked must not keep this
    /// one from finding its own.
    /// </summary>
    private static ulong Binary<T, F>(ulong a, ulong b, ref FloatContext c) where T : struct, IBinaryOperation where F : struct, IFloatFormat
    {
        FloatFlags before = c.Raised;
        c.Raised = FloatFlags.None;
        Number r = Operations.Binary<T, SseNaNs, F>(SseFloat.Unpack<F>(a, ref c), SseFloat.Unpack<F>(b, ref c), ref c);
        c.Raised |= before;
        return r.Pack<F>();
    }

    public readonly struct Add : ISseHostOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat => Binary<Addition, F>(a, b, ref c);

        public static float Host(float a, float b) => a + b;

        public static double Host(double a, double b) => a + b;

        public static Vector128<float> Host(Vector128<float> a, Vector128<float> b) => a + b;

        public static Vector128<double> Host(Vector128<double> a, Vector128<double> b) => a + b;
    }

    public readonly struct Subtract : ISseHostOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat => Binary<Subtraction, F>(a, b, ref c);

        public static float Host(float a, float b) => a - b;

        public static double Host(double a, double b) => a - b;

        public static Vector128<float> Host(Vector128<float> a, Vector128<float> b) => a - b;

        public static Vector128<double> Host(Vector128<double> a, Vector128<double> b) => a - b;
    }

    public readonly struct Multiply : ISseHostOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat => Binary<Multiplication, F>(a, b, ref c);

        public static float Host(float a, float b) => a * b;

        public static double Host(double a, double b) => a * b;

        public static Vector128<float> Host(Vector128<float> a, Vector128<float> b) => a * b;

        public static Vector128<double> Host(Vector128<double> a, Vector128<double> b) => a * b;
    }

    public readonly struct Divide : ISseHostOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat => Binary<Division, F>(a, b, ref c);

        public static float Host(float a, float b) => a / b;

        public static double Host(double a, double b) => a / b;

        public static Vector128<float> Host(Vector128<float> a, Vector128<float> b) => a / b;

        public static Vector128<double> Host(Vector128<double> a, Vector128<double> b) => a / b;
    }

    public readonly struct SquareRoot : ISseHostOperation
    {
        public static bool UsesDestination => false;

        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat
        {
            FloatFlags before = c.Raised;
            c.Raised = FloatFlags.None;
            Number r = Operations.SquareRoot<F>(SseFloat.Unpack<F>(b, ref c), ref c);
            c.Raised |= before;
            return r.Pack<F>();
        }

        public static float Host(float a, float b) => MathF.Sqrt(b);

        public static double Host(double a, double b) => Math.Sqrt(b);

        public static Vector128<float> Host(Vector128<float> a, Vector128<float> b) => Vector128.Sqrt(b);

        public static Vector128<double> Host(Vector128<double> a, Vector128<double> b) => Vector128.Sqrt(b);
    }

    /// <summary>MIN and MAX: the second operand, as it is, when either is a NaN, or both are zero.</summary>
    public readonly struct Select<T> : ISseHostOperation where T : struct, IChoice
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat
        {
            Number x = SseFloat.Unpack<F>(a, ref c), y = SseFloat.Unpack<F>(b, ref c);
            bool first = Operations.Compare(x, y, quietToo: true, ref c) == T.First;
            Number chosen = first ? x : y;
            // A denormal that DAZ has made zero.
            return chosen.Kind == NumberKind.Zero ? chosen.Pack<F>() : first ? a : b;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static float Host(float a, float b) => (T.First == Ordering.Less ? a < b : a > b) ? a : b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static double Host(double a, double b) => (T.First == Ordering.Less ? a < b : a > b) ? a : b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<float> Host(Vector128<float> a, Vector128<float> b) =>
            Vector128.ConditionalSelect(T.First == Ordering.Less ? Vector128.LessThan(a, b) : Vector128.GreaterThan(a, b), a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<double> Host(Vector128<double> a, Vector128<double> b) =>
            Vector128.ConditionalSelect(T.First == Ordering.Less ? Vector128.LessThan(a, b) : Vector128.GreaterThan(a, b), a, b);
    }

    /// <summary>How the first operand must compare for it to be chosen.</summary>
    public interface IChoice
    {
        static abstract Ordering First { get; }
    }

    public readonly struct Smaller : IChoice
    {
        public static Ordering First => Ordering.Less;
    }

    public readonly struct Larger : IChoice
    {
        public static Ordering First => Ordering.Greater;
    }

    /// <summary>ADDSUB: even elements are subtracted.</summary>
    public readonly struct AddSubtract : ISseOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat =>
            (i & 1) == 0 ? Binary<Subtraction, F>(a, b, ref c) : Binary<Addition, F>(a, b, ref c);
    }

    /// <summary>HADD and HSUB: neighbours meet; the destination's pairs give the lower half.</summary>
    public readonly struct Horizontal<T> : ISseOperation where T : struct, IBinaryOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat => Binary<T, F>(a, b, ref c);

        public static void Arrange<F>(ref Vector128<byte> a, ref Vector128<byte> b) where F : struct, IFloatFormat
        {
            if (F.Bits == 32)
            {
                Vector128<uint> x = a.AsUInt32(), y = b.AsUInt32();
                a = Vector128.Create(x[0], x[2], y[0], y[2]).AsByte();
                b = Vector128.Create(x[1], x[3], y[1], y[3]).AsByte();
            }
            else
            {
                Vector128<ulong> x = a.AsUInt64(), y = b.AsUInt64();
                a = Vector128.Create(x[0], y[0]).AsByte();
                b = Vector128.Create(x[1], y[1]).AsByte();
            }
        }
    }

    /// <summary>ROUND: bit 2 of the immediate takes MXCSR's rounding control, bit 3 suppresses PE. Denormals are not reported.</summary>
    public readonly struct Round : ISseOperation
    {
        public static bool UsesDestination => false;

        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat
        {
            Number n = SseFloat.Unpack<F>(b, ref c);
            if (n.IsNaN)
                return Operations.NaN<SseNaNs>(n, n, ref c).Pack<F>();
            FloatContext own = c;
            own.Raised = FloatFlags.None;
            if ((control & 4) == 0)
                own.Rounding = (Rounding)(control & 3);
            Rounder.RoundToIntegral(ref n, ref own);
            if ((control & 8) == 0)
                c.Raised |= own.Raised;
            return n.Pack<F>();
        }
    }
}
