using Emu.Cpus;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>LOOP, LOOPE, LOOPNE, JCXZ, JECXZ, JRCXZ: the address size chooses between CX, ECX and RCX.</summary>
public static unsafe class Loops
{
    private const byte CountOffset = 8;

    public interface ILoop
    {
        /// <summary>False for the JCXZ family, which branches on zero and counts nothing.</summary>
        static abstract bool Counts { get; }

        /// <summary>Whether to branch with this count left.</summary>
        static abstract bool Taken(CpuState* s, ulong count);
    }

    public readonly struct Loop : ILoop
    {
        public static bool Counts => true;

        public static bool Taken(CpuState* s, ulong count) => count != 0;
    }

    public readonly struct LoopEqual : ILoop
    {
        public static bool Counts => true;

        public static bool Taken(CpuState* s, ulong count) => count != 0 && Flags.Zero(s);
    }

    public readonly struct LoopNotEqual : ILoop
    {
        public static bool Counts => true;

        public static bool Taken(CpuState* s, ulong count) => count != 0 && !Flags.Zero(s);
    }

    public readonly struct CountZero : ILoop
    {
        public static bool Counts => false;

        public static bool Taken(CpuState* s, ulong count) => count == 0;
    }

    /// <summary>Selects the handler by the width of the count register.</summary>
    public static void Lower<T>(ref Lowering l) where T : struct, ILoop
    {
        l.Flow = FlowKind.Ends;
        l.Op->Immediate = l.Instruction.NearBranchTarget;
        l.Select<Form<T>>(CountSize(l.Instruction.Code));
    }

    private static int CountSize(Code code) => code switch
    {
        Code.Loop_rel8_16_CX or Code.Loop_rel8_32_CX or Code.Loope_rel8_16_CX or Code.Loope_rel8_32_CX
            or Code.Loopne_rel8_16_CX or Code.Loopne_rel8_32_CX or Code.Jcxz_rel8_16 or Code.Jcxz_rel8_32 => 2,
        Code.Loop_rel8_16_RCX or Code.Loop_rel8_64_RCX or Code.Loope_rel8_16_RCX or Code.Loope_rel8_64_RCX
            or Code.Loopne_rel8_16_RCX or Code.Loopne_rel8_64_RCX or Code.Jrcxz_rel8_16 or Code.Jrcxz_rel8_64 => 8,
        _ => 4,
    };

    private readonly struct Form<T> : IForm where T : struct, ILoop
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong count = Width.Read<W>(s, CountOffset);
            if (T.Counts)
                count = Width.Truncate<W>(count - 1);
            bool taken = T.Taken(s, count);
            if (taken && !Branches.IsTarget(s, op->Immediate))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            if (T.Counts)
                Width.Write<W>(s, CountOffset, count);
            return taken ? Chain.Follow(s, &op->Taken, op->Immediate) : Chain.Follow(s, &op->NotTaken, Op.NextRipOf(op));
        }
    }
}
