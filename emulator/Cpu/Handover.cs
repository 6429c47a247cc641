namespace Emu.Cpus;

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

    private static SegmentRegister Flat(ushort selector, int attributes) =>
        new() { Selector = selector, Limit = uint.MaxValue, Attributes = (ushort)attributes, Usable = 1 };
}
