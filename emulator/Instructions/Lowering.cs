using System.Runtime.CompilerServices;
using Emu.Cpus;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>
/// An instruction in one form of its operands. <c>Run</c> is generic over operand width and memory; <see cref="Lowering"/>
/// picks the instances.
/// </summary>
public unsafe interface IForm
{
    static abstract Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory;
}

/// <summary>Which fast address form a memory operand has; <see cref="General"/> always takes the Full handler.</summary>
public enum AddressForm
{
    None,
    Base,
    Index,
    Segment,
    Flat32,
    General,
}

/// <summary>How control goes on behind an operation.</summary>
public enum FlowKind
{
    /// <summary>To the next instruction.</summary>
    Next,

    /// <summary>The operation ends its block itself: a branch, or one that leaves to the loop.</summary>
    Ends,

    /// <summary>To the next instruction, but the block ends behind it, because what follows may be decoded or executed differently.</summary>
    EndsAfter,
}

/// <summary>What became of an instruction.</summary>
public enum LoweringOutcome
{
    /// <summary>A handler executes it.</summary>
    Executed,

    /// <summary>It is #UD: invalid, or not there on the CPU model.</summary>
    Undefined,
}

/// <summary>
/// One decoded instruction on its way to an operation: the family methods read operands from here and select handlers. Decode time only.
/// </summary>
public unsafe ref struct Lowering
{
    private static readonly byte ZeroRegister = RegisterOffset(16);

    public Lowering(in Instruction instruction, Op* op, uint modeKey, CpuModel model)
    {
        Instruction = instruction;
        Op = op;
        Mode = modeKey;
        Model = model;
        op->Base = ZeroRegister;
        op->Index = ZeroRegister;
        op->Length = (byte)instruction.Length;
        op->InstructionCount = 1;
        if (instruction.HasLockPrefix)
            op->Prefix |= OpPrefix.Lock;
        if (instruction.HasRepPrefix)
            op->Prefix |= OpPrefix.Rep;
        if (instruction.HasRepnePrefix)
            op->Prefix |= OpPrefix.Repne;
    }

    public readonly Instruction Instruction;
    public readonly Op* Op;

    /// <summary>The <see cref="ModeKey"/> of the code.</summary>
    public readonly uint Mode;
    public readonly CpuModel Model;

    /// <summary>How control goes on; <see cref="FlowKind.Next"/> unless a family says otherwise.</summary>
    public FlowKind Flow = FlowKind.Next;

    /// <summary>What became of it.</summary>
    public LoweringOutcome Outcome = LoweringOutcome.Executed;

    /// <summary>Set by the block builder when the flags of this instruction are overwritten before anybody can see them.</summary>
    public bool FlagsDead;

    /// <summary>Set by whoever joins handlers: <see cref="StepType"/> is wanted.</summary>
    public bool WantsStepType;

    /// <summary>The types of the step, where the instruction is one.</summary>
    public StepType? StepType;

    /// <summary>16, 32 or 64.</summary>
    public readonly int CodeBits => 16 << (int)(Mode & ModeKey.CodeSizeMask);

    /// <summary>Width of the stack pointer in bytes.</summary>
    public readonly int StackBytes => CodeBits == 64 ? 8 : (Mode & ModeKey.Stack32) != 0 ? 4 : 2;

    public readonly OpKind Kind(int operand) => Instruction.GetOpKind(operand);

    public readonly bool IsRegister(int operand) => Kind(operand) == OpKind.Register;

    public readonly bool IsMemory(int operand) => Kind(operand) == OpKind.Memory;

    /// <summary>Width of an operand in bytes: of a register its own, of memory that of the access.</summary>
    public readonly int SizeOf(int operand) =>
        IsRegister(operand) ? Instruction.GetOpRegister(operand).GetSize() : Instruction.MemorySize.GetSize();

    /// <summary>Byte offset in the state of a general-purpose register.</summary>
    public static byte OffsetOf(Register register)
    {
        if (register is >= Register.AH and <= Register.BH)
            return (byte)(RegisterOffset(register - Register.AH) + 1);
        return RegisterOffset(register.GetFullRegister() - Register.RAX);
    }

    /// <summary>Byte offset of the register operand.</summary>
    public readonly byte RegisterOf(int operand) => OffsetOf(Instruction.GetOpRegister(operand));

    /// <summary>The immediate operand, truncated to <paramref name="size"/> bytes after its sign extension.</summary>
    public readonly ulong Immediate(int operand, int size) => Instruction.GetImmediate(operand) & Mask(size);

    /// <summary>All ones in <paramref name="size"/> bytes.</summary>
    public static ulong Mask(int size) => ulong.MaxValue >> (64 - 8 * size);

    /// <summary>Fills in the memory operand and says which fast form it has.</summary>
    public readonly AddressForm Memory()
    {
        Register @base = Instruction.MemoryBase;
        Register index = Instruction.MemoryIndex;
        Op->Displacement = (long)Instruction.MemoryDisplacement64;
        if (@base is Register.RIP or Register.EIP)
            @base = Register.None; // Iced has added RIP to the displacement.
        if (@base != Register.None)
            Op->Base = OffsetOf(@base);
        if (index != Register.None)
            Op->Index = OffsetOf(index);
        Op->Scale = (byte)System.Numerics.BitOperations.Log2((uint)Instruction.MemoryIndexScale);
        Op->AddressSize = (byte)AddressBytes(Instruction);
        Op->Segment = (byte)(Segment - Register.ES);
        return Form(index != Register.None);
    }

    /// <summary>
    /// Segment of the memory operand. In 64-bit mode override prefixes other than FS and GS are ignored (SDM Vol. 1, "Segment Registers in 64-Bit Mode"):
    /// what tells #SS from #GP is the base register.
    /// </summary>
    public readonly Register Segment =>
        CodeBits != 64 || Instruction.MemorySegment is Register.FS or Register.GS ? Instruction.MemorySegment
        : Instruction.MemoryBase is Register.RSP or Register.RBP or Register.ESP or Register.EBP ? Register.SS : Register.DS;

    /// <summary>Alignment is looked at, which only the full access does.</summary>
    private readonly bool IsFullOnly =>
        (Mode & ModeKey.AlignmentChecked) != 0 || ((Mode & ModeKey.SplitLocksChecked) != 0 && (Op->Prefix & OpPrefix.Lock) != 0);

    /// <summary>Address size of the instruction's memory operand in bytes.</summary>
    private readonly int AddressBytes(in Instruction i)
    {
        if (i.MemoryBase != Register.None)
            return i.MemoryBase.GetSize();
        if (i.MemoryIndex != Register.None)
            return i.MemoryIndex.GetSize();
        return i.MemoryDisplSize switch { 2 => 2, 4 => 4, 8 => 8, _ => CodeBits / 8 };
    }

    private readonly AddressForm Form(bool indexed)
    {
        if (IsFullOnly)
            return AddressForm.General;
        if (CodeBits == 64)
        {
            if (Op->AddressSize != 8)
                return AddressForm.General;
            if (Op->Segment >= (byte)SegmentIndex.Fs)
                return AddressForm.Segment;
            return indexed ? AddressForm.Index : AddressForm.Base;
        }
        bool flat = (Mode & ModeKey.FlatData) != 0 && Op->Segment is (byte)SegmentIndex.Ds or (byte)SegmentIndex.Es or (byte)SegmentIndex.Ss;
        return flat && Op->AddressSize == 4 ? AddressForm.Flat32 : AddressForm.General;
    }

    /// <summary>Makes the memory operand the stack slot at SP + <paramref name="offset"/>, or at another register's place in the stack segment.</summary>
    public readonly AddressForm StackMemory(int offset, int register = 4)
    {
        Op->Base = RegisterOffset(register);
        Op->Index = ZeroRegister;
        Op->Scale = 0;
        Op->Displacement = offset;
        Op->Segment = (byte)SegmentIndex.Ss;
        Op->AddressSize = (byte)StackBytes;
        return StackBytes switch
        {
            _ when IsFullOnly => AddressForm.General,
            8 => AddressForm.Base,
            4 when (Mode & ModeKey.FlatData) != 0 => AddressForm.Flat32,
            _ => AddressForm.General,
        };
    }

    /// <summary>Makes this the handler, for instructions of one form only.</summary>
    public void Use(delegate*<CpuState*, Op*, Op*> handler, FlowKind flow = FlowKind.Next)
    {
        Op->Handler = Op->Full = handler;
        Flow = flow;
    }

    /// <summary>Selects the handlers of a form without a memory operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Select<TForm>(int size) where TForm : struct, IForm
    {
        if (size < 0) // Never, see Handlers.Name.
            Handlers.Name<TForm, Full>();
        Select(typeof(TForm), Handlers.Width(size), size, AddressForm.None, typeof(Full));
    }

    /// <summary>Selects the handlers of a form: the fast one for the kind of address, and the full one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Select<TForm>(int size, AddressForm address) where TForm : struct, IForm
    {
        if (size < 0) // Never, see Handlers.Name.
            Handlers.NameWithMemory<TForm>();
        Select(typeof(TForm), Handlers.Width(size), size, address, typeof(Full));
    }

    /// <summary>Selects the handlers of an x87, MMX or SSE form, which look at the unit first where that is needed.</summary>
    public readonly void Select<TForm, TUnit>(int size, AddressForm address) where TForm : struct, IForm where TUnit : struct, IFloatingUnit
    {
        if ((Mode & ModeKey.FloatingChecked) != 0)
            Select<Checked<TForm, TUnit>>(size, address);
        else
            Select<TForm>(size, address);
    }

    /// <summary>
    /// Selects the handlers of a vector step for XMM registers (<see cref="W128"/>) or MMX registers (<see cref="W64"/>); they look at the unit first
    /// where that is needed. A step on registers has a Full handler all the same.
    /// </summary>
    public void SelectVector<TStep, TUnit, W>(AddressForm address) where TStep : struct, IStep where TUnit : struct, IFloatingUnit where W : struct, IWidth
    {
        if ((Mode & ModeKey.FloatingChecked) != 0)
            Select(typeof(Checked<Step<TStep>, TUnit>), typeof(W), W.Bits / 8, AddressForm.General, typeof(Full));
        else
            SelectStep(typeof(TStep), typeof(Step<TStep>), typeof(W), W.Bits / 8, address);
    }

    /// <summary>Sixteen times the number of an XMM or MMX register operand: its place, see <see cref="FloatingRegisters"/>.</summary>
    public readonly byte VectorOf(int operand)
    {
        Register register = Instruction.GetOpRegister(operand);
        return (byte)(16 * (register.IsMM() ? register - Register.MM0 : register - Register.XMM0));
    }

    /// <summary>Selects the handlers of a step, and keeps its types where they are asked for.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SelectStep<T>(int size) where T : struct, IStep
    {
        if (size < 0) // Never, see Handlers.Name.
            Handlers.Name<Step<T>, NoMemory>();
        SelectStep(typeof(T), typeof(Step<T>), Handlers.Width(size), size, AddressForm.None);
    }

    /// <summary>Selects the handlers of a step with a memory operand, and keeps its types where they are asked for.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void SelectStep<T>(int size, AddressForm address) where T : struct, IStep
    {
        if (size < 0) // Never, see Handlers.Name.
            Handlers.NameWithMemory<Step<T>>();
        SelectStep(typeof(T), typeof(Step<T>), Handlers.Width(size), size, address);
    }

    /// <summary>Selects the handlers of an x87, MMX or SSE step, which look at the unit first where that is needed.</summary>
    public void SelectStep<T, TUnit>(int size, AddressForm address) where T : struct, IStep where TUnit : struct, IFloatingUnit
    {
        if ((Mode & ModeKey.FloatingChecked) != 0)
            Select<Checked<Step<T>, TUnit>>(size, address);
        else
            SelectStep<T>(size, address);
    }

    private void SelectStep(Type step, Type form, Type width, int size, AddressForm address)
    {
        Select(form, width, size, address, typeof(NoMemory));
        if (WantsStepType && address != AddressForm.General)
            StepType = new StepType(step, width, Handlers.Memory(address, typeof(NoMemory)));
    }

    /// <param name="none">How an operation without a memory operand reaches memory. A step does not; another form may by itself.</param>
    private readonly void Select(Type form, Type width, int size, AddressForm address, Type none)
    {
        Op->OperandSize = (byte)size;
        // A LOCK prefix orders the store buffer, which only Full does; in a machine without one Fast is as atomic as Full.
        Op->Handler = Handlers.Of(form, width, Handlers.Memory(address, none));
        Op->Full = address == AddressForm.None ? Op->Handler : Handlers.Of(form, width, typeof(Full));
    }

    private static byte RegisterOffset(int number) => (byte)(8 * number);
}
