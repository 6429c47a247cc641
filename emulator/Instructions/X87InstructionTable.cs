using Iced.Intel;

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

    /// <summary>The operand ST(i) that is encoded; 0 where there is none.</summary>
    private static byte StackRegister(in Instruction i)
    {
        for (int operand = i.OpCount - 1; operand >= 0; operand--)
            if (i.GetOpKind(operand) == OpKind.Register && i.GetOpRegister(operand) != Register.ST0 && i.GetOpRegister(operand).IsST())
                return (byte)(i.GetOpRegister(operand) - Register.ST0);
        return 0;
    }

    /// <summary>FOP: the low three bits of the first byte and the second byte.</summary>
    private static ushort Opcode(in Instruction i)
    {
        OpCodeInfo info = i.Code.ToOpCode();
        uint opcode = info.OpCode;
        if (opcode <= 0xFF)
            return (ushort)((opcode & 7) << 8 | ModRm(i, info));
        // Two bytes are encoded; where they name a register it is in the low three bits.
        return (ushort)((opcode & 0x7FF) + StackRegister(i));
    }

    /// <summary>ModRM of a memory operand, as far as Iced tells: a SIB byte that was not needed is not seen.</summary>
    private static uint ModRm(in Instruction i, OpCodeInfo info)
    {
        uint reg = (uint)info.GroupIndex << 3;
        uint mod = i.MemoryDisplSize switch { 0 => 0U, 1 => 0x40, _ => 0x80 };
        Register b = i.MemoryBase;
        if (b is Register.RIP or Register.EIP)
            return reg | 5;
        if (b.IsGPR16() || i.MemoryIndex.IsGPR16() || (b == Register.None && i.MemoryIndex == Register.None && i.MemoryDisplSize == 2))
        {
            return (b, i.MemoryIndex) switch
            {
                (Register.BX, Register.SI) => mod | reg,
                (Register.BX, Register.DI) => mod | reg | 1,
                (Register.BP, Register.SI) => mod | reg | 2,
                (Register.BP, Register.DI) => mod | reg | 3,
                (Register.SI, _) => mod | reg | 4,
                (Register.DI, _) => mod | reg | 5,
                (Register.BP, _) => mod | reg | 6,
                (Register.BX, _) => mod | reg | 7,
                _ => reg | 6,
            };
        }
        if (b == Register.None)
            return reg | (i.MemoryIndex == Register.None && i.CodeSize != CodeSize.Code64 ? 5U : 4U);
        uint number = (uint)(b.GetFullRegister() - Register.RAX) & 7;
        return mod | reg | (i.MemoryIndex != Register.None || number == 4 ? 4 : number);
    }
}
