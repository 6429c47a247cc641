using Emu.Cpus;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>Length, prefixes, pages: what an encoding may be, whatever the instruction does.</summary>
public sealed unsafe class EncodingTests
{
    private const int Rax = 0, Rsi = 6;

    [Theory]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void Length_Of15BytesRetires_Of16IsGp(int bits)
    {
        using var cpu = new TestCpu(bits);
        cpu.Load([.. Enumerable.Repeat((byte)0x3E, 14), 0x90]);
        Assert.Null(cpu.Step());
        Assert.Equal(cpu.CodeBase + 15, cpu.S->Rip);
        cpu.Load([.. Enumerable.Repeat((byte)0x3E, 15), 0x90]);
        Assert.Equal((Vector.GeneralProtection, 0U), (cpu.Step(), cpu.Fault.ErrorCode));
        Assert.Equal(cpu.CodeBase, cpu.S->Rip);
        // Nothing but prefixes.
        cpu.Load([.. Enumerable.Repeat((byte)0x66, 20)]);
        Assert.Equal(Vector.GeneralProtection, cpu.Step());
        // Too long by its immediate.
        cpu.Load([.. Enumerable.Repeat((byte)0x3E, 12), 0x05, 1, 2, 3, 4]);
        Assert.Equal(bits == 16 ? null : Vector.GeneralProtection, cpu.Step());
    }

    [Theory]
    [InlineData(0x00, 0x06, null)] // add [rsi], al
    [InlineData(0x00, 0xC0, Vector.InvalidOpcode)] // add al, al
    [InlineData(0x02, 0x06, Vector.InvalidOpcode)] // add al, [rsi]
    [InlineData(0x38, 0x06, Vector.InvalidOpcode)] // cmp [rsi], al
    [InlineData(0x84, 0x06, Vector.InvalidOpcode)] // test [rsi], al
    [InlineData(0x88, 0x06, Vector.InvalidOpcode)] // mov [rsi], al
    [InlineData(0x86, 0x06, null)] // xchg [rsi], al
    [InlineData(0xFE, 0x06, null)] // inc byte [rsi]
    [InlineData(0xF6, 0x16, null)] // not byte [rsi]
    [InlineData(0xF6, 0x26, Vector.InvalidOpcode)] // mul byte [rsi]
    [InlineData(0xD0, 0x26, Vector.InvalidOpcode)] // shl byte [rsi], 1
    [InlineData(0x90, 0x90, Vector.InvalidOpcode)] // nop
    [InlineData(0xFA, 0x90, Vector.InvalidOpcode)] // cli
    public void Lock_OnWhatMayNotHaveIt_IsUndefined(int opcode, int modrm, Vector? expected)
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Load(0xF0, (byte)opcode, (byte)modrm);
        Assert.Equal(expected, cpu.Step());
    }

    [Fact]
    public void MeaninglessPrefixes_AreIgnored()
    {
        using var cpu = new TestCpu();
        cpu[Rax] = 1;
        // Segments, REPNE and REP before INC; a REX that is not last; 66 with REX.W.
        cpu.Load(0x26, 0x2E, 0x36, 0x3E, 0xF2, 0xF3, 0x66, 0x48, 0xFF, 0xC0);
        Assert.Null(cpu.Step());
        Assert.Equal(2UL, cpu[Rax]);
        cpu[Rax] = 0xFFFF_FFFF_FFFF;
        cpu.Load(0x48, 0x66, 0xFF, 0xC0);
        Assert.Null(cpu.Step());
        Assert.Equal(0xFFFF_FFFF_0000UL, cpu[Rax]);
    }

    [Fact]
    public void Instruction_WhoseSecondPageFaults_ReportsThatPage()
    {
        using var cpu = new TestCpu();
        const ulong at = TestCpu.NotPresent - 3;
        cpu.Write(at, 0x48, 0x81, 0xC0);
        cpu.S->Rip = at;
        Assert.Equal(Vector.PageFault, cpu.Step());
        Assert.Equal((TestCpu.NotPresent, at), (cpu.Fault.LinearAddress, cpu.S->Rip));
        // One that ends in the first page needs nothing of the second.
        cpu.Write(at, 0x48, 0xFF, 0xC0);
        Assert.Null(cpu.Step());
    }

    [Theory]
    [InlineData(16, 0xFFFFUL, Vector.GeneralProtection)]
    [InlineData(16, 0xFFFEUL, null)]
    public void Word_AtTheEndOfA16BitSegment_DoesNotWrap(int bits, ulong offset, Vector? expected)
    {
        using var cpu = new TestCpu(bits);
        cpu[Rsi] = 0xABCD_0000 | offset;
        Assert.Equal(expected, cpu.Run(a => a.mov(ax, __word_ptr[si])));
    }

    [Fact]
    public void EffectiveAddress_WrapsAtTheAddressSize()
    {
        using var cpu = new TestCpu();
        cpu.Write64(TestCpu.DataAt, 0x1122_3344);
        cpu[Rsi] = 0xFFFF_FFFF;
        cpu[3] = 0xABCD_0000_0000_0001 + TestCpu.DataAt;
        Assert.Null(cpu.Run(a => a.mov(eax, __dword_ptr[esi + ebx])));
        Assert.Equal(0x1122_3344UL, cpu[Rax]);
    }
}
