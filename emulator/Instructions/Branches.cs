using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>Near JMP, Jcc, CALL and RET. Far transfers are the System family's.</summary>
public static unsafe class Branches
{
    /// <summary>JMP rel.</summary>
    public static void Jump(ref Lowering l)
    {
        SetTarget(ref l);
        if (NeedsCheck(ref l))
            l.Select<JumpChecked>(8);
        else
            l.Select<JumpDirect>(8);
    }

    /// <summary>Jcc rel.</summary>
    public static void Conditional<T>(ref Lowering l) where T : struct, ICondition
    {
        SetTarget(ref l);
        if (NeedsCheck(ref l))
            l.Select<ConditionalChecked<T>>(8);
        else
            l.Select<ConditionalJump<T>>(8);
    }

    /// <summary>CALL rel.</summary>
    public static void Call(ref Lowering l)
    {
        SetTarget(ref l);
        int size = -l.Instruction.StackPointerIncrement;
        AddressForm stack = l.StackMemory(-size);
        if (NeedsCheck(ref l))
            l.Select<CallChecked>(size);
        else
            l.Select<CallDirect>(size, stack);
    }

    /// <summary>JMP r/m near.</summary>
    public static void JumpIndirect(ref Lowering l)
    {
        l.Flow = FlowKind.Ends;
        if (l.IsMemory(0))
        {
            l.Select<JumpMemory>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<JumpRegister>(l.SizeOf(0));
    }

    /// <summary>CALL r/m near.</summary>
    public static void CallIndirect(ref Lowering l)
    {
        l.Flow = FlowKind.Ends;
        int size = -l.Instruction.StackPointerIncrement;
        if (l.IsMemory(0))
        {
            l.Memory();
            l.Select<CallMemory>(size);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(0);
        l.Select<CallRegister>(size, l.StackMemory(-size));
    }

    /// <summary>RET near, with or without an immediate.</summary>
    public static void Return(ref Lowering l)
    {
        l.Flow = FlowKind.Ends;
        int pop = l.Instruction.OpCount == 0 ? 0 : l.Instruction.Immediate16;
        l.Op->Immediate = (ulong)pop;
        l.Select<ReturnNear>(l.Instruction.StackPointerIncrement - pop, l.StackMemory(0));
    }

    /// <summary>Immediate = target RIP; the RIP behind is <see cref="Op.NextRipOf"/>.</summary>
    private static void SetTarget(ref Lowering l)
    {
        l.Flow = FlowKind.Ends;
        l.Op->Immediate = l.Instruction.NearBranchTarget;
    }

    /// <summary>A target that may lie outside the code segment or not be canonical is checked at execution.</summary>
    private static bool NeedsCheck(ref Lowering l) =>
        (l.Mode & ModeKey.CsNotFlat) != 0 || (l.CodeBits == 64 && !Access.IsCanonical(l.Instruction.NearBranchTarget));

    /// <summary>True when control may go to this RIP: canonical in 64-bit mode, within the limit of CS otherwise.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsTarget(CpuState* s, ulong rip) =>
        (s->ModeKey & ModeKey.CodeSizeMask) == 2 ? Access.IsCanonical(rip) : rip <= s->Cs.Limit;

    /// <summary>The same for a target of a known width: one of 64 bits occurs in 64-bit mode only.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsTarget<W>(CpuState* s, ulong rip) where W : struct, IWidth => W.Bits == 64 ? Access.IsCanonical(rip) : IsTarget(s, rip);

    private readonly struct JumpDirect : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            Chain.Follow(s, &op->Taken, op->Immediate);
    }

    private readonly struct JumpChecked : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            IsTarget(s, op->Immediate) ? Chain.Follow(s, &op->Taken, op->Immediate) : Chain.Fault(s, op, Vector.GeneralProtection);
    }

    private readonly struct ConditionalJump<T> : IForm where T : struct, ICondition
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            T.Holds(s) ? Chain.Follow(s, &op->Taken, op->Immediate) : Chain.Follow(s, &op->NotTaken, Op.NextRipOf(op));
    }

    private readonly struct ConditionalChecked<T> : IForm where T : struct, ICondition
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!T.Holds(s))
                return Chain.Follow(s, &op->NotTaken, Op.NextRipOf(op));
            return IsTarget(s, op->Immediate) ? Chain.Follow(s, &op->Taken, op->Immediate) : Chain.Fault(s, op, Vector.GeneralProtection);
        }
    }

    private readonly struct CallDirect : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Store<W>(s, op, Op.NextRipOf(op)))
                return M.Failed(s, op);
            M.MoveStackPointer(s, -Width.Bytes<W>());
            return M.Branch(s, &op->Taken, op->Immediate);
        }
    }

    private readonly struct CallChecked : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!IsTarget(s, op->Immediate))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            return Stack.Push(s, Width.Bytes<W>(), Op.NextRipOf(op)) ? Full.Branch(s, &op->Taken, op->Immediate) : Full.Failed(s, op);
        }
    }

    private readonly struct JumpRegister : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong target = Width.Read<W>(s, op->Reg0);
            return IsTarget<W>(s, target) ? Chain.FollowIndirect(s, target) : Chain.Fault(s, op, Vector.GeneralProtection);
        }
    }

    private readonly struct JumpMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong target))
                return M.Failed(s, op);
            return IsTarget<W>(s, target) ? M.BranchIndirect(s, target) : Chain.Fault(s, op, Vector.GeneralProtection);
        }
    }

    private readonly struct CallRegister : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            ulong target = Width.Read<W>(s, op->Reg0);
            if (!IsTarget<W>(s, target))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            if (!M.Store<W>(s, op, Op.NextRipOf(op)))
                return M.Failed(s, op);
            M.MoveStackPointer(s, -Width.Bytes<W>());
            return M.BranchIndirect(s, target);
        }
    }

    private readonly struct CallMemory : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!Full.Load<W>(s, op, out ulong target))
                return Full.Failed(s, op);
            if (!IsTarget<W>(s, target))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            return Stack.Push(s, Width.Bytes<W>(), Op.NextRipOf(op)) ? Full.BranchIndirect(s, target) : Full.Failed(s, op);
        }
    }

    private readonly struct ReturnNear : IForm
    {
        public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong target))
                return M.Failed(s, op);
            if (!IsTarget<W>(s, target))
                return Chain.Fault(s, op, Vector.GeneralProtection);
            M.MoveStackPointer(s, Width.Bytes<W>() + (int)op->Immediate);
            return M.BranchIndirect(s, target);
        }
    }
}
