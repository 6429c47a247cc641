using System.Runtime.CompilerServices;
using Emu.Cpus;
using Iced.Intel;
using static Emu.Instructions.Conditions;

namespace Emu.Instructions;

/// <summary>
/// CMP or TEST followed by Jcc in one handler. Both operations stay as they are: the fused handler stands in the first and takes the branch from
/// the second; where the TLB does not serve the comparison, its Full handler goes on to the second by itself.
/// </summary>
public static unsafe class CompareAndBranch
{
    /// <summary>Gives the comparison the fused handler, if the pair has one.</summary>
    /// <param name="compare">CMP or TEST.</param>
    /// <param name="branch">The instruction behind it.</param>
    public static void TryFuse(in Instruction compare, Op* op, in Instruction branch)
    {
        if (!branch.IsJccShortOrNear || (op + 1)->Handler == null)
            return;
        switch (compare.Mnemonic)
        {
            case Mnemonic.Cmp:
                ByCondition<Compare>(compare, op, branch.ConditionCode);
                break;
            case Mnemonic.Test:
                ByCondition<Test>(compare, op, branch.ConditionCode);
                break;
        }
    }

    /// <summary>What the pair computes.</summary>
    private interface IComparison
    {
        static abstract bool Decide<C, W>(CpuState* s, ulong a, ulong b) where C : struct, ICondition where W : struct, IWidth;
    }

    private readonly struct Compare : IComparison
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Decide<C, W>(CpuState* s, ulong a, ulong b) where C : struct, ICondition where W : struct, IWidth
        {
            Flags.SetSubtract(s, W.Bits, a, b, a - b);
            return C.HoldsAfterCompare<W>(a, b);
        }
    }

    private readonly struct Test : IComparison
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Decide<C, W>(CpuState* s, ulong a, ulong b) where C : struct, ICondition where W : struct, IWidth
        {
            Flags.SetLogic(s, W.Bits, a & b);
            return C.HoldsAfterLogic<W>(a & b);
        }
    }

    private static void ByCondition<T>(in Instruction i, Op* op, ConditionCode code) where T : struct, IComparison
    {
        switch (code)
        {
            case ConditionCode.o: BySize<T, Overflow>(i, op); break;
            case ConditionCode.no: BySize<T, Not<Overflow>>(i, op); break;
            case ConditionCode.b: BySize<T, Below>(i, op); break;
            case ConditionCode.ae: BySize<T, Not<Below>>(i, op); break;
            case ConditionCode.e: BySize<T, Equal>(i, op); break;
            case ConditionCode.ne: BySize<T, Not<Equal>>(i, op); break;
            case ConditionCode.be: BySize<T, BelowOrEqual>(i, op); break;
            case ConditionCode.a: BySize<T, Not<BelowOrEqual>>(i, op); break;
            case ConditionCode.s: BySize<T, Sign>(i, op); break;
            case ConditionCode.ns: BySize<T, Not<Sign>>(i, op); break;
            case ConditionCode.p: BySize<T, Parity>(i, op); break;
            case ConditionCode.np: BySize<T, Not<Parity>>(i, op); break;
            case ConditionCode.l: BySize<T, Less>(i, op); break;
            case ConditionCode.ge: BySize<T, Not<Less>>(i, op); break;
            case ConditionCode.le: BySize<T, LessOrEqual>(i, op); break;
            case ConditionCode.g: BySize<T, Not<LessOrEqual>>(i, op); break;
        }
    }

    private static void BySize<T, C>(in Instruction i, Op* op) where T : struct, IComparison where C : struct, ICondition
    {
        switch (op->OperandSize)
        {
            case 1: ByOperands<T, C, W8>(i, op); break;
            case 2: ByOperands<T, C, W16>(i, op); break;
            case 4: ByOperands<T, C, W32>(i, op); break;
            default: ByOperands<T, C, W64>(i, op); break;
        }
    }

    private static void ByOperands<T, C, W>(in Instruction i, Op* op) where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth
    {
        bool memory = i.Op0Kind == OpKind.Memory || i.Op1Kind == OpKind.Memory;
        if (!memory)
        {
            op->Handler = i.Op1Kind == OpKind.Register ? &RegisterRegister<T, C, W> : &RegisterImmediate<T, C, W>;
            return;
        }
        if (op->AddressSize != 8 || op->Segment >= (byte)SegmentIndex.Fs)
            return;
        bool indexed = i.MemoryIndex != Register.None;
        if (i.Op1Kind == OpKind.Memory)
            op->Handler = indexed ? &RegisterMemory<T, C, W, Fast<IndexForm>> : &RegisterMemory<T, C, W, Fast<BaseForm>>;
        else if (i.Op1Kind == OpKind.Register)
            op->Handler = indexed ? &MemoryRegister<T, C, W, Fast<IndexForm>> : &MemoryRegister<T, C, W, Fast<BaseForm>>;
        else
            op->Handler = indexed ? &MemoryImmediate<T, C, W, Fast<IndexForm>> : &MemoryImmediate<T, C, W, Fast<BaseForm>>;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* Branch(CpuState* s, Op* jump, bool taken) =>
        taken ? Chain.Follow(s, &jump->Taken, jump->Immediate) : Chain.Follow(s, &jump->NotTaken, Op.NextRipOf(jump));

    private static Op* RegisterRegister<T, C, W>(CpuState* s, Op* op) where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth =>
        Branch(s, op + 1, T.Decide<C, W>(s, Width.Read<W>(s, op->Reg0), Width.Read<W>(s, op->Reg1)));

    private static Op* RegisterImmediate<T, C, W>(CpuState* s, Op* op) where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth =>
        Branch(s, op + 1, T.Decide<C, W>(s, Width.Read<W>(s, op->Reg0), op->Immediate));

    private static Op* RegisterMemory<T, C, W, M>(CpuState* s, Op* op)
        where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth where M : struct, IMemory =>
        M.Load<W>(s, op, out ulong b) ? Branch(s, op + 1, T.Decide<C, W>(s, Width.Read<W>(s, op->Reg0), b)) : M.Failed(s, op);

    private static Op* MemoryRegister<T, C, W, M>(CpuState* s, Op* op)
        where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth where M : struct, IMemory =>
        M.Load<W>(s, op, out ulong a) ? Branch(s, op + 1, T.Decide<C, W>(s, a, Width.Read<W>(s, op->Reg0))) : M.Failed(s, op);

    private static Op* MemoryImmediate<T, C, W, M>(CpuState* s, Op* op)
        where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth where M : struct, IMemory =>
        M.Load<W>(s, op, out ulong a) ? Branch(s, op + 1, T.Decide<C, W>(s, a, op->Immediate)) : M.Failed(s, op);
}
