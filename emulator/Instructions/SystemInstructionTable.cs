namespace Emu.Instructions;

/// <summary>The second half of the <see cref="InstructionTable"/>: what operating systems use.</summary>
public static unsafe class SystemInstructionTable
{
    public static void Lower(ref Lowering l)
    {
        switch (l.Instruction.Code)
        {
            default: Unimplemented.Lower(ref l); break;
        }
    }
}
