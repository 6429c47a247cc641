using Iced.Intel;
using static Emu.Instructions.Arithmetic;
using static Emu.Instructions.Conditions;

namespace Emu.Instructions;

/// <summary>
/// The instruction set: one line per mnemonic, which names the family method that selects handlers. What stands in no line stops the machine
/// with a message, by <see cref="Unimplemented"/>.
/// </summary>
public static unsafe class InstructionTable
{
    /// <summary>Turns a decoded instruction into an operation. The prefixes, the length and the default registers are set already.</summary>
    public static void Lower(ref Lowering l)
    {
        switch (l.Instruction.Mnemonic)
        {
            // Arithmetic
            case Mnemonic.Add: Binary<Add>(ref l); break;
            case Mnemonic.Adc: Binary<Adc>(ref l); break;
            case Mnemonic.Sub: Binary<Sub>(ref l); break;
            case Mnemonic.Sbb: Binary<Sbb>(ref l); break;
            case Mnemonic.And: Binary<And>(ref l); break;
            case Mnemonic.Or: Binary<Or>(ref l); break;
            case Mnemonic.Xor: Binary<Xor>(ref l); break;
            case Mnemonic.Cmp: Binary<Cmp>(ref l); break;
            case Mnemonic.Test: Binary<Test>(ref l); break;
            case Mnemonic.Inc: Unary<Inc>(ref l); break;
            case Mnemonic.Dec: Unary<Dec>(ref l); break;
            case Mnemonic.Neg: Unary<Neg>(ref l); break;
            case Mnemonic.Not: Unary<Arithmetic.Not>(ref l); break;

            // Moves
            case Mnemonic.Mov: Moves.Mov(ref l); break;
            case Mnemonic.Movzx: Moves.Extend(ref l, signed: false); break;
            case Mnemonic.Movsx or Mnemonic.Movsxd: Moves.Extend(ref l, signed: true); break;
            case Mnemonic.Lea: Moves.Lea(ref l); break;
            case Mnemonic.Xchg: Moves.Xchg(ref l); break;
            case Mnemonic.Push: Moves.Push(ref l); break;
            case Mnemonic.Pop: Moves.Pop(ref l); break;
            case Mnemonic.Cmovo: Moves.Cmov<Overflow>(ref l); break;
            case Mnemonic.Cmovno: Moves.Cmov<Not<Overflow>>(ref l); break;
            case Mnemonic.Cmovb: Moves.Cmov<Below>(ref l); break;
            case Mnemonic.Cmovae: Moves.Cmov<Not<Below>>(ref l); break;
            case Mnemonic.Cmove: Moves.Cmov<Equal>(ref l); break;
            case Mnemonic.Cmovne: Moves.Cmov<Not<Equal>>(ref l); break;
            case Mnemonic.Cmovbe: Moves.Cmov<BelowOrEqual>(ref l); break;
            case Mnemonic.Cmova: Moves.Cmov<Not<BelowOrEqual>>(ref l); break;
            case Mnemonic.Cmovs: Moves.Cmov<Sign>(ref l); break;
            case Mnemonic.Cmovns: Moves.Cmov<Not<Sign>>(ref l); break;
            case Mnemonic.Cmovp: Moves.Cmov<Parity>(ref l); break;
            case Mnemonic.Cmovnp: Moves.Cmov<Not<Parity>>(ref l); break;
            case Mnemonic.Cmovl: Moves.Cmov<Less>(ref l); break;
            case Mnemonic.Cmovge: Moves.Cmov<Not<Less>>(ref l); break;
            case Mnemonic.Cmovle: Moves.Cmov<LessOrEqual>(ref l); break;
            case Mnemonic.Cmovg: Moves.Cmov<Not<LessOrEqual>>(ref l); break;
            case Mnemonic.Seto: Moves.Set<Overflow>(ref l); break;
            case Mnemonic.Setno: Moves.Set<Not<Overflow>>(ref l); break;
            case Mnemonic.Setb: Moves.Set<Below>(ref l); break;
            case Mnemonic.Setae: Moves.Set<Not<Below>>(ref l); break;
            case Mnemonic.Sete: Moves.Set<Equal>(ref l); break;
            case Mnemonic.Setne: Moves.Set<Not<Equal>>(ref l); break;
            case Mnemonic.Setbe: Moves.Set<BelowOrEqual>(ref l); break;
            case Mnemonic.Seta: Moves.Set<Not<BelowOrEqual>>(ref l); break;
            case Mnemonic.Sets: Moves.Set<Sign>(ref l); break;
            case Mnemonic.Setns: Moves.Set<Not<Sign>>(ref l); break;
            case Mnemonic.Setp: Moves.Set<Parity>(ref l); break;
            case Mnemonic.Setnp: Moves.Set<Not<Parity>>(ref l); break;
            case Mnemonic.Setl: Moves.Set<Less>(ref l); break;
            case Mnemonic.Setge: Moves.Set<Not<Less>>(ref l); break;
            case Mnemonic.Setle: Moves.Set<LessOrEqual>(ref l); break;
            case Mnemonic.Setg: Moves.Set<Not<LessOrEqual>>(ref l); break;

            // Branches
            case Mnemonic.Jmp when l.Instruction.IsJmpShortOrNear: Branches.Jump(ref l); break;
            case Mnemonic.Jmp when l.Instruction.IsJmpNearIndirect: Branches.JumpIndirect(ref l); break;
            case Mnemonic.Call when l.Instruction.IsCallNear: Branches.Call(ref l); break;
            case Mnemonic.Call when l.Instruction.IsCallNearIndirect: Branches.CallIndirect(ref l); break;
            case Mnemonic.Ret: Branches.Return(ref l); break;
            case Mnemonic.Jo: Branches.Conditional<Overflow>(ref l); break;
            case Mnemonic.Jno: Branches.Conditional<Not<Overflow>>(ref l); break;
            case Mnemonic.Jb: Branches.Conditional<Below>(ref l); break;
            case Mnemonic.Jae: Branches.Conditional<Not<Below>>(ref l); break;
            case Mnemonic.Je: Branches.Conditional<Equal>(ref l); break;
            case Mnemonic.Jne: Branches.Conditional<Not<Equal>>(ref l); break;
            case Mnemonic.Jbe: Branches.Conditional<BelowOrEqual>(ref l); break;
            case Mnemonic.Ja: Branches.Conditional<Not<BelowOrEqual>>(ref l); break;
            case Mnemonic.Js: Branches.Conditional<Sign>(ref l); break;
            case Mnemonic.Jns: Branches.Conditional<Not<Sign>>(ref l); break;
            case Mnemonic.Jp: Branches.Conditional<Parity>(ref l); break;
            case Mnemonic.Jnp: Branches.Conditional<Not<Parity>>(ref l); break;
            case Mnemonic.Jl: Branches.Conditional<Less>(ref l); break;
            case Mnemonic.Jge: Branches.Conditional<Not<Less>>(ref l); break;
            case Mnemonic.Jle: Branches.Conditional<LessOrEqual>(ref l); break;
            case Mnemonic.Jg: Branches.Conditional<Not<LessOrEqual>>(ref l); break;

            default: Unimplemented.Lower(ref l); break;
        }
    }
}
