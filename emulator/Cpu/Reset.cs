namespace Emu.Cpus;

/// <summary>Processor state after power-up, INIT and start-up IPI (SDM, "Processor State After Reset" and "MP Initialization").</summary>
public static unsafe class Reset
{
    private const ulong Cr0AfterPowerUp = ControlBits.Cr0Cd | ControlBits.Cr0Nw | ControlBits.Cr0Et;
    private const ulong ApicBaseDefault = 0xFEE0_0000;

    /// <summary>Power-up or RESET: CPU 0 is the boot processor and starts at the reset vector, the others wait for a start-up IPI.</summary>
    public static void PowerUp(Cpu cpu)
    {
        CpuState* s = cpu.State;
        bool boot = cpu.Index.Value == 0;
        Common(cpu);
        s->Paging.Cr0 = Cr0AfterPowerUp;
        s->Paging.PhysicalAddressBits = cpu.Model.PhysicalAddressBits;
        s->Paging.HasGigabytePages = cpu.Model.Has(CpuFeature.Gigabyte) ? 1 : 0;

        // "x87 FPU, MMX, SSE: INIT leaves them unchanged."
        s->Floating = FloatingState.AfterPowerUp;

        // MSRs, which INIT leaves alone.
        Msrs.PowerUp(s, cpu.Model);
        s->ApicBase = ApicBaseDefault | Msrs.ApicBaseEnable | (boot ? Msrs.ApicBaseBootProcessor : 0);
        s->Retired = 0;
        s->TscOffset = 0 - cpu.Clock.Now(cpu.Index);

        s->Activity = boot ? Activity.Active : Activity.WaitForSipi;
        cpu.SetMailbox(Mail.None, 0);
        cpu.StopMessage = null;
        CpuMode.Update(s);
        cpu.Apic.Reset(init: false);
    }

    /// <summary>INIT: as RESET, but caches, CR0.CD and CR0.NW and the MSRs stay; the boot processor starts over, the others wait for a start-up IPI.</summary>
    public static void Init(Cpu cpu)
    {
        CpuState* s = cpu.State;
        ulong keep = s->Paging.Cr0 & (ControlBits.Cr0Cd | ControlBits.Cr0Nw);
        cpu.StoreBuffer.DrainAll();
        Common(cpu);
        s->Paging.Cr0 = keep | ControlBits.Cr0Et;
        s->Activity = (s->ApicBase & Msrs.ApicBaseBootProcessor) != 0 ? Activity.Active : Activity.WaitForSipi;
        CpuMode.Update(s);
        cpu.Apic.Reset(init: true);
        cpu.Serialise(SerialisingEvent.Init);
    }

    /// <summary>A start-up IPI reached a CPU that waits for one: it starts in real mode at vector × 4096.</summary>
    public static void StartUp(Cpu cpu, byte vector)
    {
        CpuState* s = cpu.State;
        s->Cs.Selector = (ushort)(vector << 8);
        s->Cs.Base = (ulong)vector << 12;
        s->Rip = 0;
        s->Activity = Activity.Active;
        CpuMode.Update(s);
        cpu.Serialise(SerialisingEvent.Sipi);
    }

    private static void Common(Cpu cpu)
    {
        CpuState* s = cpu.State;
        for (int i = 0; i < 17; i++)
            s->Registers[i] = 0;
        // EDX holds the processor signature.
        s->Registers[2] = cpu.Model.Signature;
        Flags.Set(s, Rflags.Reserved1);
        s->Rip = 0xFFF0;
        s->Cpl = 0;

        SegmentRegister data = RealMode(0, 0);
        s->Es = s->Ss = s->Ds = s->Fs = s->Gs = data;
        s->Cs = RealMode(0xF000, 0xFFFF_0000);
        s->Ldtr = data with { Attributes = SegmentAttributes.Present | SystemType.Ldt };
        s->Tr = data with { Attributes = SegmentAttributes.Present | SystemType.BusyTss32 };
        s->Gdtr = new TableRegister { Limit = 0xFFFF };
        s->Idtr = new TableRegister { Limit = 0xFFFF };

        s->Paging.Cr2 = s->Paging.Cr3 = s->Paging.Cr4 = s->Cr8 = 0;
        s->Paging.Efer = 0;
        s->Paging.Pdpte0 = s->Paging.Pdpte1 = s->Paging.Pdpte2 = s->Paging.Pdpte3 = 0;
        for (int i = 0; i < 4; i++)
            s->DebugAddress[i] = 0;
        s->Dr6 = DebugRegisters.Dr6Reserved;
        s->Dr7 = DebugRegisters.Dr7Reserved;
        s->DebugArmed = DebugArmed.None;
        s->PendingDebug = s->ResumeHeld = 0;
        s->NoTrap = 0;

        s->Fault = default;
        s->Exit = ExitReason.None;
        s->InterruptShadow = 0;
        s->NmiBlocked = 0;
        s->MonitorAddress = ulong.MaxValue;
        CpuMode.FlushTlb(s, keepGlobal: false);
    }

    /// <summary>Present, read/write, accessed, 64 KBytes.</summary>
    private static SegmentRegister RealMode(ushort selector, ulong @base) => new()
    {
        Selector = selector,
        Base = @base,
        Limit = 0xFFFF,
        Attributes = SegmentAttributes.RealModeData,
        Usable = 1,
    };
}
