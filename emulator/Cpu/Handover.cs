namespace Emu.Cpus;

/// <summary>A general-purpose register, by its number in instructions.</summary>
public enum GeneralRegister
{
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rbx = 3,
    Rsp = 4,
    Rbp = 5,
    Rsi = 6,
    Rdi = 7,
}

/// <summary>States in which firmware or a boot loader hands a CPU over to an image; applied to a CPU fresh from reset.</summary>
public static unsafe class Handover
{
    /// <summary>
    /// 32-bit protected mode with flat segments of 4 GiB, paging and interrupts off. GDTR, IDTR and ESP are the image's to set: until then a segment
    /// load or an exception ends in a triple fault rather than in luck.
    /// </summary>
    public static void ToProtectedMode(Cpu cpu, uint eip, uint eax, uint ebx)
    {
        CpuState* s = cpu.State;
        s->Paging.Cr0 = ControlBits.Cr0Pe | ControlBits.Cr0Et;
        s->Paging.Cr3 = s->Paging.Cr4 = s->Paging.Efer = 0;
        Flags.Set(s, Rflags.Reserved1);
        for (int i = 0; i < 16; i++)
            s->Registers[i] = 0;
        s->Registers[0] = eax;
        s->Registers[3] = ebx;
        const ushort Data = SegmentAttributes.Present | SegmentAttributes.CodeOrData | SegmentAttributes.D | SegmentAttributes.G
            | SegmentAttributes.WritableOrReadable | SegmentAttributes.Accessed;
        s->Cs = Flat(0x08, Data | SegmentAttributes.Code);
        s->Ss = s->Ds = s->Es = s->Fs = s->Gs = Flat(0x10, Data);
        s->Cpl = 0;
        s->Gdtr = s->Idtr = default;
        s->Rip = eip;
        s->Activity = Activity.Active;
        CpuMode.Update(s);
    }

    /// <summary>The same with a GDT of the loader's, from whose selectors the segments are loaded; all registers are zero.</summary>
    public static void ToProtectedMode(Cpu cpu, uint eip, TableRegister gdt, ushort codeSelector, ushort dataSelector)
    {
        ToProtectedMode(cpu, eip, 0, 0);
        SetSegments(cpu.State, gdt, codeSelector, dataSelector);
    }

    /// <summary>64-bit mode at CPL 0 with these page tables, interrupts off; all registers are zero. IDTR and RSP are the image's to set.</summary>
    /// <param name="cr3">Physical address of the PML4 table.</param>
    public static void ToLongMode(Cpu cpu, ulong rip, ulong cr3, TableRegister gdt, ushort codeSelector, ushort dataSelector)
    {
        ToProtectedMode(cpu, 0, 0, 0);
        CpuState* s = cpu.State;
        SetSegments(s, gdt, codeSelector, dataSelector);
        s->Cs.Attributes = (ushort)(s->Cs.Attributes & ~SegmentAttributes.D | SegmentAttributes.L);
        s->Paging.Cr0 = ControlBits.Cr0Pg | ControlBits.Cr0Pe | ControlBits.Cr0Et;
        s->Paging.Cr3 = cr3;
        s->Paging.Cr4 = ControlBits.Cr4Pae;
        s->Paging.Efer = ControlBits.EferLme | ControlBits.EferLma;
        s->Rip = rip;
        CpuMode.Update(s);
        CpuMode.FlushTlb(s, keepGlobal: false);
    }

    /// <summary>Sets a register in which an image expects something.</summary>
    public static void SetRegister(Cpu cpu, GeneralRegister register, ulong value) => cpu.State->Registers[(int)register] = value;

    /// <summary>Real mode at CS:IP, with all other registers as after reset.</summary>
    public static void ToRealMode(Cpu cpu, ushort cs, ushort ip)
    {
        CpuState* s = cpu.State;
        s->Cs.Selector = cs;
        s->Cs.Base = (ulong)cs << 4;
        s->Rip = ip;
        s->Activity = Activity.Active;
        CpuMode.Update(s);
    }

    private static void SetSegments(CpuState* s, TableRegister gdt, ushort codeSelector, ushort dataSelector)
    {
        s->Gdtr = gdt;
        s->Cs.Selector = codeSelector;
        s->Ss.Selector = s->Ds.Selector = s->Es.Selector = s->Fs.Selector = s->Gs.Selector = dataSelector;
    }

    private static SegmentRegister Flat(ushort selector, int attributes) =>
        new() { Selector = selector, Limit = uint.MaxValue, Attributes = (ushort)attributes, Usable = 1 };
}
