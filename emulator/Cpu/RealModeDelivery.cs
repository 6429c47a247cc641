using Emu.Memory;

namespace Emu.Cpus;

/// <summary>Events in real-address mode: through the interrupt vector table, four bytes an entry; no error codes (SDM, "INT n", REAL-ADDRESS-MODE).</summary>
internal static unsafe class RealModeDelivery
{
    public static bool TryDeliver(CpuState* s, in CpuEvent e)
    {
        uint at = (uint)e.Vector * 4;
        // "IF ((vector_number << 2) + 3) is not within IDT limit THEN #GP."
        if (at + 3 > s->Idtr.Limit)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!Access.Load(s, DescriptorTables.Linear(s, s->Idtr.Base + at), 4, AccessKind.Implicit, out ulong entry))
            return false;
        ulong rip = entry & 0xFFFF;
        SegmentRegister cs = SegmentLoad.RealMode(s->Cs, (ushort)(entry >> 16));
        if (rip > cs.Limit)
            return Access.Raise(s, Vector.GeneralProtection);

        // "IF stack not large enough for a 6-byte return information THEN #SS."
        PendingStack stack = PendingStack.Present(s);
        if (!stack.TryPush(s, [Flags.Get(s), s->Cs.Selector, e.ReturnRip], 2))
            return false;
        stack.Commit(s);
        s->SystemFlags &= ~(Rflags.If | Rflags.Tf | Rflags.Ac | Rflags.Rf);
        s->Cs = cs;
        s->Rip = rip;
        return true;
    }
}
