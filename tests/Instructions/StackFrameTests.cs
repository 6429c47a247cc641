using Emu.Cpus;
using Xunit;

namespace Emu.Tests.Instructions;

/// <summary>PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE.</summary>
public sealed unsafe class StackFrameTests
{
    private const int Rsp = 4, Rbp = 5;

    [Theory]
    [InlineData(32)]
    [InlineData(16)]
    public void PushaPopa_RoundTrip_RestoresAllButTheStackPointer(int bits)
    {
        using var cpu = new TestCpu(bits);
        for (int i = 0; i < 8; i++)
            if (i != Rsp)
                cpu[i] = 0x1111_1111UL * (ulong)(i + 1);
        ulong sp = cpu[Rsp];
        string before = cpu.Image().Split(" 2 ")[0];
        cpu.Load(0x60);
        Assert.Null(cpu.Step());
        ulong size = (ulong)bits / 8;
        Assert.Equal(sp - 8 * size, cpu[Rsp]);
        ulong slot = BitConverter.ToUInt64(cpu.Read(cpu[Rsp] + 3 * size, 8)) & Law.Mask(bits);
        Assert.Equal(sp & Law.Mask(bits), slot);
        for (int i = 0; i < 8; i++)
            if (i != Rsp)
                cpu[i] &= ~Law.Mask(bits);
        cpu.Load(0x61);
        Assert.Null(cpu.Step());
        Assert.Equal(before, cpu.Image().Split(" 2 ")[0]);
    }

    [Fact]
    public void Pusha_IntoAbsentPage_StoresNothing()
    {
        using var cpu = new TestCpu(32);
        cpu[Rsp] = TestCpu.NotPresent + 0x1000 + 12; // the page above is present, and read-only
        cpu.S->Paging.Cr0 &= ~(1UL << 16);
        cpu.Load(0x60);
        cpu.Write(TestCpu.ReadOnly, new byte[12]);
        string before = cpu.Image();
        cpu[0] = 7;
        before = cpu.Image();
        Assert.Equal(Vector.PageFault, cpu.Step());
        Assert.Equal(before, cpu.Image());
        Assert.Equal(new byte[12], cpu.Read(TestCpu.ReadOnly, 12));
    }

    [Fact]
    public void Popf_InKernel_ChangesIfIoplAndAc()
    {
        using var cpu = new TestCpu();
        cpu.Write64(TestCpu.StackAt, ulong.MaxValue & ~Rflags.Tf);
        Assert.Null(cpu.Run(a => a.popfq()));
        ulong expected = Rflags.Arithmetic | Rflags.If | Rflags.Df | Rflags.IoplMask | Rflags.Nt | Rflags.Ac | Rflags.Id | Rflags.Reserved1;
        Assert.Equal(expected, cpu.Rflags);
        Assert.Equal(TestCpu.StackAt + 8, cpu[Rsp]);
    }

    [Fact]
    public void Popf_InUserMode_LeavesIfAndIopl()
    {
        using var cpu = new TestCpu();
        cpu.Rflags = Rflags.If;
        cpu.EnterUserMode();
        cpu.Write64(TestCpu.StackAt, Rflags.IoplMask | Rflags.Cf);
        Assert.Null(cpu.Run(a => a.popfq()));
        Assert.Equal(Rflags.If | Rflags.Cf | Rflags.Reserved1, cpu.Rflags);
    }

    [Fact]
    public void Popf_16Bit_LeavesTheUpperFlags()
    {
        using var cpu = new TestCpu();
        cpu.Rflags = Rflags.Ac | Rflags.Id;
        cpu.Write64(TestCpu.StackAt, Rflags.Zf);
        Assert.Null(cpu.Run(a => a.popf()));
        Assert.Equal(Rflags.Ac | Rflags.Id | Rflags.Zf | Rflags.Reserved1, cpu.Rflags);
        Assert.Equal(TestCpu.StackAt + 2, cpu[Rsp]);
    }

    [Fact]
    public void Pushf_Always_StoresTheImageWithoutRfAndVm()
    {
        using var cpu = new TestCpu();
        cpu.Rflags = Rflags.Arithmetic | Rflags.If | Rflags.Rf;
        Assert.Null(cpu.Run(a => a.pushfq()));
        Assert.Equal(Rflags.Arithmetic | Rflags.If | Rflags.Reserved1, cpu.Read64(TestCpu.StackAt - 8));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(33)] // taken modulo 32
    public void Enter_AnyLevel_BuildsTheDisplay(int level)
    {
        using var cpu = new TestCpu();
        ulong outer = TestCpu.StackAt + 0x200;
        cpu[Rbp] = outer;
        for (ulong i = 1; i < 40; i++)
            cpu.Write64(outer - 8 * i, 0x1000 + i);
        Assert.Null(cpu.Run(a => a.enter(0x30, (sbyte)level)));
        ulong frame = TestCpu.StackAt - 8;
        Assert.Equal(frame, cpu[Rbp]);
        Assert.Equal(outer, cpu.Read64(frame));
        ulong at = frame;
        for (ulong i = 1; i < (ulong)(level & 31); i++)
            Assert.Equal(0x1000 + i, cpu.Read64(at -= 8));
        if ((level & 31) > 0)
            Assert.Equal(frame, cpu.Read64(at -= 8));
        Assert.Equal(at - 0x30, cpu[Rsp]);
        Assert.Null(cpu.Run(a => a.leave()));
        Assert.Equal((TestCpu.StackAt, outer), (cpu[Rsp], cpu[Rbp]));
    }

    [Fact]
    public void Enter_WhoseFrameEndsInAnAbsentPage_ChangesNothing()
    {
        using var cpu = new TestCpu();
        cpu[Rsp] = TestCpu.NotPresent + 0x1800;
        cpu.S->Paging.Cr0 &= ~(1UL << 16);
        CpuMode.Update(cpu.S);
        cpu.Load(a => a.enter(0x1000, 0));
        string before = cpu.Image();
        Assert.Equal(Vector.PageFault, cpu.Step());
        Assert.Equal(before, cpu.Image());
    }

    [Fact]
    public void Leave_In16BitStack_KeepsTheUpperHalf()
    {
        using var cpu = new TestCpu(16);
        cpu[Rsp] = 0xABCD_1000;
        cpu[Rbp] = 0x1234_2000;
        cpu.Write(0x2000, 0x78, 0x56);
        cpu.Load(0xC9);
        Assert.Null(cpu.Step());
        Assert.Equal((0xABCD_2002UL, 0x1234_5678UL), (cpu[Rsp], cpu[Rbp]));
    }
}
