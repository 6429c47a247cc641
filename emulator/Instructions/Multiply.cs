using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>An operation on the accumulator pair and one operand: false when it raises #DE.</summary>
public unsafe interface IAccumulator
{
    /// <summary>False when there is nothing to check (MUL, IMUL).</summary>
    static abstract bool MayFault { get; }

    static abstract bool Execute<W>(CpuState* s, ulong b) where W : struct, IWidth;
}

/// <summary>
/// MUL, IMUL with one, two and three operands, DIV, IDIV. Undefined flags are as QEMU has them: after a multiplication SF, ZF and PF follow the
/// lower half and AF is clear; a division leaves all flags alone.
/// </summary>
public static unsafe class Multiply
{
    public readonly struct Mul : IAccumulator
    {
        public static bool MayFault => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Execute<W>(CpuState* s, ulong b) where W : struct, IWidth
        {
            ulong a = Width.Truncate<W>(s->Registers[0]);
            if (W.Bits == 64)
            {
                ulong low = a * b;
                ulong high = High(a, b);
                s->Registers[0] = low;
                s->Registers[2] = high;
                Flags.SetResult(s, 64, low, high != 0, high != 0);
                return true;
            }
            ulong r = a * b;
            WriteProduct<W>(s, r);
            bool wide = r >> W.Bits != 0;
            Flags.SetResult(s, W.Bits, r, wide, wide);
            return true;
        }
    }

    public readonly struct Imul : IAccumulator
    {
        public static bool MayFault => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Execute<W>(CpuState* s, ulong b) where W : struct, IWidth
        {
            bool wide;
            if (W.Bits == 64)
            {
                ulong a = s->Registers[0];
                ulong low = a * b;
                ulong high = SignedHigh(a, b);
                s->Registers[0] = low;
                s->Registers[2] = high;
                wide = high != (ulong)((long)low >> 63);
                Flags.SetResult(s, 64, low, wide, wide);
                return true;
            }
            long r = Width.SignExtend<W>(s->Registers[0]) * Width.SignExtend<W>(b);
            WriteProduct<W>(s, (ulong)r);
            wide = r != Width.SignExtend<W>((ulong)r);
            Flags.SetResult(s, W.Bits, (ulong)r, wide, wide);
            return true;
        }
    }

    public readonly struct Div : IAccumulator
    {
        public static bool MayFault => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Execute<W>(CpuState* s, ulong b) where W : struct, IWidth
        {
            if (b == 0)
                return false;
            if (W.Bits == 64)
            {
                if (s->Registers[2] != 0)
                    return DivideWide(s, b);
                ulong low = s->Registers[0];
                s->Registers[0] = low / b;
                s->Registers[2] = low % b;
                return true;
            }
            ulong a = Dividend<W>(s);
            ulong q = a / b;
            if (q >> W.Bits != 0)
                return false;
            WriteQuotient<W>(s, q, a % b);
            return true;
        }
    }

    public readonly struct Idiv : IAccumulator
    {
        public static bool MayFault => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Execute<W>(CpuState* s, ulong b) where W : struct, IWidth
        {
            long divisor = Width.SignExtend<W>(b);
            if (divisor == 0)
                return false;
            if (W.Bits == 64)
            {
                long low = (long)s->Registers[0];
                if ((long)s->Registers[2] != low >> 63)
                    return DivideWideSigned(s, divisor);
                if (divisor == -1)
                {
                    if (low == long.MinValue)
                        return false;
                    s->Registers[0] = (ulong)-low;
                    s->Registers[2] = 0;
                    return true;
                }
                s->Registers[0] = (ulong)(low / divisor);
                s->Registers[2] = (ulong)(low % divisor);
                return true;
            }
            ulong dividend = Dividend<W>(s);
            long a = W.Bits == 8 ? (short)dividend : W.Bits == 16 ? (int)dividend : (long)dividend;
            // -2^63 / -1 would trap in the host; no quotient of a dividend that large fits in 32 bits.
            if (divisor == -1 && a == long.MinValue)
                return false;
            long q = a / divisor;
            if (q != Width.SignExtend<W>((ulong)q))
                return false;
            WriteQuotient<W>(s, (ulong)q, (ulong)(a % divisor));
            return true;
        }
    }

    /// <summary>Selects handlers for MUL, DIV, IDIV and the one-operand IMUL.</summary>
    public static void Accumulator<T>(ref Lowering l) where T : struct, IAccumulator
    {
        if (l.IsMemory(0))
        {
            l.Select<AccumulatorMemory<T>>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<AccumulatorRegister<T>>(l.SizeOf(0));
    }

    /// <summary>IMUL in its three shapes.</summary>
    public static void LowerImul(ref Lowering l)
    {
        if (l.Instruction.OpCount == 1)
        {
            Accumulator<Imul>(ref l);
            return;
        }
        int size = l.SizeOf(0);
        l.Op->Reg0 = l.RegisterOf(0);
        bool three = l.Instruction.OpCount == 3;
        if (three)
            l.Op->Immediate = l.Immediate(2, size);
        if (l.IsMemory(1))
        {
            if (three)
                l.Select<MemoryImmediate>(size, l.Memory());
            else
                l.SelectStep<RegisterMemory>(size, l.Memory());
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        if (three && l.FlagsDead)
            l.SelectStep<SilentRegisterImmediate>(size);
        else if (three)
            l.SelectStep<RegisterImmediate>(size);
        else if (l.FlagsDead)
            l.SelectStep<SilentRegisterRegister>(size);
        else
            l.SelectStep<RegisterRegister>(size);
    }

    /// <summary>AX, DX:AX or EDX:EAX.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Dividend<W>(CpuState* s) where W : struct, IWidth => W.Bits switch
    {
        8 => (ushort)s->Registers[0],
        16 => (uint)((ushort)s->Registers[0] | ((ushort)s->Registers[2] << 16)),
        _ => (uint)s->Registers[0] | (s->Registers[2] << 32),
    };

    /// <summary>A product twice as wide as the operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteProduct<W>(CpuState* s, ulong r) where W : struct, IWidth
    {
        if (W.Bits == 8)
        {
            Width.WriteAt<W16>((byte*)&s->Registers[0], r);
            return;
        }
        Width.Write<W>(s, 0, r);
        Width.Write<W>(s, 16, r >> W.Bits);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteQuotient<W>(CpuState* s, ulong quotient, ulong remainder) where W : struct, IWidth
    {
        if (W.Bits == 8)
        {
            Width.WriteAt<W16>((byte*)&s->Registers[0], (quotient & 0xFF) | (remainder << 8));
            return;
        }
        Width.Write<W>(s, 0, quotient);
        Width.Write<W>(s, 16, remainder);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool DivideWide(CpuState* s, ulong b)
    {
        if (s->Registers[2] >= b)
            return false;
        (UInt128 q, UInt128 r) = UInt128.DivRem(new UInt128(s->Registers[2], s->Registers[0]), b);
        s->Registers[0] = (ulong)q;
        s->Registers[2] = (ulong)r;
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool DivideWideSigned(CpuState* s, long divisor)
    {
        var a = new UInt128(s->Registers[2], s->Registers[0]);
        bool negative = (long)s->Registers[2] < 0;
        UInt128 magnitude = negative ? 0 - a : a;
        ulong by = divisor < 0 ? 0 - (ulong)divisor : (ulong)divisor;
        (UInt128 q, UInt128 r) = UInt128.DivRem(magnitude, by);
        bool negate = negative != divisor < 0;
        if (q > (negate ? 1UL << 63 : long.MaxValue))
            return false;
        s->Registers[0] = negate ? 0 - (ulong)q : (ulong)q;
        s->Registers[2] = negative ? 0 - (ulong)r : (ulong)r;
        return true;
    }

    /// <summary>
    /// Upper half of an unsigned product. Math.BigMul would do, but it takes the address of a local, and a handler with such a local cannot end in
    /// a tail jump.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong High(ulong a, ulong b)
    {
        if (Bmi2.X64.IsSupported)
            return Bmi2.X64.MultiplyNoFlags(a, b);
        if (ArmBase.Arm64.IsSupported)
            return ArmBase.Arm64.MultiplyHigh(a, b);
        return PortableHigh(a, b);
    }

    /// <summary>Upper half of an unsigned product, from products of halves.</summary>
    public static ulong PortableHigh(ulong a, ulong b)
    {
        ulong low = (ulong)(uint)a * (uint)b;
        ulong middle = (a >> 32) * (uint)b + (low >> 32);
        ulong other = (uint)a * (b >> 32) + (uint)middle;
        return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong SignedHigh(ulong a, ulong b) => High(a, b) - ((ulong)((long)a >> 63) & b) - ((ulong)((long)b >> 63) & a);

    /// <summary>The truncated product of the two- and three-operand forms.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Product<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
    {
        bool wide;
        ulong r;
        if (W.Bits == 64)
        {
            r = a * b;
            wide = SignedHigh(a, b) != (ulong)((long)r >> 63);
        }
        else
        {
            long full = Width.SignExtend<W>(a) * Width.SignExtend<W>(b);
            r = (ulong)full;
            wide = full != Width.SignExtend<W>(r);
        }
        Flags.SetResult(s, W.Bits, r, wide, wide);
        return r;
    }

    private readonly struct AccumulatorRegister<T> : IForm where T : struct, IAccumulator
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!T.Execute<W>(s, Width.Read<W>(s, op->Reg0)) && T.MayFault)
                return Chain.Fault(s, op, Vector.DivideError);
            return Chain.Next(s, op);
        }
    }

    private readonly struct AccumulatorMemory<T> : IForm where T : struct, IAccumulator
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong b))
                return M.Failed(s, op);
            if (!T.Execute<W>(s, b) && T.MayFault)
                return Chain.Fault(s, op, Vector.DivideError);
            return M.Next(s, op);
        }
    }

    private readonly struct RegisterRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Product<W>(s, Width.Read<W>(s, op->Reg0), Width.Read<W>(s, op->Reg1)));
            return true;
        }
    }

    private readonly struct RegisterImmediate : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Product<W>(s, Width.Read<W>(s, op->Reg1), op->Immediate));
            return true;
        }
    }

    /// <summary>Where nobody will see the flags.</summary>
    private readonly struct SilentRegisterRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Width.Read<W>(s, op->Reg0) * Width.Read<W>(s, op->Reg1));
            return true;
        }
    }

    /// <summary>Where nobody will see the flags.</summary>
    private readonly struct SilentRegisterImmediate : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, Width.Read<W>(s, op->Reg1) * op->Immediate);
            return true;
        }
    }

    private readonly struct RegisterMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong b))
                return false;
            Width.Write<W>(s, op->Reg0, Product<W>(s, Width.Read<W>(s, op->Reg0), b));
            return true;
        }
    }

    private readonly struct MemoryImmediate : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong b))
                return M.Failed(s, op);
            Width.Write<W>(s, op->Reg0, Product<W>(s, b, op->Immediate));
            return M.Next(s, op);
        }
    }
}
