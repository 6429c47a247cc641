using F = Emu.Cpus.CpuFeature;

namespace Emu.Cpus;

/// <summary>SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS (SDM, "Fast System Calls in 64-Bit Mode"; AMD APM Vol. 3). None of them serialises.</summary>
public static unsafe class SystemCalls
{
    private const int CodeReadable = SegmentAttributes.Present | SegmentAttributes.CodeOrData | SegmentAttributes.Code
        | SegmentAttributes.WritableOrReadable | SegmentAttributes.Accessed | SegmentAttributes.G;

    /// <summary>SYSRET takes these from R11: "RFLAGS := (R11 &amp; 3C7FD7H) | 2", RF and VM cleared.</summary>
    private const ulong SysretFlags = 0x3C_7FD7;

    /// <summary>SYSCALL; <paramref name="nextRip"/> is the RIP behind it.</summary>
    public static bool Syscall(CpuState* s, ulong nextRip)
    {
        if (!CheckSyscall(s))
            return false;
        ushort selector = (ushort)((s->Star >> 32) & 0xFFFC);
        if (s->LongModeActive)
        {
            s->Registers[1] = nextRip;
            s->Registers[11] = Flags.Get(s);
            s->Rip = s->Is64Bit ? s->Lstar : s->Cstar;
            // The trap of TF is decided by what SYSCALL leaves of it.
            s->NoTrap = (s->SystemFlags & s->Sfmask & Rflags.Tf) != 0 ? 1 : 0;
            Flags.Set(s, Flags.Get(s) & ~(s->Sfmask | Rflags.Rf));
            LoadFlat(s, selector, (ushort)(selector + 8), 0, is64Bit: true);
        }
        else
        {
            // Legacy mode, AMD only: the target is in STAR, and IF is cleared.
            s->Registers[1] = (uint)nextRip;
            s->Rip = (uint)s->Star;
            s->SystemFlags &= ~(Rflags.If | Rflags.Vm | Rflags.Rf);
            LoadFlat(s, selector, (ushort)(selector + 8), 0, is64Bit: false);
        }
        return true;
    }

    /// <summary>SYSRET; with an operand size of 8 to 64-bit mode.</summary>
    public static bool Sysret(CpuState* s, int operandSize)
    {
        if (!CheckSyscall(s))
            return false;
        bool to64 = operandSize == 8;
        // Intel checks RCX here, with CPL still 0; with AMD the fetch at CPL 3 will fault.
        bool bad = to64 && Cpu.Of(s).Model.Vendor == CpuVendor.Intel && !Access.IsCanonical(s->Registers[1]);
        if (s->Cpl != 0 || bad)
            return Access.Raise(s, Vector.GeneralProtection);
        ushort selector = (ushort)(s->Star >> 48);
        s->Rip = to64 ? s->Registers[1] : (uint)s->Registers[1];
        if (s->LongModeActive)
            Flags.Set(s, s->Registers[11] & SysretFlags);
        else
            s->SystemFlags |= Rflags.If;
        SegmentRegister stack = s->Ss;
        LoadFlat(s, (ushort)(selector + (to64 ? 16 : 0)), (ushort)(selector + 8), 3, to64);
        if (Cpu.Of(s).Model.Vendor == CpuVendor.Amd)
        {
            // "SS selector is changed, SS base, limit, attributes unchanged" (AMD APM Vol. 3, "SYSRET").
            s->Ss = stack with { Selector = s->Ss.Selector };
            CpuMode.Update(s);
        }
        return true;
    }

    /// <summary>SYSENTER.</summary>
    public static bool Sysenter(CpuState* s)
    {
        if (!CheckSysenter(s))
            return false;
        // "IF CR0.PE = 0 or IA32_SYSENTER_CS[15:2] = 0 THEN #GP(0)."
        if (!s->ProtectedMode || (s->SysenterCs & 0xFFFC) == 0)
            return Access.Raise(s, Vector.GeneralProtection);
        bool to64 = s->LongModeActive;
        ushort selector = (ushort)(s->SysenterCs & 0xFFFC);
        s->SystemFlags &= ~(Rflags.Vm | Rflags.If | Rflags.Rf);
        s->Registers[4] = to64 ? s->SysenterEsp : (uint)s->SysenterEsp;
        s->Rip = to64 ? s->SysenterEip : (uint)s->SysenterEip;
        LoadFlat(s, selector, (ushort)(selector + 8), 0, to64);
        return true;
    }

    /// <summary>SYSEXIT; with an operand size of 8 to 64-bit mode.</summary>
    public static bool Sysexit(CpuState* s, int operandSize)
    {
        if (!CheckSysenter(s))
            return false;
        bool to64 = operandSize == 8;
        ulong rip = s->Registers[2], rsp = s->Registers[1];
        // "IF IA32_SYSENTER_CS[15:2] = 0 or CR0.PE = 0 or CPL != 0 THEN #GP(0)"; "IF operand size is 64-bit and RCX or RDX is not canonical".
        if ((s->SysenterCs & 0xFFFC) == 0 || !s->ProtectedMode || s->Cpl != 0
            || (to64 && !(Access.IsCanonical(rip) && Access.IsCanonical(rsp))))
            return Access.Raise(s, Vector.GeneralProtection);
        s->Rip = to64 ? rip : (uint)rip;
        s->Registers[4] = to64 ? rsp : (uint)rsp;
        ushort selector = (ushort)((s->SysenterCs & 0xFFFC) + (to64 ? 32UL : 16UL));
        LoadFlat(s, selector, (ushort)(selector + 8), 3, to64);
        return true;
    }

    /// <summary>SWAPGS.</summary>
    public static bool Swapgs(CpuState* s)
    {
        if (!s->Is64Bit)
            return Access.Raise(s, Vector.InvalidOpcode);
        if (s->Cpl != 0)
            return Access.Raise(s, Vector.GeneralProtection);
        (s->Gs.Base, s->KernelGsBase) = (s->KernelGsBase, s->Gs.Base);
        return true;
    }

    /// <summary>#UD: "IF (CS.L != 1) or (IA32_EFER.LMA != 1) or (IA32_EFER.SCE != 1)"; AMD has it in protected mode of every kind.</summary>
    private static bool CheckSyscall(CpuState* s)
    {
        CpuModel model = Cpu.Of(s).Model;
        bool mode = model.Vendor == CpuVendor.Amd ? s->ProtectedMode && !s->Virtual8086 : s->Is64Bit;
        bool ok = model.Has(F.Syscall) && mode && (s->Paging.Efer & ControlBits.EferSce) != 0;
        return ok || Access.Raise(s, Vector.InvalidOpcode);
    }

    /// <summary>AMD does not have SYSENTER and SYSEXIT in long mode.</summary>
    private static bool CheckSysenter(CpuState* s)
    {
        CpuModel model = Cpu.Of(s).Model;
        bool ok = model.Has(F.Sep) && !(model.Vendor == CpuVendor.Amd && s->LongModeActive);
        return ok || Access.Raise(s, Vector.InvalidOpcode);
    }

    /// <summary>CS and SS flat, without a look at their descriptors, with the CPL as RPL and DPL.</summary>
    private static void LoadFlat(CpuState* s, ushort cs, ushort ss, int cpl, bool is64Bit)
    {
        int dpl = cpl << SegmentAttributes.DplShift;
        s->Cs = new SegmentRegister
        {
            Selector = (ushort)(cs | cpl),
            Limit = uint.MaxValue,
            Attributes = (ushort)(CodeReadable | dpl | (is64Bit ? SegmentAttributes.L : SegmentAttributes.D)),
            Usable = 1,
        };
        s->Ss = new SegmentRegister
        {
            Selector = (ushort)(ss | cpl),
            Limit = uint.MaxValue,
            Attributes = (ushort)(SegmentAttributes.RealModeData | SegmentAttributes.D | SegmentAttributes.G | dpl),
            Usable = 1,
        };
        s->Cpl = cpl;
        CpuMode.Update(s);
    }
}
