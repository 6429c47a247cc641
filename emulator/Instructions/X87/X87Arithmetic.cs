using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>FADD, FSUB, FSUBR, FMUL, FDIV and FDIVR in every form, and FSQRT. The destination is always the first operand of the operation.</summary>
public static unsafe class X87Arithmetic
{
    /// <summary>ST(0) from ST(0) and ST(i).</summary>
    public readonly struct ToTop<T> : IX87Operation where T : struct, IBinaryOperation
    {
        public static void Execute(CpuState* s, Op* op) => Registers<T>(s, 0, op->Reg0);
    }

    /// <summary>ST(i) from ST(i) and ST(0).</summary>
    public readonly struct ToRegister<T> : IX87Operation where T : struct, IBinaryOperation
    {
        public static void Execute(CpuState* s, Op* op) => Registers<T>(s, op->Reg0, 0);
    }

    /// <summary>ST(i) from ST(i) and ST(0), which is popped.</summary>
    public readonly struct ToRegisterPop<T> : IX87Operation where T : struct, IBinaryOperation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (Registers<T>(s, op->Reg0, 0))
                X87.Pop(s);
        }
    }

    /// <summary>ST(0) from ST(0) and a number in memory, of 32 or 64 bits.</summary>
    public readonly struct FromMemory<T> : IX87MemoryOperation where T : struct, IBinaryOperation
    {
        public static void Execute<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth
        {
            Number source = W.Bits == 32 ? Number.Unpack<Binary32>(value) : Number.Unpack<Binary64>(value);
            Apply<T>(s, 0, source, X87.IsEmpty(s, 0));
        }
    }

    /// <summary>ST(0) from ST(0) and an integer in memory, of 16 or 32 bits.</summary>
    public readonly struct FromInteger<T> : IX87MemoryOperation where T : struct, IBinaryOperation
    {
        public static void Execute<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth =>
            Apply<T>(s, 0, Number.FromInteger(Width.SignExtend<W>(value)), X87.IsEmpty(s, 0));
    }

    public readonly struct SquareRoot : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!X87.NeedTop(s))
                return;
            FloatContext c = X87.Context(s);
            Number result = Operations.SquareRoot<Extended>(X87.Read(s, 0), ref c);
            X87.Finish(s, ref c, 0, result);
        }
    }

    private static bool Registers<T>(CpuState* s, int destination, int source) where T : struct, IBinaryOperation =>
        Apply<T>(s, destination, X87.Read(s, source), X87.IsEmpty(s, destination) || X87.IsEmpty(s, source));

    /// <summary>True when it completed; false when an unmasked exception kept it from doing so.</summary>
    private static bool Apply<T>(CpuState* s, int destination, in Number source, bool empty) where T : struct, IBinaryOperation
    {
        if (empty)
            return X87.Underflow(s, destination);
        FloatContext c = X87.Context(s);
        Number result = Operations.Binary<T, X87NaNs, Extended>(X87.Read(s, destination), source, ref c);
        return X87.Finish(s, ref c, destination, result);
    }
}
