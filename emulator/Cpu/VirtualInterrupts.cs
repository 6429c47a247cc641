using Emu.Memory;

namespace Emu.Cpus;

/// <summary>
/// CR4.VME and CR4.PVI: the virtual interrupt flag of virtual-8086 mode and of protected mode at CPL 3, and INT n by the program's own vector table
/// (SDM, "Interrupt and Exception Handling in Virtual-8086 Mode", "Protected-Mode Virtual Interrupts").
/// </summary>
public static unsafe class VirtualInterrupts
{
    /// <summary>IOPL as PUSHF, INT n and the like show it to a program whose flag is VIF.</summary>
    private const ulong ShownIopl = Rflags.IoplMask;

    /// <summary>Virtual-8086 mode with IOPL below 3 and CR4.VME: 16-bit PUSHF, POPF and IRET, and CLI and STI, mean VIF.</summary>
    public static bool InVirtual8086(CpuState* s) =>
        s->Virtual8086 && Privilege.Iopl(s) < 3 && (s->Paging.Cr4 & ControlBits.Cr4Vme) != 0;

    /// <summary>CLI and STI mean VIF: there, or at CPL 3 of protected mode with IOPL below 3 and CR4.PVI.</summary>
    public static bool Apply(CpuState* s) =>
        InVirtual8086(s) || (s->ProtectedMode && !s->Virtual8086 && s->Cpl == 3 && Privilege.Iopl(s) < 3 && (s->Paging.Cr4 & ControlBits.Cr4Pvi) != 0);

    /// <summary>CLI.</summary>
    public static void Clear(CpuState* s) => s->SystemFlags &= ~Rflags.Vif;

    /// <summary>STI: "IF VIP = 1 THEN #GP(0)".</summary>
    public static bool Set(CpuState* s)
    {
        if ((s->SystemFlags & Rflags.Vip) != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        s->SystemFlags |= Rflags.Vif;
        return true;
    }

    /// <summary>FLAGS as 16-bit PUSHF and INT n push them: VIF in the place of IF, IOPL as 3.</summary>
    public static ulong Shown(CpuState* s)
    {
        ulong flags = Flags.Get(s) & ~Rflags.If | ShownIopl;
        return (s->SystemFlags & Rflags.Vif) != 0 ? flags | Rflags.If : flags;
    }

    /// <summary>16-bit POPF and IRET: "IF (VIP = 1 and tempFLAGS.IF = 1) or tempFLAGS.TF = 1 THEN #GP(0)".</summary>
    public static bool CheckImage(CpuState* s, ulong image) =>
        ((image & Rflags.Tf) == 0 && ((image & Rflags.If) == 0 || (s->SystemFlags & Rflags.Vip) == 0)) || Access.Raise(s, Vector.GeneralProtection);

    /// <summary>Takes that image: IF goes to VIF; IF itself and IOPL stay.</summary>
    public static void Take(CpuState* s, ulong image)
    {
        const ulong changed = (Iret.AlwaysChanged & 0xFFFF) | Rflags.Vif;
        ulong vif = (image & Rflags.If) != 0 ? Rflags.Vif : 0;
        Flags.Set(s, (Flags.Get(s) & ~changed) | (image & changed & 0xFFFF) | vif);
    }

    /// <summary>
    /// INT n in virtual-8086 mode. True with <paramref name="handled"/> when it went through the vector table at linear 0; true without when the IDT
    /// serves it; false with the fault recorded (SDM, "Software Interrupt Handling Methods While in Virtual-8086 Mode").
    /// </summary>
    internal static bool TryRedirect(CpuState* s, in CpuEvent e, out bool handled)
    {
        handled = false;
        bool vme = (s->Paging.Cr4 & ControlBits.Cr4Vme) != 0;
        if (vme)
        {
            if (!TryReadBitmap(s, (byte)e.Vector, out bool toIdt))
                return false;
            if (!toIdt)
            {
                handled = true;
                return TryEnterProgram(s, in e);
            }
        }
        // Methods 2 and 3.
        return Privilege.Iopl(s) == 3 || Access.Raise(s, Vector.GeneralProtection);
    }

    /// <summary>The software interrupt redirection bit map: 32 bytes below the I/O permission bit map. A set bit leads to the IDT.</summary>
    private static bool TryReadBitmap(CpuState* s, byte vector, out bool toIdt)
    {
        toIdt = true;
        int type = s->Tr.Attributes & SegmentAttributes.TypeMask & ~SystemType.BusyBit;
        if (type != SystemType.AvailableTss32 || s->Tr.Limit < 103)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!Access.Load(s, DescriptorTables.Linear(s, s->Tr.Base + 102), 2, AccessKind.Implicit, out ulong map))
            return false;
        ulong at = map - 32 + (ulong)(vector >> 3);
        if (map < 32 || at > s->Tr.Limit)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!Access.Load(s, DescriptorTables.Linear(s, s->Tr.Base + at), 1, AccessKind.Implicit, out ulong bits))
            return false;
        toIdt = (bits >> (vector & 7) & 1) != 0;
        return true;
    }

    /// <summary>Methods 5 and 6: as in real-address mode, with VIF for IF where IOPL is below 3.</summary>
    private static bool TryEnterProgram(CpuState* s, in CpuEvent e)
    {
        bool virtualFlag = Privilege.Iopl(s) < 3;
        if (!Access.Load(s, 4UL * (byte)e.Vector, 4, AccessKind.Implicit, out ulong entry))
            return false;
        PendingStack stack = PendingStack.Present(s);
        if (!stack.TryPush(s, [virtualFlag ? Shown(s) : Flags.Get(s), s->Cs.Selector, e.ReturnRip], 2))
            return false;
        stack.Commit(s);
        s->SystemFlags &= ~(Rflags.Tf | Rflags.Rf | (virtualFlag ? Rflags.Vif : Rflags.If));
        s->Cs = SegmentLoad.Virtual8086((ushort)(entry >> 16));
        s->Rip = entry & 0xFFFF;
        return true;
    }
}
