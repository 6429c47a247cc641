namespace Emu.Cpus;

/// <summary>Events in protected and virtual-8086 mode, through interrupt, trap and task gates (SDM, "INT n", PROTECTED-MODE).</summary>
internal static unsafe class ProtectedModeDelivery
{
    public static bool TryDeliver(CpuState* s, in CpuEvent e)
    {
        if (s->Virtual8086 && e.Kind == EventKind.SoftwareInterrupt)
        {
            if (!VirtualInterrupts.TryRedirect(s, in e, out bool handled))
                return false;
            if (handled)
                return true;
        }
        if (!TryReadGate(s, in e, out Descriptor gate))
            return false;
        if (gate.Type == SystemType.TaskGate)
            return TaskSwitch.TryDeliver(s, in e, gate);

        Selector selector = gate.GateSelector;
        // "IF new code segment selector in gate descriptor is NULL THEN #GP(EXT)."
        if (selector.IsNull)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!DescriptorTables.TryRead(s, selector, Vector.GeneralProtection, out Descriptor code))
            return false;
        // "IF descriptor does not indicate a code segment or new code-segment DPL > CPL THEN #GP(selector)."
        if (!code.IsCode || code.Dpl > s->Cpl)
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);
        if (!code.IsPresent)
            return Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);
        // "IF VM = 1 and (conforming or DPL is not 0) THEN #GP(new code-segment selector)."
        if (s->Virtual8086 && (code.IsConforming || code.Dpl != 0))
            return Access.Raise(s, Vector.GeneralProtection, selector.ErrorCode);

        int cpl = code.IsConforming ? s->Cpl : code.Dpl;
        bool inner = cpl < s->Cpl;
        bool wide = (gate.Type & 8) != 0;
        ulong rip = wide ? gate.GateOffset : gate.GateOffset & 0xFFFF;

        PendingStack stack = PendingStack.Present(s);
        if (inner && !PendingStack.TryFromTss(s, cpl, out stack))
            return false;
        if (!CodeSegment.CheckTarget(s, code, rip) || !DescriptorTables.SetAccessed(s, ref code))
            return false;

        Span<ulong> frame = stackalloc ulong[10];
        int n = 0;
        if (s->Virtual8086)
        {
            frame[n++] = s->Gs.Selector;
            frame[n++] = s->Fs.Selector;
            frame[n++] = s->Ds.Selector;
            frame[n++] = s->Es.Selector;
        }
        if (inner)
        {
            frame[n++] = s->Ss.Selector;
            // SDM, "INT n", INTER-PRIVILEGE-LEVEL-INTERRUPT: ESP, of a stack of 16 bits too.
            frame[n++] = (uint)s->Registers[4];
        }
        frame[n++] = EventDelivery.PushedFlags(s, in e);
        frame[n++] = s->Cs.Selector;
        frame[n++] = e.ReturnRip;
        if (e.ErrorCode is { } error)
            frame[n++] = error;
        if (!stack.TryPush(s, frame[..n], wide ? 4 : 2))
            return false;

        // Nothing can fail from here on.
        if (s->Virtual8086)
            s->Gs = s->Fs = s->Ds = s->Es = SegmentLoad.Null(0);
        stack.Commit(s);
        CodeSegment.Commit(s, selector, code, cpl, rip);
        ulong clear = Rflags.Tf | Rflags.Vm | Rflags.Rf | Rflags.Nt;
        // Interrupt gates have an even type.
        s->SystemFlags &= ~(clear | ((gate.Type & 1) == 0 ? Rflags.If : 0));
        return true;
    }

    private static bool TryReadGate(CpuState* s, in CpuEvent e, out Descriptor gate)
    {
        gate = default;
        uint at = (uint)e.Vector * 8;
        // "IF ((vector_number << 3) + 7) is not within IDT limits ... THEN #GP(error_code(vector_number, 1, EXT))."
        if (at + 7 > s->Idtr.Limit)
            return Access.Raise(s, Vector.GeneralProtection, e.GateCode);
        if (!DescriptorTables.TryReadAt(s, DescriptorTables.Linear(s, s->Idtr.Base + at), out gate))
            return false;
        bool isGate = gate.IsSystem && gate.Type is SystemType.TaskGate or SystemType.InterruptGate16 or SystemType.TrapGate16
            or SystemType.InterruptGate32 or SystemType.TrapGate32;
        if (!isGate)
            return Access.Raise(s, Vector.GeneralProtection, e.GateCode);
        // "IF software interrupt (does not apply to INT1): IF gate DPL < CPL THEN #GP(error_code(vector_number, 1, 0))."
        if (e.ChecksDpl && gate.Dpl < s->Cpl)
            return Access.Raise(s, Vector.GeneralProtection, e.GateCode);
        // "IF gate not present THEN #NP(error_code(vector_number, 1, EXT))."
        return gate.IsPresent || Access.Raise(s, Vector.SegmentNotPresent, e.GateCode);
    }
}
