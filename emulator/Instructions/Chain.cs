using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>Where a branch target was last found; emptied when translations change.</summary>
public unsafe struct JumpCacheEntry
{
    public const int Size = Cpu.JumpCacheBytes / 24;

    public ulong Rip;
    public Block* Block;

    /// <summary><see cref="CpuState.JumpKey"/> at the time; 0 never matches while <see cref="Block"/> is null, for such a block is never entered.</summary>
    public uint Key;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint IndexOf(ulong rip) => ((uint)rip ^ (uint)(rip >> 12)) & (Size - 1);
}

/// <summary>How one operation passes on to the next, and how it leaves the chain.</summary>
public static unsafe class Chain
{
    /// <summary>
    /// The next operation of the block. In an optimised build this is a tail jump; a Debug build returns the operation to the loop instead, or
    /// the stack would overflow.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Next(CpuState* s, Op* op)
    {
#if DEBUG
        return op + 1;
#else
        return op[1].Handler(s, op + 1);
#endif
    }

    /// <summary>Enters a linked block, or returns to the loop when the budget does not cover it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Enter(CpuState* s, Block* block)
    {
        s->Budget -= block->InstructionCount;
        if (s->Budget < 0)
            return OutOfBudget(s, block);
        Op* op = Block.Ops(block);
#if DEBUG
        return op;
#else
        return op->Handler(s, op);
#endif
    }

    /// <summary>Instructions behind <see cref="CpuState.CurrentOp"/> in its block: they were taken from the budget and have not run yet.</summary>
    public static long Outstanding(CpuState* s)
    {
        Op* op = (Op*)s->CurrentOp;
        return op == null ? 0 : Op.BlockOf(op)->InstructionCount - op->InstructionsBefore - op->InstructionCount;
    }

    /// <summary>Leaves before the instruction: the fault recorded in the state is to be delivered, and nothing of it was committed.</summary>
    public static Op* Fault(CpuState* s, Op* op)
    {
        // Other reasons to leave before the instruction take the same road.
        if (s->Exit is not (ExitReason.Unsupported or ExitReason.NumericError))
            s->Exit = ExitReason.Fault;
        return LeaveBefore(s, op);
    }

    /// <summary>Leaves with this exception.</summary>
    public static Op* Fault(CpuState* s, Op* op, Vector vector, uint errorCode = 0)
    {
        Access.Raise(s, vector, errorCode);
        return Fault(s, op);
    }

    /// <summary>Leaves before the instruction: RIP is its own, and neither it nor those behind it count as retired.</summary>
    public static Op* LeaveBefore(CpuState* s, Op* op)
    {
        Block* block = Op.BlockOf(op);
        s->Rip = block->Rip + op->RipOffset;
        s->Budget += block->InstructionCount - op->InstructionsBefore;
        return null;
    }

    /// <summary>Leaves after the instruction: RIP is the next one's.</summary>
    public static Op* LeaveAfter(CpuState* s, Op* op)
    {
        s->Rip = Op.NextRipOf(op);
        return LeaveAt(s, op);
    }

    /// <summary>Leaves after the instruction, with RIP already set by it (far transfers, IRET).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* LeaveAt(CpuState* s, Op* op)
    {
        s->Budget += Op.BlockOf(op)->InstructionCount - op->InstructionsBefore - op->InstructionCount;
        return null;
    }

    /// <summary>
    /// Goes on where a transfer (INT n, IRET, SYSCALL and the like) has set RIP: by way of the jump cache where nothing waits to be looked at between
    /// two instructions, else by the loop. The operation is returned, not called: callers here have frames.
    /// </summary>
    public static Op* Continue(CpuState* s, Op* op)
    {
        LeaveAt(s, op);
        if (s->ExitRequested != 0 || s->Exit != ExitReason.None || s->Activity != Activity.Active
            || s->InterruptShadow != 0 || (s->SystemFlags & Rflags.Tf) != 0 || s->PendingDebug != 0)
            return null;
        Cpu cpu = Cpu.Of(s);
        if (cpu.Mailbox != Mail.None || ((s->SystemFlags & Rflags.If) != 0 && cpu.HasInterrupt))
            return null;
        JumpCacheEntry* e = (JumpCacheEntry*)s->JumpCache + JumpCacheEntry.IndexOf(s->Rip);
        if (e->Rip != s->Rip || e->Key != s->JumpKey)
            return null;
        s->Budget -= e->Block->InstructionCount;
        return s->Budget < 0 ? OutOfBudget(s, e->Block) : Block.Ops(e->Block);
    }

    /// <summary>Last in every block that does not end in a branch: goes on at the next RIP.</summary>
    public static Op* EndOfBlock(CpuState* s, Op* op) => Follow(s, &op->Taken, op->Immediate);

    /// <summary>Last in a run that must return to the loop: stepping, and what the loop has to look at.</summary>
    public static Op* Stop(CpuState* s, Op* op)
    {
        s->Rip = op->Immediate;
        return null;
    }

    /// <summary>Returns to the loop, to go on at a branch's target.</summary>
    public static Op* StopAt(CpuState* s, ulong target)
    {
        s->Rip = target;
        return null;
    }

    /// <summary>A direct branch: through its link when it has one, else through the jump cache, else to the loop, which may link it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Follow(CpuState* s, Block** link, ulong target)
    {
        Block* block = *link;
        return block != null ? Enter(s, block) : FollowUnlinked(s, link, target);
    }

    /// <summary>An indirect branch: through the jump cache, else to the loop.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* FollowIndirect(CpuState* s, ulong target)
    {
        JumpCacheEntry* e = (JumpCacheEntry*)s->JumpCache + JumpCacheEntry.IndexOf(target);
        if (e->Rip == target && e->Key == s->JumpKey)
            return Enter(s, e->Block);
        s->Rip = target;
        return null;
    }

    /// <summary>A branch without a link gets one where it may have one. Where the loop must find the target, it learns of the link, to set what it finds.</summary>
    private static Op* FollowUnlinked(CpuState* s, Block** link, ulong target)
    {
        JumpCacheEntry* e = (JumpCacheEntry*)s->JumpCache + JumpCacheEntry.IndexOf(target);
        if (e->Rip == target && e->Key == s->JumpKey)
        {
            if (e->Block->Valid != 0 && MayLink(link, e->Block))
                *link = e->Block;
            return Enter(s, e->Block);
        }
        s->LinkSource = link;
        s->Rip = target;
        return null;
    }

    /// <summary>
    /// True where a branch may be linked to a block: in the same page, so that both are mapped or neither, and decoded for the same mode. A key of
    /// the jump cache says so of the mode.
    /// </summary>
    public static bool MayLink(Block** link, Block* to)
    {
        Block* from = SourceOf(link);
        return (((from->Rip ^ to->Rip) | (from->Physical ^ to->Physical)) & Page.Mask) == 0 && from->ModeKey == to->ModeKey;
    }

    /// <summary>The block whose branch this link is.</summary>
    public static Block* SourceOf(Block** link) => Op.BlockOf((Op*)((nuint)link & ~(nuint)(sizeof(Op) - 1)));

    private static Op* OutOfBudget(CpuState* s, Block* block)
    {
        s->Budget += block->InstructionCount;
        s->Rip = block->Rip;
        s->Sampled = block;
        return null;
    }
}
