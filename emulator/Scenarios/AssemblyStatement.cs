using Iced.Intel;

namespace Emu.Scenarios;

/// <summary>What one cell of the program's table holds: a label, an instruction or a directive.</summary>
internal abstract record AssemblyStatement(int Position);

internal sealed record LabelStatement(int Position, string Name) : AssemblyStatement(Position);

/// <summary>An instruction whose encoding is chosen already; a branch to a label has a long form to fall back on.</summary>
internal sealed record InstructionStatement(int Position, string Text, EncodedForm Form, EncodedForm? LongForm) : AssemblyStatement(Position)
{
    /// <summary>True once the short form was found not to reach.</summary>
    public bool IsLong { get; set; }

    public EncodedForm Chosen => IsLong && LongForm != null ? LongForm : Form;
}

/// <summary><c>.byte 0xeb, 0xe5</c> and the wider ones.</summary>
internal sealed record DataStatement(int Position, int Size, IReadOnlyList<AssemblyExpression> Values) : AssemblyStatement(Position);

internal enum PaddingKind
{
    /// <summary><c>.align N</c>: to a multiple of N.</summary>
    Align,

    /// <summary><c>.org N</c>: to N bytes after the column's start.</summary>
    Org,

    /// <summary><c>.skip N</c>: N bytes.</summary>
    Skip,

    /// <summary><c>.straddle N, K</c>: until K bytes are left before a multiple of N.</summary>
    Straddle,
}

internal sealed record PaddingStatement(int Position, PaddingKind Kind, int Amount, int Before, byte Fill) : AssemblyStatement(Position)
{
    /// <summary>Bytes to pad at an address; negative when <c>.org</c> would go back.</summary>
    public long Length(ulong address, ulong start) => Kind switch
    {
        PaddingKind.Align => (long)((0 - address) & (ulong)(Amount - 1)),
        PaddingKind.Org => (long)(start + (ulong)Amount - address),
        PaddingKind.Skip => Amount,
        _ => (long)((0UL - (ulong)Before - address) & (ulong)(Amount - 1)),
    };
}

/// <summary>An instruction for Iced's encoder, and where symbols go into it.</summary>
internal sealed record EncodedForm(Code Code, IReadOnlyList<AttOperand> Operands, IReadOnlyList<OperandForm> Forms, InstructionPrefixes Prefixes)
{
    /// <summary>Makes Iced's instruction.</summary>
    /// <param name="resolve">Values of symbols.</param>
    /// <param name="error">What is wrong with a value, and where; null when nothing is.</param>
    public Instruction Build(Func<AssemblyTerm, long> resolve, out (int Position, string Message)? error)
    {
        error = null;
        var instruction = new Instruction { Code = Code };
        instruction.HasLockPrefix = (Prefixes & InstructionPrefixes.Lock) != 0;
        instruction.HasRepPrefix = (Prefixes & InstructionPrefixes.Rep) != 0;
        instruction.HasRepnePrefix = (Prefixes & InstructionPrefixes.Repne) != 0;
        for (int i = 0; i < Forms.Count; i++)
        {
            string? wrong = Set(ref instruction, i, resolve);
            if (wrong != null)
                error ??= (i < Operands.Count ? Operands[i].Position : 0, wrong);
        }
        return instruction;
    }

    private string? Set(ref Instruction instruction, int i, Func<AssemblyTerm, long> resolve)
    {
        OperandForm form = Forms[i];
        switch (form.Kind)
        {
            case OperandFormKind.Fixed:
                instruction.SetOpKind(i, OpKind.Register);
                instruction.SetOpRegister(i, form.Register);
                return null;
            case OperandFormKind.Implied:
                instruction.SetOpKind(i, form.Op);
                if (form.Op == OpKind.Memory)
                {
                    instruction.MemoryBase = form.Register;
                    instruction.MemoryIndex = Register.AL;
                }
                return null;
            case OperandFormKind.One:
                instruction.SetOpKind(i, OpKind.Immediate8);
                instruction.Immediate8 = 1;
                return null;
        }
        AttOperand operand = Operands[i];
        if (operand.Kind == AttOperandKind.Register)
        {
            instruction.SetOpKind(i, OpKind.Register);
            instruction.SetOpRegister(i, operand.Register);
            return null;
        }
        long value = operand.Expression?.Evaluate(resolve) ?? 0;
        if (form.Kind == OperandFormKind.Branch)
        {
            instruction.SetOpKind(i, OpKind.NearBranch64);
            instruction.NearBranch64 = (ulong)value;
            return null;
        }
        return operand.Kind == AttOperandKind.Immediate ? SetImmediate(ref instruction, i, form, value) : SetMemory(ref instruction, i, form, operand, value);
    }

    private static string? SetImmediate(ref Instruction instruction, int i, OperandForm form, long value)
    {
        instruction.SetOpKind(i, form.Op);
        int width = form.Extended != 0 ? form.Extended : form.Size;
        instruction.SetImmediate(i, SignExtend(value, width));
        return Fits(form, value) ? null : $"{value} (0x{value:x}) does not fit into {form.Size} bits";
    }

    /// <summary>True when an encoding's immediate can hold a value, signed or unsigned.</summary>
    public static bool Fits(OperandForm form, long value)
    {
        int width = form.Extended != 0 ? form.Extended : form.Size;
        if (width < 64 && (value < -(1L << (width - 1)) || value >= 1L << width))
            return false;
        if (form.Extended == 0)
            return true;
        long extended = SignExtend(value, width);
        return extended == SignExtend(extended, form.Size);
    }

    private static string? SetMemory(ref Instruction instruction, int i, OperandForm form, AttOperand operand, long value)
    {
        instruction.SetOpKind(i, OpKind.Memory);
        instruction.MemoryBase = operand.Base;
        instruction.MemoryIndex = operand.Index;
        instruction.MemoryIndexScale = operand.Scale;
        instruction.SegmentPrefix = operand.Segment;
        instruction.MemoryDisplacement64 = (ulong)value;
        instruction.MemoryDisplSize = form.Kind == OperandFormKind.Absolute ? 8 : DisplacementSize(operand, value);
        if (form.Kind == OperandFormKind.Absolute || operand.Base == Register.RIP || value == (int)value)
            return null;
        return $"the address 0x{value:x} does not fit into a sign-extended 32-bit displacement; put it into a register";
    }

    /// <summary>As Iced counts it: 8 is a 32-bit displacement, sign-extended, of a 64-bit address.</summary>
    private static int DisplacementSize(AttOperand operand, long value)
    {
        int wide = operand.Base.IsGPR32() || operand.Index.IsGPR32() ? 4 : 8;
        if (operand.Base is Register.None or Register.RIP || operand.Expression is { HasSymbols: true })
            return wide;
        return value == 0 ? 0 : value == (sbyte)value ? 1 : wide;
    }

    private static long SignExtend(long value, int bits) => bits >= 64 ? value : value << (64 - bits) >> (64 - bits);
}

[Flags]
internal enum InstructionPrefixes
{
    None = 0,
    Lock = 1,
    Rep = 2,
    Repne = 4,
}
