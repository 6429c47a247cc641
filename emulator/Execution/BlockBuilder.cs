using Emu.Cpus;
using Emu.Instructions;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Execution;

/// <summary>Decodes straight-line code into blocks: up to a branch, the end of the page, or <see cref="MaximumInstructions"/>.</summary>
public sealed unsafe class BlockBuilder
{
    private const int MaximumInstructions = 48;

    private readonly PhysicalMemory _memory;
    private readonly CodeCache _cache;
    private readonly InstructionDecoder _decoder;
    private readonly Instruction[] _instructions = new Instruction[MaximumInstructions];

    public BlockBuilder(PhysicalMemory memory, CodeCache cache, InstructionDecoder decoder)
    {
        _memory = memory;
        _cache = cache;
        _decoder = decoder;
    }

    /// <summary>Builds the block at an address; null when its first instruction crosses the page, which the stepper then executes.</summary>
    public Block* Build(ulong physical, ulong rip, uint modeKey)
    {
        byte* start = _memory.Pointer(physical);
        int available = Page.Size - (int)(physical & Page.OffsetMask);
        Block* b = _cache.Reserve(MaximumInstructions + 1, available);
        b->Rip = rip;
        b->Physical = physical;
        b->ModeKey = modeKey;
        b->RipMask = RipMask(modeKey);
        Op* ops = Block.Ops(b);
        int count = 0;
        int offset = 0;
        int instructions = 0;
        FlowKind flow = FlowKind.Next;
        while (flow == FlowKind.Next && count < MaximumInstructions && offset < available)
        {
            ulong at = (rip + (ulong)offset) & b->RipMask;
            if (!_decoder.TryDecode(start + offset, available - offset, at, modeKey, out Instruction instruction))
                break;
            Op* op = ops + count;
            op->Position = (byte)count;
            op->RipOffset = (ushort)offset;
            op->InstructionsBefore = (byte)instructions;
            flow = _decoder.Lower(instruction, op, modeKey);
            _instructions[count] = instruction;
            offset += op->Length;
            count++;
            instructions++;
            // Outside a flat code segment every instruction's offset is checked against the limit by the loop.
            if ((modeKey & ModeKey.CsNotFlat) != 0)
                break;
        }
        if (count == 0)
            return null;
        b->InstructionCount = (short)instructions;
        DropDeadFlags(ops, count, modeKey);
        if (count > 1)
            CompareAndBranch.TryFuse(_instructions[count - 2], ops + count - 2, _instructions[count - 1]);
        if (flow != FlowKind.Ends)
        {
            Op* end = ops + count;
            end->Position = (byte)count;
            end->Handler = end->Full = flow == FlowKind.EndsAfter ? &Chain.Stop : &Chain.EndOfBlock;
            end->Immediate = (rip + (ulong)offset) & b->RipMask;
            end->RipOffset = (ushort)offset;
            end->InstructionsBefore = (byte)instructions;
            count++;
        }
        _cache.Keep(b, count, new ReadOnlySpan<byte>(start, offset));
        return b;
    }

    /// <summary>
    /// Finds instructions whose flags are overwritten before anything reads them, and before anything that can leave the block, and gives them
    /// handlers that do not compute flags. What may leave (a memory access, a branch) exposes all flags before and behind it.
    /// </summary>
    private void DropDeadFlags(Op* ops, int count, uint modeKey)
    {
        const RflagsBits all = RflagsBits.OF | RflagsBits.SF | RflagsBits.ZF | RflagsBits.AF | RflagsBits.CF | RflagsBits.PF;
        RflagsBits live = all;
        for (int i = count - 1; i >= 0; i--)
        {
            ref readonly Instruction instruction = ref _instructions[i];
            if (!FlagLiveness.StaysInBlock(instruction))
            {
                live = all;
                continue;
            }
            RflagsBits modified = instruction.RflagsModified & all;
            if (modified != RflagsBits.None && (modified & live) == RflagsBits.None)
            {
                Op* op = ops + i;
                var keep = (op->Position, op->RipOffset, op->InstructionsBefore);
                *op = default;
                (op->Position, op->RipOffset, op->InstructionsBefore) = keep;
                _decoder.Lower(instruction, op, modeKey, flagsDead: true);
            }
            live = (live & ~FlagLiveness.Overwritten(instruction)) | (instruction.RflagsRead & all);
        }
    }

    /// <summary>All ones up to the size of the instruction pointer in force.</summary>
    public static ulong RipMask(uint modeKey) => (modeKey & ModeKey.CodeSizeMask) switch
    {
        0 => 0xFFFF,
        1 => uint.MaxValue,
        _ => ulong.MaxValue,
    };
}
