using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>An operation on two operands of one width, with flags.</summary>
public unsafe interface IBinary
{
    /// <summary>False for CMP and TEST.</summary>
    static abstract bool WritesResult { get; }

    /// <summary>The result, and the flags.</summary>
    static abstract ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth;

    /// <summary>The result alone.</summary>
    static abstract ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth;
}

/// <summary>An operation on one operand.</summary>
public unsafe interface IUnary
{
    static abstract ulong Execute<W>(CpuState* s, ulong a) where W : struct, IWidth;
}

/// <summary>ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT.</summary>
public static unsafe class Arithmetic
{
    public readonly struct Add : IBinary
    {
        public static bool WritesResult => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a + b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = Compute<W>(s, a, b);
            Flags.SetAdd(s, W.Bits, a, b, r);
            return r;
        }
    }

    public readonly struct Adc : IBinary
    {
        public static bool WritesResult => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a + b + (s->FlagAux >> 63);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = Compute<W>(s, a, b);
            Flags.SetAdd(s, W.Bits, a, b, r);
            return r;
        }
    }

    public readonly struct Sub : IBinary
    {
        public static bool WritesResult => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a - b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = Compute<W>(s, a, b);
            Flags.SetSubtract(s, W.Bits, a, b, r);
            return r;
        }
    }

    public readonly struct Sbb : IBinary
    {
        public static bool WritesResult => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a - b - (s->FlagAux >> 63);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = Compute<W>(s, a, b);
            Flags.SetSubtract(s, W.Bits, a, b, r);
            return r;
        }
    }

    public readonly struct Cmp : IBinary
    {
        public static bool WritesResult => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            Flags.SetSubtract(s, W.Bits, a, b, a - b);
            return 0;
        }
    }

    public readonly struct And : IBinary
    {
        public static bool WritesResult => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a & b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = Compute<W>(s, a, b);
            Flags.SetLogic(s, W.Bits, r);
            return r;
        }
    }

    public readonly struct Or : IBinary
    {
        public static bool WritesResult => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a | b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = Compute<W>(s, a, b);
            Flags.SetLogic(s, W.Bits, r);
            return r;
        }
    }

    public readonly struct Xor : IBinary
    {
        public static bool WritesResult => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => a ^ b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            ulong r = Compute<W>(s, a, b);
            Flags.SetLogic(s, W.Bits, r);
            return r;
        }
    }

    public readonly struct Test : IBinary
    {
        public static bool WritesResult => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth
        {
            Flags.SetLogic(s, W.Bits, a & b);
            return 0;
        }
    }

    /// <summary>The same operation where nobody will see its flags: a later one overwrites them before anything reads them or can leave the block.</summary>
    public readonly struct Silent<T> : IBinary where T : struct, IBinary
    {
        public static bool WritesResult => T.WritesResult;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => T.Compute<W>(s, a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Compute<W>(CpuState* s, ulong a, ulong b) where W : struct, IWidth => T.Compute<W>(s, a, b);
    }

    public readonly struct Inc : IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a) where W : struct, IWidth
        {
            bool carry = Flags.Carry(s);
            ulong r = a + 1;
            Flags.SetAdd(s, W.Bits, a, 1, r);
            Flags.SetCarry(s, carry); // INC and DEC leave CF.
            return r;
        }
    }

    public readonly struct Dec : IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a) where W : struct, IWidth
        {
            bool carry = Flags.Carry(s);
            ulong r = a - 1;
            Flags.SetSubtract(s, W.Bits, a, 1, r);
            Flags.SetCarry(s, carry);
            return r;
        }
    }

    public readonly struct Neg : IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a) where W : struct, IWidth
        {
            ulong r = 0 - a;
            Flags.SetSubtract(s, W.Bits, 0, a, r);
            return r;
        }
    }

    public readonly struct Not : IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static ulong Execute<W>(CpuState* s, ulong a) where W : struct, IWidth => ~a;
    }

    /// <summary>Selects handlers for <c>op dst, src</c> in whichever operand form it has.</summary>
    public static void Binary<T>(ref Lowering l) where T : struct, IBinary
    {
        Op* op = l.Op;
        int size = l.SizeOf(0);
        if (l.IsMemory(0))
        {
            AddressForm address = l.Memory();
            if (l.IsRegister(1))
            {
                op->Reg0 = l.RegisterOf(1);
                if (T.WritesResult)
                    l.SelectStep<MemoryRegister<T>>(size, address);
                else
                    l.SelectStep<MemoryRegisterCompare<T>>(size, address);
            }
            else
            {
                op->Immediate = l.Immediate(1, size);
                if (T.WritesResult)
                    l.SelectStep<MemoryImmediate<T>>(size, address);
                else
                    l.SelectStep<MemoryImmediateCompare<T>>(size, address);
            }
            return;
        }
        op->Reg0 = l.RegisterOf(0);
        if (l.IsRegister(1))
        {
            op->Reg1 = l.RegisterOf(1);
            if (l.FlagsDead)
                l.SelectStep<RegisterRegister<Silent<T>>>(size);
            else
                l.SelectStep<RegisterRegister<T>>(size);
        }
        else if (l.IsMemory(1))
        {
            l.SelectStep<RegisterMemory<T>>(size, l.Memory());
        }
        else
        {
            op->Immediate = l.Immediate(1, size);
            if (l.FlagsDead)
                l.SelectStep<RegisterImmediate<Silent<T>>>(size);
            else
                l.SelectStep<RegisterImmediate<T>>(size);
        }
    }

    /// <summary>Selects handlers for <c>op dst</c>.</summary>
    public static void Unary<T>(ref Lowering l) where T : struct, IUnary
    {
        if (l.IsMemory(0))
        {
            l.SelectStep<UnaryMemory<T>>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.SelectStep<UnaryRegister<T>>(l.SizeOf(0));
    }

    private readonly struct RegisterRegister<T> : IStep where T : struct, IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong r = T.Execute<W>(s, Width.Read<W>(s, op->Reg0), Width.Read<W>(s, op->Reg1));
            if (T.WritesResult)
                Width.Write<W>(s, op->Reg0, r);
            return true;
        }
    }

    private readonly struct RegisterImmediate<T> : IStep where T : struct, IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong r = T.Execute<W>(s, Width.Read<W>(s, op->Reg0), op->Immediate);
            if (T.WritesResult)
                Width.Write<W>(s, op->Reg0, r);
            return true;
        }
    }

    private readonly struct RegisterMemory<T> : IStep where T : struct, IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong b))
                return false;
            ulong r = T.Execute<W>(s, Width.Read<W>(s, op->Reg0), b);
            if (T.WritesResult)
                Width.Write<W>(s, op->Reg0, r);
            return true;
        }
    }

    private readonly struct MemoryRegister<T> : IStep where T : struct, IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return false;
            ulong r = T.Execute<W>(s, a, Width.Read<W>(s, op->Reg0));
            M.Update<W>(s, op, place, r);
            return true;
        }
    }

    private readonly struct MemoryImmediate<T> : IStep where T : struct, IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return false;
            ulong r = T.Execute<W>(s, a, op->Immediate);
            M.Update<W>(s, op, place, r);
            return true;
        }
    }

    private readonly struct MemoryRegisterCompare<T> : IStep where T : struct, IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong a))
                return false;
            T.Execute<W>(s, a, Width.Read<W>(s, op->Reg0));
            return true;
        }
    }

    private readonly struct MemoryImmediateCompare<T> : IStep where T : struct, IBinary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong a))
                return false;
            T.Execute<W>(s, a, op->Immediate);
            return true;
        }
    }

    private readonly struct UnaryRegister<T> : IStep where T : struct, IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, op->Reg0, T.Execute<W>(s, Width.Read<W>(s, op->Reg0)));
            return true;
        }
    }

    private readonly struct UnaryMemory<T> : IStep where T : struct, IUnary
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadForUpdate<W>(s, op, out ulong a, out nuint place))
                return false;
            M.Update<W>(s, op, place, T.Execute<W>(s, a));
            return true;
        }
    }
}
