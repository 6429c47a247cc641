using System.Numerics;
using Emu.Cpus;
using Iced.Intel;
using Xunit;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>Multiplication and division against unbounded integers.</summary>
public sealed unsafe class MultiplyTests
{
    private const int Rax = 0, Rdx = 2, Rbx = 3;

    private static Register Operand(int bits) => bits switch { 8 => Register.BL, 16 => Register.BX, 32 => Register.EBX, _ => Register.RBX };

    /// <summary>AH:AL, DX:AX and so on, as one number.</summary>
    private static ulong Pair(TestCpu cpu, int bits, bool high) =>
        bits == 8 ? cpu[Rax] >> (high ? 8 : 0) & 0xFF : cpu[high ? Rdx : Rax] & Law.Mask(bits);

    [Theory]
    [InlineData(8, false)]
    [InlineData(16, false)]
    [InlineData(32, false)]
    [InlineData(64, false)]
    [InlineData(8, true)]
    [InlineData(16, true)]
    [InlineData(32, true)]
    [InlineData(64, true)]
    public void WideMultiply_AnyOperands_GivesWholeProductAndCarryWhenItIsWide(int bits, bool signed)
    {
        using var cpu = new TestCpu();
        cpu.Load(a => a.AddInstruction(Instruction.Create(Enum.Parse<Code>($"{(signed ? "Imul" : "Mul")}_rm{bits}"), Operand(bits))));
        Law.Holds((a, b, d) =>
        {
            cpu[Rax] = a;
            cpu[Rbx] = b;
            cpu[Rdx] = d;
            Assert.Null(cpu.Again());
            BigInteger p = signed ? Law.Signed(a, bits) * Law.Signed(b, bits) : (BigInteger)(a & Law.Mask(bits)) * (b & Law.Mask(bits));
            Assert.Equal(Law.Low(p, bits), Pair(cpu, bits, high: false));
            Assert.Equal(Law.Low(p >> bits, bits), Pair(cpu, bits, high: true));
            bool wide = signed ? p != Law.Signed(Law.Low(p, bits), bits) : p >> bits != 0;
            Assert.Equal(wide ? Rflags.Cf | Rflags.Of : 0, cpu.Rflags & (Rflags.Cf | Rflags.Of));
            if (bits == 8)
                Assert.Equal(d, cpu[Rdx]);
            if (bits == 32)
                Assert.Equal(0UL, (cpu[Rax] | cpu[Rdx]) >> 32);
        });
    }

    [Theory]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void ImulTwoAndThreeOperands_AnyOperands_TruncateAndCarry(int bits)
    {
        using var two = new TestCpu();
        using var three = new TestCpu();
        (Register a, Register b) = bits switch { 16 => (Register.CX, Register.BX), 32 => (Register.ECX, Register.EBX), _ => (Register.RCX, Register.RBX) };
        two.Load(x => x.AddInstruction(Instruction.Create(Enum.Parse<Code>($"Imul_r{bits}_rm{bits}"), a, b)));
        Law.Holds((x, y, z) =>
        {
            Check(two, x, y);
            sbyte immediate = (sbyte)z;
            three.Load(i => i.AddInstruction(Instruction.Create(Enum.Parse<Code>($"Imul_r{bits}_rm{bits}_imm8"), a, b, immediate)));
            Check(three, (ulong)immediate, y);

            void Check(TestCpu cpu, ulong left, ulong right)
            {
                cpu[1] = x;
                cpu[Rbx] = right;
                Assert.Null(cpu.Again());
                BigInteger p = Law.Signed(left, bits) * Law.Signed(right, bits);
                Assert.Equal(Law.Merge(x, Law.Low(p, bits), bits), cpu[1]);
                bool wide = p != Law.Signed(Law.Low(p, bits), bits);
                Assert.Equal(wide ? Rflags.Cf | Rflags.Of : 0, cpu.Rflags & (Rflags.Cf | Rflags.Of));
            }
        });
    }

    [Theory]
    [InlineData(8, false)]
    [InlineData(16, false)]
    [InlineData(32, false)]
    [InlineData(64, false)]
    [InlineData(8, true)]
    [InlineData(16, true)]
    [InlineData(32, true)]
    [InlineData(64, true)]
    public void Divide_AnyOperands_GivesQuotientAndRemainderOrDivideError(int bits, bool signed)
    {
        using var cpu = new TestCpu();
        cpu.Load(a => a.AddInstruction(Instruction.Create(Enum.Parse<Code>($"{(signed ? "Idiv" : "Div")}_rm{bits}"), Operand(bits))));
        int faults = 0, results = 0;
        Law.Holds((a, b, d, pick) =>
        {
            // Half of the dividends fit: sign or zero above.
            if ((pick & 1) != 0)
                d = signed && (long)(a << (64 - bits)) < 0 ? ulong.MaxValue : 0;
            if (bits == 8)
                a = (a & ~0xFF00UL) | (d & 0xFF) << 8;
            cpu[Rax] = a;
            cpu[Rbx] = b;
            cpu[Rdx] = d;
            cpu.S->Rip = TestCpu.CodeAt;
            string before = cpu.Image();
            Vector? fault = cpu.Step();
            BigInteger raw = (BigInteger)((bits == 8 ? a >> 8 : d) & Law.Mask(bits)) << bits | (a & Law.Mask(bits));
            BigInteger dividend = signed && raw >> (2 * bits - 1) != 0 ? raw - (BigInteger.One << 2 * bits) : raw;
            BigInteger divisor = signed ? Law.Signed(b, bits) : b & Law.Mask(bits);
            BigInteger q = divisor == 0 ? 0 : BigInteger.Divide(dividend, divisor);
            bool fits = divisor != 0 && (signed ? q == Law.Signed(Law.Low(q, bits), bits) : q >> bits == 0);
            if (!fits)
            {
                faults++;
                Assert.Equal(Vector.DivideError, fault);
                Assert.Equal(before, cpu.Image());
                return;
            }
            results++;
            Assert.Null(fault);
            Assert.Equal(Law.Low(q, bits), Pair(cpu, bits, high: false));
            Assert.Equal(Law.Low(BigInteger.Remainder(dividend, divisor), bits), Pair(cpu, bits, high: true));
        });
        Assert.True(faults > 20 && results > 100, $"{faults} faults, {results} results");
    }

    [Fact]
    public void Idiv_MostNegativeByMinusOne_IsDivideErrorInEveryWidth()
    {
        foreach (int bits in (int[])[8, 16, 32, 64])
        {
            using var cpu = new TestCpu();
            cpu[Rax] = bits == 8 ? 0xFF80 : 1UL << (bits - 1);
            cpu[Rdx] = ulong.MaxValue;
            cpu[Rbx] = ulong.MaxValue;
            cpu.Load(a => a.AddInstruction(Instruction.Create(Enum.Parse<Code>($"Idiv_rm{bits}"), Operand(bits))));
            Assert.Equal(Vector.DivideError, cpu.Step());
        }
    }

    [Fact]
    public void SignConversions_NegativeAccumulator_FillWithOnes()
    {
        using var cpu = new TestCpu();
        cpu[Rax] = 0x1122_3344_5566_7780;
        Assert.Null(cpu.Run(a => a.cbw()));
        Assert.Equal(0x1122_3344_5566_FF80UL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.cwde()));
        Assert.Equal(0xFFFF_FF80UL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.cdqe()));
        Assert.Equal(0xFFFF_FFFF_FFFF_FF80UL, cpu[Rax]);
        cpu[Rdx] = 0x1234_5678_9ABC_DEF0;
        Assert.Null(cpu.Run(a => a.cwd()));
        Assert.Equal(0x1234_5678_9ABC_FFFFUL, cpu[Rdx]);
        Assert.Null(cpu.Run(a => a.cdq()));
        Assert.Equal(0xFFFF_FFFFUL, cpu[Rdx]);
        Assert.Null(cpu.Run(a => a.cqo()));
        Assert.Equal(ulong.MaxValue, cpu[Rdx]);
        cpu[Rax] = 1;
        Assert.Null(cpu.Run(a => a.cqo()));
        Assert.Equal(0UL, cpu[Rdx]);
    }
}
