using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>CMPPS, CMPPD, CMPSS, CMPSD with their eight predicates, and COMISS, COMISD, UCOMISS, UCOMISD.</summary>
public static unsafe class SseCompare
{
    /// <summary>The predicates of legacy SSE: EQ, LT, LE, UNORD, then their negations. LT and LE, and their negations, take a quiet NaN as invalid.</summary>
    public readonly struct Predicate : ISseOperation
    {
        public static ulong Element<F>(ulong a, ulong b, int i, byte control, ref FloatContext c) where F : struct, IFloatFormat
        {
            int predicate = control & 3;
            Ordering order = Operations.Compare(SseFloat.Unpack<F>(a, ref c), SseFloat.Unpack<F>(b, ref c), quietToo: predicate is 1 or 2, ref c);
            bool holds = predicate switch
            {
                0 => order == Ordering.Equal,
                1 => order == Ordering.Less,
                2 => order is Ordering.Less or Ordering.Equal,
                _ => order == Ordering.Unordered,
            };
            return holds != ((control & 4) != 0) ? ulong.MaxValue >> (64 - F.Bits) : 0;
        }
    }

    /// <summary>Whether quiet NaNs are invalid.</summary>
    public interface IKind
    {
        static abstract bool QuietToo { get; }
    }

    public readonly struct Ordered : IKind
    {
        public static bool QuietToo => true;
    }

    public readonly struct Unordered : IKind
    {
        public static bool QuietToo => false;
    }

    /// <summary>COMIS and UCOMIS: into ZF, PF and CF.</summary>
    public static void ToFlags<T>(ref Lowering l, int size) where T : struct, IKind => SseForms.Select<Registers<T>, Memory<T>>(ref l, size);

    private readonly struct Registers<T> : IStep where T : struct, IKind
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            Compare<T, W>(s, op, Width.ReadAt<W>(FloatingRegisters.Xmm(s, op->Reg1)));
    }

    private readonly struct Memory<T> : IStep where T : struct, IKind
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Load<W>(s, op, out ulong b) && Compare<T, W>(s, op, b);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Compare<T, W>(CpuState* s, Op* op, ulong b) where T : struct, IKind where W : struct, IWidth
    {
        ulong a = Width.ReadAt<W>(FloatingRegisters.Xmm(s, op->Reg0));
        Ordering order;
        if (SseFloat.IsNormal<W>(a) && SseFloat.IsNormal<W>(b))
        {
            // Nothing can be raised. As integers, sign and magnitude: both negative turns the order round.
            long x = Width.SignExtend<W>(a), y = Width.SignExtend<W>(b);
            int sign = (x & y) < 0 ? y.CompareTo(x) : x.CompareTo(y);
            order = sign < 0 ? Ordering.Less : sign > 0 ? Ordering.Greater : Ordering.Equal;
        }
        else
        {
            FloatContext c = SseFloat.Context(s);
            order = W.Bits == 32
                ? Operations.Compare(SseFloat.Unpack<Binary32>(a, ref c), SseFloat.Unpack<Binary32>(b, ref c), T.QuietToo, ref c)
                : Operations.Compare(SseFloat.Unpack<Binary64>(a, ref c), SseFloat.Unpack<Binary64>(b, ref c), T.QuietToo, ref c);
            if (!SseFloat.Finish(s, ref c))
                return false;
        }
        Flags.SetArithmetic(s, X87Compare.FlagsOf(order));
        return true;
    }
}
