using System.Runtime.CompilerServices;
namespace Emu.Cpus;

/// <summary>Far RET in every mode, to the same or an outer privilege level (SDM, "RET").</summary>
[SkipLocalsInit]
public static unsafe class FarReturn
{
    /// <summary>RETF, RETF imm16.</summary>
    /// <param name="s">The CPU.</param>
    /// <param name="operandSize">Size in bytes of each value on the stack.</param>
    /// <param name="release">Bytes of parameters to drop.</param>
    public static bool Execute(CpuState* s, int operandSize, ushort release)
    {
        if (!Stack.Peek(s, 0, operandSize, out ulong rip) || !Stack.Peek(s, operandSize, operandSize, out ulong cs))
            return false;
        int popped = 2 * operandSize + release;
        if (!s->ProtectedMode || s->Virtual8086)
        {
            if (!CodeSegment.TryCommitReal(s, (ushort)cs, rip))
                return false;
            Stack.Move(s, popped);
            return true;
        }
        Selector selector = new((ushort)cs);
        if (!TryReadReturnTarget(s, selector, out Descriptor d))
            return false;
        if (selector.Rpl == s->Cpl)
        {
            if (!CodeSegment.CheckTarget(s, d, rip) || !DescriptorTables.SetAccessed(s, ref d))
                return false;
            // The pointer moves in the width of the stack in force, before CS may change the mode.
            Stack.Move(s, popped);
            CodeSegment.Commit(s, selector, d, s->Cpl, rip);
            CpuMode.Update(s);
            return true;
        }

        // Outer level: the caller's stack stands behind the parameters, and parameters are dropped from it too.
        if (!Stack.Peek(s, popped, operandSize, out ulong pointer) || !Stack.Peek(s, popped + operandSize, operandSize, out ulong ss)
            || !SegmentLoad.TryPrepareStack(s, (ushort)ss, selector.Rpl, Vector.GeneralProtection, CodeSegment.Is64Bit(s, d), out SegmentRegister stack)
            || !CodeSegment.CheckTarget(s, d, rip) || !DescriptorTables.SetAccessed(s, ref d))
            return false;
        CommitOuter(s, selector, d, rip, in stack, pointer + release);
        CpuMode.Update(s);
        return true;
    }

    /// <summary>The checks of the code segment that a far return or an IRET names.</summary>
    internal static bool TryReadReturnTarget(CpuState* s, Selector selector, out Descriptor d)
    {
        d = default;
        // "IF return code segment selector is NULL THEN #GP(0)."
        if (selector.IsNull)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!DescriptorTables.TryRead(s, selector, Vector.GeneralProtection, out d))
            return false;
        // "IF return code segment descriptor is not a code segment", "IF return code segment selector RPL < CPL",
        // "IF conforming and DPL > return code segment selector RPL", "IF non-conforming and DPL != return code segment selector RPL".
        if (!d.IsCode || selector.Rpl < s->Cpl || (d.IsConforming ? d.Dpl > selector.Rpl : d.Dpl != selector.Rpl)
            || (s->LongModeActive && d.IsLong && d.IsBig))
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        return d.IsPresent || Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);
    }

    /// <summary>
    /// Loads CS:RIP and SS:RSP of an outer level, and drops data segments that it may not use; the caller calls <see cref="CpuMode.Update"/>.
    /// </summary>
    internal static void CommitOuter(CpuState* s, Selector selector, Descriptor d, ulong rip, in SegmentRegister stack, ulong pointer)
    {
        CodeSegment.Commit(s, selector, d, selector.Rpl, rip);
        s->Ss = stack;
        // The width of the stack pointer is that of the stack returned to.
        if (CodeSegment.Is64Bit(s, d))
            s->Registers[4] = pointer;
        else if ((stack.Attributes & SegmentAttributes.D) != 0)
            s->Registers[4] = pointer & uint.MaxValue;
        else
            s->Registers[4] = (s->Registers[4] & ~0xFFFFUL) | (pointer & 0xFFFF);
        SegmentLoad.DropInnerSegments(s);
    }
}
