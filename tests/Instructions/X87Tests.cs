using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Instructions;

/// <summary>x87 instructions: special values, stack faults, masked and unmasked responses. Expected values were read off a CPU.</summary>
public sealed unsafe class X87Tests
{
    private const ulong D = TestCpu.DataAt;

    private readonly record struct Register(ushort Exponent, ulong Significand)
    {
        public static implicit operator Register((int Exponent, ulong Significand) t) => new((ushort)t.Exponent, t.Significand);
    }

    private const ulong Top = 1UL << 63;
    private static readonly Register _one = (0x3FFF, Top), _zero = (0, 0), _three = (0x4000, 0xC000_0000_0000_0000), _indefinite = (0xFFFF, 0xC000_0000_0000_0000);
    private static readonly Register _tiny = (1, Top), _huge = (0x7FFE, ulong.MaxValue), _denormal = (0, 1), _infinity = (0x7FFF, Top);

    private static TestCpu New(ushort control, params Register[] stack)
    {
        var cpu = new TestCpu();
        cpu.S->Paging.Cr0 |= ControlBits.Cr0Ne;
        CpuMode.Update(cpu.S);
        cpu[3] = D;
        ref FloatingState f = ref cpu.S->Floating;
        int top = (8 - stack.Length) & 7;
        f.Control = control;
        f.Status = (ushort)(top << 11);
        f.Tags = 0;
        for (int i = 0; i < stack.Length; i++)
        {
            int p = (top + i) & 7;
            (f.X87[2 * p], f.X87[2 * p + 1]) = (stack[i].Significand, stack[i].Exponent);
            f.Tags |= (byte)(1 << p);
        }
        return cpu;
    }

    private static Register St(TestCpu cpu, int i)
    {
        ref FloatingState f = ref cpu.S->Floating;
        int p = ((f.Status >> 11) + i) & 7;
        return ((int)f.X87[2 * p + 1], f.X87[2 * p]);
    }

    private static void Expect(TestCpu cpu, Action<Assembler> code, ushort status, byte tags, params Register[] stack)
    {
        Assert.Null(cpu.Run(code));
        Assert.Equal(status.ToString("x"), cpu.S->Floating.Status.ToString("x"));
        Assert.Equal(tags, cpu.S->Floating.Tags);
        for (int i = 0; i < stack.Length; i++)
            Assert.Equal(stack[i], St(cpu, i));
    }

    [Fact]
    public void Fdiv_SpecialOperands_FollowTheTable()
    {
        using (TestCpu cpu = New(0x37F, _denormal, _zero))
            Expect(cpu, a => a.fdiv(st0, st1), 0x3004, 0xC0, _infinity);
        using (TestCpu cpu = New(0x37B, _denormal, _zero))
            Expect(cpu, a => a.fdiv(st0, st1), 0xB084, 0xC0, _denormal);
        using (TestCpu cpu = New(0x37E, _zero, _zero))
            Expect(cpu, a => a.fdivp(st1, st0), 0xB081, 0xC0, _zero, _zero);
        using (TestCpu cpu = New(0x37F, _infinity, _infinity))
            Expect(cpu, a => a.fdiv(st0, st1), 0x3001, 0xC0, _indefinite);
    }

    [Fact]
    public void Overflow_MaskedOrNot_GivesInfinityLargestOrBiasedResult()
    {
        using (TestCpu cpu = New(0x37F, _huge))
            Expect(cpu, a => a.fadd(st0, st0), 0x3A28, 0x80, _infinity);
        using (TestCpu cpu = New(0x77F, _huge))
            Expect(cpu, a => a.fadd(st0, st0), 0x3828, 0x80, _huge);
        using (TestCpu cpu = New(0x377, _huge))
            Expect(cpu, a => a.fadd(st0, st0), 0xB888, 0x80, (0x1FFF, ulong.MaxValue));
    }

    [Fact]
    public void Underflow_MaskedOrNot_GivesDenormalOrBiasedResult()
    {
        using (TestCpu cpu = New(0x37F, _tiny, _three))
            Expect(cpu, a => a.fdiv(st0, st1), 0x3230, 0xC0, (0, 0x2AAA_AAAA_AAAA_AAAB));
        using (TestCpu cpu = New(0x07F, _tiny, _three))
            Expect(cpu, a => a.fdiv(st0, st1), 0x3230, 0xC0, (0, 0x2AAA_AB00_0000_0000));
        using (TestCpu cpu = New(0x36F, _tiny, _three))
            Expect(cpu, a => a.fdiv(st0, st1), 0xB2B0, 0xC0, (0x5FFF, 0xAAAA_AAAA_AAAA_AAAB));
        using (TestCpu cpu = New(0x36F, _tiny, (0x4000, Top)))
            Expect(cpu, a => a.fdiv(st0, st1), 0xB090, 0xC0, (0x6000, Top));
    }

    [Fact]
    public void UnmaskedException_OfOneInstruction_IsRaisedByTheNextWaitingOne()
    {
        using TestCpu cpu = New(0x37B, _one, _zero);
        Expect(cpu, a => a.fdiv(st0, st1), 0xB084, 0xC0, _one);
        Assert.Equal(TestCpu.CodeAt, cpu.S->Floating.InstructionPointer);
        Assert.Equal(0xF1, cpu.S->Floating.Opcode);
        Assert.Null(cpu.Run(a => a.fnstsw(ax)));
        Assert.Equal(0xB084UL, cpu[0] & 0xFFFF);
        Assert.Equal(Vector.X87, cpu.Run(a => a.fadd(__dword_ptr[TestCpu.NotPresent])));
        Assert.Equal(0xF1, cpu.S->Floating.Opcode);
    }

    [Fact]
    public void NaNs_OfTwoOperands_TheManualsOneIsTaken()
    {
        using (TestCpu cpu = New(0x37F, (0x7FFF, 0xA000_0000_0000_0001), (0xFFFF, 0xC000_0000_0000_0000)))
            Expect(cpu, a => a.fadd(st0, st1), 0x3001, 0xC0, _indefinite);
        using (TestCpu cpu = New(0x37F, (0xFFFF, 0xC000_0000_0000_0001), (0x7FFF, 0xC000_0000_0000_0001)))
            Expect(cpu, a => a.fadd(st0, st1), 0x3000, 0xC0, (0x7FFF, 0xC000_0000_0000_0001));
        using (TestCpu cpu = New(0x37F, (5, 1), _zero))
            Expect(cpu, a => a.fadd(st0, st1), 0x3001, 0xC0, _indefinite);
        using (TestCpu cpu = New(0x37F, (0, Top), _zero))
            Expect(cpu, a => a.fadd(st0, st1), 0x3002, 0xC0, (1, Top));
    }

    [Fact]
    public void StackFault_MaskedOrNot_SetsC1ByItsKind()
    {
        using (TestCpu cpu = New(0x37F))
            Expect(cpu, a => a.fadd(st0, st1), 0x0041, 0x01, _indefinite);
        using (TestCpu cpu = New(0x37E))
            Expect(cpu, a => a.fadd(st0, st1), 0x80C1, 0x00, _zero);
        using (TestCpu cpu = New(0x37F, _one, _one, _one, _one, _one, _one, _one, _one))
            Expect(cpu, a => a.fldz(), 0x3A41, 0xFF, _indefinite, _one);
        using (TestCpu cpu = New(0x37E, _one, _one, _one, _one, _one, _one, _one, _one))
            Expect(cpu, a => a.fldz(), 0x82C1, 0xFF, _one, _one);
        using (TestCpu cpu = New(0x37F, _one))
            Expect(cpu, a => a.fxch(st0, st1), 0x3841, 0x81, _indefinite, _one);
        using (TestCpu cpu = New(0x37F, _one))
            Expect(cpu, a => a.fcom(st0, st1), 0x7D41, 0x80, _one);
    }

    [Theory]
    [InlineData(0x37F, 0x7FFE, ulong.MaxValue, 0x0228, 0x7FF0_0000_0000_0000, true)]
    [InlineData(0x377, 0x7FFE, ulong.MaxValue, 0xB888, 0, false)]
    [InlineData(0x36F, 0x3C00, Top, 0xB890, 0, false)]
    [InlineData(0x35F, 0x3FFD, 0xAAAA_AAAA_AAAA_AAAB, 0x80A0, 0x3FD5_5555_5555_5555, true)]
    [InlineData(0x37E, 0x7FFF, 0x8000_0000_0000_0001, 0xB881, 0, false)]
    [InlineData(0x37F, 0x3C00, Top, 0x0000, 0x0008_0000_0000_0000, true)]
    public void Fstp_OutOfRange_StoresOrWaitsForTheHandler(int control, int exponent, ulong significand, int status, ulong stored, bool pops)
    {
        using TestCpu cpu = New((ushort)control, (exponent, significand));
        Expect(cpu, a => a.fstp(__qword_ptr[rbx]), (ushort)status, (byte)(pops ? 0 : 0x80));
        Assert.Equal(stored, cpu.Read64(D));
    }

    [Fact]
    public void Fstp_PageNotPresent_ChangesNothing()
    {
        using TestCpu cpu = New(0x37F, (0x3FFD, 0xAAAA_AAAA_AAAA_AAAB));
        cpu[3] = TestCpu.NotPresent - 4;
        Assert.Equal(Vector.PageFault, cpu.Run(a => a.fstp(__qword_ptr[rbx])));
        Assert.Equal((0x3800, 0x80), (cpu.S->Floating.Status, cpu.S->Floating.Tags));
        Assert.Equal(0, cpu.S->Floating.Opcode);
        cpu[3] = TestCpu.NotPresent - 4;
        Assert.Equal(Vector.PageFault, cpu.Run(a => a.fstp(__tbyte_ptr[rbx])));
        Assert.Equal((0x3800, 0x80), (cpu.S->Floating.Status, cpu.S->Floating.Tags));
    }

    [Fact]
    public void Fbstp_LargestAndTooLarge_StoreDigitsOrTheIndefinite()
    {
        using TestCpu cpu = New(0x37F, (0xC03A, 0xDE0B_6B3A_763F_FFF0), (0x403A, 0xDE0B_6B3A_7640_0000));
        Expect(cpu, a => a.fbstp(__tbyte_ptr[rbx]), 0x3800, 0x80);
        Assert.Equal("99999999999999999980", Convert.ToHexString(cpu.Read(D, 10)));
        Expect(cpu, a => a.fbstp(__tbyte_ptr[rbx]), 0x0001, 0);
        Assert.Equal("00000000000000C0FFFF", Convert.ToHexString(cpu.Read(D, 10)));
    }

    [Theory]
    [InlineData(0x37F, 0xC90F_DAA2_2168_C235)]
    [InlineData(0x77F, 0xC90F_DAA2_2168_C234)]
    [InlineData(0xB7F, 0xC90F_DAA2_2168_C235)]
    [InlineData(0x07F, 0xC90F_DAA2_2168_C235)]
    public void Fldpi_RoundingControl_DecidesTheLastBit(int control, ulong significand)
    {
        using TestCpu cpu = New((ushort)control);
        Expect(cpu, a => a.fldpi(), 0x3800, 0x80, (0x4000, significand));
    }

    [Fact]
    public void Fprem_LargeQuotient_IsDoneInParts()
    {
        using TestCpu cpu = New(0x37F, (0x3FFF + 100, 0xC000_0000_0000_0001), _three);
        int steps = 0;
        do
        {
            Assert.Null(cpu.Run(a => a.fprem()));
            steps++;
        }
        while ((cpu.S->Floating.Status & X87Status.C2) != 0);
        // (3 × 2^62 + 1) × 2^37 mod 3
        System.Numerics.BigInteger rest = (System.Numerics.BigInteger)0xC000_0000_0000_0001 * (System.Numerics.BigInteger.One << 37) % 3;
        Assert.Equal(2, steps);
        Assert.Equal(rest == 1 ? _one : (0x4000, Top), St(cpu, 0));
    }
}
