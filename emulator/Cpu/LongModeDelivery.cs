using System.Runtime.CompilerServices;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>Events in IA-32e mode, through 64-bit interrupt and trap gates (SDM, "Exception and Interrupt Handling in 64-bit Mode").</summary>
[SkipLocalsInit]
internal static unsafe class LongModeDelivery
{
    public static bool TryDeliver(CpuState* s, in CpuEvent e)
    {
        uint at = (uint)e.Vector * 16;
        // "IF ((vector_number << 4) + 15) is not in IDT limits ... THEN #GP(error_code(vector_number, 1, EXT))."
        if (at + 15 > s->Idtr.Limit)
            return Access.Raise(s, Vector.GeneralProtection, e.GateCode);
        if (!DescriptorTables.TryReadAt(s, s->Idtr.Base + at, out Descriptor gate)
            || !Access.Load(s, s->Idtr.Base + at + 8, 8, AccessKind.Implicit, out ulong high))
            return false;
        // In IA-32e mode there are neither task gates nor gates of 16 bits.
        if (!gate.IsSystem || gate.Type is not (SystemType.InterruptGate32 or SystemType.TrapGate32))
            return Access.Raise(s, Vector.GeneralProtection, e.GateCode);
        if (e.ChecksDpl && gate.Dpl < s->Cpl)
            return Access.Raise(s, Vector.GeneralProtection, e.GateCode);
        if (!gate.IsPresent)
            return Access.Raise(s, Vector.SegmentNotPresent, e.GateCode);

        Selector selector = gate.GateSelector;
        if (selector.IsNull)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!DescriptorTables.TryRead(s, selector, Vector.GeneralProtection, out Descriptor code))
            return false;
        // "IF not a code segment or DPL > CPL", "IF it is not a 64-bit code segment" THEN #GP(selector).
        if (!code.IsCode || code.Dpl > s->Cpl || !code.IsLong || code.IsBig)
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        if (!code.IsPresent)
            return Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);

        int cpl = code.IsConforming ? s->Cpl : code.Dpl;
        ulong rip = gate.GateOffset | high << 32;
        // All of it, though in compatibility mode a stack of 16 bits may be in force.
        ulong rsp = s->Is64Bit ? s->Registers[4] : (uint)s->Registers[4];
        PendingStack stack;
        if (gate.InterruptStack != 0 || cpl < s->Cpl)
        {
            if (!PendingStack.TryFromTss64(s, cpl, gate.InterruptStack, out stack))
                return false;
        }
        else
        {
            stack = new PendingStack { Ss = s->Ss, Pointer = rsp, Cpl = cpl, Is64Bit = true };
        }
        if (!CodeSegment.CheckTarget(s, code, rip) || !DescriptorTables.SetAccessed(s, ref code))
            return false;

        // "The processor aligns the RSP to a 16-byte boundary before pushing", and pushes SS:RSP always.
        stack.Pointer &= ~15UL;
        Span<ulong> frame =
        [
            s->Ss.Selector,
            rsp,
            EventDelivery.PushedFlags(s, in e),
            s->Cs.Selector,
            e.ReturnRip,
            e.ErrorCode ?? 0,
        ];
        if (!stack.TryPush(s, e.ErrorCode == null ? frame[..5] : frame, 8))
            return false;

        // Nothing can fail from here on.
        bool stays = KnownTransfers.Applies(s) && cpl == 0 && gate.InterruptStack == 0;
        stack.Commit(s);
        CodeSegment.Commit(s, selector, code, cpl, rip);
        ulong clear = Rflags.Tf | Rflags.Vm | Rflags.Rf | Rflags.Nt | (gate.Type == SystemType.InterruptGate32 ? Rflags.If : 0);
        s->SystemFlags &= ~clear;
        if (stays)
            KnownTransfers.Note(s, in e, gate, high, code, clear);
        return true;
    }
}
