using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Instructions;
using Emu.Memory;

namespace Emu.Execution;

/// <summary>The loop of the coherent machine: looks at events, finds the next block, runs chains of blocks until something wants attention.</summary>
public sealed unsafe class Interpreter
{
    /// <summary>
    /// So many instructions, each sample counting for the budget of its slice, make a block hot: what its joined handlers cost to compile, a millisecond or
    /// so, has then been spent in it. The machine takes a sample at the end of every slice.
    /// </summary>
    private const int HotInstructions = 240_000;

    /// <summary>
    /// So many slices, the budget of one is given out in two parts, and where the first ends a sample is taken: slices of CPUs that wait for each
    /// other end at a HLT or PAUSE and not at the end of their budget, where samples come from otherwise.
    /// </summary>
    private const uint SlicesPerSample = 64;

    /// <summary>The first part has at most so many instructions, each number in turn. A power of two.</summary>
    private const uint FirstParts = 128;

    private uint _slices;

    /// <summary>What a sample of the present slice counts for.</summary>
    private int _sampleWeight;

    private readonly CodeCache _cache;
    private readonly BlockBuilder _builder;
    private readonly Stepper _stepper;

    public Interpreter(CodeCache cache, BlockBuilder builder, Stepper stepper)
    {
        _cache = cache;
        _builder = builder;
        _stepper = stepper;
    }

    /// <summary>Who checks cross-modifying code.</summary>
    public XmcMonitor? Monitor
    {
        get;
        set => field = _stepper.Monitor = _cache.Monitor = value;
    }

    /// <summary>Who wants to know that addresses are reached.</summary>
    public ExecutionWatch? Watch
    {
        get;
        set => field = _stepper.Watch = _cache.Watched = value;
    }

    /// <summary>
    /// Runs a CPU for at most <paramref name="budget"/> instructions, exactly, or until it halts, shuts down or cannot go on. Where it ends must not depend on blocks: which of
    /// them there are is no part of the machine, and another one where code is checked, or behind a snapshot.
    /// </summary>
    /// <param name="keepsTurn">Nobody else can use the turn that PAUSE would give up.</param>
    /// <returns>Instructions retired.</returns>
    public long Run(Cpu cpu, long budget, bool keepsTurn)
    {
        CpuState* s = cpu.State;
        s->Budget = budget;
        s->Deferred = 0;
        s->YieldRequested = 0;
        _sampleWeight = (int)Math.Min(budget, HotInstructions);
        if (++_slices % SlicesPerSample == 0)
            HoldBack(s);
        Monitor?.Resume(cpu);
        long before = s->Budget;
        int events = 0;
        while (s->Exit != ExitReason.Unsupported && Events.Service(cpu) && (s->Budget > 0 || GiveHeldBack(s)))
        {
            if (s->YieldRequested != 0)
            {
                if (!keepsTurn || s->YieldRequested == CpuState.MustYield)
                    break;
                s->YieldRequested = 0;
            }
            if (s->Budget != before)
                (before, events) = (s->Budget, 0);
            else if (++events > Events.MostInARow)
                before = --s->Budget;
            s->ExitRequested = 0;
            // One at a time: under TF, where a breakpoint is armed, and behind STI or MOV SS, whose shadow is one instruction long.
            if (Events.IsStepping(s))
            {
                Step(cpu);
                continue;
            }
            Block* block = FindBlock(cpu);
            if (s->InterruptShadow != 0 && block != null)
            {
                if (block->InstructionCount == 1)
                    RunShadowed(cpu, block);
                else
                    Step(cpu);
                continue;
            }
            if (block == null || block->InstructionCount > s->Budget)
            {
                if (GiveHeldBack(s))
                    continue;
                if (s->Exit == ExitReason.None)
                    Step(cpu);
                else
                    Events.Finish(cpu);
                continue;
            }
            RunChain(s, block);
            if (s->Exit != ExitReason.None)
                Events.Finish(cpu);
        }
        long retired = budget - s->Budget - s->Deferred;
        s->Budget = s->Deferred = 0;
        s->Retired += (ulong)retired;
        Monitor?.Pause(cpu);
        return retired;
    }

    /// <summary>Gives out only the first part of a budget.</summary>
    private void HoldBack(CpuState* s)
    {
        // An odd factor goes through all the numbers, neighbours far apart.
        long first = 1 + (_slices / SlicesPerSample * 37) % FirstParts;
        s->Deferred = Math.Max(0, s->Budget - first);
        s->Budget -= s->Deferred;
    }

    /// <summary>The rest of it; false when nothing was held back.</summary>
    private static bool GiveHeldBack(CpuState* s)
    {
        if (s->Deferred == 0)
            return false;
        s->Budget += s->Deferred;
        s->Deferred = 0;
        return true;
    }

    /// <summary>Executes one instruction, with the events before and after it.</summary>
    private void Step(Cpu cpu)
    {
        CpuState* s = cpu.State;
        if (((ulong)s->DebugArmed | s->PendingDebug) != 0 && DebugRegisters.BreaksBefore(s, (s->Cs.Base + s->Rip) & (s->Is64Bit ? ulong.MaxValue : uint.MaxValue)))
            return;
        int shadow = s->InterruptShadow;
        bool trap = (s->SystemFlags & Rflags.Tf) != 0;
        if (!_stepper.StepCoherent(cpu, out bool retired))
        {
            // The bytes could not be fetched; the reason is recorded.
            if (s->Exit == ExitReason.None)
                s->Exit = ExitReason.Fault;
        }
        Events.AfterStep(cpu, retired, shadow, trap);
    }

    /// <summary>A block of one instruction in the shadow of STI or MOV SS, as the HLT of <c>sti; hlt</c>: the rest of the budget is held back meanwhile.</summary>
    private void RunShadowed(Cpu cpu, Block* block)
    {
        CpuState* s = cpu.State;
        int shadow = s->InterruptShadow;
        long rest = s->Budget - 1;
        s->Deferred += rest;
        s->Budget = 1;
        RunChain(s, block);
        bool retired = s->Budget == 0;
        s->Budget += rest;
        s->Deferred -= rest;
        Events.AfterStep(cpu, retired, shadow, trap: false);
    }

    private void RunChain(CpuState* s, Block* block)
    {
        int generation = _cache.Generation;
        s->LinkSource = null;
        s->CurrentOp = null;
        s->Sampled = null;
        s->Budget -= block->InstructionCount;
        Op* op = Block.Ops(block);
        while (op != null)
            op = op->Handler(s, op);
        s->CurrentOp = null;
        if (s->Sampled != null)
            NoteSample((Block*)s->Sampled);
        if (s->LinkSource != null && s->ExitRequested == 0 && s->Exit == ExitReason.None && generation == _cache.Generation)
            Link(s, (Block**)s->LinkSource);
    }

    /// <summary>A block in which much time is spent gets joined handlers.</summary>
    private void NoteSample(Block* block)
    {
        if (block->Heat < 0 || (block->Heat += _sampleWeight) < HotInstructions || block->Valid == 0)
            return;
        block->Heat = -1;
        _builder.Join(block);
    }

    /// <summary>Links the branch that left a chain to its target, which is where RIP is now.</summary>
    private void Link(CpuState* s, Block** link)
    {
        if (((Chain.SourceOf(link)->Rip ^ s->Rip) & Page.Mask) != 0)
            return;
        int generation = _cache.Generation;
        Block* to = FindBlock(Cpu.Of(s));
        if (to != null && generation == _cache.Generation && Chain.MayLink(link, to))
            *link = to;
    }

    /// <summary>The block at RIP; null when it cannot be fetched (<see cref="CpuState.Exit"/> tells) or must be stepped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Block* FindBlock(Cpu cpu)
    {
        CpuState* s = cpu.State;
        JumpCacheEntry* e = (JumpCacheEntry*)s->JumpCache + JumpCacheEntry.IndexOf(s->Rip);
        return e->Rip == s->Rip && e->Key == s->JumpKey && e->Block != null && e->Block->Valid != 0 ? e->Block : LookUpBlock(cpu, e);
    }

    private Block* LookUpBlock(Cpu cpu, JumpCacheEntry* e)
    {
        CpuState* s = cpu.State;
        if (Stepper.IsBeyondLimit(s, 1))
        {
            s->Exit = ExitReason.Fault;
            Access.Raise(s, Vector.GeneralProtection);
            return null;
        }
        ulong linear = s->Is64Bit ? s->Rip : (s->Cs.Base + s->Rip) & uint.MaxValue;
        if (CodeFetch.Translate(cpu, linear, out ulong physical) == null)
            return null;
        Block* block = _cache.Find(physical, s->Rip, s->ModeKey);
        if (block == null)
            block = _builder.Build(physical, s->Rip, s->ModeKey);
        // There it is one instruction.
        if (block != null && Stepper.IsBeyondLimit(s, block->ByteCount))
        {
            s->Exit = ExitReason.Fault;
            Access.Raise(s, Vector.GeneralProtection);
            return null;
        }
        if (block != null && (s->ModeKey & ModeKey.CsNotFlat) == 0)
            *e = new JumpCacheEntry { Rip = s->Rip, Block = block, Key = s->JumpKey };
        return block;
    }
}
