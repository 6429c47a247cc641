using System.Collections.Concurrent;
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
        if (Find(compare, op, branch) is { } run)
            op->Handler = Handlers.Of(run);
    }

    /// <summary>The fused handler of a pair, an <see cref="IRun"/>; null when it has none.</summary>
    public static Type? Find(in Instruction compare, Op* op, in Instruction branch)
    {
        if (!branch.IsJccShortOrNear || (op + 1)->Handler == null || compare.Mnemonic is not (Mnemonic.Cmp or Mnemonic.Test))
            return null;
        bool memory = compare.Op0Kind == OpKind.Memory || compare.Op1Kind == OpKind.Memory;
        if (memory && (op->AddressSize != 8 || op->Segment >= (byte)SegmentIndex.Fs))
            return null;
        Operands operands = compare.Op1Kind switch
        {
            OpKind.Memory => Operands.RegisterMemory,
            OpKind.Register => memory ? Operands.MemoryRegister : Operands.RegisterRegister,
            _ => memory ? Operands.MemoryImmediate : Operands.RegisterImmediate,
        };
        bool indexed = memory && compare.MemoryIndex != Register.None;
        return Runs.GetOrAdd((compare.Mnemonic == Mnemonic.Test, branch.ConditionCode, op->OperandSize, operands, indexed), static key =>
        {
            Type comparison = key.Test ? typeof(Test) : typeof(Compare);
            Type condition = OfCode(key.Condition);
            Type width = Handlers.Width(key.Size);
            Type memory = key.Indexed ? typeof(Fast<IndexForm>) : typeof(Fast<BaseForm>);
            return key.Operands switch
            {
                Operands.RegisterRegister => typeof(RegisterRegister<,,>).MakeGenericType(comparison, condition, width),
                Operands.RegisterImmediate => typeof(RegisterImmediate<,,>).MakeGenericType(comparison, condition, width),
                Operands.RegisterMemory => typeof(RegisterMemory<,,,>).MakeGenericType(comparison, condition, width, memory),
                Operands.MemoryRegister => typeof(MemoryRegister<,,,>).MakeGenericType(comparison, condition, width, memory),
                _ => typeof(MemoryImmediate<,,,>).MakeGenericType(comparison, condition, width, memory),
            };
        });
    }

    /// <summary>Names those that guests use most for a compiler ahead of time, see <see cref="Handlers.Name{F, M}"/>; never called.</summary>
    internal static void NameCommon()
    {
        Name<Compare>();
        Name<Test>();
    }

    private static void Name<T>() where T : struct, IComparison
    {
        Name<T, Overflow>();
        Name<T, Not<Overflow>>();
        Name<T, Below>();
        Name<T, Not<Below>>();
        Name<T, Equal>();
        Name<T, Not<Equal>>();
        Name<T, BelowOrEqual>();
        Name<T, Not<BelowOrEqual>>();
        Name<T, Sign>();
        Name<T, Not<Sign>>();
        Name<T, Less>();
        Name<T, Not<Less>>();
        Name<T, LessOrEqual>();
        Name<T, Not<LessOrEqual>>();
    }

    private static void Name<T, C>() where T : struct, IComparison where C : struct, ICondition
    {
        Name<T, C, W8>();
        Name<T, C, W16>();
        Name<T, C, W32>();
        Name<T, C, W64>();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Name<T, C, W>() where T : struct, IComparison where C : struct, ICondition where W : struct, IWidth
    {
        Handlers.Name<RegisterRegister<T, C, W>>();
        Handlers.Name<RegisterImmediate<T, C, W>>();
        Handlers.Name<RegisterMemory<T, C, W, Fast<BaseForm>>>();
        Handlers.Name<MemoryRegister<T, C, W, Fast<BaseForm>>>();
        Handlers.Name<MemoryImmediate<T, C, W, Fast<BaseForm>>>();
    }

    private enum Operands
    {
        RegisterRegister,
        RegisterImmediate,
        RegisterMemory,
        MemoryRegister,
        MemoryImmediate,
    }

    private static readonly ConcurrentDictionary<(bool Test, ConditionCode Condition, byte Size, Operands Operands, bool Indexed), Type> Runs = [];

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

    private static Type OfCode(ConditionCode code) => code switch
    {
        ConditionCode.o => typeof(Overflow),
        ConditionCode.no => typeof(Not<Overflow>),
        ConditionCode.b => typeof(Below),
        ConditionCode.ae => typeof(Not<Below>),
        ConditionCode.e => typeof(Equal),
        ConditionCode.ne => typeof(Not<Equal>),
        ConditionCode.be => typeof(BelowOrEqual),
        ConditionCode.a => typeof(Not<BelowOrEqual>),
        ConditionCode.s => typeof(Sign),
        ConditionCode.ns => typeof(Not<Sign>),
        ConditionCode.p => typeof(Parity),
        ConditionCode.np => typeof(Not<Parity>),
        ConditionCode.l => typeof(Less),
        ConditionCode.ge => typeof(Not<Less>),
        ConditionCode.le => typeof(LessOrEqual),
        _ => typeof(Not<LessOrEqual>),
    };

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
