using Emu.Cpus;
using Xunit;

namespace Emu.Tests.Instructions;

/// <summary>CLI, STI, PUSHF and POPF where IOPL keeps the interrupt flag from a program, with and without CR4.VME and CR4.PVI.</summary>
public sealed unsafe class VirtualFlagTests
{
    private const int Rsp = 4;

    private static TestCpu Virtual8086(ulong cr4, ulong flags, int iopl = 0)
    {
        var cpu = new TestCpu(16);
        CpuState* s = cpu.S;
        s->Paging.Cr0 |= ControlBits.Cr0Pe;
        s->Paging.Cr4 = cr4;
        s->Cpl = 3;
        cpu.Rflags = Emu.Cpus.Rflags.Vm | flags | (ulong)iopl << 12 | 2;
        s->Cs = s->Ds = s->Ss = s->Es = SegmentLoad.Virtual8086(0);
        CpuMode.Update(s);
        return cpu;
    }

    [Fact]
    public void CliAndSti_InVirtual8086Mode_MeanVif()
    {
        using TestCpu without = Virtual8086(0, 0);
        Assert.Equal(Vector.GeneralProtection, without.Run(a => a.cli()));
        Assert.Equal(Vector.GeneralProtection, without.Run(a => a.sti()));
        using TestCpu privileged = Virtual8086(ControlBits.Cr4Vme, 0, iopl: 3);
        Assert.Null(privileged.Run(a => a.sti()));
        Assert.Equal(Rflags.If, privileged.Rflags & (Rflags.If | Rflags.Vif));
        using TestCpu cpu = Virtual8086(ControlBits.Cr4Vme, Rflags.If);
        Assert.Null(cpu.Run(a => a.sti()));
        Assert.Equal(Rflags.If | Rflags.Vif, cpu.Rflags & (Rflags.If | Rflags.Vif));
        Assert.Null(cpu.Run(a => a.cli()));
        Assert.Equal(Rflags.If, cpu.Rflags & (Rflags.If | Rflags.Vif));
        cpu.Rflags |= Rflags.Vip;
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.sti()));
    }

    [Fact]
    public void CliAndSti_InProtectedMode_MeanVifWithPviAtCpl3()
    {
        using var cpu = new TestCpu();
        cpu.EnterUserMode();
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.sti()));
        cpu.S->Paging.Cr4 |= ControlBits.Cr4Pvi;
        Assert.Null(cpu.Run(a => a.sti()));
        Assert.Equal(Rflags.Vif, cpu.Rflags & (Rflags.If | Rflags.Vif));
        cpu.Rflags |= Rflags.Vip;
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.sti()));
        Assert.Null(cpu.Run(a => a.cli()));
        Assert.Equal(0UL, cpu.Rflags & Rflags.Vif);
    }

    [Fact]
    public void PushfAndPopf_InVirtual8086Mode_ShowVifAsIf()
    {
        using TestCpu without = Virtual8086(0, 0);
        Assert.Equal(Vector.GeneralProtection, without.Run(a => a.pushf()));
        Assert.Equal(Vector.GeneralProtection, without.Run(a => a.popf()));
        using TestCpu cpu = Virtual8086(ControlBits.Cr4Vme, Rflags.Vif | Rflags.Cf);
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.pushfd()));
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.popfd()));
        Assert.Null(cpu.Run(a => a.pushf()));
        Assert.Equal(Rflags.If | Rflags.IoplMask | Rflags.Cf | 2, BitConverter.ToUInt16(cpu.Read(cpu[Rsp], 2)));
        cpu.Write(cpu[Rsp], 0x40, 0x00);
        Assert.Null(cpu.Run(a => a.popf()));
        Assert.Equal((Rflags.Vm | Rflags.Zf | 2, 0x8000UL), (cpu.Rflags, cpu[Rsp]));
        cpu.Write(cpu[Rsp], 0x00, 0x32); // IF and IOPL 3: VIF, and IOPL stays 0.
        Assert.Null(cpu.Run(a => a.popf()));
        Assert.Equal(Rflags.Vm | Rflags.Vif | 2, cpu.Rflags);
        cpu.Write(cpu[Rsp], 0x00, 0x01);
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.popf()));
    }
}
