using Emu.Cpus;
using Emu.Fetch;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>Fences, waiting, hints, what a model lacks, and what is not yet ours.</summary>
public sealed unsafe class ProcessorTests
{
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsi = 6;

    [Theory]
    [InlineData("intel", false)]
    [InlineData("p6", true)]
    public void Mfence_ByProfile_SerialisesOrOnlyDrains(string profile, bool serialises)
    {
        using var cpu = new TestCpu(storeBuffer: 4, profile: FetchProfiles.Find(profile));
        int serialised = 0;
        cpu.Cpu.OnSerialise = () => serialised++;
        cpu[Rsi] = TestCpu.DataAt;
        Assert.Null(cpu.Run(a => a.mov(__byte_ptr[rsi], 1)));
        Assert.Null(cpu.Run(a => a.lfence()));
        Assert.Null(cpu.Run(a => a.sfence()));
        Assert.Equal(1, cpu.Cpu.StoreBuffer.Count);
        Assert.Null(cpu.Run(a => a.mfence()));
        Assert.Equal(0, cpu.Cpu.StoreBuffer.Count);
        Assert.Equal(FetchProfiles.Find(profile)!.MfenceSerialises, serialises);
        Assert.Equal(serialises ? 1 : 0, serialised);
        Assert.Null(cpu.Run(a => a.serialize()));
        Assert.Null(cpu.Run(a => a.cpuid()));
        Assert.Equal(serialises ? 3 : 2, serialised);
    }

    [Fact]
    public void MonitorMwait_UntilTheLineChanges_Waits()
    {
        using var cpu = new TestCpu();
        (cpu[Rax], cpu[Rcx]) = (TestCpu.DataAt + 10, 0);
        Assert.Null(cpu.Run(a => a.monitor()));
        Assert.Null(cpu.Run(a => a.mwait()));
        Assert.Equal(Activity.Waiting, cpu.S->Activity);
        Assert.False(MonitoredLine.Triggered(cpu.S));
        cpu.Write(TestCpu.DataAt + 63, 1);
        Assert.True(MonitoredLine.Triggered(cpu.S));
        cpu.S->Activity = Activity.Active;
        Assert.Null(cpu.Again());
        Assert.Equal(Activity.Active, cpu.S->Activity); // nothing is armed
        cpu[Rcx] = 1;
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.mwait()));
    }

    [Fact]
    public void Ud_AllThree_AreInvalidOpcode()
    {
        using var cpu = new TestCpu();
        foreach (byte[] code in (byte[][])[[0x0F, 0x0B], [0x0F, 0xB9, 0xC0], [0x0F, 0xFF, 0xC0]])
        {
            cpu.Load(code);
            Assert.Equal(Vector.InvalidOpcode, cpu.Step());
            Assert.Equal(TestCpu.CodeAt, cpu.S->Rip);
        }
    }

    [Fact]
    public void InstructionsThatAModelLacks_AreInvalidOpcode()
    {
        using var pentium3 = new TestCpu(32, CpuModels.Pentium3);
        Assert.Equal(Vector.InvalidOpcode, pentium3.Run(a => a.mfence()));
        Assert.Equal(Vector.InvalidOpcode, pentium3.Run(a => a.lfence()));
        Assert.Null(pentium3.Run(a => a.sfence()));
        Assert.Equal(Vector.InvalidOpcode, pentium3.Run(a => a.popcnt(eax, ecx)));
        Assert.Null(pentium3.Run(a => a.cmove(eax, ecx)));
        using var k8 = new TestCpu(64, CpuModels.K8);
        Assert.Equal(Vector.InvalidOpcode, k8.Run(a => a.cmpxchg16b(__[rsi])));
        Assert.Equal(Vector.InvalidOpcode, k8.Run(a => a.monitor()));
        Assert.Equal(Vector.InvalidOpcode, k8.Run(a => a.rdtscp()));
        using var skylake = new TestCpu(64, CpuModels.Skylake);
        Assert.Equal(Vector.InvalidOpcode, skylake.Run(a => a.serialize()));
        Assert.Null(skylake.Run(a => a.mfence()));
        Assert.Equal(Vector.InvalidOpcode, skylake.Run(a => a.vmcall()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void PendingException_WithNeClear_LeavesBeforeTheInstructionUnlessIgnneIsAsserted(bool ignored)
    {
        using var cpu = new TestCpu();
        cpu.S->Paging.Cr0 &= ~ControlBits.Cr0Ne;
        cpu.S->Floating.Status = X87Status.Summary | X87Status.ZeroDivide;
        cpu.S->Floating.Error = ignored ? NumericError.Reported | NumericError.Ignored : NumericError.Reported;
        cpu.Run(a => a.wait());
        Assert.Equal((ignored ? ExitReason.None : ExitReason.NumericError, TestCpu.CodeAt + (ignored ? 1UL : 0)), (cpu.S->Exit, cpu.S->Rip));
    }

    [Fact]
    public void PauseAndHints_Always_Retire()
    {
        using var cpu = new TestCpu();
        Assert.Null(cpu.Run(a => a.pause()));
        Assert.Equal(1, cpu.S->YieldRequested);
        foreach (byte[] code in (byte[][])[[0x90], [0x0F, 0x1F, 0x84, 0, 0, 0, 0, 0], [0xF3, 0x0F, 0x1E, 0xFA], [0x0F, 0x18, 0x0E], [0x0F, 0x0D, 0x0E]])
        {
            cpu.Load(code);
            cpu[Rsi] = TestCpu.NotPresent; // not accessed
            Assert.Null(cpu.Step());
            Assert.Equal(TestCpu.CodeAt + (ulong)code.Length, cpu.S->Rip);
        }
    }

    [Fact]
    public void Wait_AfterATaskSwitch_IsDeviceNotAvailable()
    {
        using var cpu = new TestCpu();
        Assert.Null(cpu.Run(a => a.wait()));
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Mp | ControlBits.Cr0Ts;
        Assert.Equal(Vector.DeviceNotAvailable, cpu.Run(a => a.wait()));
        Assert.Null(cpu.Run(a => a.clts()));
        Assert.Null(cpu.Run(a => a.wait()));
    }

    [Fact]
    public void Clflush_OfAnAbsentPage_Faults()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.NotPresent;
        Assert.Equal(Vector.PageFault, cpu.Run(a => a.clflush(__byte_ptr[rsi])));
        cpu[Rsi] = TestCpu.ReadOnly;
        Assert.Null(cpu.Again());
    }

    [Fact]
    public void XlatAndBound_ReadTheirTables()
    {
        using var cpu = new TestCpu(32);
        cpu.Write(TestCpu.DataAt + 0x80, 0x5A);
        (cpu[Rbx], cpu[Rax]) = (TestCpu.DataAt, 0x1180);
        Assert.Null(cpu.Run(a => a.xlatb()));
        Assert.Equal(0x115AUL, cpu[Rax]);
        cpu.Write(TestCpu.DataAt, 0xFE, 0xFF, 0xFF, 0xFF, 3, 0, 0, 0);
        foreach (int index in (int[])[-3, -2, 3, 4])
        {
            cpu[Rax] = (uint)index;
            Assert.Equal(index is -3 or 4 ? Vector.BoundRange : null, cpu.Run(a => a.bound(eax, __[ebx])));
        }
    }

    [Fact]
    public void Smsw_RegisterAndMemory_TakesItsWidth()
    {
        using var cpu = new TestCpu();
        cpu[Rax] = ulong.MaxValue;
        Assert.Null(cpu.Run(a => a.smsw(eax)));
        Assert.Equal(cpu.S->Paging.Cr0, cpu[Rax]);
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Write64(TestCpu.DataAt, ulong.MaxValue);
        Assert.Null(cpu.Run(a => a.smsw(__word_ptr[rsi])));
        Assert.Equal(0xFFFF_FFFF_FFFF_0000 | (cpu.S->Paging.Cr0 & 0xFFFF), cpu.Read64(TestCpu.DataAt));
    }

    [Fact]
    public void Invlpg_OfAStaleTranslation_MakesTheNewOneSeen()
    {
        using var cpu = new TestCpu();
        const ulong entry = 0x4000 + 8 * (TestCpu.DataAt >> 12);
        cpu.Write(TestCpu.DataAt, 1);
        cpu.Write(TestCpu.DataAt + 0x1000, 2);
        cpu[Rsi] = TestCpu.DataAt;
        Assert.Null(cpu.Run(a => a.movzx(eax, __byte_ptr[rsi])));
        cpu.Write64(entry, (TestCpu.DataAt + 0x1000) | 7);
        Assert.Null(cpu.Run(a => a.movzx(ecx, __byte_ptr[rsi])));
        Assert.Null(cpu.Run(a => a.invlpg(__byte_ptr[rsi])));
        Assert.Null(cpu.Run(a => a.movzx(edx, __byte_ptr[rsi])));
        Assert.Equal((1UL, 1UL, 2UL), (cpu[Rax], cpu[Rcx], cpu[Rdx]));
    }
}
