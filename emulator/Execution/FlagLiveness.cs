using Iced.Intel;

namespace Emu.Execution;

/// <summary>What the block builder must know of instructions to find flags that nobody sees.</summary>
internal static class FlagLiveness
{
    private const RflagsBits All = RflagsBits.OF | RflagsBits.SF | RflagsBits.ZF | RflagsBits.AF | RflagsBits.CF | RflagsBits.PF;

    /// <summary>
    /// Finds instructions whose flags are overwritten before anything reads them, and before anything that can leave the block: what may leave
    /// (a memory access, a branch) exposes all flags before and behind it.
    /// </summary>
    public static void FindDead(ReadOnlySpan<Instruction> block, Span<bool> dead)
    {
        RflagsBits live = All;
        for (int i = block.Length - 1; i >= 0; i--)
        {
            ref readonly Instruction instruction = ref block[i];
            dead[i] = false;
            if (!StaysInBlock(instruction))
            {
                live = All;
                continue;
            }
            RflagsBits modified = instruction.RflagsModified & All;
            dead[i] = modified != RflagsBits.None && (modified & live) == RflagsBits.None;
            live = (live & ~Overwritten(instruction)) | (instruction.RflagsRead & All);
        }
    }

    /// <summary>True for instructions on registers alone, which always go on to the next one.</summary>
    private static bool StaysInBlock(in Instruction i)
    {
        if (i.Mnemonic == Mnemonic.Lea)
            return true;
        for (int operand = 0; operand < i.OpCount; operand++)
            if (i.GetOpKind(operand) == OpKind.Memory || (i.GetOpKind(operand) == OpKind.Register && !i.GetOpRegister(operand).IsGPR()))
                return false;
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov or Mnemonic.Movzx or Mnemonic.Movsx or Mnemonic.Movsxd:
            case Mnemonic.Add or Mnemonic.Adc or Mnemonic.Sub or Mnemonic.Sbb or Mnemonic.And or Mnemonic.Or or Mnemonic.Xor:
            case Mnemonic.Cmp or Mnemonic.Test or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Neg or Mnemonic.Not:
            case Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Rol or Mnemonic.Ror:
            case Mnemonic.Cbw or Mnemonic.Cwde or Mnemonic.Cdqe or Mnemonic.Cwd or Mnemonic.Cdq or Mnemonic.Cqo:
            case Mnemonic.Imul when i.OpCount > 1:
            case Mnemonic.Nop or Mnemonic.Bswap:
                return true;
            default:
                return i.ConditionCode != ConditionCode.None && i.FlowControl == FlowControl.Next;
        }
    }

    /// <summary>
    /// The flags that an instruction certainly gives a value that does not depend on what they were before. Of shifts by CL none, since a count
    /// of zero leaves them; of flags that the manual calls undefined those for which our semantics are fixed.
    /// </summary>
    private static RflagsBits Overwritten(in Instruction i)
    {
        RflagsBits defined = i.RflagsWritten | i.RflagsCleared | i.RflagsSet;
        return i.Mnemonic switch
        {
            Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Test => defined | i.RflagsUndefined,
            Mnemonic.Imul => defined | i.RflagsUndefined,
            Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar => i.Op1Kind == OpKind.Register || (i.Immediate8 & 0x1F) == 0 ? RflagsBits.None : defined | i.RflagsUndefined,
            Mnemonic.Rol or Mnemonic.Ror => RflagsBits.None,
            _ => defined,
        };
    }
}
