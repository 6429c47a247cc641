using Emu.Cpus;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>Instructions on the flags themselves, on decimal digits, and counting branches.</summary>
public sealed unsafe class FlagTests
{
    private const int Rax = 0, Rcx = 1, Rbx = 3;

    [Fact]
    public void CarryInstructions_FromEitherValue_ChangeCarryOnly()
    {
        using var cpu = new TestCpu();
        foreach (ulong before in (ulong[])[0, Rflags.Arithmetic, Rflags.Cf, Rflags.Of | Rflags.Sf])
        {
            cpu.Rflags = before;
            Assert.Null(cpu.Run(a => a.clc()));
            Assert.Equal(before & ~Rflags.Cf, cpu.Arithmetic);
            Assert.Null(cpu.Run(a => a.stc()));
            Assert.Equal(before | Rflags.Cf, cpu.Arithmetic);
            cpu.Rflags = before;
            Assert.Null(cpu.Run(a => a.cmc()));
            Assert.Equal(before ^ Rflags.Cf, cpu.Arithmetic);
        }
    }

    [Fact]
    public void LahfSahf_EveryCombination_RoundTrip()
    {
        using var cpu = new TestCpu();
        for (ulong f = 0; f < 256; f++)
        {
            ulong set = f & (Rflags.Sf | Rflags.Zf | Rflags.Af | Rflags.Pf | Rflags.Cf);
            cpu.Rflags = Rflags.Of;
            cpu[Rax] = f << 8;
            Assert.Null(cpu.Run(a => a.sahf()));
            Assert.Equal(set | Rflags.Of, cpu.Arithmetic);
            cpu[Rax] = 0;
            Assert.Null(cpu.Run(a => a.lahf()));
            Assert.Equal((set | 2) << 8, cpu[Rax]);
        }
    }

    [Fact]
    public void Lahf_In64BitModeOfAModelWithoutIt_IsInvalidOpcode()
    {
        using var cpu = new TestCpu(model: CpuModels.K8);
        Assert.Equal(Vector.InvalidOpcode, cpu.Run(a => a.lahf()));
        using var legacy = new TestCpu(32, CpuModels.K8);
        Assert.Null(legacy.Run(a => a.lahf()));
    }

    [Fact]
    public void Sti_WithInterruptsOff_HoldsThemOffForOneInstruction()
    {
        using var cpu = new TestCpu();
        Assert.Null(cpu.Run(a => a.sti()));
        Assert.Equal(1, cpu.S->InterruptShadow);
        Assert.NotEqual(0UL, cpu.Rflags & Rflags.If);
        cpu.S->InterruptShadow = 0;
        Assert.Null(cpu.Again());
        Assert.Equal(0, cpu.S->InterruptShadow);
        Assert.Null(cpu.Run(a => a.cli()));
        Assert.Equal(0UL, cpu.Rflags & Rflags.If);
    }

    [Fact]
    public void CliSti_FromUserMode_FollowIopl()
    {
        using var cpu = new TestCpu();
        cpu.EnterUserMode();
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.cli()));
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.sti()));
        cpu.Rflags = Rflags.IoplMask;
        Assert.Null(cpu.Run(a => a.sti()));
        Assert.NotEqual(0UL, cpu.Rflags & Rflags.If);
    }

    [Fact]
    public void StacClac_InKernelAndUser_ChangeAcAndTranslations()
    {
        using var cpu = new TestCpu();
        cpu.S->Paging.Cr4 |= Emu.Memory.PagingBits.Cr4Smap;
        CpuMode.Update(cpu.S);
        cpu[Rbx] = TestCpu.DataAt;
        cpu.S->Paging.Cr4 &= ~Emu.Memory.PagingBits.Cr4Smep;
        Assert.Equal(1, CpuMode.TlbIndex(cpu.S));
        Assert.Null(cpu.Run(a => a.stac()));
        Assert.Equal(0, CpuMode.TlbIndex(cpu.S));
        Assert.Null(cpu.Run(a => a.mov(eax, __[rbx])));
        Assert.Null(cpu.Run(a => a.clac()));
        Assert.Equal(Vector.PageFault, cpu.Run(a => a.mov(eax, __[rbx])));
        cpu.EnterUserMode();
        Assert.Equal(Vector.InvalidOpcode, cpu.Run(a => a.stac()));
    }

    [Fact]
    public void DaaAndDas_AfterPackedAddAndSubtract_GiveDecimalResults()
    {
        using var cpu = new TestCpu(32);
        for (int x = 0; x < 100; x++)
        {
            for (int y = 0; y < 100; y += 7)
            {
                cpu[Rax] = Packed(x);
                cpu[Rbx] = Packed(y);
                Assert.Null(cpu.Run(a => a.add(al, bl)));
                Assert.Null(cpu.Run(a => a.daa()));
                Assert.Equal((Packed((x + y) % 100), x + y >= 100), (cpu[Rax], (cpu.Rflags & Rflags.Cf) != 0));
                cpu[Rax] = Packed(x);
                Assert.Null(cpu.Run(a => a.sub(al, bl)));
                Assert.Null(cpu.Run(a => a.das()));
                Assert.Equal((Packed((x - y + 100) % 100), x < y), (cpu[Rax], (cpu.Rflags & Rflags.Cf) != 0));
            }
        }

        static ulong Packed(int v) => (ulong)(v / 10 * 16 + v % 10);
    }

    [Fact]
    public void AaaAndAas_AfterUnpackedAddAndSubtract_CarryIntoAh()
    {
        using var cpu = new TestCpu(32);
        for (uint x = 0; x < 10; x++)
        {
            for (uint y = 0; y < 10; y++)
            {
                cpu[Rax] = 0x0500 + x;
                cpu[Rbx] = y;
                Assert.Null(cpu.Run(a => a.add(al, bl)));
                Assert.Null(cpu.Run(a => a.aaa()));
                Assert.Equal((0x0500 + (x + y) / 10 * 0x100 + (x + y) % 10, x + y > 9), ((uint)cpu[Rax], (cpu.Rflags & Rflags.Cf) != 0));
                cpu[Rax] = 0x0500 + x;
                Assert.Null(cpu.Run(a => a.sub(al, bl)));
                Assert.Null(cpu.Run(a => a.aas()));
                Assert.Equal((0x0500 - (x < y ? 0x100u : 0) + (x + 10 - y) % 10, x < y), ((uint)cpu[Rax], (cpu.Rflags & Rflags.Cf) != 0));
            }
        }
    }

    [Fact]
    public void AamAndAad_EveryByte_RoundTrip()
    {
        using var cpu = new TestCpu(32);
        for (uint v = 0; v < 256; v++)
        {
            cpu[Rax] = v;
            Assert.Null(cpu.Run(a => a.aam(10)));
            Assert.Equal(v / 10 << 8 | v % 10, (uint)cpu[Rax]);
            Assert.Null(cpu.Run(a => a.aad(10)));
            Assert.Equal(v, (uint)cpu[Rax]);
            Assert.Equal(Law.ResultFlags(v, 8), cpu.Rflags & (Rflags.Zf | Rflags.Sf | Rflags.Pf));
        }
        Assert.Equal(Vector.DivideError, cpu.Run(a => a.aam(0)));
    }

    [Fact]
    public void Salc_EitherCarry_FillsAl()
    {
        using var cpu = new TestCpu(32);
        cpu.Rflags = Rflags.Cf;
        cpu[Rax] = 0x1234;
        Assert.Null(cpu.Run(a => a.salc()));
        Assert.Equal(0x12FFUL, cpu[Rax]);
        cpu.Rflags = 0;
        Assert.Null(cpu.Run(a => a.salc()));
        Assert.Equal(0x1200UL, cpu[Rax]);
    }

    [Theory]
    [InlineData(new byte[] { 0xE2, 0x10 }, 2UL, 0UL, true, 1UL)] // loop
    [InlineData(new byte[] { 0xE2, 0x10 }, 1UL, 0UL, false, 0UL)]
    [InlineData(new byte[] { 0xE2, 0x10 }, 0UL, 0UL, true, ulong.MaxValue)]
    [InlineData(new byte[] { 0x67, 0xE2, 0x10 }, 0xFF_0000_0001UL, 0UL, false, 0UL)] // counts ECX, and clears what is above
    [InlineData(new byte[] { 0xE1, 0x10 }, 5UL, Rflags.Zf, true, 4UL)] // loope
    [InlineData(new byte[] { 0xE1, 0x10 }, 5UL, 0UL, false, 4UL)]
    [InlineData(new byte[] { 0xE0, 0x10 }, 5UL, 0UL, true, 4UL)] // loopne
    [InlineData(new byte[] { 0xE0, 0x10 }, 5UL, Rflags.Zf, false, 4UL)]
    [InlineData(new byte[] { 0xE3, 0x10 }, 0UL, 0UL, true, 0UL)] // jrcxz
    [InlineData(new byte[] { 0xE3, 0x10 }, 0x1_0000_0000UL, 0UL, false, 0x1_0000_0000UL)]
    [InlineData(new byte[] { 0x67, 0xE3, 0x10 }, 0x1_0000_0000UL, 0UL, true, 0x1_0000_0000UL)] // jecxz
    public void CountingBranch_ByCountAndZf_JumpsOrNot(byte[] code, ulong count, ulong flags, bool taken, ulong left)
    {
        using var cpu = new TestCpu();
        cpu[Rcx] = count;
        cpu.Rflags = flags;
        cpu.Load(code);
        Assert.Null(cpu.Step());
        Assert.Equal(TestCpu.CodeAt + (ulong)code.Length + (taken ? 0x10UL : 0), cpu.S->Rip);
        Assert.Equal(left, cpu[Rcx]);
        Assert.Equal(flags, cpu.Arithmetic);
    }
}
