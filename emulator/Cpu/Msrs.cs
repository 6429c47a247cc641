using System.Diagnostics.CodeAnalysis;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>RDMSR and WRMSR (SDM, "Model-Specific Registers"). An address that is not in the table is #GP(0).</summary>
public static unsafe class Msrs
{
    public const ulong ApicBaseBootProcessor = 1UL << 8;
    public const ulong ApicBaseX2Apic = 1UL << 10;
    public const ulong ApicBaseEnable = 1UL << 11;

    /// <summary>IA32_MISC_ENABLE: CPUID tells of leaves 0 to 2 only.</summary>
    public const ulong MiscEnableLimitCpuid = 1UL << 22;

    /// <summary>IA32_MISC_ENABLE: MONITOR and MWAIT exist, and CPUID says so.</summary>
    public const ulong MiscEnableMonitor = 1UL << 18;

    /// <summary>IA32_MISC_ENABLE: EFER.NXE is reserved, and CPUID does not tell of XD.</summary>
    public const ulong MiscEnableXdDisable = 1UL << 34;

    /// <summary>Fast strings; branch trace and PEBS unavailable; MONITOR enabled.</summary>
    public const ulong MiscEnableAfterReset = 1UL << 0 | 1UL << 11 | 1UL << 12 | MiscEnableMonitor;

    /// <summary>MSR_MISC_FEATURES_ENABLES: CPUID above CPL 0 is #GP(0).</summary>
    public const ulong CpuidFaulting = 1;

    /// <summary>IA32_DEBUGCTL.BTF: TF traps behind branches only.</summary>
    public const ulong DebugControlBranches = 1UL << 1;

    private const uint MiscFeaturesEnables = 0x140;
    private const uint X2ApicFirst = 0x800;
    private const uint X2ApicLast = 0x8FF;

    /// <summary>All registers but the x2APIC's.</summary>
    public static IReadOnlyList<Msr> Table => MsrTable.All;

    /// <summary>RDMSR: ECX in, EDX:EAX out; #GP(0) unless CPL is 0 and the register exists.</summary>
    public static bool Rdmsr(CpuState* s)
    {
        if (s->Cpl != 0 || !TryRead(s, (uint)s->Registers[1], out ulong value))
            return Access.Raise(s, Vector.GeneralProtection);
        s->Registers[0] = (uint)value;
        s->Registers[2] = value >> 32;
        return true;
    }

    /// <summary>WRMSR: ECX and EDX:EAX in; #GP(0) unless CPL is 0, the register exists and takes the value. Serialises where the manual says so.</summary>
    public static bool Wrmsr(CpuState* s)
    {
        ulong value = (uint)s->Registers[0] | s->Registers[2] << 32;
        if (s->Cpl != 0 || !TryWrite(s, (uint)s->Registers[1], value))
            return Access.Raise(s, Vector.GeneralProtection);
        return true;
    }

    /// <summary>The time-stamp counter.</summary>
    public static ulong TimeStamp(CpuState* s)
    {
        Cpu cpu = Cpu.Of(s);
        return cpu.Clock.Now(cpu.Index) + s->TscOffset;
    }

    /// <summary>RDTSC and the time of RDTSCP; #GP(0) when CR4.TSD keeps it from a CPL above 0.</summary>
    public static bool Rdtsc(CpuState* s, out ulong value)
    {
        value = 0;
        if ((s->Paging.Cr4 & ControlBits.Cr4Tsd) != 0 && s->Cpl != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        value = TimeStamp(s);
        return true;
    }

    /// <summary>Reads a register without any check of privilege; false when there is none.</summary>
    public static bool TryRead(CpuState* s, uint address, out ulong value)
    {
        value = 0;
        Cpu cpu = Cpu.Of(s);
        if (address is >= X2ApicFirst and <= X2ApicLast)
            return cpu.Model.Has(F.X2Apic) && cpu.Observer?.ReachesDevice() != false && cpu.Apic.TryReadMsr(address, out value);
        if (!TryFind(cpu.Model, address, out Msr? msr) || !msr.Readable)
            return false;
        value = msr.Read != null ? msr.Read(s) : msr.Field != null ? *msr.Field(s) : msr.Reset;
        return true;
    }

    /// <summary>Writes a register without any check of privilege; false, and nothing written, when there is none or it refuses the value.</summary>
    public static bool TryWrite(CpuState* s, uint address, ulong value)
    {
        Cpu cpu = Cpu.Of(s);
        if (address is >= X2ApicFirst and <= X2ApicLast)
        {
            // SDM, "WRMSR": writes to x2APIC registers do not serialise; they may even pass earlier stores, unless the profile says otherwise.
            if (!cpu.Model.Has(F.X2Apic) || cpu.Observer?.ReachesDevice() == false)
                return false;
            if (cpu.Profile.X2apicIcrWaits)
                cpu.StoreBuffer.DrainAll();
            return cpu.Apic.TryWriteMsr(address, value);
        }
        if (!TryFind(cpu.Model, address, out Msr? msr))
            return false;
        if ((value & ~msr.Writable) != 0 || (msr.Canonical && !Access.IsCanonical(value)))
            return false;
        if (msr.Write != null)
        {
            if (!msr.Write(s, value))
                return false;
        }
        else if (msr.Field != null)
        {
            *msr.Field(s) = value & ~msr.Unused;
        }
        if (msr.Serialises)
            cpu.Serialise(SerialisingEvent.Wrmsr);
        return true;
    }

    /// <summary>MSR_MISC_FEATURES_ENABLES says that CPUID is for CPL 0 only.</summary>
    internal static bool CpuidFaults(CpuState* s) => TryRead(s, MiscFeaturesEnables, out ulong value) && (value & CpuidFaulting) != 0;

    /// <summary>After power-up and RESET: every register that the state keeps has its reset value. INIT leaves them alone.</summary>
    internal static void PowerUp(CpuState* s, CpuModel model)
    {
        foreach (Msr msr in Table)
            if (msr.Field != null)
                *msr.Field(s) = msr.ResetFor?.Invoke(model) ?? msr.Reset;
    }

    private static bool TryFind(CpuModel model, uint address, [NotNullWhen(true)] out Msr? msr) =>
        model.Msrs.TryGetValue(address, out msr);
}
