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
        JoinedHandler? none = null;
        TryFuse(compare, op, branch, ref none);
    }

    /// <summary>The same, and where <paramref name="joined"/> is not null, replaces it by the pair as the end of a joined handler.</summary>
    public static void TryFuse(in Instruction compare, Op* op, in Instruction branch, ref JoinedHandler? joined)
    {
        if (!branch.IsJccShortOrNear || (op + 1)->Handler == null)
            return;
        switch (compare.Mnemonic)
        {
            case Mnemonic.Cmp:
                ByCondition<Compare>(compare, op, branch.ConditionCode, ref joined);
                break;
            case Mnemonic.Test:
                ByCondition<Test>(compare, op, branch.ConditionCode, ref joined);
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

    private static void ByCondition<T>(in Instruction i, Op* op, ConditionCode code, ref JoinedHandler? joined) where T : struct, IComparison
    {
        switch (code)
        {
            case ConditionCode.o: BySize<T, Overflow>(i, op, ref joined); break;
            case ConditionCode.no: BySize<T, Not<Overflow>>(i, op, ref joined); break;
            case ConditionCode.b: BySize<T, Below>(i, op, ref joined); break;
            case ConditionCode.ae: BySize<T, Not<Below>>(i, op, ref joined); break;
            case ConditionCode.e: BySize<T, Equal>(i, op, ref joined); break;
            case ConditionCode.ne: BySize<T, Not<Equal>>(i, op, ref joined); break;
            case ConditionCode.be: BySize<T, BelowOrEqual>(i, op, ref joined); break;
            case ConditionCode.a: BySize<T, Not<BelowOrEqual>>(i, op, ref joined); break;
            case ConditionCode.s: BySize<T, Sign>(i, op, ref joined); break;
            case ConditionCode.ns: BySize<T, Not<Sign>>(i, op, ref joined); break;
            case ConditionCode.p: BySize<T, Parity>(i, op, ref joined); break;
            case ConditionCode.np: BySize<T, Not<Parity>>(i, op, ref joined); break;
            case ConditionCode.l: BySize<T, Less>(i, op, ref joined); break;
            case ConditionCode.ge: BySize<T, Not<Less>>(i, op, ref joined); break;
            case ConditionCode.le: BySize<T, LessOrEqual>(i, op, ref joined); break;
            case ConditionCode.g: BySize<T, Not<LessOrEqual>>(i, op, ref joined); break;
        }
    }

    private static void BySize<T, C>(in Instruction i, Op* op, ref JoinedHandler? joined) where T : struct, IComparison where C : struct, ICondition
    {
        switch (op->OperandSize)
        {
            case 1: ByOperands<T, C, W8>(i, op, ref joined); break;
            case 2: ByOperands<T, C, W16>(i, op, ref joined); break;
            case 4: ByOperands<T, C, W32>(i, op, ref joined); break;
            default: ByOperands<T, C, W64>(i, op, ref joined); break;
        }
    }

    private static void ByOperands<T, C, W>(in Instruction i, Op* op, ref JoinedHandler? joined)
        where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth
    {
        bool memory = i.Op0Kind == OpKind.Memory || i.Op1Kind == OpKind.Memory;
        if (!memory)
        {
            if (i.Op1Kind == OpKind.Register)
                Use<RegisterRegister<T, C, W>>(op, ref joined);
            else
                Use<RegisterImmediate<T, C, W>>(op, ref joined);
            return;
        }
        if (op->AddressSize != 8 || op->Segment >= (byte)SegmentIndex.Fs)
            return;
        if (i.MemoryIndex != Register.None)
            ByMemory<T, C, W, Fast<IndexForm>>(i, op, ref joined);
        else
            ByMemory<T, C, W, Fast<BaseForm>>(i, op, ref joined);
    }

    private static void ByMemory<T, C, W, M>(in Instruction i, Op* op, ref JoinedHandler? joined)
        where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth where M : struct, IMemory
    {
        if (i.Op1Kind == OpKind.Memory)
            Use<RegisterMemory<T, C, W, M>>(op, ref joined);
        else if (i.Op1Kind == OpKind.Register)
            Use<MemoryRegister<T, C, W, M>>(op, ref joined);
        else
            Use<MemoryImmediate<T, C, W, M>>(op, ref joined);
    }

    private static void Use<TRun>(Op* op, ref JoinedHandler? joined) where TRun : struct, IRun
    {
        op->Handler = &TRun.Run;
        if (joined != null)
            joined = new JoinedHandler<TRun>();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op* Branch(CpuState* s, Op* jump, bool taken) =>
        taken ? Chain.Follow(s, &jump->Taken, jump->Immediate) : Chain.Follow(s, &jump->NotTaken, Op.NextRipOf(jump));

    private readonly struct RegisterRegister<T, C, W> : IRun where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Op* Run(CpuState* s, Op* op) =>
            Branch(s, op + 1, T.Decide<C, W>(s, Width.Read<W>(s, op->Reg0), Width.Read<W>(s, op->Reg1)));
    }

    private readonly struct RegisterImmediate<T, C, W> : IRun where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Op* Run(CpuState* s, Op* op) => Branch(s, op + 1, T.Decide<C, W>(s, Width.Read<W>(s, op->Reg0), op->Immediate));
    }

    private readonly struct RegisterMemory<T, C, W, M> : IRun
        where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth where M : struct, IMemory
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Op* Run(CpuState* s, Op* op) =>
            M.Load<W>(s, op, out ulong b) ? Branch(s, op + 1, T.Decide<C, W>(s, Width.Read<W>(s, op->Reg0), b)) : M.Failed(s, op);
    }

    private readonly struct MemoryRegister<T, C, W, M> : IRun
        where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth where M : struct, IMemory
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Op* Run(CpuState* s, Op* op) =>
            M.Load<W>(s, op, out ulong a) ? Branch(s, op + 1, T.Decide<C, W>(s, a, Width.Read<W>(s, op->Reg0))) : M.Failed(s, op);
    }

    private readonly struct MemoryImmediate<T, C, W, M> : IRun
        where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth where M : struct, IMemory
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Op* Run(CpuState* s, Op* op) =>
            M.Load<W>(s, op, out ulong a) ? Branch(s, op + 1, T.Decide<C, W>(s, a, op->Immediate)) : M.Failed(s, op);
    }
}
