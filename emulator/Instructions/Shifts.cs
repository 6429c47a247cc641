using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>A shift or rotate by a count that is already masked and not zero.</summary>
public unsafe interface IShift
{
    /// <summary>The result, and the flags.</summary>
    static abstract ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth;

    /// <summary>The result alone.</summary>
    static abstract ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth;
}

/// <summary>
/// SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD. "The count is masked to 5 bits (or 6 bits with a 64-bit operand)"; a masked count of zero
/// leaves the flags alone, but a 32-bit register is still written, and so zero-extended.
/// <para>Undefined flags are as QEMU has them: AF is clear; OF, defined for a count of 1 only, follows the same formula on the last step of
/// the shift for every count; CF of a count beyond the width is what falls out of an operand extended with zeros (or the sign).</para>
/// </summary>
public static unsafe class Shifts
{
    public readonly struct Shl : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => a << count;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth
        {
            // One step before the end the top bit is what becomes CF, and the one below it what becomes the sign: CF ^ OF.
            ulong last = a << (count - 1);
            Flags.SetCarries(s, W.Bits, last << (64 - W.Bits), last << 1);
            return last << 1;
        }
    }

    public readonly struct Shr : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => a >> count;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth
        {
            ulong last = a >> (count - 1);
            ulong overflow = last >> (W.Bits - 1);
            Flags.SetCarries(s, W.Bits, (last << 63) | (((last ^ overflow) & 1) << 62), last >> 1);
            return last >> 1;
        }
    }

    public readonly struct Sar : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => (ulong)(Width.SignExtend<W>(a) >> count);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth
        {
            long last = Width.SignExtend<W>(a) >> (count - 1);
            ulong carry = (ulong)last & 1;
            Flags.SetCarries(s, W.Bits, (carry << 63) | (carry << 62), (ulong)(last >> 1));
            return (ulong)(last >> 1);
        }
    }

    public readonly struct Rol : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => W.Bits == 64 ? ulong.RotateLeft(a, count) : W.Bits == 32 ? uint.RotateLeft((uint)a, count) : Execute<W>(s, a, count);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth
        {
            int n = count & (W.Bits - 1);
            ulong r = W.Bits == 64 ? ulong.RotateLeft(a, n) : W.Bits == 32 ? uint.RotateLeft((uint)a, n) : (a << n) | (a >> (W.Bits - n));
            bool carry = (r & 1) != 0;
            Flags.SetCarryOverflow(s, carry, ((r >> (W.Bits - 1)) & 1) != (r & 1));
            return r;
        }
    }

    public readonly struct Ror : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => W.Bits == 64 ? ulong.RotateRight(a, count) : W.Bits == 32 ? uint.RotateRight((uint)a, count) : Execute<W>(s, a, count);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth
        {
            int n = count & (W.Bits - 1);
            ulong r = W.Bits == 64 ? ulong.RotateRight(a, n) : W.Bits == 32 ? uint.RotateRight((uint)a, n) : (a >> n) | (a << (W.Bits - n));
            ulong top = (r >> (W.Bits - 1)) & 1;
            Flags.SetCarryOverflow(s, top != 0, top != ((r >> (W.Bits - 2)) & 1));
            return r;
        }
    }

    public readonly struct Rcl : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => Execute<W>(s, a, count);

        public static ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth
        {
            int n = W.Bits < 32 ? count % (W.Bits + 1) : count;
            if (n == 0)
                return a;
            ulong carry = Flags.Carry(s) ? 1UL : 0;
            // CF stands between the two ends of the operand: bit n comes from below it by n, or from above it by W - n + 1.
            ulong r = (a << n) | (carry << (n - 1)) | (n > 1 ? a >> (W.Bits - n + 1) : 0);
            bool o = ((a >> (W.Bits - n)) & 1) != 0;
            Flags.SetCarryOverflow(s, o, (((r >> (W.Bits - 1)) & 1) != 0) != o);
            return r;
        }
    }

    public readonly struct Rcr : IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => Execute<W>(s, a, count);

        public static ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth
        {
            int n = W.Bits < 32 ? count % (W.Bits + 1) : count;
            if (n == 0)
                return a;
            ulong carry = Flags.Carry(s) ? 1UL : 0;
            ulong r = (a >> n) | (carry << (W.Bits - n)) | (n > 1 ? a << (W.Bits - n + 1) : 0);
            bool o = ((a >> (n - 1)) & 1) != 0;
            Flags.SetCarryOverflow(s, o, (((r >> (W.Bits - 1)) ^ (r >> (W.Bits - 2))) & 1) != 0);
            return r;
        }
    }

    /// <summary>The same shift where nobody will see its flags.</summary>
    private readonly struct Silent<T> : IShift where T : struct, IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => T.Compute<W>(s, a, count);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, int count) where W : struct, IWidth => T.Compute<W>(s, a, count);
    }

    /// <summary>Selects handlers for <c>op dst, count</c>; the count is 1, an immediate or CL.</summary>
    public static void Lower<T>(ref Lowering l) where T : struct, IShift
    {
        int size = l.SizeOf(0);
        int count = l.IsRegister(1) ? -1 : (int)l.Immediate(1, 1) & (size == 8 ? 63 : 31);
        l.Op->Immediate = (ulong)count;
        if (l.IsMemory(0))
        {
            AddressForm address = l.Memory();
            if (count > 0)
                l.Select<MemoryImmediate<T>>(size, address);
            else if (count == 0)
                l.Select<MemoryZero>(size, address);
            else
                l.Select<MemoryCl<T>>(size, address);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        if (count > 0 && l.FlagsDead)
            l.SelectStep<RegisterImmediate<Silent<T>>>(size);
        else if (count > 0)
            l.SelectStep<RegisterImmediate<T>>(size);
        else if (count == 0)
            l.Select<RegisterZero>(size);
        else
            l.SelectStep<RegisterCl<T>>(size);
    }

    /// <summary>CL, masked for the width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int CountInCl<W>(CpuState* s) where W : struct, IWidth => (int)s->Registers[1] & (W.Bits == 64 ? 63 : 31);

    private readonly struct RegisterImmediate<T> : IStep where T : struct, IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, T.Execute<W>(s, Width.Read<W>(s, op->Reg0), (int)op->Immediate));
            return true;
        }
    }

    private readonly struct RegisterCl<T> : IStep where T : struct, IShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            int count = CountInCl<W>(s);
            ulong a = Width.Read<W>(s, op->Reg0);
            if (count != 0)
                a = T.Execute<W>(s, a, count);
            Width.Write<W>(s, op->Reg0, a);
            return true;
        }
    }

    private readonly struct RegisterZero : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Width.Read<W>(s, op->Reg0));
            return Chain.Next(s, op);
        }
    }

    private readonly struct MemoryImmediate<T> : IForm where T : struct, IShift
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return M.Failed(s, op);
            M.Update<W>(s, op, place, T.Execute<W>(s, a, (int)op->Immediate));
            return M.Next(s, op);
        }
    }

    private readonly struct MemoryCl<T> : IForm where T : struct, IShift
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return M.Failed(s, op);
            int count = CountInCl<W>(s);
            if (count != 0)
                a = T.Execute<W>(s, a, count);
            M.Update<W>(s, op, place, a);
            return M.Next(s, op);
        }
    }

    /// <summary>The operand is read and written all the same: it faults as any other count would.</summary>
    private readonly struct MemoryZero : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return M.Failed(s, op);
            M.Update<W>(s, op, place, a);
            return M.Next(s, op);
        }
    }
}
