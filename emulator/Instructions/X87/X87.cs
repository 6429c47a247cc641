using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// The x87 register stack, pending exceptions and the pointers to the last instruction, as all x87 families use them. Names are the manual's (SDM Vol. 1,
/// "Programming with the x87 FPU").
/// </summary>
public static unsafe partial class X87
{
    /// <summary>The exceptions that the control word can mask: IM to PM, at the positions of IE to PE in the status word.</summary>
    public const ushort ExceptionMask = 0x3F;

    /// <summary>Exponent and sign of infinities and NaNs stand in the low 15 and 16 bits of a register's second word.</summary>
    public const ushort ExponentMask = 0x7FFF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Top(CpuState* s) => s->Floating.Status >> X87Status.TopShift & 7;

    /// <summary>Number of the physical register that is ST(i).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Physical(CpuState* s, int i) => (Top(s) + i) & 7;

    /// <summary>The two words of ST(i): significand, then sign and exponent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong* Register(CpuState* s, int i) => s->Floating.X87 + 2 * Physical(s, i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsEmpty(CpuState* s, int i) => (s->Floating.Tags >> Physical(s, i) & 1) == 0;

    /// <summary>Marks ST(i) as empty; its content stays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(CpuState* s, int i) => s->Floating.Tags &= (byte)~(1 << Physical(s, i));

    /// <summary>Moves TOP; tags stay.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MoveTop(CpuState* s, int by)
    {
        const ushort mask = 7 << X87Status.TopShift;
        s->Floating.Status = (ushort)((s->Floating.Status & ~mask) | (((Top(s) + by) & 7) << X87Status.TopShift));
    }

    /// <summary>ES and B follow from the flags and their masks. Call after any change of either.</summary>
    public static void UpdateSummary(CpuState* s)
    {
        ref FloatingState f = ref s->Floating;
        const ushort both = X87Status.Summary | X87Status.Busy;
        bool pending = (f.Status & ~f.Control & ExceptionMask) != 0;
        f.Status = (ushort)(pending ? f.Status | both : f.Status & ~both);
        if (!pending)
            f.Error = NumericError.None;
    }

    /// <summary>FNINIT, and the end of FNSAVE.</summary>
    public static void Initialise(CpuState* s)
    {
        ref FloatingState f = ref s->Floating;
        f.Control = FloatingState.ControlAfterInit;
        f.Status = 0;
        f.Error = NumericError.None;
        f.Tags = 0;
        f.InstructionPointer = f.DataPointer = 0;
        f.InstructionSelector = f.DataSelector = f.Opcode = 0;
    }

    /// <summary>Sets the control word: bit 6 always reads as 1, bits 7 and 13 to 15 as 0.</summary>
    public static void SetControl(CpuState* s, ushort control)
    {
        s->Floating.Control = (ushort)((control & 0x1F3F) | 0x40);
        UpdateSummary(s);
    }

    /// <summary>Sets the whole status word; ES and B are what the flags and masks make them.</summary>
    public static void SetStatus(CpuState* s, ushort status)
    {
        s->Floating.Status = status;
        UpdateSummary(s);
    }

    /// <summary>The tag word of FSTENV: two bits for each physical register (SDM, "x87 FPU Tag Word").</summary>
    public static ushort FullTags(CpuState* s)
    {
        int tags = 0;
        for (int i = 0; i < 8; i++)
            tags |= ((s->Floating.Tags >> i & 1) == 0 ? 3 : Tag(s->Floating.X87 + 2 * i)) << (2 * i);
        return (ushort)tags;
    }

    /// <summary>Of a full tag word only "empty" counts: the rest is found in the registers.</summary>
    public static void SetFullTags(CpuState* s, ushort tags)
    {
        int abridged = 0;
        for (int i = 0; i < 8; i++)
            abridged |= ((tags >> (2 * i) & 3) != 3 ? 1 : 0) << i;
        s->Floating.Tags = (byte)abridged;
    }

    /// <summary>00 valid, 01 zero, 10 special: NaN, infinity, denormal, unsupported.</summary>
    private static int Tag(ulong* register)
    {
        int exponent = (int)register[1] & ExponentMask;
        if (exponent == 0)
            return register[0] == 0 ? 1 : 2;
        return exponent != ExponentMask && register[0] >> 63 != 0 ? 0 : 2;
    }

    /// <summary>Remembers a non-control instruction. "The opcode is the low three bits of the first byte and the second byte."</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Remember(CpuState* s, Op* op)
    {
        ref FloatingState f = ref s->Floating;
        f.InstructionPointer = Op.RipOf(op);
        f.InstructionSelector = s->Cs.Selector;
        f.Opcode = (ushort)op->Immediate;
    }

    /// <summary>Remembers a non-control instruction and its memory operand.</summary>
    public static void RememberMemory(CpuState* s, Op* op)
    {
        Remember(s, op);
        s->Floating.DataPointer = Full.Offset(s, op);
        s->Floating.DataSelector = (&s->Es)[op->Segment].Selector;
    }

    /// <summary>
    /// An unmasked exception of an earlier instruction is reported before this one executes (SDM, "Handling x87 FPU Exceptions in Software"); false with
    /// the fault recorded.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CheckPending(CpuState* s) => (s->Floating.Status & X87Status.Summary) == 0 || Report(s);

    /// <summary>
    /// #MF, or with CR0.NE = 0 what the SDM has in "MS-DOS* Compatibility Sub-mode in the P6 Family and Pentium 4 Processors": the CPU asserts FERR# and
    /// freezes before this instruction until an interrupt comes, unless IGNNE# is asserted.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Report(CpuState* s)
    {
        if ((s->Paging.Cr0 & ControlBits.Cr0Ne) != 0)
            return Access.Raise(s, Vector.X87);
        if ((s->Floating.Error & NumericError.Ignored) != 0)
            return true;
        s->Exit = ExitReason.NumericError;
        return false;
    }
}

/// <summary>x87 instructions that wait: pending exceptions are reported first.</summary>
public readonly unsafe struct WaitingUnit : IFloatingUnit
{
    public static bool Check(CpuState* s) => X87Unit.Check(s) && X87.CheckPending(s);
}
