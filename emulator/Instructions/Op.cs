using System.Runtime.InteropServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// A decoded instruction, or a fused pair: operands resolved to byte offsets in <see cref="CpuState"/>, and the handler that executes it.
/// Exactly one cache line.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct Op
{
    /// <summary>Executes the operation and ends in a tail call of the next one's handler; null returns to the loop.</summary>
    public delegate*<CpuState*, Op*, Op*> Handler;

    /// <summary>The same instruction with every access made in full (<see cref="Full"/>): where the fast handler turns when the TLB does not serve it.</summary>
    public delegate*<CpuState*, Op*, Op*> Full;

    /// <summary>Immediate, zero-extended from the operand width; of a branch the target RIP; of a call the target.</summary>
    public ulong Immediate;

    /// <summary>Displacement, sign-extended; RIP-relative addresses are already absolute here.</summary>
    public long Displacement;

    /// <summary>Of a branch: the linked block at the target, or null.</summary>
    public Block* Taken;

    /// <summary>Of a conditional branch: the linked block behind it, or null.</summary>
    public Block* NotTaken;

    /// <summary>Byte offsets of register operands in <see cref="CpuState"/> (0-127; AH, CH, DH, BH at +1).</summary>
    public byte Reg0, Reg1, Reg2;

    /// <summary>Byte offsets of base and index register; of the zero register where there is none.</summary>
    public byte Base, Index;

    /// <summary>log2 of the index scale.</summary>
    public byte Scale;

    /// <summary>Segment of the memory operand (<see cref="SegmentIndex"/>).</summary>
    public byte Segment;

    /// <summary>Address size of the memory operand in bytes: 2, 4 or 8. For stack operations, that of the stack.</summary>
    public byte AddressSize;

    /// <summary>RIP of the instruction minus <see cref="Block.Rip"/>.</summary>
    public ushort RipOffset;

    /// <summary>Bytes of the instruction.</summary>
    public byte Length;

    /// <summary>Position of this operation in its block: the header is this many operations back.</summary>
    public byte Position;

    /// <summary>Instructions of the block before this one (differs from <see cref="Position"/> behind fused pairs).</summary>
    public byte InstructionsBefore;

    /// <summary>Instructions that this operation stands for: 1, or 2 for a fused pair.</summary>
    public byte InstructionCount;

    /// <summary>Prefixes that the semantics need: <see cref="OpPrefix"/>.</summary>
    public OpPrefix Prefix;

    /// <summary>Operand size in bytes, where the handler is not specialised by it.</summary>
    public byte OperandSize;

    /// <summary>The block that this operation belongs to.</summary>
    public static Block* BlockOf(Op* op) => (Block*)(op - op->Position) - 1;

    /// <summary>RIP of the instruction.</summary>
    public static ulong RipOf(Op* op) => BlockOf(op)->Rip + op->RipOffset;

    /// <summary>RIP of the following instruction, truncated to 32 bits outside 64-bit mode.</summary>
    public static ulong NextRipOf(Op* op) => (RipOf(op) + op->Length) & BlockOf(op)->RipMask;
}

/// <summary>Prefixes that matter to semantics.</summary>
[Flags]
public enum OpPrefix : byte
{
    None = 0,
    Lock = 1,
    Rep = 2,
    Repne = 4,
}

/// <summary>Header of a run of operations which stand behind it in memory; ended by a branch or by an operation that leaves.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct Block
{
    /// <summary>RIP of the first instruction.</summary>
    public ulong Rip;

    /// <summary>Physical address of the first byte.</summary>
    public ulong Physical;

    /// <summary>Next block whose first byte has the same physical address, or another version of this one.</summary>
    public Block* Chain;

    /// <summary>The first handler; the operation itself holds another one while the block is invalid.</summary>
    public delegate*<CpuState*, Op*, Op*> FirstHandler;

    /// <summary>The bytes that were decoded.</summary>
    public byte* Bytes;

    /// <summary>All ones up to the size of the instruction pointer: 32 bits outside 64-bit mode, in code of 16 bits too.</summary>
    public ulong RipMask;

    /// <summary>The <see cref="Emu.Cpus.ModeKey"/> under which it was decoded.</summary>
    public uint ModeKey;

    /// <summary>Instructions in it.</summary>
    public short InstructionCount;

    /// <summary>Bytes decoded; they lie in one page.</summary>
    public short ByteCount;

    /// <summary>1 while the bytes in memory are those decoded.</summary>
    public int Valid;

    /// <summary>How often a sample of the time found this block; negative once its operations are joined.</summary>
    public int Heat;

    /// <summary>The operations.</summary>
    public static Op* Ops(Block* b) => (Op*)(b + 1);
}
