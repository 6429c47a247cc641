using Emu.Cpus;
using Emu.Instructions;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Execution;

/// <summary>Decodes straight-line code into blocks: up to a branch, the end of the page, or <see cref="MaximumInstructions"/>.</summary>
public sealed unsafe class BlockBuilder
{
    private const int MaximumInstructions = 48;

    /// <summary>Steps in a joined handler at most: beyond it the JIT stops inlining.</summary>
    private const int MaximumJoined = 4;

    private readonly PhysicalMemory _memory;
    private readonly CodeCache _cache;
    private readonly InstructionDecoder _decoder;
    private readonly Instruction[] _instructions = new Instruction[MaximumInstructions];
    private readonly bool[] _flagsDead = new bool[MaximumInstructions];
    private readonly bool[] _inRun = new bool[MaximumInstructions];

    public BlockBuilder(PhysicalMemory memory, CodeCache cache, InstructionDecoder decoder)
    {
        _memory = memory;
        _cache = cache;
        _decoder = decoder;
    }

    /// <summary>Builds the block at an address; null when its first instruction crosses the page, or is checked, and the stepper executes it.</summary>
    public Block* Build(ulong physical, ulong rip, uint modeKey)
    {
        byte* start = _memory.Pointer(physical);
        int available = Page.Size - (int)(physical & Page.OffsetMask);
        if (_cache.Monitor is { } monitor)
        {
            // Up to bytes that must be looked at each time they execute; near them, one instruction at a time.
            int cold = monitor.ColdBytes(physical, available);
            if (cold < available && cold < InstructionDecoder.MaximumLength)
                return null;
            available = cold;
        }
        ExecutionWatch? watch = _cache.Watched;
        // There an address is more than RIP: the stepper knows it.
        if (watch != null && (modeKey & ModeKey.CsNotFlat) != 0)
            return null;
        Block* b = _cache.Reserve(watch == null ? MaximumInstructions + 1 : 2 * MaximumInstructions + 1, available);
        b->Rip = rip;
        b->Physical = physical;
        b->ModeKey = modeKey;
        b->RipMask = RipMask(modeKey);
        Op* ops = Block.Ops(b);
        int count = 0;
        int offset = 0;
        int instructions = 0;
        int watched = 0;
        FlowKind flow = FlowKind.Next;
        while (flow == FlowKind.Next && count < MaximumInstructions && offset < available)
        {
            ulong at = (rip + (ulong)offset) & b->RipMask;
            if (!_decoder.TryDecode(start + offset, available - offset, at, modeKey, out Instruction instruction))
                break;
            if (watch?.Contains(at) == true)
            {
                Op* tell = ops + count + watched;
                tell->Position = (byte)(count + watched++);
                tell->RipOffset = (ushort)offset;
                tell->InstructionsBefore = (byte)instructions;
                ExecutionWatch.Arm(tell);
            }
            Op* op = ops + count + watched;
            op->Position = (byte)(count + watched);
            op->RipOffset = (ushort)offset;
            op->InstructionsBefore = (byte)instructions;
            flow = _decoder.Lower(instruction, op, modeKey);
            _instructions[count] = instruction;
            offset += op->Length;
            count++;
            instructions++;
            // STI ends its block, unless HLT stands behind it.
            if (instruction.Mnemonic == Mnemonic.Sti && IsHalt(start + offset, available - offset))
                flow = FlowKind.Next;
            // Outside a flat code segment every instruction's offset is checked against the limit by the loop.
            if ((modeKey & ModeKey.CsNotFlat) != 0)
                break;
        }
        if (count == 0)
            return null;
        // What tells stands between operations that could be joined.
        if (watched != 0)
            b->Heat = -1;
        b->InstructionCount = (short)instructions;
        // Whoever is told before an instruction sees all that the one before it left.
        if (watched == 0)
            DropDeadFlags(ops, count, modeKey);
        // Where alignment is checked there are no fast handlers.
        if (watched == 0 && (modeKey & ModeKey.AlignmentChecked) == 0)
            Fuse(ops, count);
        if (flow != FlowKind.Ends)
        {
            Op* end = ops + count + watched;
            end->Position = (byte)(count + watched);
            end->Handler = end->Full = flow == FlowKind.EndsAfter ? &Chain.Stop : &Chain.EndOfBlock;
            end->Immediate = (rip + (ulong)offset) & b->RipMask;
            end->RipOffset = (ushort)offset;
            end->InstructionsBefore = (byte)instructions;
            count++;
        }
        _cache.Keep(b, count + watched, new ReadOnlySpan<byte>(start, offset));
        return b;
    }

    private static bool IsHalt(byte* at, int available) => available > 0 && *at == 0xF4;

    /// <summary>Gives the first of operations that mostly come together the handler of all.</summary>
    private void Fuse(Op* ops, int count)
    {
        if (count > 1)
        {
            CompareAndBranch.TryFuse(_instructions[count - 2], ops + count - 2, _instructions[count - 1]);
            FlagsControl.TryFuse(_instructions[count - 2], ops + count - 2, _instructions[count - 1]);
        }
        ReadOnlySpan<Instruction> all = _instructions.AsSpan(0, count);
        for (int i = 0, run; i < count; i += Math.Max(1, run))
        {
            run = StackRuns.LengthAt(all, i);
            if (run != 0)
                StackRuns.Fuse(all[i], ops + i, run);
        }
    }

    /// <summary>Gives instructions whose flags nobody sees handlers that do not compute them.</summary>
    private void DropDeadFlags(Op* ops, int count, uint modeKey)
    {
        FlagLiveness.FindDead(_instructions.AsSpan(0, count), _flagsDead);
        for (int i = 0; i < count; i++)
        {
            if (!_flagsDead[i])
                continue;
            Op* op = ops + i;
            var keep = (op->Position, op->RipOffset, op->InstructionsBefore);
            *op = default;
            (op->Position, op->RipOffset, op->InstructionsBefore) = keep;
            _decoder.Lower(_instructions[i], op, modeKey, flagsDead: true);
        }
    }

    /// <summary>
    /// Joins the operations of a block that runs often into handlers of up to <see cref="MaximumJoined"/> steps, the last with the comparison and
    /// branch that end the block. Each handler is compiled anew for its sequence, so this pays only where much time is spent.
    /// </summary>
    public void Join(Block* b)
    {
        if ((b->ModeKey & ModeKey.AlignmentChecked) != 0)
            return;
        int count = 0;
        for (int offset = 0; offset < b->ByteCount; count++)
        {
            if (!_decoder.TryDecode(b->Bytes + offset, b->ByteCount - offset, (b->Rip + (ulong)offset) & b->RipMask, b->ModeKey, out _instructions[count]))
                return;
            offset += _instructions[count].Length;
        }
        FlagLiveness.FindDead(_instructions.AsSpan(0, count), _flagsDead);
        FindRuns(count);
        Op* ops = Block.Ops(b);
        Type rest = typeof(Dispatch);
        int joined = 0;
        int last = count - 1;
        if (count > 1 && CompareAndBranch.Find(_instructions[count - 2], ops + count - 2, _instructions[count - 1]) is { } end)
        {
            rest = end;
            joined = 1;
            last = count - 3;
        }
        for (int i = last; i >= 0; i--)
        {
            StepType? type = StepTypeOf(i, b->ModeKey);
            if (type == null || joined == MaximumJoined)
            {
                rest = typeof(Dispatch);
                joined = 0;
            }
            if (type == null)
                continue;
            rest = Handlers.Prepend(type.Value, rest);
            joined++;
            // A handler further on in the group stays as it is: it serves where the first one had to turn to a Full access.
            bool first = i == 0 || joined == MaximumJoined || StepTypeOf(i - 1, b->ModeKey) == null;
            if (first && joined > 1)
                ops[i].Handler = Handlers.Of(rest);
        }
        b->FirstHandler = ops->Handler;
    }

    /// <summary>The step at a position of the block that is being joined; null for what joins no others, or is joined already.</summary>
    private StepType? StepTypeOf(int position, uint modeKey) =>
        _inRun[position] ? null : _decoder.StepTypeOf(_instructions[position], modeKey, _flagsDead[position]);

    private void FindRuns(int count)
    {
        ReadOnlySpan<Instruction> all = _instructions.AsSpan(0, count);
        Array.Clear(_inRun);
        for (int i = 0, run; i < count; i += Math.Max(1, run))
        {
            run = StackRuns.LengthAt(all, i);
            _inRun.AsSpan(i, run).Fill(true);
        }
    }

    /// <summary>
    /// All ones up to the size of the instruction pointer. Code of 16 bits does not go on at 0 behind offset FFFF, but comes to 10000, which is beyond the limit of a segment of
    /// 64 KBytes (Intel, 80386 Programmer's Reference Manual, "Differences From 8086": "Sequential execution across offset 65,535").
    /// </summary>
    public static ulong RipMask(uint modeKey) => (modeKey & ModeKey.CodeSizeMask) == 2 ? ulong.MaxValue : uint.MaxValue;
}
