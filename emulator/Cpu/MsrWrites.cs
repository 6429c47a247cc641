using Emu.Memory;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>What writing does to the MSRs that are more than a word; false is #GP(0), and nothing has changed.</summary>
internal static unsafe class MsrWrites
{
    /// <summary>A register that cannot be written.</summary>
    public static bool Refuse(CpuState* s, ulong value) => false;

    /// <summary>SDM, "Time-Stamp Counter Adjustment": a write of the counter "adds (or subtracts) value X" to and from IA32_TSC_ADJUST as well.</summary>
    public static bool TimeStamp(CpuState* s, ulong value)
    {
        MoveTime(s, value - Msrs.TimeStamp(s));
        return true;
    }

    /// <summary>The counter moves by as much as the register does.</summary>
    public static bool TscAdjust(CpuState* s, ulong value)
    {
        MoveTime(s, value - s->TscAdjust);
        return true;
    }

    private static void MoveTime(CpuState* s, ulong by)
    {
        s->TscOffset += by;
        if (Cpu.Of(s).Model.Has(F.TscAdjust))
            s->TscAdjust += by;
    }

    /// <summary>Locked operands are decoded for it.</summary>
    public static bool SplitLocks(CpuState* s, ulong value)
    {
        s->SplitLockControl = value;
        CpuMode.Update(s);
        return true;
    }

    public static bool TscDeadline(CpuState* s, ulong value)
    {
        Cpu.Of(s).Apic.TscDeadline = value;
        return true;
    }

    public static bool ApicBase(CpuState* s, ulong value)
    {
        Cpu cpu = Cpu.Of(s);
        ulong flags = Msrs.ApicBaseBootProcessor | Msrs.ApicBaseEnable | (cpu.Model.Has(F.X2Apic) ? Msrs.ApicBaseX2Apic : 0);
        if ((value & ~(FrameMask(s) | flags)) != 0 || !cpu.Apic.TryWriteApicBase(value))
            return false;
        s->ApicBase = value;
        return true;
    }

    /// <summary>Fast strings, MONITOR, the limit of CPUID and XD can be switched; the other bits say what is there.</summary>
    public static bool MiscEnable(CpuState* s, ulong value)
    {
        const ulong switched = 1 | Msrs.MiscEnableMonitor | Msrs.MiscEnableLimitCpuid | Msrs.MiscEnableXdDisable;
        if (((value ^ Msrs.MiscEnableAfterReset) & ~switched) != 0)
            return false;
        s->MiscEnable = value;
        return true;
    }

    /// <summary>SDM, "Extended Feature Enable Register".</summary>
    public static bool Efer(CpuState* s, ulong value)
    {
        CpuModel model = Cpu.Of(s).Model;
        bool xd = model.Has(F.Nx) && (s->MiscEnable & Msrs.MiscEnableXdDisable) == 0;
        ulong allowed = (model.Has(F.Syscall) ? ControlBits.EferSce : 0) | (xd ? ControlBits.EferNxe : 0)
            | (model.Has(F.LongMode) ? ControlBits.EferLme : 0);
        // LMA is read-only: what is written to it does not matter.
        value &= ~ControlBits.EferLma;
        if ((value & ~allowed) != 0)
            return false;
        // "If paging is enabled, attempts to change the state of LME cause a general-protection exception."
        if (((value ^ s->Paging.Efer) & ControlBits.EferLme) != 0 && (s->Paging.Cr0 & ControlBits.Cr0Pg) != 0)
            return false;
        s->Paging.Efer = value | (s->Paging.Efer & ControlBits.EferLma);
        CpuMode.Update(s);
        return true;
    }

    /// <summary>"Attempting to write an undefined memory type encoding into the PAT causes a general-protection exception": 2, 3 and above 7.</summary>
    public static bool Pat(CpuState* s, ulong value)
    {
        for (int i = 0; i < 64; i += 8)
            if (((value >> i) & 0xFF) is 2 or 3 or > 7)
                return false;
        s->Pat = value;
        return true;
    }

    /// <summary>Eight types, each UC, WC, WT, WP or WB (SDM, "Memory Types That Can Be Encoded in MTRRs").</summary>
    public static bool MtrrFixed(CpuState* s, int n, ulong value, bool withDramBits)
    {
        ulong dram = withDramBits ? 0x18UL : 0;
        for (int i = 0; i < 64; i += 8)
            if (!IsMtrrType((value >> i) & 0xFF & ~dram))
                return false;
        s->MtrrFixed[n] = value;
        return true;
    }

    public static bool MtrrDefaultType(CpuState* s, ulong value)
    {
        if (!IsMtrrType(value & 0xFF))
            return false;
        s->MtrrDefaultType = value;
        return true;
    }

    public static bool MtrrVariable(CpuState* s, int n, ulong value)
    {
        bool mask = n % 2 == 1;
        // Base: type in bits 7:0. Mask: valid in bit 11.
        if ((value & ~(FrameMask(s) | (mask ? 0x800UL : 0xFFUL))) != 0 || (!mask && !IsMtrrType(value & 0xFF)))
            return false;
        s->MtrrVariable[n] = value;
        return true;
    }

    /// <summary>A physical address of a page, with a few more bits.</summary>
    public static bool Frame(CpuState* s, MsrField field, ulong value, ulong low)
    {
        if ((value & ~(FrameMask(s) | low)) != 0)
            return false;
        *field(s) = value;
        return true;
    }

    private static ulong FrameMask(CpuState* s) => ((1UL << s->Paging.PhysicalAddressBits) - 1) & Page.Mask;

    private static bool IsMtrrType(ulong type) => type is 0 or 1 or 4 or 5 or 6;
}
