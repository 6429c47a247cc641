using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>The word of the state in which an MSR is kept.</summary>
public unsafe delegate ulong* MsrField(CpuState* s);

/// <summary>Reads an MSR that is more than a word.</summary>
public unsafe delegate ulong MsrRead(CpuState* s);

/// <summary>Writes an MSR that is more than a word, after <see cref="Msr.Writable"/> was checked; false is #GP(0).</summary>
public unsafe delegate bool MsrWrite(CpuState* s, ulong value);

/// <summary>One model-specific register: its name, its value after power-up, and who may do what with it. Everything else is #GP(0).</summary>
public sealed record Msr(uint Address, string Name)
{
    /// <summary>Features of which one at least must be there for the register to exist; none: it always exists.</summary>
    public CpuFeatureSet Needs { get; init; }

    /// <summary>null: on CPUs of every vendor.</summary>
    public CpuVendor? Vendor { get; init; }

    /// <summary>Where features and vendor do not tell: which models have it.</summary>
    public Func<CpuModel, bool>? On { get; init; }

    /// <summary>False: RDMSR is #GP(0).</summary>
    public bool Readable { get; init; } = true;

    /// <summary>Bits that may be written as 1; any other is #GP(0).</summary>
    public ulong Writable { get; init; } = ulong.MaxValue;

    /// <summary>Of those, bits that are not there, and yet not reserved: what is written to them is dropped, and they read as 0.</summary>
    public ulong Unused { get; init; }

    /// <summary>A linear address: #GP(0) unless canonical.</summary>
    public bool Canonical { get; init; }

    /// <summary>WRMSR is serialising but for a few registers (SDM, "WRMSR").</summary>
    public bool Serialises { get; init; } = true;

    /// <summary>Value after power-up and RESET; of a register that is kept nowhere, always.</summary>
    public ulong Reset { get; init; }

    /// <summary>The same where it depends on the model.</summary>
    public Func<CpuModel, ulong>? ResetFor { get; init; }

    /// <summary>Where it is kept; else, if <see cref="Read"/> is missing too, it reads as <see cref="Reset"/>.</summary>
    public MsrField? Field { get; init; }
    public MsrRead? Read { get; init; }
    public MsrWrite? Write { get; init; }

    /// <summary>True when a CPU of this model has the register.</summary>
    public bool ExistsOn(CpuModel model) =>
        (Needs.IsEmpty || model.Features.Overlaps(Needs)) && (Vendor == null || Vendor == model.Vendor) && (On == null || On(model));
}

/// <summary>
/// The model-specific registers (SDM Vol. 4, "Architectural MSRs"; AMD APM Vol. 2, "MSR Cross-Reference"; AMD "BIOS and Kernel Developer's Guide for
/// AMD Athlon 64 and AMD Opteron Processors" for those of the k8). Those of the x2APIC are the APIC's own.
/// </summary>
public static unsafe class MsrTable
{
    /// <summary>Words that the state sets aside for registers without a field of their own.</summary>
    public const int KeptWords = 40;

    /// <summary>Eight variable ranges, fixed ranges, write combining.</summary>
    private const ulong MtrrCapabilities = 0x508;

    /// <summary>Memory types WB, WT, UC-, UC, twice (SDM, "Memory Type Setting of PAT Entries Following a Power-up or Reset").</summary>
    private const ulong PatAfterPowerUp = 0x0007_0406_0007_0406;

    /// <summary>Ratio of the base frequency to 100 MHz in bits 15:8, lowest ratio in 47:40, CPUID faulting in 31 (SDM Vol. 4, MSR_PLATFORM_INFO).</summary>
    private const ulong PlatformInfo = 10UL << 8 | 1UL << 31 | 8UL << 40;

    private const ulong AmdSyscfgFixedDramModify = 1UL << 19;
    private const ulong AmdHwcrMcStatusWriteEnable = 1UL << 18;

    private static int _kept;

    /// <summary>All registers but the x2APIC's.</summary>
    public static IReadOnlyList<Msr> All { get; } =
    [
        new(0x010, "IA32_TIME_STAMP_COUNTER") { Read = Msrs.TimeStamp, Write = MsrWrites.TimeStamp },
        new(0x017, "IA32_PLATFORM_ID") { Vendor = CpuVendor.Intel, Writable = 0, Write = MsrWrites.Refuse },
        new(0x01B, "IA32_APIC_BASE") { Needs = [F.Apic], Field = s => &s->ApicBase, Write = MsrWrites.ApicBase },
        // "#AC(0) exception for split locked accesses", which IA32_CORE_CAPABILITIES tells of.
        new(0x033, "MSR_TEST_CTRL") { Needs = [F.CoreCapabilities], Field = s => &s->SplitLockControl, Writable = 1UL << 29, Write = MsrWrites.SplitLocks },
        // Locked by firmware, with VMX off.
        new(0x03A, "IA32_FEATURE_CONTROL") { On = IsRecentIntel, Reset = 1, Write = MsrWrites.Refuse },
        new(0x03B, "IA32_TSC_ADJUST") { Needs = [F.TscAdjust], Field = s => &s->TscAdjust, Write = MsrWrites.TscAdjust },
        // Nothing that is offered is an update for this processor: it is looked at and discarded.
        new(0x079, "IA32_BIOS_UPDT_TRIG") { Vendor = CpuVendor.Intel, Readable = false },
        // "Software writes 0 to it and executes CPUID with EAX = 1", which puts the revision into the upper half.
        Keep(0x08B, "IA32_BIOS_SIGN_ID") with { Vendor = CpuVendor.Intel, ResetFor = m => (ulong)m.Microcode << 32 },
        new(0x08B, "PATCH_LEVEL") { Vendor = CpuVendor.Amd, Read = s => Cpu.Of(s).Model.Microcode, Write = MsrWrites.Refuse },
        new(0x0CE, "MSR_PLATFORM_INFO") { On = IsRecentIntel, Reset = PlatformInfo, Write = MsrWrites.Refuse },
        new(0x0CF, "IA32_CORE_CAPABILITIES") { Needs = [F.CoreCapabilities], Reset = 1UL << 5, Write = MsrWrites.Refuse },
        new(0x0FE, "IA32_MTRRCAP") { Needs = [F.Mtrr], Reset = MtrrCapabilities, Write = MsrWrites.Refuse },
        Keep(0x140, "MSR_MISC_FEATURES_ENABLES") with { On = IsRecentIntel, Writable = Msrs.CpuidFaulting },
        // SDM Vol. 4, "Architectural MSRs": of bits 31:16 and 63:32 it has "Not used", where it has "Reserved" of IA32_TSC_AUX and others; WRMSR is #GP(0) for "bits
        // that are reserved". The VMCS keeps 32 bits of it ("Guest Register State"). AMD's manuals use bits 15:0 and do not say what becomes of the rest.
        new(0x174, "IA32_SYSENTER_CS") { Needs = [F.Sep], Field = s => &s->SysenterCs, Unused = 0xFFFF_FFFF_0000_0000 },
        new(0x175, "IA32_SYSENTER_ESP") { Needs = [F.Sep], Field = s => &s->SysenterEsp, Canonical = true },
        new(0x176, "IA32_SYSENTER_EIP") { Needs = [F.Sep], Field = s => &s->SysenterEip, Canonical = true },
        new(0x179, "IA32_MCG_CAP") { Needs = [F.Mca], Read = s => MachineCheckCapabilities(Cpu.Of(s).Model), Write = MsrWrites.Refuse },
        Keep(0x17A, "IA32_MCG_STATUS") with { Needs = [F.Mca], Writable = 7 },
        Keep(0x17B, "IA32_MCG_CTL") with { Needs = [F.Mca], On = m => (MachineCheckCapabilities(m) & MachineCheckControl) != 0 },
        new(0x1A0, "IA32_MISC_ENABLE") { Needs = [F.Monitor], Vendor = CpuVendor.Intel, Field = s => &s->MiscEnable, Reset = Msrs.MiscEnableAfterReset, Write = MsrWrites.MiscEnable },
        // Deviates: branch records (LBR) are not there to be switched on.
        new(0x1D9, "IA32_DEBUGCTL") { Field = s => &s->DebugControl, Writable = Msrs.DebugControlBranches },
        .. MtrrVariables(),
        MtrrFixed(0x250, "IA32_MTRR_FIX64K_00000", 0),
        MtrrFixed(0x258, "IA32_MTRR_FIX16K_80000", 1),
        MtrrFixed(0x259, "IA32_MTRR_FIX16K_A0000", 2),
        .. Enumerable.Range(0, 8).Select(n => MtrrFixed(0x268 + (uint)n, $"IA32_MTRR_FIX4K_{0xC0000 + n * 0x8000:X}", 3 + n)),
        new(0x277, "IA32_PAT") { Needs = [F.Pat], Field = s => &s->Pat, Reset = PatAfterPowerUp, Write = MsrWrites.Pat },
        new(0x2FF, "IA32_MTRR_DEF_TYPE") { Needs = [F.Mtrr], Field = s => &s->MtrrDefaultType, Writable = 0xCFF, Write = MsrWrites.MtrrDefaultType },
        .. MachineCheckBanks(),
        new(0x6E0, "IA32_TSC_DEADLINE") { Needs = [F.TscDeadline], Read = s => Cpu.Of(s).Apic.TscDeadline, Write = MsrWrites.TscDeadline, Serialises = false },
        new(0xDA0, "IA32_XSS") { Needs = [F.Xsaves], Field = s => &s->Floating.Xss, Writable = 0 },
        new(0xC000_0080, "IA32_EFER") { Needs = [F.Syscall, F.Nx, F.LongMode], Field = s => &s->Paging.Efer, Write = MsrWrites.Efer },
        new(0xC000_0081, "IA32_STAR") { Needs = [F.Syscall], Field = s => &s->Star },
        new(0xC000_0082, "IA32_LSTAR") { Needs = [F.LongMode], Field = s => &s->Lstar, Canonical = true },
        new(0xC000_0083, "IA32_CSTAR") { Needs = [F.LongMode], Field = s => &s->Cstar, Canonical = true },
        new(0xC000_0084, "IA32_FMASK") { Needs = [F.LongMode], Field = s => &s->Sfmask, Writable = uint.MaxValue },
        new(0xC000_0100, "IA32_FS_BASE") { Needs = [F.LongMode], Field = s => &s->Fs.Base, Canonical = true },
        new(0xC000_0101, "IA32_GS_BASE") { Needs = [F.LongMode], Field = s => &s->Gs.Base, Canonical = true },
        new(0xC000_0102, "IA32_KERNEL_GS_BASE") { Needs = [F.LongMode], Field = s => &s->KernelGsBase, Canonical = true },
        new(0xC000_0103, "IA32_TSC_AUX") { Needs = [F.Rdtscp, F.Rdpid], Field = s => &s->TscAux, Writable = uint.MaxValue },
        // Of AMD's K8. They are kept; what they would switch in caches, northbridge and system management is not there.
        Amd(0xC001_0010, "SYSCFG") with { Reset = 0x2_0601, Writable = 0x3F_07FF },
        Amd(0xC001_0015, "HWCR") with { Writable = 0x6_F1DB },
        Amd(0xC001_0016, "IORR_BASE0") with { Write = (s, v) => MsrWrites.Frame(s, Kept(0xC001_0016), v, low: 0x18) },
        Amd(0xC001_0017, "IORR_MASK0") with { Write = (s, v) => MsrWrites.Frame(s, Kept(0xC001_0017), v, low: 0x800) },
        Amd(0xC001_0018, "IORR_BASE1") with { Write = (s, v) => MsrWrites.Frame(s, Kept(0xC001_0018), v, low: 0x18) },
        Amd(0xC001_0019, "IORR_MASK1") with { Write = (s, v) => MsrWrites.Frame(s, Kept(0xC001_0019), v, low: 0x800) },
        Amd(0xC001_001A, "TOP_MEM") with { Writable = 0xFF_FF80_0000 },
        Amd(0xC001_001D, "TOP_MEM2") with { Writable = 0xFF_FF80_0000 },
        Amd(0xC001_001F, "NB_CFG"),
        new(0xC001_0020, "PATCH_LOADER") { Vendor = CpuVendor.Amd, Readable = false },
        .. Enumerable.Range(0, 5).Select(n => Amd(0xC001_0044 + (uint)n, $"MC{n}_CTL_MASK")),
        Amd(0xC001_0055, "INTERRUPT_PENDING_MESSAGE"),
        Amd(0xC001_0111, "SMM_BASE") with { Reset = 0x3_0000, Writable = uint.MaxValue },
        Amd(0xC001_0112, "SMM_ADDR") with { Writable = 0xFF_FFFE_0000 },
        Amd(0xC001_0113, "SMM_MASK") with { Writable = 0xFF_FFFE_0000 | 0x7737F },
        Amd(0xC001_1022, "DC_CFG"),
        Amd(0xC001_1023, "BU_CFG"),
    ];

    /// <summary>Where a register without a field of its own is kept.</summary>
    private static MsrField Kept(uint address) => All.First(m => m.Address == address).Field!;

    private static bool IsRecentIntel(CpuModel m) => m.Vendor == CpuVendor.Intel && m.Has(F.LongMode);

    private static Msr Keep(uint address, string name)
    {
        int word = _kept++;
        return new Msr(address, name) { Field = s => s->KeptMsrs + word };
    }

    private static Msr Amd(uint address, string name) => Keep(address, name) with { Vendor = CpuVendor.Amd };

    /// <summary>MCG_CTL_P.</summary>
    private const ulong MachineCheckControl = 1UL << 8;

    /// <summary>Banks in bits 7:0. AMD has the global control register.</summary>
    private static ulong MachineCheckCapabilities(CpuModel m) => (uint)m.MachineCheckBanks | (m.Vendor == CpuVendor.Amd ? MachineCheckControl : 0);

    /// <summary>
    /// MCi_CTL, STATUS, ADDR and MISC. Nothing here ever reports an error: the last three are 0, and only 0 may be written (SDM, "IA32_MCi_STATUS MSRS":
    /// "writing 1s to them causes a general-protection exception"). Deviates: what AMD's HWCR.McStatusWrEn lets pass is not kept.
    /// </summary>
    private static Msr[] MachineCheckBanks()
    {
        string[] names = ["CTL", "STATUS", "ADDR", "MISC"];
        int most = CpuModels.All.Max(m => m.MachineCheckBanks);
        var all = new List<Msr>();
        for (int i = 0; i < 4 * most; i++)
        {
            int bank = i / 4;
            uint address = 0x400 + (uint)i;
            string name = $"IA32_MC{bank}_{names[i % 4]}";
            Msr msr = i % 4 == 0 ? Keep(address, name) : new Msr(address, name)
            {
                Write = (s, v) => v == 0 || (HardwareConfiguration(s) & AmdHwcrMcStatusWriteEnable) != 0,
            };
            all.Add(msr with { Needs = [F.Mca], On = m => bank < m.MachineCheckBanks });
        }
        return [.. all];
    }

    private static ulong HardwareConfiguration(CpuState* s) => Cpu.Of(s).Model.Vendor == CpuVendor.Amd ? *Kept(0xC001_0015)(s) : 0;

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
                Write = (s, v) => MsrWrites.MtrrVariable(s, n, v),
            };
        }
        return all;
    }

    /// <summary>AMD shows and takes two more bits of each byte, which say where an access goes, while SYSCFG.MtrrFixDramModEn is set.</summary>
    private static Msr MtrrFixed(uint address, string name, int n) => new(address, name)
    {
        Needs = [F.Mtrr],
        Field = s => s->MtrrFixed + n,
        Write = (s, v) => MsrWrites.MtrrFixed(s, n, v, Cpu.Of(s).Model.Vendor == CpuVendor.Amd && (*Kept(0xC001_0010)(s) & AmdSyscfgFixedDramModify) != 0),
    };
}
