using Emu.Float;
using Iced.Intel;
using static Emu.Instructions.Conditions;

namespace Emu.Instructions;

/// <summary>The part of the <see cref="InstructionTable"/> for x87: one line per mnemonic.</summary>
public static unsafe class X87InstructionTable
{
    /// <summary>Selects handlers; false when the instruction is none of x87.</summary>
    public static bool TryLower(ref Lowering l)
    {
        Code code = l.Instruction.Code;
        switch (l.Instruction.Mnemonic)
        {
            // Control
            case Mnemonic.Wait: X87Control.Wait(ref l); break;
            case Mnemonic.Fninit: Control<X87Control.Initialise>(ref l); break;
            case Mnemonic.Fnclex: Control<X87Control.ClearExceptions>(ref l); break;
            case Mnemonic.Fneni or Mnemonic.Fndisi or Mnemonic.Fnsetpm: Control<X87Control.Nothing>(ref l); break;
            case Mnemonic.Fldcw: Control<X87Control.LoadControl>(ref l); break;
            case Mnemonic.Fnstcw: Control<X87Control.StoreControl>(ref l); break;
            case Mnemonic.Fnstsw when code == Code.Fnstsw_AX: Control<X87Control.StoreStatusInAx>(ref l); break;
            case Mnemonic.Fnstsw: Control<X87Control.StoreStatus>(ref l); break;
            case Mnemonic.Fnstenv: X87Environment.LowerStore(ref l, code == Code.Fnstenv_m28byte); break;
            case Mnemonic.Fldenv: X87Environment.LowerLoad(ref l, code == Code.Fldenv_m28byte); break;
            case Mnemonic.Fnsave: X87Environment.LowerSave(ref l, code == Code.Fnsave_m108byte); break;
            case Mnemonic.Frstor: X87Environment.LowerRestore(ref l, code == Code.Frstor_m108byte); break;
            case Mnemonic.Fnop: Stack<X87Control.Nop>(ref l); break;
            case Mnemonic.Fincstp: Stack<X87Control.Increment>(ref l); break;
            case Mnemonic.Fdecstp: Stack<X87Control.Decrement>(ref l); break;
            case Mnemonic.Ffree: Stack<X87Control.Free>(ref l); break;
            case Mnemonic.Ffreep: Stack<X87Control.FreePop>(ref l); break;

            // Moves
            case Mnemonic.Fld when l.IsRegister(0): Stack<X87Moves.LoadRegister>(ref l); break;
            case Mnemonic.Fld when code == Code.Fld_m80fp: TenBytes<X87Moves.LoadTenBytes>(ref l, isDecimal: false); break;
            case Mnemonic.Fld: Memory<X87Moves.Load>(ref l); break;
            case Mnemonic.Fild: Memory<X87Moves.LoadInteger>(ref l); break;
            case Mnemonic.Fbld: TenBytes<X87Moves.LoadTenBytes>(ref l, isDecimal: true); break;
            case Mnemonic.Fst when l.IsRegister(0): Stack<X87Moves.StoreRegister>(ref l); break;
            case Mnemonic.Fst: Store<X87Moves.Store>(ref l); break;
            case Mnemonic.Fstp when l.IsRegister(0): Stack<X87Moves.StoreRegisterPop>(ref l); break;
            case Mnemonic.Fstpnce: Stack<X87Moves.StoreRegisterPopUnchecked>(ref l); break;
            case Mnemonic.Fstp when code == Code.Fstp_m80fp: TenBytes<X87Moves.StoreTenBytes>(ref l, isDecimal: false); break;
            case Mnemonic.Fstp: Store<X87Moves.StorePop>(ref l); break;
            case Mnemonic.Fist: Store<X87Moves.StoreInteger>(ref l); break;
            case Mnemonic.Fistp: Store<X87Moves.StoreIntegerPop>(ref l); break;
            case Mnemonic.Fisttp: Store<X87Moves.StoreTruncatedPop>(ref l); break;
            case Mnemonic.Fbstp: TenBytes<X87Moves.StoreTenBytes>(ref l, isDecimal: true); break;
            case Mnemonic.Fxch: Stack<X87Moves.Exchange>(ref l); break;
            case Mnemonic.Fcmovb: Stack<X87Moves.ConditionalMove<Below>>(ref l); break;
            case Mnemonic.Fcmove: Stack<X87Moves.ConditionalMove<Equal>>(ref l); break;
            case Mnemonic.Fcmovbe: Stack<X87Moves.ConditionalMove<BelowOrEqual>>(ref l); break;
            case Mnemonic.Fcmovu: Stack<X87Moves.ConditionalMove<Parity>>(ref l); break;
            case Mnemonic.Fcmovnb: Stack<X87Moves.ConditionalMove<Not<Below>>>(ref l); break;
            case Mnemonic.Fcmovne: Stack<X87Moves.ConditionalMove<Not<Equal>>>(ref l); break;
            case Mnemonic.Fcmovnbe: Stack<X87Moves.ConditionalMove<Not<BelowOrEqual>>>(ref l); break;
            case Mnemonic.Fcmovnu: Stack<X87Moves.ConditionalMove<Not<Parity>>>(ref l); break;
            case Mnemonic.Fld1: Stack<X87Moves.LoadConstant<X87Moves.One>>(ref l); break;
            case Mnemonic.Fldz: Stack<X87Moves.LoadConstant<X87Moves.Zero>>(ref l); break;
            case Mnemonic.Fldpi: Stack<X87Moves.LoadConstant<X87Moves.Pi>>(ref l); break;
            case Mnemonic.Fldl2t: Stack<X87Moves.LoadConstant<X87Moves.Log2Of10>>(ref l); break;
            case Mnemonic.Fldl2e: Stack<X87Moves.LoadConstant<X87Moves.Log2OfE>>(ref l); break;
            case Mnemonic.Fldlg2: Stack<X87Moves.LoadConstant<X87Moves.Log10Of2>>(ref l); break;
            case Mnemonic.Fldln2: Stack<X87Moves.LoadConstant<X87Moves.LnOf2>>(ref l); break;

            // Arithmetic
            case Mnemonic.Fadd: Arithmetic<Addition>(ref l); break;
            case Mnemonic.Fsub: Arithmetic<Subtraction>(ref l); break;
            case Mnemonic.Fsubr: Arithmetic<ReverseSubtraction>(ref l); break;
            case Mnemonic.Fmul: Arithmetic<Multiplication>(ref l); break;
            case Mnemonic.Fdiv: Arithmetic<Division>(ref l); break;
            case Mnemonic.Fdivr: Arithmetic<ReverseDivision>(ref l); break;
            case Mnemonic.Faddp: Stack<X87Arithmetic.ToRegisterPop<Addition>>(ref l); break;
            case Mnemonic.Fsubp: Stack<X87Arithmetic.ToRegisterPop<Subtraction>>(ref l); break;
            case Mnemonic.Fsubrp: Stack<X87Arithmetic.ToRegisterPop<ReverseSubtraction>>(ref l); break;
            case Mnemonic.Fmulp: Stack<X87Arithmetic.ToRegisterPop<Multiplication>>(ref l); break;
            case Mnemonic.Fdivp: Stack<X87Arithmetic.ToRegisterPop<Division>>(ref l); break;
            case Mnemonic.Fdivrp: Stack<X87Arithmetic.ToRegisterPop<ReverseDivision>>(ref l); break;
            case Mnemonic.Fiadd: Memory<X87Arithmetic.FromInteger<Addition>>(ref l); break;
            case Mnemonic.Fisub: Memory<X87Arithmetic.FromInteger<Subtraction>>(ref l); break;
            case Mnemonic.Fisubr: Memory<X87Arithmetic.FromInteger<ReverseSubtraction>>(ref l); break;
            case Mnemonic.Fimul: Memory<X87Arithmetic.FromInteger<Multiplication>>(ref l); break;
            case Mnemonic.Fidiv: Memory<X87Arithmetic.FromInteger<Division>>(ref l); break;
            case Mnemonic.Fidivr: Memory<X87Arithmetic.FromInteger<ReverseDivision>>(ref l); break;
            case Mnemonic.Fsqrt: Stack<X87Arithmetic.SquareRoot>(ref l); break;
            case Mnemonic.Fabs: Stack<X87Functions.Absolute>(ref l); break;
            case Mnemonic.Fchs: Stack<X87Functions.ChangeSign>(ref l); break;
            case Mnemonic.Frndint: Stack<X87Functions.RoundToInteger>(ref l); break;
            case Mnemonic.Fscale: Stack<X87Functions.Scale>(ref l); break;
            case Mnemonic.Fxtract: Stack<X87Functions.Extract>(ref l); break;
            case Mnemonic.Fprem: Stack<X87Functions.Remainder<X87Functions.Truncated>>(ref l); break;
            case Mnemonic.Fprem1: Stack<X87Functions.Remainder<X87Functions.ToNearest>>(ref l); break;

            // Transcendental functions
            case Mnemonic.F2xm1: Stack<X87Transcendental.Unary<X87Transcendental.Exponential>>(ref l); break;
            case Mnemonic.Fyl2x: Stack<X87Transcendental.Binary<X87Transcendental.Logarithm>>(ref l); break;
            case Mnemonic.Fyl2xp1: Stack<X87Transcendental.Binary<X87Transcendental.LogarithmOfOnePlus>>(ref l); break;
            case Mnemonic.Fpatan: Stack<X87Transcendental.Binary<X87Transcendental.ArcTangent>>(ref l); break;
            case Mnemonic.Fptan: Stack<X87Transcendental.Tangent>(ref l); break;
            case Mnemonic.Fsin: Stack<X87Transcendental.Sine>(ref l); break;
            case Mnemonic.Fcos: Stack<X87Transcendental.Cosine>(ref l); break;
            case Mnemonic.Fsincos: Stack<X87Transcendental.SineAndCosine>(ref l); break;

            // Comparisons
            case Mnemonic.Fcom: Comparison<X87Compare.Ordered>(ref l); break;
            case Mnemonic.Fcomp: Comparison<X87Compare.OrderedPop>(ref l); break;
            case Mnemonic.Fcompp: ComparisonPopTwice<X87Compare.OrderedPopTwice>(ref l); break;
            case Mnemonic.Fucom: Comparison<X87Compare.Unordered>(ref l); break;
            case Mnemonic.Fucomp: Comparison<X87Compare.UnorderedPop>(ref l); break;
            case Mnemonic.Fucompp: ComparisonPopTwice<X87Compare.UnorderedPopTwice>(ref l); break;
            case Mnemonic.Ficom: Memory<X87Compare.Integer<X87Compare.Ordered>>(ref l); break;
            case Mnemonic.Ficomp: Memory<X87Compare.Integer<X87Compare.OrderedPop>>(ref l); break;
            case Mnemonic.Ftst: Stack<X87Compare.WithZero>(ref l); break;
            case Mnemonic.Fxam: Stack<X87Compare.Examine>(ref l); break;
            case Mnemonic.Fcomi: Stack<X87Compare.ToFlags<X87Compare.Ordered>>(ref l); break;
            case Mnemonic.Fcomip: Stack<X87Compare.ToFlags<X87Compare.OrderedPop>>(ref l); break;
            case Mnemonic.Fucomi: Stack<X87Compare.ToFlags<X87Compare.Unordered>>(ref l); break;
            case Mnemonic.Fucomip: Stack<X87Compare.ToFlags<X87Compare.UnorderedPop>>(ref l); break;

            default: return false;
        }
        return true;
    }

    /// <summary>A control instruction: not remembered. Those that wait look for pending exceptions themselves.</summary>
    private static void Control<T>(ref Lowering l) where T : struct, IStep =>
        l.SelectStep<T, X87Unit>(2, l.Instruction.OpCount != 0 && l.IsMemory(0) ? l.Memory() : AddressForm.None);

    /// <summary>An instruction on registers only; Reg0 is the number of the stack register that its encoding names.</summary>
    private static void Stack<T>(ref Lowering l) where T : struct, IX87Operation
    {
        l.Op->Reg0 = StackRegister(l.Instruction);
        l.Op->Immediate = Opcode(l.Instruction);
        l.SelectStep<X87Step<T>, X87Unit>(8, AddressForm.None);
    }

    /// <summary>An instruction that reads an operand of 16, 32 or 64 bits from memory.</summary>
    private static void Memory<T>(ref Lowering l) where T : struct, IX87MemoryOperation
    {
        l.Op->Immediate = Opcode(l.Instruction);
        l.SelectStep<X87MemoryStep<T>, X87Unit>(l.SizeOf(0), l.Memory());
    }

    /// <summary>An instruction that stores ST(0) in 16, 32 or 64 bits.</summary>
    private static void Store<T>(ref Lowering l) where T : struct, IX87Store
    {
        l.Op->Immediate = Opcode(l.Instruction);
        l.SelectStep<X87StoreStep<T>, X87Unit>(l.SizeOf(0), l.Memory());
    }

    /// <summary>An instruction with ten bytes in memory; the width tells decimal from extended.</summary>
    private static void TenBytes<T>(ref Lowering l, bool isDecimal) where T : struct, IStep
    {
        l.Op->Immediate = Opcode(l.Instruction);
        l.Memory();
        l.SelectStep<T, X87Unit>(isDecimal ? 1 : 8, AddressForm.General);
    }

    private static void Arithmetic<T>(ref Lowering l) where T : struct, IBinaryOperation
    {
        if (l.IsMemory(0))
            Memory<X87Arithmetic.FromMemory<T>>(ref l);
        else if (l.Instruction.Op0Register == Register.ST0 && l.Instruction.Code.ToOpCode().OpCode >> 8 == 0xD8)
            Stack<X87Arithmetic.ToTop<T>>(ref l);
        else
            Stack<X87Arithmetic.ToRegister<T>>(ref l);
    }

    private static void Comparison<T>(ref Lowering l) where T : struct, X87Compare.IKind
    {
        if (l.IsMemory(0))
            Memory<X87Compare.Memory<T>>(ref l);
        else
            Stack<X87Compare.Registers<T>>(ref l);
    }

    /// <summary>FCOMPP and FUCOMPP: with ST(1), which is not encoded.</summary>
    private static void ComparisonPopTwice<T>(ref Lowering l) where T : struct, X87Compare.IKind
    {
        Stack<X87Compare.Registers<T>>(ref l);
        l.Op->Reg0 = 1;
    }

    /// <summary>The operand ST(i) that is encoded; 0 where there is none.</summary>
    private static byte StackRegister(in Instruction i)
    {
        for (int operand = i.OpCount - 1; operand >= 0; operand--)
            if (i.GetOpKind(operand) == OpKind.Register && i.GetOpRegister(operand) != Register.ST0 && i.GetOpRegister(operand).IsST())
                return (byte)(i.GetOpRegister(operand) - Register.ST0);
        return 0;
    }

    /// <summary>
    /// FOP: "Only the first and second opcode bytes (after all prefixes) are stored in the x87 FPU opcode register", of the first "only the lower 3 bits" (SDM
    /// Vol. 1, "Last Instruction Opcode"). The decoder keeps it in the immediate's place.
    /// </summary>
    private static ushort Opcode(in Instruction i) => i.Immediate16;
}
