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
        Instruction previous = default;
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
            if (count > 0 && previous.Mnemonic is Mnemonic.Cmp or Mnemonic.Test)
                CompareAndBranch.TryFuse(previous, op - 1, instruction);
            previous = instruction;
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

    /// <summary>All ones up to the size of the instruction pointer in force.</summary>
    public static ulong RipMask(uint modeKey) => (modeKey & ModeKey.CodeSizeMask) switch
    {
        0 => 0xFFFF,
        1 => uint.MaxValue,
        _ => ulong.MaxValue,
    };
}
