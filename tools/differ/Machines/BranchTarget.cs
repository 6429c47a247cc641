using Emu.Differ.Cases;
using Iced.Intel;

namespace Emu.Differ.Machines;

/// <summary>Where the branch of a case leads, worked out from the case alone: the oracle has to stop there.</summary>
public static unsafe class BranchTarget
{
    /// <summary>Linear address of the target; false where it cannot be read.</summary>
    public static bool TryFind(Case c, byte* ram, out ulong linear)
    {
        ref readonly Instruction i = ref c.Last;
        ulong target;
        bool found = true;
        switch (i.FlowControl)
        {
            case FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch or FlowControl.Call:
                target = i.NearBranchTarget;
                break;
            case FlowControl.Return:
                int size = i.Code switch { Code.Retnw or Code.Retnw_imm16 => 2, Code.Retnd or Code.Retnd_imm16 => 4, _ => 8 };
                ulong sp = c.Mode == CodeMode.Real16 ? c.Registers[4] & 0xFFFF : c.Registers[4];
                found = TryRead(c, ram, Register.SS, sp, size, out target);
                break;
            case FlowControl.IndirectBranch or FlowControl.IndirectCall:
                if (i.Op0Kind == OpKind.Register)
                    target = EffectiveAddress.ValueOf(c, i.Op0Register);
                else
                    found = TryRead(c, ram, i.MemorySegment, EffectiveAddress.OffsetOf(c, i), i.MemorySize.GetSize(), out target);
                break;
            default:
                linear = 0;
                return false;
        }
        linear = EffectiveAddress.Linear(c, Register.CS, target);
        return found;
    }

    private static bool TryRead(Case c, byte* ram, Register segment, ulong offset, int size, out ulong value)
    {
        value = 0;
        for (int b = 0; b < size; b++)
        {
            ulong linear = EffectiveAddress.Linear(c, segment, offset + (ulong)b);
            // Code is readable as well, at the same physical address; in real-address mode, all of RAM is.
            Arena arena = Arena.For(c.Mode);
            bool same = c.Mode == CodeMode.Real16 ? linear < arena.RamSize : arena.HoldsCode(linear, -16);
            ulong physical = same ? linear : arena.Physical(linear);
            if (physical == ulong.MaxValue)
                return false;
            value |= (ulong)ram[physical] << 8 * b;
        }
        return true;
    }
}
