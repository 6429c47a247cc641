using Emu.Cpus;
using Iced.Intel;
using static Emu.Instructions.Arithmetic;
using static Emu.Instructions.Conditions;

namespace Emu.Instructions;

/// <summary>
/// The instruction set: one line per mnemonic, which names the family method that selects handlers. What stands in no line is #UD, and missing in
/// the ledger.
/// </summary>
public static unsafe class InstructionTable
{
    /// <summary>Turns a decoded instruction into an operation. The prefixes, the length and the default registers are set already.</summary>
    public static void Lower(ref Lowering l)
    {
        // "Any VEX-encoded instruction in real-address or virtual-8086 mode: #UD."
        bool vexInRealMode = (l.Mode & ModeKey.Real) != 0 && l.Instruction.Encoding != EncodingKind.Legacy;
        if (vexInRealMode || !Existence.Has(l.Model, l.Instruction))
        {
            Refusals.Undefined(ref l);
            return;
        }
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
            case Mnemonic.Mov or Mnemonic.Push or Mnemonic.Pop when SystemInstructionTable.TryMove(ref l): break;
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

            // Shifts and rotates
            case Mnemonic.Shl or Mnemonic.Sal: Shifts.Lower<Shifts.Shl>(ref l); break;
            case Mnemonic.Shr: Shifts.Lower<Shifts.Shr>(ref l); break;
            case Mnemonic.Sar: Shifts.Lower<Shifts.Sar>(ref l); break;
            case Mnemonic.Rol: Shifts.Lower<Shifts.Rol>(ref l); break;
            case Mnemonic.Ror: Shifts.Lower<Shifts.Ror>(ref l); break;
            case Mnemonic.Rcl: Shifts.Lower<Shifts.Rcl>(ref l); break;
            case Mnemonic.Rcr: Shifts.Lower<Shifts.Rcr>(ref l); break;
            case Mnemonic.Shld: DoubleShifts.Lower<DoubleShifts.Shld>(ref l); break;
            case Mnemonic.Shrd: DoubleShifts.Lower<DoubleShifts.Shrd>(ref l); break;

            // Multiplication, division, sign conversion
            case Mnemonic.Mul: Multiply.Accumulator<Multiply.Mul>(ref l); break;
            case Mnemonic.Imul: Multiply.LowerImul(ref l); break;
            case Mnemonic.Div: Multiply.Accumulator<Multiply.Div>(ref l); break;
            case Mnemonic.Idiv: Multiply.Accumulator<Multiply.Idiv>(ref l); break;
            case Mnemonic.Cbw: SignConversions.Widen(ref l, 2); break;
            case Mnemonic.Cwde: SignConversions.Widen(ref l, 4); break;
            case Mnemonic.Cdqe: SignConversions.Widen(ref l, 8); break;
            case Mnemonic.Cwd: SignConversions.Spread(ref l, 2); break;
            case Mnemonic.Cdq: SignConversions.Spread(ref l, 4); break;
            case Mnemonic.Cqo: SignConversions.Spread(ref l, 8); break;

            // Bits
            case Mnemonic.Bsf: Bits.Scan<Bits.Bsf>(ref l); break;
            case Mnemonic.Bsr: Bits.Scan<Bits.Bsr>(ref l); break;
            // Processors without them ignore the F3 prefix.
            case Mnemonic.Tzcnt when l.Model.Has(CpuFeature.Bmi1): Bits.Scan<Bits.Tzcnt>(ref l); break;
            case Mnemonic.Tzcnt: Bits.Scan<Bits.Bsf>(ref l); break;
            case Mnemonic.Lzcnt when l.Model.Has(CpuFeature.Lzcnt): Bits.Scan<Bits.Lzcnt>(ref l); break;
            case Mnemonic.Lzcnt: Bits.Scan<Bits.Bsr>(ref l); break;
            case Mnemonic.Popcnt: Bits.Scan<Bits.Popcnt>(ref l); break;
            case Mnemonic.Bswap: Bits.Bswap(ref l); break;
            case Mnemonic.Movbe: Bits.LowerMovbe(ref l); break;
            case Mnemonic.Bt: BitTests.Lower<BitTests.Bt>(ref l); break;
            case Mnemonic.Bts: BitTests.Lower<BitTests.Bts>(ref l); break;
            case Mnemonic.Btr: BitTests.Lower<BitTests.Btr>(ref l); break;
            case Mnemonic.Btc: BitTests.Lower<BitTests.Btc>(ref l); break;

            case Mnemonic.Andn: BitManipulation.SecondSource<BitManipulation.Andn>(ref l); break;
            case Mnemonic.Pdep: BitManipulation.SecondSource<BitManipulation.Pdep>(ref l); break;
            case Mnemonic.Pext: BitManipulation.SecondSource<BitManipulation.Pext>(ref l); break;
            case Mnemonic.Bextr: BitManipulation.FirstSource<BitManipulation.Bextr>(ref l); break;
            case Mnemonic.Bzhi: BitManipulation.FirstSource<BitManipulation.Bzhi>(ref l); break;
            case Mnemonic.Sarx: BitManipulation.FirstSource<BitManipulation.Sarx>(ref l); break;
            case Mnemonic.Shlx: BitManipulation.FirstSource<BitManipulation.Shlx>(ref l); break;
            case Mnemonic.Shrx: BitManipulation.FirstSource<BitManipulation.Shrx>(ref l); break;
            case Mnemonic.Rorx: BitManipulation.Single<BitManipulation.Rorx>(ref l); break;
            case Mnemonic.Blsi: BitManipulation.Single<BitManipulation.Blsi>(ref l); break;
            case Mnemonic.Blsmsk: BitManipulation.Single<BitManipulation.Blsmsk>(ref l); break;
            case Mnemonic.Blsr: BitManipulation.Single<BitManipulation.Blsr>(ref l); break;
            case Mnemonic.Mulx: BitManipulation.Mulx(ref l); break;
            case Mnemonic.Adcx: BitManipulation.AddWithFlag<BitManipulation.Adcx>(ref l); break;
            case Mnemonic.Adox: BitManipulation.AddWithFlag<BitManipulation.Adox>(ref l); break;

            // Read, modify and write
            case Mnemonic.Xadd: Atomics.Xadd(ref l); break;
            case Mnemonic.Cmpxchg: Atomics.Cmpxchg(ref l); break;
            case Mnemonic.Cmpxchg8b: Atomics.Cmpxchg8b(ref l); break;
            case Mnemonic.Cmpxchg16b: Atomics.Cmpxchg16b(ref l); break;

            // Strings. MOVSD and CMPSD are also names of SSE2 instructions.
            case Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsq: Strings.Lower<Strings.Movs>(ref l); break;
            case Mnemonic.Movsd when l.Instruction.Code == Code.Movsd_m32_m32: Strings.Lower<Strings.Movs>(ref l); break;
            case Mnemonic.Stosb or Mnemonic.Stosw or Mnemonic.Stosd or Mnemonic.Stosq: Strings.Lower<Strings.Stos>(ref l); break;
            case Mnemonic.Lodsb or Mnemonic.Lodsw or Mnemonic.Lodsd or Mnemonic.Lodsq: Strings.Lower<Strings.Lods>(ref l); break;
            case Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Scasq: Strings.Lower<Strings.Scas>(ref l); break;
            case Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsq: Strings.Lower<Strings.Cmps>(ref l); break;
            case Mnemonic.Cmpsd when l.Instruction.Code == Code.Cmpsd_m32_m32: Strings.Lower<Strings.Cmps>(ref l); break;

            // Counting branches
            case Mnemonic.Loop: Loops.Lower<Loops.Loop>(ref l); break;
            case Mnemonic.Loope: Loops.Lower<Loops.LoopEqual>(ref l); break;
            case Mnemonic.Loopne: Loops.Lower<Loops.LoopNotEqual>(ref l); break;
            case Mnemonic.Jcxz or Mnemonic.Jecxz or Mnemonic.Jrcxz: Loops.Lower<Loops.CountZero>(ref l); break;

            // Stack frames
            case Mnemonic.Pusha: StackFrames.Pusha(ref l, 2); break;
            case Mnemonic.Pushad: StackFrames.Pusha(ref l, 4); break;
            case Mnemonic.Popa: StackFrames.Popa(ref l, 2); break;
            case Mnemonic.Popad: StackFrames.Popa(ref l, 4); break;
            case Mnemonic.Pushf: StackFrames.Pushf(ref l, 2); break;
            case Mnemonic.Pushfd: StackFrames.Pushf(ref l, 4); break;
            case Mnemonic.Pushfq: StackFrames.Pushf(ref l, 8); break;
            case Mnemonic.Popf: StackFrames.Popf(ref l, 2); break;
            case Mnemonic.Popfd: StackFrames.Popf(ref l, 4); break;
            case Mnemonic.Popfq: StackFrames.Popf(ref l, 8); break;
            case Mnemonic.Enter: StackFrames.Enter(ref l); break;
            case Mnemonic.Leave: StackFrames.Leave(ref l); break;

            // Flags
            case Mnemonic.Clc: FlagsControl.Clc(ref l); break;
            case Mnemonic.Stc: FlagsControl.Stc(ref l); break;
            case Mnemonic.Cmc: FlagsControl.Cmc(ref l); break;
            case Mnemonic.Cld: FlagsControl.Cld(ref l); break;
            case Mnemonic.Std: FlagsControl.Std(ref l); break;
            case Mnemonic.Cli: FlagsControl.Cli(ref l); break;
            case Mnemonic.Sti: FlagsControl.Sti(ref l); break;
            case Mnemonic.Clac: FlagsControl.Clac(ref l); break;
            case Mnemonic.Stac: FlagsControl.Stac(ref l); break;
            case Mnemonic.Lahf: FlagsControl.Lahf(ref l); break;
            case Mnemonic.Sahf: FlagsControl.Sahf(ref l); break;

            // Decimal
            case Mnemonic.Aaa: Decimal.Aaa(ref l); break;
            case Mnemonic.Aas: Decimal.Aas(ref l); break;
            case Mnemonic.Aam: Decimal.Aam(ref l); break;
            case Mnemonic.Aad: Decimal.Aad(ref l); break;
            case Mnemonic.Daa: Decimal.Daa(ref l); break;
            case Mnemonic.Das: Decimal.Das(ref l); break;
            case Mnemonic.Salc: Decimal.Salc(ref l); break;

            // Others
            case Mnemonic.Nop or Mnemonic.Reservednop or Mnemonic.Endbr32 or Mnemonic.Endbr64: Miscellaneous.Nop(ref l); break;
            case Mnemonic.Prefetch or Mnemonic.Prefetchw or Mnemonic.Prefetchwt1: Miscellaneous.Nop(ref l); break;
            case Mnemonic.Prefetchnta or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2: Miscellaneous.Nop(ref l); break;
            case Mnemonic.Cldemote: Miscellaneous.Nop(ref l); break;
            case Mnemonic.Xlatb: Miscellaneous.Xlat(ref l); break;
            case Mnemonic.Bound: Miscellaneous.Bound(ref l); break;

            default:
                if (!X87InstructionTable.TryLower(ref l) && !SseInstructionTable.TryLower(ref l))
                    SystemInstructionTable.Lower(ref l);
                break;
        }
    }
}
