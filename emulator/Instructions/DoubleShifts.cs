using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// SHLD and SHRD. A 16-bit operand shifted by more than 16, which the manual leaves undefined, goes on with the bits of the destination
/// itself, as Intel's processors do; flags that are undefined follow the rules of <see cref="Shifts"/>.
/// </summary>
public static unsafe class DoubleShifts
{
    public interface IDoubleShift
    {
        /// <param name="a">Destination.</param>
        /// <param name="b">Where the bits shifted in come from.</param>
        /// <param name="count">Masked, not zero.</param>
        static abstract ulong Execute<W>(CpuState* s, ulong a, ulong b, int count) where W : struct, IWidth;
    }

    public readonly struct Shld : IDoubleShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b, int count) where W : struct, IWidth
        {
            // One step before the end: its top bits are CF and the sign, as in SHL.
            ulong last = W.Bits switch
            {
                64 => count == 1 ? a : (a << (count - 1)) | (b >> (65 - count)),
                32 => ((a << 32) | b) << (count - 1) >> 32,
                _ => ((a << 32) | (b << 16) | a) << (count - 1) >> 32,
            };
            ulong next = W.Bits switch
            {
                64 => b >> (64 - count),
                32 => b >> (32 - count),
                _ => ((b << 16) | a) >> (32 - count),
            };
            ulong r = Width.Truncate<W>((last << 1) | (next & 1));
            Flags.SetCarries(s, W.Bits, last << (64 - W.Bits), r);
            return r;
        }
    }

    public readonly struct Shrd : IDoubleShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b, int count) where W : struct, IWidth
        {
            ulong carry = (W.Bits == 16 ? a | (b << 16) : a) >> (count - 1) & 1;
            ulong r = Width.Truncate<W>(W.Bits switch
            {
                64 => (a >> count) | (b << (64 - count)),
                32 => (a | (b << 32)) >> count,
                _ => (a | (b << 16) | (a << 32)) >> count,
            });
            ulong overflow = (r ^ (r << 1)) >> (W.Bits - 1) & 1; // "set if a sign change occurred": bit W - 1 is new, W - 2 was the sign.
            Flags.SetCarries(s, W.Bits, (carry << 63) | ((carry ^ overflow) << 62), r);
            return r;
        }
    }

    /// <summary>Selects handlers for <c>op dst, src, count</c>.</summary>
    public static void Lower<T>(ref Lowering l) where T : struct, IDoubleShift
    {
        int size = l.SizeOf(0);
        bool cl = l.IsRegister(2);
        l.Op->Immediate = cl ? 0 : l.Immediate(2, 1) & (size == 8 ? 63UL : 31UL);
        l.Op->Reg1 = l.RegisterOf(1);
        if (l.IsMemory(0))
        {
            if (cl)
                l.SelectStep<Memory<T, Cl>>(size, l.Memory());
            else
                l.SelectStep<Memory<T, Fixed>>(size, l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        if (cl)
            l.SelectStep<Register<T, Cl>>(size);
        else
            l.SelectStep<Register<T, Fixed>>(size);
    }

    private interface ICount
    {
        static abstract int Of<W>(CpuState* s, Op* op) where W : struct, IWidth;
    }

    private readonly struct Cl : ICount
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static int Of<W>(CpuState* s, Op* op) where W : struct, IWidth => Shifts.CountInCl<W>(s);
    }

    private readonly struct Fixed : ICount
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static int Of<W>(CpuState* s, Op* op) where W : struct, IWidth => (int)op->Immediate;
    }

    private readonly struct Register<T, TCount> : IStep where T : struct, IDoubleShift where TCount : struct, ICount
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            int count = TCount.Of<W>(s, op);
            ulong a = Width.Read<W>(s, op->Reg0);
            if (count != 0)
                a = T.Execute<W>(s, a, Width.Read<W>(s, op->Reg1), count);
            Width.Write<W>(s, op->Reg0, a);
            return true;
        }
    }

    private readonly struct Memory<T, TCount> : IStep where T : struct, IDoubleShift where TCount : struct, ICount
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return false;
            int count = TCount.Of<W>(s, op);
            if (count != 0)
                a = T.Execute<W>(s, a, Width.Read<W>(s, op->Reg1), count);
            M.Update<W>(s, op, place, a);
            return true;
        }
    }
}
