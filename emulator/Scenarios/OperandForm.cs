using Iced.Intel;
using K = Iced.Intel.OpCodeOperandKind;

namespace Emu.Scenarios;

internal enum OperandFormKind
{
    Unsupported,

    /// <summary>A general register of the form's size.</summary>
    General,

    /// <summary>A general register, or memory.</summary>
    GeneralOrMemory,
    Memory,

    /// <summary>Memory at a 64-bit absolute address: MOV between it and the accumulator.</summary>
    Absolute,
    Segment,
    Control,
    DebugRegister,

    /// <summary>Exactly one register.</summary>
    Fixed,
    Immediate,

    /// <summary>The constant 1 of a shift.</summary>
    One,
    Branch,

    /// <summary>Memory that the instruction names by itself: (%rsi), (%rdi), or that of XLAT.</summary>
    Implied,
}

/// <summary>What an encoding takes at one place: the table between Iced's operand kinds and ours.</summary>
/// <param name="Size">Bits of the operand; 0 where it has none of its own.</param>
/// <param name="Op">How Iced is told of it.</param>
/// <param name="Extended">Bits to which an immediate is sign-extended; 0 when it is not.</param>
internal readonly record struct OperandForm(OperandFormKind Kind, int Size, OpKind Op, int Extended = 0, Register Register = Register.None)
{
    public static OperandForm Of(K kind) => kind switch
    {
        K.r8_reg or K.r8_opcode => new(OperandFormKind.General, 8, OpKind.Register),
        K.r16_reg or K.r16_rm or K.r16_opcode => new(OperandFormKind.General, 16, OpKind.Register),
        K.r32_reg or K.r32_rm or K.r32_opcode => new(OperandFormKind.General, 32, OpKind.Register),
        K.r64_reg or K.r64_rm or K.r64_opcode => new(OperandFormKind.General, 64, OpKind.Register),
        K.r8_or_mem => new(OperandFormKind.GeneralOrMemory, 8, OpKind.Register),
        K.r16_or_mem => new(OperandFormKind.GeneralOrMemory, 16, OpKind.Register),
        K.r32_or_mem => new(OperandFormKind.GeneralOrMemory, 32, OpKind.Register),
        K.r64_or_mem => new(OperandFormKind.GeneralOrMemory, 64, OpKind.Register),
        K.mem => new(OperandFormKind.Memory, 0, OpKind.Memory),
        K.mem_offs => new(OperandFormKind.Absolute, 0, OpKind.Memory),
        K.seg_reg => new(OperandFormKind.Segment, 0, OpKind.Register),
        K.cr_reg => new(OperandFormKind.Control, 0, OpKind.Register),
        K.dr_reg => new(OperandFormKind.DebugRegister, 0, OpKind.Register),
        K.al => Fixed(Register.AL, 8),
        K.cl => Fixed(Register.CL, 0),
        K.ax => Fixed(Register.AX, 16),
        K.dx => Fixed(Register.DX, 0),
        K.eax => Fixed(Register.EAX, 32),
        K.rax => Fixed(Register.RAX, 64),
        K.fs => Fixed(Register.FS, 0),
        K.gs => Fixed(Register.GS, 0),
        K.imm8 => new(OperandFormKind.Immediate, 8, OpKind.Immediate8),
        K.imm8sex16 => new(OperandFormKind.Immediate, 8, OpKind.Immediate8to16, 16),
        K.imm8sex32 => new(OperandFormKind.Immediate, 8, OpKind.Immediate8to32, 32),
        K.imm8sex64 => new(OperandFormKind.Immediate, 8, OpKind.Immediate8to64, 64),
        K.imm16 => new(OperandFormKind.Immediate, 16, OpKind.Immediate16),
        K.imm32 => new(OperandFormKind.Immediate, 32, OpKind.Immediate32),
        K.imm32sex64 => new(OperandFormKind.Immediate, 32, OpKind.Immediate32to64, 64),
        K.imm64 => new(OperandFormKind.Immediate, 64, OpKind.Immediate64),
        K.imm8_const_1 => new(OperandFormKind.One, 8, OpKind.Immediate8),
        K.br64_1 => new(OperandFormKind.Branch, 8, OpKind.NearBranch64),
        K.br64_4 => new(OperandFormKind.Branch, 32, OpKind.NearBranch64),
        K.seg_rSI => new(OperandFormKind.Implied, 0, OpKind.MemorySegRSI),
        K.seg_rDI => new(OperandFormKind.Implied, 0, OpKind.MemorySegRDI),
        K.es_rDI => new(OperandFormKind.Implied, 0, OpKind.MemoryESRDI),
        K.seg_rBX_al => new(OperandFormKind.Implied, 0, OpKind.Memory, Register: Register.RBX),
        _ => default,
    };

    /// <summary>True when the operand decides how wide the operation is.</summary>
    public bool DecidesSize => Kind is OperandFormKind.General or OperandFormKind.GeneralOrMemory || (Kind == OperandFormKind.Fixed && Size != 0);

    private static OperandForm Fixed(Register register, int size) => new(OperandFormKind.Fixed, size, OpKind.Register, Register: register);
}
