using Emu.Cpus;
using Emu.Fetch;
using Emu.Memory;
using Xunit;

namespace Emu.Tests.Processors;

/// <summary>SDM, table "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT".</summary>
public sealed unsafe class ResetTests
{
    [Theory]
    [InlineData("pentium3", 0x686UL)]
    [InlineData("alderlake", 0x90672UL)]
    public void PowerUp_IsTheStateOfTheManual(string name, ulong signature)
    {
        Assert.True(CpuModels.TryFind(name, out CpuModel? model));
        using TestCpu t = new(model);
        CpuState* s = t.S;
        Assert.Equal((2UL, 0xFFF0UL, 0x6000_0010UL), (Flags.Get(s), s->Rip, s->Paging.Cr0));
        Assert.Equal((0UL, 0UL, 0UL, 0UL), (s->Paging.Cr2, s->Paging.Cr3, s->Paging.Cr4, s->Paging.Efer));
        Assert.Equal((0xF000, 0xFFFF_0000UL, 0xFFFFU, 0x93), (s->Cs.Selector, s->Cs.Base, s->Cs.Limit, s->Cs.Attributes));
        foreach (SegmentRegister r in new[] { s->Ds, s->Es, s->Ss, s->Fs, s->Gs })
            Assert.Equal((0, 0UL, 0xFFFFU, 0x93, 1), (r.Selector, r.Base, r.Limit, r.Attributes, r.Usable));
        Assert.Equal((0x82, 0x8B), (s->Ldtr.Attributes, s->Tr.Attributes));
        Assert.Equal((0UL, 0xFFFFU, 0UL, 0xFFFFU), (s->Gdtr.Base, s->Gdtr.Limit, s->Idtr.Base, s->Idtr.Limit));
        Assert.Equal((0xFFFF_0FF0UL, 0x400UL), (s->Dr6, s->Dr7));
        for (int i = 0; i < 16; i++)
            Assert.Equal(i == 2 ? signature : 0, s->Registers[i]);
        Assert.Equal((0x0007_0406_0007_0406UL, 0xFEE0_0900UL, 0UL), (s->Pat, s->ApicBase, Msrs.TimeStamp(s)));
        Assert.Equal((Activity.Active, ModeKey.Real | ModeKey.CsNotFlat | ModeKey.FloatingChecked), (s->Activity, s->ModeKey));
        Assert.Equal(model.PhysicalAddressBits, s->Paging.PhysicalAddressBits);
    }

    [Fact]
    public void PowerUp_OfAnotherCpu_WaitsForSipi()
    {
        using PhysicalMemory memory = new(1 << 20);
        using Cpu cpu = new(new CpuIndex(3), CpuModels.Skylake, memory, new Bus(), FetchProfiles.Coherent, 0);
        Assert.Equal((Activity.WaitForSipi, 0xFEE0_0800UL), (cpu.State->Activity, cpu.State->ApicBase));
    }

    [Fact]
    public void Init_KeepsCachingAndMsrs_AndStartsTheBootProcessorOver()
    {
        using TestCpu t = TestCpu.Long(cpl: 3);
        t.S->Lstar = 0x1234;
        t.S->Paging.Cr0 |= ControlBits.Cr0Cd;
        t.S->NmiBlocked = 1;
        t.S->Activity = Activity.Halted;
        Assert.True(Access.Load(t.S, 0x7000, 8, AccessKind.Read, out _));
        t.TakeSerialised();
        Reset.Init(t.Cpu);
        CpuState* s = t.S;
        Assert.Equal((ControlBits.Cr0Cd | ControlBits.Cr0Et, 0UL, 0x1234UL), (s->Paging.Cr0, s->Paging.Efer, s->Lstar));
        Assert.Equal((0xFFF0UL, 0xFFFF_0000UL, 0, 0), (s->Rip, s->Cs.Base, s->Cpl, s->NmiBlocked));
        Assert.Equal(Activity.Active, s->Activity);
        Assert.True(s->Tlbs[2].Find(0x7000) == null);
        Assert.True(s->Tlb == s->Tlbs);
        Assert.Equal(1, t.TakeSerialised());
    }

    [Fact]
    public void Init_OfAnotherCpu_WaitsForSipi_AndStartsAtItsVector()
    {
        using PhysicalMemory memory = new(1 << 20);
        using Cpu cpu = new(new CpuIndex(1), CpuModels.Skylake, memory, new Bus(), FetchProfiles.Coherent, 0);
        Reset.StartUp(cpu, 0x10);
        cpu.State->Activity = Activity.Halted;
        Reset.Init(cpu);
        Assert.Equal(Activity.WaitForSipi, cpu.State->Activity);
        Reset.StartUp(cpu, 0x9A);
        Assert.Equal((Activity.Active, (ushort)0x9A00, 0x9_A000UL, 0UL), (cpu.State->Activity, cpu.State->Cs.Selector, cpu.State->Cs.Base, cpu.State->Rip));
    }
}
