using Emu.Memory;
using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>The word of the state in which an MSR is kept.</summary>
public unsafe delegate ulong* MsrField(CpuState* s);

/// <summary>Reads an MSR that is more than a word.</summary>
public unsafe delegate ulong MsrRead(CpuState* s);

/// <summary>Writes an MSR that is more than a word, after <see cref="Msr.Writable"/> was checked; false is #GP(0).</summary>
public unsafe delegate bool MsrWrite(CpuState* s, ulong value);

/// <summary>One model-specific register.</summary>
public sealed record Msr(uint Address, string Name)
{
    /// <summary>Features of which one at least must be there for the register to exist; none: it always exists.</summary>
    public CpuFeatureSet Needs { get; init; }

    /// <summary>null: on CPUs of every vendor.</summary>
    public CpuVendor? Vendor { get; init; }

    /// <summary>Bits that may be written as 1; any other is #GP(0).</summary>
    public ulong Writable { get; init; } = ulong.MaxValue;

    /// <summary>A linear address: #GP(0) unless canonical.</summary>
    public bool Canonical { get; init; }

    /// <summary>WRMSR is serialising but for a few registers (SDM, "WRMSR").</summary>
    public bool Serialises { get; init; } = true;

    /// <summary>Where it is kept; else, if <see cref="Read"/> is missing too, it reads as <see cref="Constant"/>.</summary>
    public MsrField? Field { get; init; }
    public MsrRead? Read { get; init; }
    public MsrWrite? Write { get; init; }
    public ulong Constant { get; init; }
}

/// <summary>RDMSR and WRMSR (SDM, "Model-Specific Registers"). An address that is not in the table is #GP(0).</summary>
public static unsafe class Msrs
{
    public const ulong ApicBaseBootProcessor = 1UL << 8;
    public const ulong ApicBaseX2Apic = 1UL << 10;
    public const ulong ApicBaseEnable = 1UL << 11;

    /// <summary>Fast strings; branch trace and PEBS unavailable; MONITOR enabled.</summary>
    public const ulong MiscEnableAfterReset = 1UL << 0 | 1UL << 11 | 1UL << 12 | 1UL << 18;

    private const uint X2ApicFirst = 0x800;
    private const uint X2ApicLast = 0x8FF;

    /// <summary>Eight variable ranges, fixed ranges, write combining.</summary>
    private const ulong MtrrCapabilities = 0x508;

    /// <summary>All registers but the x2APIC's, in order of address.</summary>
    public static IReadOnlyList<Msr> Table { get; } =
    [
        new(0x010, "IA32_TIME_STAMP_COUNTER") { Read = TimeStamp, Write = SetTimeStamp },
        new(0x017, "IA32_PLATFORM_ID") { Vendor = CpuVendor.Intel, Writable = 0 },
        new(0x01B, "IA32_APIC_BASE") { Needs = [F.Apic], Field = s => &s->ApicBase, Write = SetApicBase },
        // Update signature: no microcode was loaded. Software writes 0 before it asks.
        new(0x08B, "IA32_BIOS_SIGN_ID") { Writable = 0 },
        new(0x0FE, "IA32_MTRRCAP") { Needs = [F.Mtrr], Constant = MtrrCapabilities, Writable = 0, Write = ReadOnly },
        new(0x174, "IA32_SYSENTER_CS") { Needs = [F.Sep], Field = s => &s->SysenterCs, Writable = uint.MaxValue },
        new(0x175, "IA32_SYSENTER_ESP") { Needs = [F.Sep], Field = s => &s->SysenterEsp, Canonical = true },
        new(0x176, "IA32_SYSENTER_EIP") { Needs = [F.Sep], Field = s => &s->SysenterEip, Canonical = true },
        // No banks, and so nothing to report.
        new(0x179, "IA32_MCG_CAP") { Needs = [F.Mca], Writable = 0, Write = ReadOnly },
        new(0x17A, "IA32_MCG_STATUS") { Needs = [F.Mca], Writable = 0 },
        new(0x1A0, "IA32_MISC_ENABLE") { Needs = [F.Monitor], Vendor = CpuVendor.Intel, Field = s => &s->MiscEnable, Writable = MiscEnableAfterReset, Write = SetMiscEnable },
        // Branch records and single-stepping on branches are not there to be switched on.
        new(0x1D9, "IA32_DEBUGCTL") { Writable = 0 },
        .. MtrrVariables(),
        new(0x250, "IA32_MTRR_FIX64K_00000") { Needs = [F.Mtrr], Field = s => s->MtrrFixed + 0, Write = (s, v) => SetMemoryTypes(s->MtrrFixed + 0, v) },
        new(0x258, "IA32_MTRR_FIX16K_80000") { Needs = [F.Mtrr], Field = s => s->MtrrFixed + 1, Write = (s, v) => SetMemoryTypes(s->MtrrFixed + 1, v) },
        new(0x259, "IA32_MTRR_FIX16K_A0000") { Needs = [F.Mtrr], Field = s => s->MtrrFixed + 2, Write = (s, v) => SetMemoryTypes(s->MtrrFixed + 2, v) },
        .. MtrrFixed4K(),
        new(0x277, "IA32_PAT") { Needs = [F.Pat], Field = s => &s->Pat, Write = SetPat },
        new(0x2FF, "IA32_MTRR_DEF_TYPE") { Needs = [F.Mtrr], Field = s => &s->MtrrDefaultType, Writable = 0xCFF, Write = SetMtrrDefaultType },
        new(0x6E0, "IA32_TSC_DEADLINE") { Needs = [F.TscDeadline], Read = s => Cpu.Of(s).Apic.TscDeadline, Write = SetTscDeadline, Serialises = false },
        new(0xC000_0080, "IA32_EFER") { Needs = [F.Syscall, F.Nx, F.LongMode], Field = s => &s->Paging.Efer, Write = SetEfer },
        new(0xC000_0081, "IA32_STAR") { Needs = [F.Syscall], Field = s => &s->Star },
        new(0xC000_0082, "IA32_LSTAR") { Needs = [F.LongMode], Field = s => &s->Lstar, Canonical = true },
        new(0xC000_0083, "IA32_CSTAR") { Needs = [F.LongMode], Field = s => &s->Cstar, Canonical = true },
        new(0xC000_0084, "IA32_FMASK") { Needs = [F.LongMode], Field = s => &s->Sfmask, Writable = uint.MaxValue },
        new(0xC000_0100, "IA32_FS_BASE") { Needs = [F.LongMode], Field = s => &s->Fs.Base, Canonical = true },
        new(0xC000_0101, "IA32_GS_BASE") { Needs = [F.LongMode], Field = s => &s->Gs.Base, Canonical = true },
        new(0xC000_0102, "IA32_KERNEL_GS_BASE") { Needs = [F.LongMode], Field = s => &s->KernelGsBase, Canonical = true },
        new(0xC000_0103, "IA32_TSC_AUX") { Needs = [F.Rdtscp, F.Rdpid], Field = s => &s->TscAux, Writable = uint.MaxValue },
    ];

    private static readonly Dictionary<uint, Msr> _byAddress = Table.ToDictionary(m => m.Address);

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
        if (!TryFind(cpu.Model, address, out Msr? msr))
            return false;
        value = msr.Read != null ? msr.Read(s) : msr.Field != null ? *msr.Field(s) : msr.Constant;
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
            *msr.Field(s) = value;
        }
        if (msr.Serialises)
            cpu.Serialise(SerialisingEvent.Wrmsr);
        return true;
    }

    private static bool TryFind(CpuModel model, uint address, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Msr? msr) =>
        _byAddress.TryGetValue(address, out msr)
        && (msr.Needs.IsEmpty || model.Features.Overlaps(msr.Needs))
        && (msr.Vendor == null || msr.Vendor == model.Vendor);

    private static bool ReadOnly(CpuState* s, ulong value) => false;

    private static bool SetTimeStamp(CpuState* s, ulong value)
    {
        Cpu cpu = Cpu.Of(s);
        s->TscOffset = value - cpu.Clock.Now(cpu.Index);
        return true;
    }

    private static bool SetTscDeadline(CpuState* s, ulong value)
    {
        Cpu.Of(s).Apic.TscDeadline = value;
        return true;
    }

    private static bool SetApicBase(CpuState* s, ulong value)
    {
        Cpu cpu = Cpu.Of(s);
        ulong address = ((1UL << s->Paging.PhysicalAddressBits) - 1) & Page.Mask;
        ulong flags = ApicBaseBootProcessor | ApicBaseEnable | (cpu.Model.Has(F.X2Apic) ? ApicBaseX2Apic : 0);
        if ((value & ~(address | flags)) != 0 || !cpu.Apic.TryWriteApicBase(value))
            return false;
        s->ApicBase = value;
        return true;
    }

    /// <summary>Only fast strings can be switched; the other bits say what is there.</summary>
    private static bool SetMiscEnable(CpuState* s, ulong value)
    {
        if ((value ^ MiscEnableAfterReset) > 1)
            return false;
        s->MiscEnable = value;
        return true;
    }

    /// <summary>SDM, "Extended Feature Enable Register".</summary>
    private static bool SetEfer(CpuState* s, ulong value)
    {
        CpuModel model = Cpu.Of(s).Model;
        ulong allowed = (model.Has(F.Syscall) ? ControlBits.EferSce : 0) | (model.Has(F.Nx) ? ControlBits.EferNxe : 0)
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
    private static bool SetPat(CpuState* s, ulong value)
    {
        for (int i = 0; i < 64; i += 8)
            if (((value >> i) & 0xFF) is 2 or 3 or > 7)
                return false;
        s->Pat = value;
        return true;
    }

    /// <summary>Eight types, each UC, WC, WT, WP or WB (SDM, "Memory Types That Can Be Encoded in MTRRs").</summary>
    private static bool SetMemoryTypes(ulong* field, ulong value)
    {
        for (int i = 0; i < 64; i += 8)
            if (!IsMtrrType((value >> i) & 0xFF))
                return false;
        *field = value;
        return true;
    }

    private static bool SetMtrrDefaultType(CpuState* s, ulong value)
    {
        if (!IsMtrrType(value & 0xFF))
            return false;
        s->MtrrDefaultType = value;
        return true;
    }

    private static bool IsMtrrType(ulong type) => type is 0 or 1 or 4 or 5 or 6;

    private static Msr[] MtrrVariables()
    {
        Msr[] all = new Msr[16];
        for (int i = 0; i < all.Length; i++)
        {
            int n = i;
            bool mask = n % 2 == 1;
            all[n] = new Msr(0x200 + (uint)n, $"IA32_MTRR_PHYS{(mask ? "MASK" : "BASE")}{n / 2}")
            {
                Needs = [F.Mtrr],
                Field = s => s->MtrrVariable + n,
                Write = (s, v) => SetMtrrVariable(s, n, v),
            };
        }
        return all;
    }

    private static bool SetMtrrVariable(CpuState* s, int n, ulong value)
    {
        ulong address = ((1UL << s->Paging.PhysicalAddressBits) - 1) & Page.Mask;
        bool mask = n % 2 == 1;
        // Base: type in bits 7:0. Mask: valid in bit 11.
        if ((value & ~(address | (mask ? 0x800UL : 0xFFUL))) != 0 || (!mask && !IsMtrrType(value & 0xFF)))
            return false;
        s->MtrrVariable[n] = value;
        return true;
    }

    private static Msr[] MtrrFixed4K()
    {
        Msr[] all = new Msr[8];
        for (int i = 0; i < all.Length; i++)
        {
            int n = i;
            all[n] = new Msr(0x268 + (uint)n, $"IA32_MTRR_FIX4K_{0xC0000 + n * 0x8000:X}")
            {
                Needs = [F.Mtrr],
                Field = s => s->MtrrFixed + 3 + n,
                Write = (s, v) => SetMemoryTypes(s->MtrrFixed + 3 + n, v),
            };
        }
        return all;
    }
}
