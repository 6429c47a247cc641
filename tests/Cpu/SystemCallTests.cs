using Emu.Cpus;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

public sealed unsafe class SystemCallTests
{
    private const ulong Star = 0x0013_0008_0000_0000;

    [Fact]
    public void Syscall_In64BitMode_EntersAtLstar()
    {
        using TestCpu t = Long(cpl: 3);
        Prepare(t);
        Flags.Set(t.S, Rflags.If | Rflags.Df | Rflags.Cf);
        Assert.True(SystemCalls.Syscall(t.S, 0x6002));
        Assert.Equal((0xFFFF_8000_0000_1000UL, 0x6002UL, Rflags.If | Rflags.Df | Rflags.Cf | 2), (t.S->Rip, t.S->Registers[1], t.S->Registers[11]));
        Assert.Equal(Rflags.Cf | 2, Flags.Get(t.S));
        Assert.Equal((0, (ushort)0x08, (ushort)0x10, true), (t.S->Cpl, t.S->Cs.Selector, t.S->Ss.Selector, t.S->Is64Bit));
        Assert.Equal((ulong)Stack3, t.Rsp);
        Assert.Equal(0U, t.S->ModeKey & ModeKey.User);
        Assert.Equal(0, t.TakeSerialised());
    }

    [Fact]
    public void Syscall_InCompatibilityMode_IsAmds_AndEntersAtCstar()
    {
        using TestCpu t = Long(cpl: 3, CpuModels.K8);
        Prepare(t);
        t.S->Cstar = 0xFFFF_8000_0000_2000;
        t.SetDescriptor(Free, Segment(CodeType, 3));
        Assert.True(FarTransfer.Jump(t.S, Free | 3, 0x7000, 4));
        Assert.True(SystemCalls.Syscall(t.S, 0x7002));
        Assert.Equal((0xFFFF_8000_0000_2000UL, 0, true), (t.S->Rip, t.S->Cpl, t.S->Is64Bit));

        using TestCpu intel = Long(cpl: 3);
        Prepare(intel);
        intel.SetDescriptor(Free, Segment(CodeType, 3));
        Assert.True(FarTransfer.Jump(intel.S, Free | 3, 0x7000, 4));
        Assert.False(SystemCalls.Syscall(intel.S, 0x7002));
        Assert.Equal(Vector.InvalidOpcode, intel.Fault.Vector);
    }

    [Fact]
    public void Syscall_InLegacyMode_EntersAtStar()
    {
        using TestCpu t = Protected(cpl: 3, CpuModels.K8);
        t.S->Paging.Efer = ControlBits.EferSce;
        t.S->Star = Star | 0x12_3456;
        Flags.Set(t.S, Rflags.If);
        Assert.True(SystemCalls.Syscall(t.S, 0x6002));
        Assert.Equal((0x12_3456UL, 0x6002UL, 0, 2UL), (t.S->Rip, t.S->Registers[1], t.S->Cpl, Flags.Get(t.S)));
        Assert.True(SystemCalls.Sysret(t.S, 4));
        Assert.Equal((0x6002UL, 3, Rflags.If | 2), (t.S->Rip, t.S->Cpl, Flags.Get(t.S)));
    }

    [Fact]
    public void Syscall_WithoutSce_IsUndefined()
    {
        using TestCpu t = Long(cpl: 3);
        t.S->Paging.Efer &= ~ControlBits.EferSce;
        Assert.False(SystemCalls.Syscall(t.S, 0x6002));
        Assert.Equal(Vector.InvalidOpcode, t.Fault.Vector);
        Assert.False(SystemCalls.Sysret(t.S, 8));
        Assert.Equal(Vector.InvalidOpcode, t.Fault.Vector);
    }

    [Theory]
    [InlineData(8, true, 0x23)]
    [InlineData(4, false, 0x13)]
    public void Sysret_ReturnsToEitherMode(int size, bool is64Bit, ushort cs)
    {
        using TestCpu t = Long();
        Prepare(t);
        t.S->Registers[1] = 0x7FFF_0000_6002;
        t.S->Registers[11] = ulong.MaxValue;
        Assert.True(SystemCalls.Sysret(t.S, size));
        Assert.Equal((size == 8 ? 0x7FFF_0000_6002UL : 0x6002UL, 3, cs, (ushort)0x1B, is64Bit),
            (t.S->Rip, t.S->Cpl, t.S->Cs.Selector, t.S->Ss.Selector, t.S->Is64Bit));
        // Neither RF nor VM, nor what does not exist.
        Assert.Equal(0x3C_7FD7UL, Flags.Get(t.S));
    }

    [Fact]
    public void Sysret_ToANonCanonicalAddress_FaultsAtCpl0OnIntelOnly()
    {
        using TestCpu t = Long();
        Prepare(t);
        t.S->Registers[1] = 0x8000_0000_0000;
        Assert.False(SystemCalls.Sysret(t.S, 8));
        Assert.Equal((Vector.GeneralProtection, 0), (t.Fault.Vector, t.S->Cpl));

        using TestCpu amd = Long(model: CpuModels.K8);
        Prepare(amd);
        amd.S->Registers[1] = 0x8000_0000_0000;
        Assert.True(SystemCalls.Sysret(amd.S, 8));
        Assert.Equal((0x8000_0000_0000UL, 3), (amd.S->Rip, amd.S->Cpl));
    }

    [Fact]
    public void SysenterAndSysexit_InProtectedMode()
    {
        using TestCpu t = Protected(cpl: 3, CpuModels.Pentium3);
        Assert.False(SystemCalls.Sysenter(t.S));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        t.S->SysenterCs = 0x0B;
        t.S->SysenterEsp = 0x8800;
        t.S->SysenterEip = 0x12_3456;
        Flags.Set(t.S, Rflags.If | Rflags.Cf);
        Assert.True(SystemCalls.Sysenter(t.S));
        Assert.Equal((0, (ushort)0x08, (ushort)0x10, 0x8800UL, 0x12_3456UL), (t.S->Cpl, t.S->Cs.Selector, t.S->Ss.Selector, t.Rsp, t.S->Rip));
        Assert.Equal(Rflags.Cf | 2, Flags.Get(t.S));

        t.S->Registers[1] = 0x9FF0;
        t.S->Registers[2] = 0x6002;
        Assert.True(SystemCalls.Sysexit(t.S, 4));
        Assert.Equal((3, (ushort)0x1B, (ushort)0x23, 0x9FF0UL, 0x6002UL), (t.S->Cpl, t.S->Cs.Selector, t.S->Ss.Selector, t.Rsp, t.S->Rip));
        Assert.False(SystemCalls.Sysexit(t.S, 4));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
    }

    [Fact]
    public void Sysenter_InLongMode_Enters64BitMode_AndIsUndefinedOnAmd()
    {
        using TestCpu t = Long(cpl: 3);
        t.S->SysenterCs = 0x08;
        t.S->SysenterEsp = 0xFFFF_8000_0000_8800;
        t.S->SysenterEip = 0xFFFF_8000_0000_1000;
        Assert.True(SystemCalls.Sysenter(t.S));
        Assert.Equal((true, 0xFFFF_8000_0000_8800UL, 0xFFFF_8000_0000_1000UL), (t.S->Is64Bit, t.Rsp, t.S->Rip));
        t.S->Registers[1] = 0x9FF0;
        t.S->Registers[2] = 0x8000_0000_0000;
        Assert.False(SystemCalls.Sysexit(t.S, 8));
        Assert.Equal((Vector.GeneralProtection, 0), (t.Fault.Vector, t.S->Cpl));
        t.S->Registers[2] = 0x7FFF_0000_0000;
        Assert.True(SystemCalls.Sysexit(t.S, 8));
        Assert.Equal((3, true, (ushort)0x2B), (t.S->Cpl, t.S->Is64Bit, t.S->Cs.Selector));

        using TestCpu amd = Long(model: CpuModels.K8);
        amd.S->SysenterCs = 0x08;
        Assert.False(SystemCalls.Sysenter(amd.S));
        Assert.Equal(Vector.InvalidOpcode, amd.Fault.Vector);
    }

    [Fact]
    public void Swapgs_IsForCpl0In64BitMode()
    {
        using TestCpu t = Long();
        t.S->Gs.Base = 1;
        t.S->KernelGsBase = 2;
        Assert.True(SystemCalls.Swapgs(t.S));
        Assert.Equal((2UL, 1UL), (t.S->Gs.Base, t.S->KernelGsBase));

        using TestCpu user = Long(cpl: 3);
        Assert.False(SystemCalls.Swapgs(user.S));
        Assert.Equal(Vector.GeneralProtection, user.Fault.Vector);
        using TestCpu legacy = Protected();
        Assert.False(SystemCalls.Swapgs(legacy.S));
        Assert.Equal(Vector.InvalidOpcode, legacy.Fault.Vector);
    }

    private static void Prepare(TestCpu t)
    {
        t.S->Star = Star;
        t.S->Lstar = 0xFFFF_8000_0000_1000;
        t.S->Sfmask = Rflags.If | Rflags.Df;
        t.TakeSerialised();
    }
}
