using Emu.Memory;

namespace Emu.Cpus;

/// <summary>Checks that many system instructions share.</summary>
public static unsafe class Privilege
{
    /// <summary>Instructions for CPL 0 only: HLT, INVD, WBINVD and the like. Virtual-8086 mode runs at CPL 3.</summary>
    public static bool CheckCpl0(CpuState* s) => s->Cpl == 0 || Access.Raise(s, Vector.GeneralProtection);

    /// <summary>SGDT, SIDT, SLDT, SMSW, STR: with CR4.UMIP for CPL 0 only.</summary>
    public static bool CheckUmip(CpuState* s) =>
        (s->Paging.Cr4 & ControlBits.Cr4Umip) == 0 || s->Cpl == 0 || Access.Raise(s, Vector.GeneralProtection);

    /// <summary>I/O privilege level: what CLI and STI, and outside the permission bitmap IN and OUT, ask for.</summary>
    public static int Iopl(CpuState* s) => (int)(s->SystemFlags >> 12) & 3;

    /// <summary>
    /// IN, OUT, INS, OUTS on <paramref name="size"/> ports: with CPL above IOPL, and always in virtual-8086 mode, the I/O permission bitmap of the
    /// TSS decides (SDM, "I/O Permission Bit Map").
    /// </summary>
    public static bool CheckPort(CpuState* s, ushort port, int size)
    {
        if (!s->ProtectedMode || (!s->Virtual8086 && s->Cpl <= Iopl(s)))
            return true;
        int type = s->Tr.Attributes & SegmentAttributes.TypeMask & ~SystemType.BusyBit;
        // A 16-bit TSS has no bitmap.
        if (s->Tr.Usable == 0 || type != SystemType.AvailableTss32 || s->Tr.Limit < 103)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!Access.Load(s, DescriptorTables.Linear(s, s->Tr.Base + 102), 2, AccessKind.Implicit, out ulong map))
            return false;
        // Two bytes are always read, since the bits may straddle a byte.
        ulong at = map + (ulong)(port >> 3);
        if (at + 1 > s->Tr.Limit)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!Access.Load(s, DescriptorTables.Linear(s, s->Tr.Base + at), 2, AccessKind.Implicit, out ulong bits))
            return false;
        ulong mask = ((1UL << size) - 1) << (port & 7);
        return (bits & mask) == 0 || Access.Raise(s, Vector.GeneralProtection);
    }
}
