using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>#AC: with CR0.AM and RFLAGS.AC at CPL 3, and on split locks where MSR_TEST_CTRL asks for it. What faults changes nothing.</summary>
public sealed unsafe class AlignmentTests
{
    private const int Rax = 0, Rsp = 4, Rsi = 6, Rdi = 7;

    private static TestCpu Checked(int bits = 64)
    {
        var cpu = new TestCpu(bits);
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Am;
        cpu.Rflags = Rflags.Ac | 2;
        cpu.EnterUserMode();
        return cpu;
    }

    public static TheoryData<string, int, int> Accesses => new()
    {
        { "load2", 1, 2 }, { "load4", 2, 4 }, { "load8", 4, 8 }, { "store8", 4, 8 }, { "add4", 2, 4 }, { "push", 4, 8 }, { "pop", 4, 8 },
        { "call", 4, 8 }, { "movs", 2, 4 }, { "bts", 2, 4 }, { "xchg", 2, 4 }, { "fs", 2, 4 },
    };

    [Theory]
    [MemberData(nameof(Accesses))]
    public void Misaligned_IsAc_AlignedIsNot(string what, int bad, int good)
    {
        using TestCpu cpu = Checked();
        void Code(Assembler a)
        {
            switch (what)
            {
                case "load2": a.mov(ax, __word_ptr[rsi]); break;
                case "load4": a.mov(eax, __dword_ptr[rsi]); break;
                case "load8": a.mov(rax, __qword_ptr[rsi]); break;
                case "store8": a.mov(__qword_ptr[rsi], rax); break;
                case "add4": a.@lock.add(__dword_ptr[rsi], eax); break;
                case "push": a.push(rax); break;
                case "pop": a.pop(rbx); break;
                case "call": a.call(TestCpu.CodeAt + 0x100); break;
                case "movs": a.rep.movsd(); break;
                case "bts": a.bts(__dword_ptr[rsi], eax); break;
                case "xchg": a.xchg(__dword_ptr[rsi], eax); break;
                case "fs": a.mov(eax, __dword_ptr.fs[rsi]); break;
            }
        }
        foreach (int offset in (int[])[bad, good])
        {
            cpu[Rax] = 0;
            cpu[1] = 1;
            cpu[Rsi] = TestCpu.DataAt + 0x100 + (ulong)offset;
            cpu[Rdi] = TestCpu.DataAt + 0x200;
            cpu[Rsp] = TestCpu.DataAt + 0x300 + (ulong)offset;
            cpu.Load(Code);
            string before = cpu.Image();
            Vector? fault = cpu.Step();
            if (offset == good)
            {
                Assert.Null(fault);
                continue;
            }
            Assert.Equal((Vector.AlignmentCheck, 0U), (fault, cpu.Fault.ErrorCode));
            Assert.Equal(before, cpu.Image());
        }
    }

    [Fact]
    public void WithoutAnyOfTheThreeConditions_NothingIsChecked()
    {
        using TestCpu am = Checked();
        am.S->Paging.Cr0 &= ~ControlBits.Cr0Am;
        CpuMode.Update(am.S);
        using TestCpu ac = Checked();
        ac.Rflags = 2;
        using TestCpu supervisor = Checked();
        supervisor.S->Cpl = 0;
        CpuMode.Update(supervisor.S);
        foreach (TestCpu cpu in (TestCpu[])[am, ac, supervisor])
        {
            cpu[Rsi] = TestCpu.DataAt + 1;
            Assert.Null(cpu.Run(a => a.mov(rax, __qword_ptr[rsi])));
        }
    }

    [Fact]
    public void Misaligned_AndNotCanonical_IsGp()
    {
        using TestCpu cpu = Checked();
        cpu[Rsi] = 0x8000_0000_0000_0001;
        Assert.Equal(Vector.GeneralProtection, cpu.Run(a => a.mov(rax, __qword_ptr[rsi])));
    }

    [Fact]
    public void PushaAndEnter_In32BitCode_AreChecked()
    {
        using TestCpu cpu = Checked(32);
        cpu[Rsp] = TestCpu.DataAt + 0x101;
        Assert.Equal(Vector.AlignmentCheck, cpu.Run(a => a.pushad()));
        Assert.Equal(Vector.AlignmentCheck, cpu.Run(a => a.popad()));
        Assert.Equal(Vector.AlignmentCheck, cpu.Run(a => a.enter(8, 1)));
        cpu[Rsp] = TestCpu.DataAt + 0x104;
        Assert.Null(cpu.Run(a => a.pushad()));
    }

    [Theory]
    [InlineData(60, 4, true)]
    [InlineData(61, 4, false)]
    [InlineData(57, 8, false)]
    [InlineData(56, 8, true)]
    public void SplitLock_IsAc_WhereTestControlAsksForIt(int offset, int size, bool ok)
    {
        using var cpu = new TestCpu(64, CpuModels.AlderLake);
        cpu[Rsi] = TestCpu.DataAt + (ulong)offset;
        void Locked(Assembler a)
        {
            if (size == 4)
                a.@lock.inc(__dword_ptr[rsi]);
            else
                a.xchg(__qword_ptr[rsi], rax);
        }
        Assert.Null(cpu.Run(Locked));
        Assert.True(Msrs.TryRead(cpu.S, 0xCF, out ulong capabilities));
        Assert.Equal(1UL << 5, capabilities);
        Assert.True(Msrs.TryWrite(cpu.S, 0x33, 1UL << 29));
        Assert.Equal(ok ? null : Vector.AlignmentCheck, cpu.Run(Locked));
        // Without LOCK nothing is asked.
        Assert.Null(cpu.Run(a => a.inc(__dword_ptr[rsi])));
        Assert.False(Msrs.TryWrite(cpu.S, 0x33, 1));
    }
}
