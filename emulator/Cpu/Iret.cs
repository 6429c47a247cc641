using System.Runtime.CompilerServices;
namespace Emu.Cpus;

/// <summary>
/// IRET, IRETD, IRETQ in every mode (SDM, "IRET"). Serialises, and ends the blocking of NMIs.
/// RF is taken from the stack only while breakpoints are armed: it lasts for one instruction, and nobody else could see it.
/// </summary>
[SkipLocalsInit]
public static unsafe class Iret
{
    /// <summary>Bits of RFLAGS that change at CPL 0, where all may, with an operand of more than 16 bits.</summary>
    private const ulong ChangedBySupervisor = AlwaysChanged | Rflags.Ac | Rflags.Id | Rflags.If | Rflags.IoplMask | Rflags.Vif | Rflags.Vip;

    /// <summary>Flags that any program may change.</summary>
    internal const ulong AlwaysChanged = Rflags.Cf | Rflags.Pf | Rflags.Af | Rflags.Zf | Rflags.Sf | Rflags.Tf | Rflags.Df | Rflags.Of | Rflags.Nt;

    /// <summary>The instruction; on success RIP, CS, RFLAGS and, where it was popped, the stack are those returned to.</summary>
    /// <param name="s">The CPU.</param>
    /// <param name="operandSize">Size in bytes of each value on the stack.</param>
    /// <param name="nextRip">RIP behind it, which a task that is left by it keeps.</param>
    public static bool Execute(CpuState* s, int operandSize, ulong nextRip = 0)
    {
        // SDM, "Handling Multiple NMIs": blocking ends with the execution of IRET, even if it faults.
        s->NmiBlocked = 0;
        Cpu cpu = Cpu.Of(s);
        if (operandSize == 8 && s->DebugArmed == 0 && KnownTransfers.Applies(s) && cpu.Known->TryReturn(s, ChangedBySupervisor))
        {
            cpu.Serialise(SerialisingEvent.Iret);
            return true;
        }
        bool done = !s->ProtectedMode || s->Virtual8086 ? FromReal(s, operandSize) : FromProtected(s, operandSize, nextRip);
        if (done)
            cpu.Serialise(SerialisingEvent.Iret);
        return done;
    }

    /// <summary>Bits of RFLAGS that IRET changes at the present CPL and IOPL, VM apart.</summary>
    public static ulong WritableFlags(CpuState* s, int operandSize)
    {
        ulong mask = AlwaysChanged;
        if (operandSize > 2)
            mask |= Rflags.Ac | Rflags.Id | (s->DebugArmed != 0 ? Rflags.Rf : 0);
        if (!s->ProtectedMode)
            return mask | Rflags.If | Rflags.IoplMask;
        // "IF CPL <= IOPL THEN IF", "IF CPL = 0 THEN IOPL": else they stay, and no exception tells.
        if (s->Cpl <= Privilege.Iopl(s))
            mask |= Rflags.If;
        if (s->Cpl == 0)
            mask |= Rflags.IoplMask;
        return mask;
    }

    private static bool FromReal(CpuState* s, int operandSize)
    {
        // "IF in virtual-8086 mode and IOPL < 3 THEN #GP(0)", but for a 16-bit operand with CR4.VME.
        bool virtualFlag = operandSize == 2 && VirtualInterrupts.InVirtual8086(s);
        if (s->Virtual8086 && Privilege.Iopl(s) < 3 && !virtualFlag)
            return Access.Raise(s, Vector.GeneralProtection);
        Span<ulong> frame = stackalloc ulong[3];
        if (!Stack.PeekAll(s, operandSize, frame))
            return false;
        ulong mask = WritableFlags(s, operandSize);
        if ((virtualFlag && !VirtualInterrupts.CheckImage(s, frame[2])) || !CodeSegment.TryCommitReal(s, (ushort)frame[1], frame[0]))
            return false;
        Stack.Move(s, 3 * operandSize);
        if (virtualFlag)
        {
            VirtualInterrupts.Take(s, frame[2]);
            return true;
        }
        SetFlags(s, frame[2], mask);
        return true;
    }

    private static bool FromProtected(CpuState* s, int operandSize, ulong nextRip)
    {
        if ((s->SystemFlags & Rflags.Nt) != 0)
        {
            // "IF IA32_EFER.LMA = 1 and NT = 1 THEN #GP(0)"; else a return to the task that the TSS links to.
            return s->LongModeActive
                ? Access.Raise(s, Vector.GeneralProtection)
                : TaskSwitch.Return(s, nextRip);
        }
        // In 64-bit mode SS:RSP are always popped, so that all five values are there to be read at once.
        Span<ulong> frame = stackalloc ulong[5];
        if (!Stack.PeekAll(s, operandSize, s->Is64Bit ? frame : frame[..3]))
            return false;
        (ulong rip, ulong cs, ulong flags) = (frame[0], frame[1], frame[2]);
        // "IF tempEFLAGS.VM = 1 and CPL = 0 THEN return to virtual-8086 mode." It stands in the upper half.
        if (!s->LongModeActive && operandSize == 4 && (flags & Rflags.Vm) != 0 && s->Cpl == 0)
            return ToVirtual8086(s, rip, cs, flags);

        Selector selector = new((ushort)cs);
        if (!FarReturn.TryReadReturnTarget(s, selector, out Descriptor d))
            return false;
        ulong mask = ChangedFlags(s, operandSize);
        if (selector.Rpl == s->Cpl && !s->Is64Bit)
        {
            if (!CodeSegment.CheckTarget(s, d, rip) || !DescriptorTables.SetAccessed(s, ref d))
                return false;
            Stack.Move(s, 3 * operandSize);
            CodeSegment.Commit(s, selector, d, s->Cpl, rip);
            SetFlags(s, flags, mask);
            return true;
        }
        if ((!s->Is64Bit && !Stack.PeekAll(s, operandSize, frame))
            || !SegmentLoad.TryPrepareStack(s, (ushort)frame[4], selector.Rpl, Vector.GeneralProtection, CodeSegment.Is64Bit(s, d), out SegmentRegister stack)
            || !CodeSegment.CheckTarget(s, d, rip) || !DescriptorTables.SetAccessed(s, ref d))
            return false;
        bool known = operandSize == 8 && KnownTransfers.Applies(s);
        FarReturn.CommitOuter(s, selector, d, rip, in stack, frame[3]);
        SetFlags(s, flags, mask);
        if (known && KnownTransfers.Applies(s))
            KnownTransfers.Note(s, d);
        return true;
    }

    /// <summary>Bits of RFLAGS that a return from protected mode changes: VIF and VIP too, at CPL 0.</summary>
    private static ulong ChangedFlags(CpuState* s, int operandSize) =>
        WritableFlags(s, operandSize) | (s->Cpl == 0 && operandSize > 2 ? Rflags.Vif | Rflags.Vip : 0);

    private static bool ToVirtual8086(CpuState* s, ulong rip, ulong cs, ulong flags)
    {
        Span<ulong> words = stackalloc ulong[6];
        // ESP, SS, ES, DS, FS, GS, behind EIP, CS and EFLAGS.
        for (int i = 0; i < words.Length; i++)
            if (!Stack.Peek(s, 12 + 4 * i, 4, out words[i]))
                return false;
        // "IF instruction pointer not within code segment limits (64 KBytes) THEN #GP(0)."
        if (rip > 0xFFFF)
            return Access.Raise(s, Vector.GeneralProtection);
        s->Cs = SegmentLoad.Virtual8086((ushort)cs);
        s->Ss = SegmentLoad.Virtual8086((ushort)words[1]);
        s->Es = SegmentLoad.Virtual8086((ushort)words[2]);
        s->Ds = SegmentLoad.Virtual8086((ushort)words[3]);
        s->Fs = SegmentLoad.Virtual8086((ushort)words[4]);
        s->Gs = SegmentLoad.Virtual8086((ushort)words[5]);
        s->Registers[4] = words[0];
        s->Rip = rip;
        s->Cpl = 3;
        SetFlags(s, flags, s->DebugArmed != 0 ? Defined : Defined & ~Rflags.Rf);
        return true;
    }

    /// <summary>The bits of EFLAGS that exist.</summary>
    internal const ulong Defined = AlwaysChanged | Rflags.If | Rflags.IoplMask | Rflags.Vm | Rflags.Ac | Rflags.Vif | Rflags.Vip | Rflags.Id | Rflags.Rf;

    /// <summary>The six arithmetic flags are always among those that change.</summary>
    private static void SetFlags(CpuState* s, ulong flags, ulong mask)
    {
        Flags.Set(s, (s->SystemFlags & ~mask) | (flags & mask));
        CpuMode.Update(s);
    }
}
