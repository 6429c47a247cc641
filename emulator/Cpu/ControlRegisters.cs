using Emu.Memory;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>
/// MOV to and from control registers, LMSW, SMSW, CLTS, INVLPG, INVPCID (SDM, "Control Registers", "Operations that Invalidate TLBs and
/// Paging-Structure Caches"). Each checks the privilege level itself.
/// </summary>
public static unsafe class ControlRegisters
{
    /// <summary>The bits of CR0 that exist; "attempting to set any reserved bits in CR0[31:0] is ignored".</summary>
    private const ulong Cr0Defined = ControlBits.Cr0Pe | ControlBits.Cr0Mp | ControlBits.Cr0Em | ControlBits.Cr0Ts | ControlBits.Cr0Et
        | ControlBits.Cr0Ne | ControlBits.Cr0Wp | ControlBits.Cr0Am | ControlBits.Cr0Nw | ControlBits.Cr0Cd | ControlBits.Cr0Pg;

    private const ulong PcidMask = 0xFFF;
    private const ulong Cr3KeepTranslations = 1UL << 63;

    /// <summary>MOV from CRn; in 64-bit mode all 64 bits count, else the low 32.</summary>
    public static bool Read(CpuState* s, int number, out ulong value)
    {
        value = 0;
        if (!Check(s, number))
            return false;
        value = number switch
        {
            0 => s->Paging.Cr0,
            2 => s->Paging.Cr2,
            3 => s->Paging.Cr3,
            4 => s->Paging.Cr4,
            _ => Cpu.Of(s).Apic.TaskPriority,
        };
        return true;
    }

    /// <summary>MOV to CRn; serialises unless n is 8. Outside 64-bit mode the value is 32 bits wide.</summary>
    public static bool Write(CpuState* s, int number, ulong value)
    {
        if (!Check(s, number))
            return false;
        switch (number)
        {
            case 0:
                return WriteCr0(s, value);
            case 2:
                s->Paging.Cr2 = value;
                Cpu.Of(s).Serialise(SerialisingEvent.MovToControlRegister);
                return true;
            case 3:
                return WriteCr3(s, value);
            case 4:
                return WriteCr4(s, value);
            default:
                // "#GP(0) if an attempt is made to write a 1 to any reserved bit in CR8": 63 to 4.
                if (value > 15)
                    return Access.Raise(s, Vector.GeneralProtection);
                s->Cr8 = value;
                Cpu.Of(s).Apic.TaskPriority = value;
                return true;
        }
    }

    /// <summary>LMSW: PE, MP, EM and TS from the operand; PE cannot be cleared so.</summary>
    public static bool Lmsw(CpuState* s, ushort value)
    {
        if (s->Cpl != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        const ulong all = ControlBits.Cr0Pe | ControlBits.Cr0Mp | ControlBits.Cr0Em | ControlBits.Cr0Ts;
        ulong cr0 = s->Paging.Cr0;
        return WriteCr0(s, (cr0 & ~(all & ~ControlBits.Cr0Pe)) | (value & all));
    }

    /// <summary>SMSW: CR0, of which the operand takes its width; with CR4.UMIP only for CPL 0.</summary>
    public static bool Smsw(CpuState* s, out ulong value)
    {
        value = s->Paging.Cr0;
        return Privilege.CheckUmip(s);
    }

    /// <summary>CLTS.</summary>
    public static bool Clts(CpuState* s)
    {
        if (s->Cpl != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        s->Paging.Cr0 &= ~ControlBits.Cr0Ts;
        CpuMode.Update(s);
        return true;
    }

    /// <summary>INVLPG; a non-canonical address does nothing. Serialises.</summary>
    public static bool Invlpg(CpuState* s, ulong linear)
    {
        if (s->Cpl != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        if (Access.IsCanonical(linear))
            CpuMode.FlushPage(s, linear);
        Cpu.Of(s).Serialise(SerialisingEvent.Invlpg);
        return true;
    }

    private static bool Check(CpuState* s, int number)
    {
        // CR1, CR5 to CR7 and CR9 up do not exist; CR8 can only be named in 64-bit mode.
        if (number is not (0 or 2 or 3 or 4 or 8))
            return Access.Raise(s, Vector.InvalidOpcode);
        if (s->Cpl != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        return true;
    }

    private static bool WriteCr0(CpuState* s, ulong value)
    {
        ref PagingRegisters p = ref s->Paging;
        ulong old = p.Cr0;
        bool longMode = (p.Efer & ControlBits.EferLme) != 0;

        // "If an attempt is made to write a 1 to any reserved bit in CR0[63:32]."
        if (value > uint.MaxValue)
            return Access.Raise(s, Vector.GeneralProtection);
        value = (value & Cr0Defined) | ControlBits.Cr0Et;
        ulong changed = old ^ value;
        bool pagingOn = (value & ControlBits.Cr0Pg) != 0;

        // "Setting the PG flag to 1 when the PE flag is set to 0."
        if (pagingOn && (value & ControlBits.Cr0Pe) == 0)
            return Access.Raise(s, Vector.GeneralProtection);
        // "Setting the NW flag to 1 when the CD flag is set to 0."
        if ((value & ControlBits.Cr0Nw) != 0 && (value & ControlBits.Cr0Cd) == 0)
            return Access.Raise(s, Vector.GeneralProtection);

        ulong efer = p.Efer;
        if ((changed & ControlBits.Cr0Pg) != 0 && longMode)
        {
            if (pagingOn)
            {
                // "IA-32e mode is active only if PAE paging is enabled", "if the current CS has the L-bit set", "if the TR contains a 16-bit TSS":
                // the consistency checks on activation.
                if ((p.Cr4 & ControlBits.Cr4Pae) == 0 || (s->Cs.Attributes & SegmentAttributes.L) != 0
                    || (s->Tr.Attributes & SegmentAttributes.TypeMask & ~SystemType.BusyBit) == SystemType.AvailableTss16)
                    return Access.Raise(s, Vector.GeneralProtection);
                efer |= ControlBits.EferLma;
            }
            else
            {
                // "Clearing CR0.PG in 64-bit mode": only compatibility mode may leave. "Clearing the CR0.PG when CR4.PCIDE is 1."
                if (s->Is64Bit || (p.Cr4 & ControlBits.Cr4Pcide) != 0)
                    return Access.Raise(s, Vector.GeneralProtection);
                efer &= ~ControlBits.EferLma;
            }
        }

        Cpu cpu = Cpu.Of(s);
        // Paging structures are read below: earlier stores first, as this instruction serialises.
        cpu.StoreBuffer.DrainAll();
        const ulong reload = ControlBits.Cr0Cd | ControlBits.Cr0Nw | ControlBits.Cr0Pg;
        if ((changed & reload) != 0 && pagingOn && !longMode && (p.Cr4 & ControlBits.Cr4Pae) != 0
            && !LoadPdptes(cpu.Memory, ref p, p.Cr3))
            return Access.Raise(s, Vector.GeneralProtection);

        p.Cr0 = value;
        p.Efer = efer;
        CpuMode.Update(s);
        // The manual asks for it when PG goes from 1 to 0; what is cached while paging is off here must go as well when it comes on.
        if ((changed & ControlBits.Cr0Pg) != 0)
        {
            CpuMode.FlushTlb(s, keepGlobal: false);
        }
        else if ((changed & ControlBits.Cr0Wp) != 0)
        {
            for (int i = 0; i < 2; i++)
                s->Tlbs[i].SetWriteProtect((value & ControlBits.Cr0Wp) != 0);
        }
        cpu.Serialise(SerialisingEvent.MovToControlRegister);
        return true;
    }

    private static bool WriteCr3(CpuState* s, ulong value)
    {
        ref PagingRegisters p = ref s->Paging;
        // With CR4.PCIDE bit 63 is no part of the register: it says that translations of the new PCID may be kept.
        bool pcids = (p.Cr4 & ControlBits.Cr4Pcide) != 0;
        bool keepSame = pcids && s->Is64Bit && (value & Cr3KeepTranslations) != 0 && ((value ^ p.Cr3) & PcidMask) == 0;
        if (pcids && s->Is64Bit)
            value &= ~Cr3KeepTranslations;
        // "If an attempt is made to write a 1 to any reserved bit in CR3[63:MAXPHYADDR]."
        if (s->Is64Bit && value >> p.PhysicalAddressBits != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        if (!s->Is64Bit)
            value &= uint.MaxValue;
        Cpu cpu = Cpu.Of(s);
        cpu.StoreBuffer.DrainAll();
        // "If CR0.PG, CR4.PAE and no long mode: #GP(0) if any of the four PDPTEs has both the P flag and any reserved bit set."
        if (IsPaePaging(s) && !LoadPdptes(cpu.Memory, ref p, value))
            return Access.Raise(s, Vector.GeneralProtection);
        p.Cr3 = value;
        // Translations are held for one PCID at a time: those of another one go ("more than required" is permitted; SDM, "Operations that
        // Invalidate TLBs and Paging-Structure Caches").
        if (!keepSame)
            CpuMode.FlushTlb(s, keepGlobal: (p.Cr4 & ControlBits.Cr4Pge) != 0);
        cpu.Serialise(SerialisingEvent.MovToControlRegister);
        return true;
    }

    private static bool WriteCr4(CpuState* s, ulong value)
    {
        ref PagingRegisters p = ref s->Paging;
        Cpu cpu = Cpu.Of(s);
        // "If an attempt is made to write a 1 to any reserved bit in CR4": bits of features that the model lacks are reserved.
        if ((value & ~Cr4Defined(cpu.Model)) != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        ulong changed = p.Cr4 ^ value;
        // "If an attempt is made to change CR4.PCIDE from 0 to 1 while CR3[11:0] is not 000H", or outside IA-32e mode.
        if ((changed & value & ControlBits.Cr4Pcide) != 0 && (!s->LongModeActive || (p.Cr3 & PcidMask) != 0))
            return Access.Raise(s, Vector.GeneralProtection);
        // "Attempting to leave IA-32e mode by clearing CR4.PAE."
        if ((changed & ControlBits.Cr4Pae) != 0 && s->LongModeActive)
            return Access.Raise(s, Vector.GeneralProtection);

        cpu.StoreBuffer.DrainAll();
        const ulong reload = ControlBits.Cr4Pae | ControlBits.Cr4Pge | ControlBits.Cr4Pse | ControlBits.Cr4Smep;
        bool paging = (p.Cr0 & ControlBits.Cr0Pg) != 0;
        if ((changed & reload) != 0 && paging && !s->LongModeActive && (value & ControlBits.Cr4Pae) != 0
            && !LoadPdptes(cpu.Memory, ref p, p.Cr3))
            return Access.Raise(s, Vector.GeneralProtection);

        p.Cr4 = value;
        CpuMode.Update(s);
        if ((changed & ControlBits.Cr4De) != 0)
            DebugRegisters.Arm(s);
        // "All TLB entries, including global ones, if the instruction modifies CR4.PGE" or clears CR4.PCIDE; for the present address space if it modifies CR4.PAE
        // or sets CR4.SMEP. SMAP, WP and AC are looked at when a translation is used.
        bool smepSet = (changed & value & ControlBits.Cr4Smep) != 0;
        if ((changed & (ControlBits.Cr4Pge | ControlBits.Cr4Pae | ControlBits.Cr4Pcide)) != 0 || smepSet)
            CpuMode.FlushTlb(s, keepGlobal: false);
        cpu.Serialise(SerialisingEvent.MovToControlRegister);
        return true;
    }

    /// <summary>
    /// INVPCID (SDM, "INVPCID"): of one address, of one PCID, of all, of all but global ones. Translations are held for the present PCID only, so that
    /// there is nothing to do for another one, but for global ones under type 2. Serialises.
    /// </summary>
    /// <param name="s">The CPU.</param>
    /// <param name="type">The type in the register operand.</param>
    /// <param name="pcid">The low half of the descriptor: PCID in bits 11:0, the rest reserved.</param>
    /// <param name="linear">The high half.</param>
    public static bool Invpcid(CpuState* s, ulong type, ulong pcid, ulong linear)
    {
        // "#GP(0) if an invalid type is specified", "if bits 63:12 of INVPCID_DESC are not all zero", "if INVPCID_TYPE is 0 and the linear address is
        // not canonical", "if INVPCID_TYPE is either 0 or 1, CR4.PCIDE = 0, and INVPCID_DESC[11:0] is not zero".
        bool pcids = (s->Paging.Cr4 & ControlBits.Cr4Pcide) != 0;
        if (type > 3 || (pcid & ~PcidMask) != 0 || (type == 0 && s->Is64Bit && !Access.IsCanonical(linear)) || (type <= 1 && !pcids && pcid != 0))
            return Access.Raise(s, Vector.GeneralProtection);
        bool present = !pcids || pcid == (s->Paging.Cr3 & PcidMask);
        switch (type)
        {
            case 0 when present:
                CpuMode.FlushPage(s, linear);
                break;
            case 1 when present:
                CpuMode.FlushTlb(s, keepGlobal: true);
                break;
            case 2 or 3:
                CpuMode.FlushTlb(s, keepGlobal: type == 3);
                break;
        }
        Cpu.Of(s).Serialise(SerialisingEvent.Invlpg);
        return true;
    }

    /// <summary>
    /// CR3 from a TSS while paging is on; where it changes, all translations but global ones go. #GP(0) for PDPTEs with a reserved bit, and nothing changed.
    /// </summary>
    internal static bool TryLoadTaskCr3(CpuState* s, ulong value)
    {
        ref PagingRegisters p = ref s->Paging;
        if (value == p.Cr3)
            return true;
        Cpu cpu = Cpu.Of(s);
        cpu.StoreBuffer.DrainAll();
        if (IsPaePaging(s) && !LoadPdptes(cpu.Memory, ref p, value))
            return Access.Raise(s, Vector.GeneralProtection);
        p.Cr3 = value;
        CpuMode.FlushTlb(s, keepGlobal: (p.Cr4 & ControlBits.Cr4Pge) != 0);
        return true;
    }

    private static bool IsPaePaging(CpuState* s) =>
        (s->Paging.Cr0 & ControlBits.Cr0Pg) != 0 && (s->Paging.Cr4 & ControlBits.Cr4Pae) != 0 && !s->LongModeActive;

    /// <summary>Loads the PDPTE registers from the 32 bytes at CR3; false, and nothing loaded, when one is present with a reserved bit set.</summary>
    private static bool LoadPdptes(PhysicalMemory memory, ref PagingRegisters p, ulong cr3)
    {
        // Bits 2:1, 8:5 and 63:MAXPHYADDR (SDM, "PAE Paging").
        ulong reserved = 0x1E6 | ~((1UL << p.PhysicalAddressBits) - 1);
        Span<ulong> entries = stackalloc ulong[4];
        for (int i = 0; i < 4; i++)
        {
            ulong address = (cr3 & 0xFFFF_FFE0) + (ulong)(8 * i);
            entries[i] = memory.Offset(address) == ulong.MaxValue ? ulong.MaxValue : memory.Read(address, 8);
            if ((entries[i] & 1) != 0 && (entries[i] & reserved) != 0)
                return false;
        }
        p.Pdpte0 = entries[0];
        p.Pdpte1 = entries[1];
        p.Pdpte2 = entries[2];
        p.Pdpte3 = entries[3];
        return true;
    }

    /// <summary>The bits of CR4 that a model has.</summary>
    private static ulong Cr4Defined(CpuModel model)
    {
        ulong bits = ControlBits.Cr4Pce;
        Add(F.Tsc, ControlBits.Cr4Tsd);
        Add(F.Pse, ControlBits.Cr4Pse);
        Add(F.Pae, ControlBits.Cr4Pae);
        Add(F.Mce, ControlBits.Cr4Mce);
        Add(F.Pge, ControlBits.Cr4Pge);
        Add(F.Fxsr, ControlBits.Cr4OsFxsr);
        Add(F.Sse, ControlBits.Cr4OsXmmExcpt);
        Add(F.Umip, ControlBits.Cr4Umip);
        Add(F.FsGsBase, ControlBits.Cr4FsGsBase);
        Add(F.Vme, ControlBits.Cr4Vme | ControlBits.Cr4Pvi);
        Add(F.De, ControlBits.Cr4De);
        Add(F.Pcid, ControlBits.Cr4Pcide);
        Add(F.Smep, ControlBits.Cr4Smep);
        Add(F.Smap, ControlBits.Cr4Smap);
        Add(F.Xsave, ControlBits.Cr4OsXsave);
        return bits;

        void Add(CpuFeature feature, ulong bit) => bits |= model.Has(feature) ? bit : 0;
    }
}
