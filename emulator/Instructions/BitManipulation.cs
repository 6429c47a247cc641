using System.Numerics;
using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// BMI1 and BMI2: ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI, MULX, PDEP, PEXT, RORX, SARX, SHLX, SHRX; and ADX: ADCX, ADOX. All have 32- and
/// 64-bit operands only. Undefined flags: AF is clear; PF follows the result.
/// </summary>
public static unsafe class BitManipulation
{
    /// <summary>An operation on two values into a third place.</summary>
    public interface IThreeOperand
    {
        static abstract ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth;
    }

    public readonly struct Andn : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = ~a & b;
            Flags.SetLogic(s, W.Bits, r);
            return r;
        }
    }

    /// <summary>Start in bits 7:0 of the control, length in bits 15:8.</summary>
    public readonly struct Bextr : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            int start = (byte)b, length = (byte)(b >> 8);
            ulong r = start >= W.Bits ? 0 : a >> start;
            if (length < 64)
                r &= (1UL << length) - 1;
            // "ZF is updated based on the result. AF, SF, and PF are undefined. All other flags are cleared."
            Flags.SetLogic(s, W.Bits, r);
            return r;
        }
    }

    public readonly struct Bzhi : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            int n = (byte)b;
            ulong r = n < W.Bits ? a & ((1UL << n) - 1) : a;
            Flags.SetResult(s, W.Bits, r, carry: n >= W.Bits, overflow: false);
            return r;
        }
    }

    public readonly struct Sarx : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => (ulong)(Width.SignExtend<W>(a) >> ((int)b & (W.Bits - 1)));
    }

    public readonly struct Shlx : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a << ((int)b & (W.Bits - 1));
    }

    public readonly struct Shrx : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a >> ((int)b & (W.Bits - 1));
    }

    public readonly struct Rorx : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth =>
            W.Bits == 64 ? ulong.RotateRight(a, (int)b & 63) : uint.RotateRight((uint)a, (int)b & 31);
    }

    public readonly struct Pdep : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = 0;
            for (ulong mask = b; mask != 0; mask &= mask - 1, a >>= 1)
                r |= (a & 1) << BitOperations.TrailingZeroCount(mask);
            return r;
        }
    }

    public readonly struct Pext : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = 0;
            int i = 0;
            for (ulong mask = b; mask != 0; mask &= mask - 1, i++)
                r |= ((a >> BitOperations.TrailingZeroCount(mask)) & 1) << i;
            return r;
        }
    }

    public readonly struct Blsi : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth =>
            Lowest<W>(s, a, a & (0 - a), a != 0);
    }

    public readonly struct Blsmsk : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth =>
            Lowest<W>(s, a, Width.Truncate<W>(a ^ (a - 1)), a == 0);
    }

    public readonly struct Blsr : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth =>
            Lowest<W>(s, a, a & (a - 1), a == 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Lowest<W>(CpuState* s, ulong a, ulong r, bool carry) where W : struct, IWidth
    {
        Flags.SetResult(s, W.Bits, r, carry, overflow: false);
        return r;
    }

    /// <summary>Selects handlers for <c>op dst, a, b</c> with b in r/m (ANDN, PDEP, PEXT).</summary>
    public static void SecondSource<T>(ref Lowering l) where T : struct, IThreeOperand
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Reg1 = l.RegisterOf(1);
        if (l.IsMemory(2))
        {
            l.SelectStep<MemorySecond<T>>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg2 = l.RegisterOf(2);
        l.SelectStep<Registers<T>>(l.SizeOf(0));
    }

    /// <summary>Selects handlers for <c>op dst, a, b</c> with a in r/m (BEXTR, BZHI, SARX, SHLX, SHRX).</summary>
    public static void FirstSource<T>(ref Lowering l) where T : struct, IThreeOperand
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Reg2 = l.RegisterOf(2);
        if (l.IsMemory(1))
        {
            l.SelectStep<MemoryFirst<T>>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        l.SelectStep<Registers<T>>(l.SizeOf(0));
    }

    /// <summary>Selects handlers for <c>op dst, r/m</c> and <c>op dst, r/m, imm8</c> (BLSI, BLSMSK, BLSR, RORX).</summary>
    public static void Single<T>(ref Lowering l) where T : struct, IThreeOperand
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Immediate = l.Instruction.OpCount == 3 ? l.Immediate(2, 1) : 0;
        if (l.IsMemory(1))
        {
            l.SelectStep<MemoryImmediate<T>>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        l.SelectStep<RegisterImmediate<T>>(l.SizeOf(0));
    }

    /// <summary>MULX: upper half, lower half, r/m; the other factor is DX.</summary>
    public static void Mulx(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Reg1 = l.RegisterOf(1);
        if (l.IsMemory(2))
        {
            l.SelectStep<MulxMemory>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg2 = l.RegisterOf(2);
        l.SelectStep<MulxRegister>(l.SizeOf(0));
    }

    /// <summary>ADCX (through CF) and ADOX (through OF).</summary>
    public static void AddWithFlag<T>(ref Lowering l) where T : struct, IThreeOperand
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Reg1 = l.RegisterOf(0);
        if (l.IsMemory(1))
        {
            l.SelectStep<MemorySecond<T>>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg2 = l.RegisterOf(1);
        l.SelectStep<Registers<T>>(l.SizeOf(0));
    }

    public readonly struct Adcx : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = a + b + (Flags.Carry(s) ? 1UL : 0);
            Flags.SetCarryOverflow(s, Overflows<W>(a, b, r), Flags.Overflow(s));
            return r;
        }
    }

    public readonly struct Adox : IThreeOperand
    {
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = a + b + (Flags.Overflow(s) ? 1UL : 0);
            Flags.SetCarryOverflow(s, Flags.Carry(s), Overflows<W>(a, b, r));
            return r;
        }
    }

    /// <summary>Carry out of the top bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Overflows<W>(ulong a, ulong b, ulong r) where W : struct, IWidth => ((((a & b) | ((a | b) & ~r)) >> (W.Bits - 1)) & 1) != 0;

    private readonly struct Registers<T> : IStep where T : struct, IThreeOperand
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, T.Execute<W>(s, Width.Read<W>(s, op->Reg1), Width.Read<W>(s, op->Reg2)));
            return true;
        }
    }

    private readonly struct RegisterImmediate<T> : IStep where T : struct, IThreeOperand
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, T.Execute<W>(s, Width.Read<W>(s, op->Reg1), op->Immediate));
            return true;
        }
    }

    private readonly struct MemoryFirst<T> : IStep where T : struct, IThreeOperand
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong a))
                return false;
            Width.Write<W>(s, op->Reg0, T.Execute<W>(s, a, Width.Read<W>(s, op->Reg2)));
            return true;
        }
    }

    private readonly struct MemorySecond<T> : IStep where T : struct, IThreeOperand
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong b))
                return false;
            Width.Write<W>(s, op->Reg0, T.Execute<W>(s, Width.Read<W>(s, op->Reg1), b));
            return true;
        }
    }

    private readonly struct MemoryImmediate<T> : IStep where T : struct, IThreeOperand
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong a))
                return false;
            Width.Write<W>(s, op->Reg0, T.Execute<W>(s, a, op->Immediate));
            return true;
        }
    }

    /// <summary>The upper half is written last: "if the first and second operand are identical, it will contain the high half".</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteProduct<W>(CpuState* s, Op* op, ulong b) where W : struct, IWidth
    {
        ulong a = Width.Truncate<W>(s->Registers[2]);
        ulong low = a * b;
        ulong high = W.Bits == 64 ? Multiply.High(a, b) : low >> 32;
        Width.Write<W>(s, op->Reg1, low);
        Width.Write<W>(s, op->Reg0, high);
    }

    private readonly struct MulxRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            WriteProduct<W>(s, op, Width.Read<W>(s, op->Reg2));
            return true;
        }
    }

    private readonly struct MulxMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong b))
                return false;
            WriteProduct<W>(s, op, b);
            return true;
        }
    }
}
