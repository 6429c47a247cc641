using System.Numerics;
using Emu.Cpus;
using Iced.Intel;
using Xunit;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>Shifts and rotates against arithmetic on unbounded integers.</summary>
public sealed class ShiftTests
{
    public static TheoryData<string, int> Cases()
    {
        var data = new TheoryData<string, int>();
        foreach (string name in (string[])["shl", "shr", "sar", "rol", "ror", "rcl", "rcr"])
            foreach (int bits in (int[])[8, 16, 32, 64])
                data.Add(name, bits);
        return data;
    }

    /// <summary>What the manual says: result, the flags it defines, and which those are.</summary>
    private static (ulong Result, ulong Flags, ulong Defined) Expect(string name, int bits, ulong a, int cl, ulong before)
    {
        int count = cl & (bits == 64 ? 63 : 31);
        a &= Law.Mask(bits);
        if (count == 0)
            return (a, before, Rflags.Arithmetic);
        ulong r = a;
        bool carry = (before & Rflags.Cf) != 0;
        for (int i = 0; i < count; i++)
        {
            bool top = r >> (bits - 1) != 0;
            bool bottom = (r & 1) != 0;
            ulong high = 1UL << (bits - 1);
            switch (name)
            {
                case "shl":
                    r = r << 1 & Law.Mask(bits);
                    carry = top;
                    break;
                case "shr":
                    r >>= 1;
                    carry = bottom;
                    break;
                case "sar":
                    r = r >> 1 | (top ? high : 0);
                    carry = bottom;
                    break;
                case "rol":
                    r = (r << 1 | (top ? 1UL : 0)) & Law.Mask(bits);
                    carry = top;
                    break;
                case "ror":
                    r = r >> 1 | (bottom ? high : 0);
                    carry = bottom;
                    break;
                case "rcl":
                    r = (r << 1 | (carry ? 1UL : 0)) & Law.Mask(bits);
                    carry = top;
                    break;
                default:
                    r = r >> 1 | (carry ? high : 0);
                    carry = bottom;
                    break;
            }
        }
        bool msb = r >> (bits - 1) != 0;
        bool overflow = name switch
        {
            "shl" or "rol" or "rcl" => msb != carry,
            "shr" => a >> (bits - 1) != 0,
            "sar" => false,
            _ => msb != ((r >> (bits - 2) & 1) != 0),
        };
        ulong flags = (carry ? Rflags.Cf : 0) | (overflow ? Rflags.Of : 0);
        bool rotate = name[0] == 'r';
        flags |= rotate ? before & (Rflags.Sf | Rflags.Zf | Rflags.Pf | Rflags.Af) : Law.ResultFlags(r, bits);
        ulong defined = Rflags.Arithmetic;
        if (!rotate)
            defined &= ~Rflags.Af;
        if (count != 1)
            defined &= ~Rflags.Of;
        if (name is "shl" or "shr" && count >= bits)
            defined &= ~Rflags.Cf;
        return (r, flags, defined);
    }

    private static Code CodeOf(string name, string form) => Enum.Parse<Code>($"{char.ToUpperInvariant(name[0])}{name[1..]}_{form}");

    [Theory]
    [MemberData(nameof(Cases))]
    public void ShiftByCl_AnyOperand_MatchesStepByStepModel(string name, int bits)
    {
        using var cpu = new TestCpu();
        Register register = bits switch { 8 => Register.BL, 16 => Register.BX, 32 => Register.EBX, _ => Register.RBX };
        cpu.Load(a => a.AddInstruction(Instruction.Create(CodeOf(name, $"rm{bits}_CL"), register, Register.CL)));
        Law.Holds((a, c, before) =>
        {
            cpu[3] = a;
            cpu[1] = c;
            cpu.Rflags = before & Rflags.Arithmetic;
            Assert.Null(cpu.Again());
            var (r, f, defined) = Expect(name, bits, a, (int)(c & 0xFF), before & Rflags.Arithmetic);
            Assert.Equal(Law.Merge(a, r, bits), cpu[3]);
            Assert.Equal(f & defined, cpu.Rflags & defined);
        });
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void ShiftOfMemoryByImmediate_ColdWarmAndBuffered_MatchesModel(string name, int bits)
    {
        foreach (int buffer in (int[])[0, 4])
        {
            using var cpu = new TestCpu(storeBuffer: buffer);
            for (int count = 0; count < 66; count += count < 34 ? 1 : 31)
            {
                cpu.Load(a => a.AddInstruction(Instruction.Create(CodeOf(name, $"rm{bits}_imm8"), new MemoryOperand(Register.RSI), (uint)count)));
                cpu[6] = TestCpu.DataAt + 0xFF8;
                ulong value = 0xC3A5_9669_0FF1_8003 ^ (ulong)count;
                cpu.Write64(TestCpu.DataAt + 0xFF8, value);
                cpu.Rflags = Rflags.Cf;
                Assert.Null(cpu.Again());
                cpu.Cpu.StoreBuffer.DrainAll();
                var (r, f, defined) = Expect(name, bits, value, count, Rflags.Cf);
                ulong keep = bits == 64 ? 0 : value & ~Law.Mask(bits);
                Assert.Equal(keep | r, cpu.Read64(TestCpu.DataAt + 0xFF8));
                Assert.Equal(f & defined, cpu.Rflags & defined);
            }
        }
    }

    [Theory]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void DoubleShift_AnyOperand_MatchesWideShift(int bits)
    {
        using var left = new TestCpu();
        using var right = new TestCpu();
        (Register a, Register b) = bits switch
        {
            16 => (Register.BX, Register.DX),
            32 => (Register.EBX, Register.EDX),
            _ => (Register.RBX, Register.RDX),
        };
        left.Load(x => x.AddInstruction(Instruction.Create(Enum.Parse<Code>($"Shld_rm{bits}_r{bits}_CL"), a, b, Register.CL)));
        right.Load(x => x.AddInstruction(Instruction.Create(Enum.Parse<Code>($"Shrd_rm{bits}_r{bits}_CL"), a, b, Register.CL)));
        Law.Holds((dst, src, cl) =>
        {
            int count = (int)(cl & (bits == 64 ? 63UL : 31));
            if (count > bits)
                return;
            BigInteger d = dst & Law.Mask(bits), s = src & Law.Mask(bits);
            Check(left, Law.Low((d << bits | s) << count >> bits, bits), (d >> (bits - count) & 1) != 0);
            Check(right, Law.Low((s << bits | d) >> count, bits), count != 0 && (d >> (count - 1) & 1) != 0);

            void Check(TestCpu cpu, ulong r, bool carry)
            {
                cpu[3] = dst;
                cpu[2] = src;
                cpu[1] = cl;
                cpu.Rflags = Rflags.Af | Rflags.Zf;
                Assert.Null(cpu.Again());
                Assert.Equal(Law.Merge(dst, r, bits), cpu[3]);
                ulong f = Law.ResultFlags(r, bits) | (carry ? Rflags.Cf : 0);
                ulong defined = Rflags.Arithmetic & ~(Rflags.Af | Rflags.Of);
                if (count == 0)
                    (f, defined) = (Rflags.Af | Rflags.Zf, Rflags.Arithmetic);
                else if (count == 1)
                {
                    f |= (dst >> (bits - 1) & 1) != r >> (bits - 1) ? Rflags.Of : 0;
                    defined |= Rflags.Of;
                }
                Assert.Equal(f & defined, cpu.Rflags & defined);
            }
        });
    }

    [Fact]
    public void Shift_OfReadOnlyMemoryByZero_Faults()
    {
        using var cpu = new TestCpu();
        cpu[6] = TestCpu.ReadOnly;
        cpu.Load(a => a.AddInstruction(Instruction.Create(Code.Shl_rm32_imm8, new MemoryOperand(Register.RSI), 0)));
        string before = cpu.Image();
        Assert.Equal(Vector.PageFault, cpu.Step());
        Assert.Equal(before, cpu.Image());
    }
}
