using System.Numerics;
using Iced.Intel;
using Xunit;
using static Emu.Tests.Instructions.VectorLaw;

namespace Emu.Tests.Instructions;

/// <summary>Instructions that move elements, against a list of where each byte comes from.</summary>
public sealed class PackedShuffleTests
{
    [Theory]
    [InlineData(Code.Pshufd_xmm_xmmm128_imm8)]
    [InlineData(Code.Pshuflw_xmm_xmmm128_imm8)]
    [InlineData(Code.Pshufhw_xmm_xmmm128_imm8)]
    [InlineData(Code.Pshufw_mm_mmm64_imm8)]
    [InlineData(Code.Shufps_xmm_xmmm128_imm8)]
    [InlineData(Code.Shufpd_xmm_xmmm128_imm8)]
    public void ShuffleByImmediate_EveryImmediate_MatchesTheDefinition(Code code)
    {
        using var cpu = new VectorCpu();
        int bytes = code == Code.Pshufw_mm_mmm64_imm8 ? 8 : 16;
        (byte[] a, byte[] b) = Pairs(bytes, 3).Last();
        for (int i = 0; i < 256; i++)
        {
            byte[] expected = (byte[])b.Clone();
            int Pick(int n) => i >> (2 * n) & 3;
            for (int n = 0; n < 4; n++)
            {
                switch (code.Mnemonic())
                {
                    case Mnemonic.Pshufd:
                        Put(expected, 32, n, Get(b, 32, Pick(n), false));
                        break;
                    case Mnemonic.Pshuflw or Mnemonic.Pshufw:
                        Put(expected, 16, n, Get(b, 16, Pick(n), false));
                        break;
                    case Mnemonic.Pshufhw:
                        Put(expected, 16, 4 + n, Get(b, 16, 4 + Pick(n), false));
                        break;
                    case Mnemonic.Shufps:
                        Put(expected, 32, n, Get(n < 2 ? a : b, 32, Pick(n), false));
                        break;
                    default:
                        Put(expected, 64, n & 1, Get((n & 1) == 0 ? a : b, 64, i >> (n & 1) & 1, false));
                        break;
                }
            }
            Assert.Equal(expected, cpu.Binary(code, a, b, (byte)i));
        }
    }

    [Theory]
    [InlineData("Punpcklbw", 8, 0)]
    [InlineData("Punpcklwd", 16, 0)]
    [InlineData("Punpckldq", 32, 0)]
    [InlineData("Punpcklqdq", 64, 0)]
    [InlineData("Punpckhbw", 8, 1)]
    [InlineData("Punpckhwd", 16, 1)]
    [InlineData("Punpckhdq", 32, 1)]
    [InlineData("Punpckhqdq", 64, 1)]
    [InlineData("Unpcklps", 32, 0)]
    [InlineData("Unpckhps", 32, 1)]
    [InlineData("Unpcklpd", 64, 0)]
    [InlineData("Unpckhpd", 64, 1)]
    public void Interleave_AnyVectors_TakesElementsInTurn(string name, int bits, int high)
    {
        using var cpu = new VectorCpu();
        foreach (string operands in new[] { "xmm_xmmm128", "mm_mmm64", "mm_mmm32" })
        {
            if (!Enum.TryParse($"{name}_{operands}", out Code code))
                continue;
            foreach ((byte[] a, byte[] b) in Pairs(operands[0] == 'x' ? 16 : 8, 20))
            {
                int half = 4 * a.Length / bits;
                byte[] expected = new byte[a.Length];
                for (int i = 0; i < 2 * half; i++)
                    Put(expected, bits, i, Get(i % 2 == 0 ? a : b, bits, i / 2 + high * half, false));
                Assert.Equal(expected, cpu.Binary(code, a, b));
            }
        }
    }

    [Theory]
    [InlineData("Packsswb", 16, true)]
    [InlineData("Packssdw", 32, true)]
    [InlineData("Packuswb", 16, false)]
    [InlineData("Packusdw", 32, false)]
    public void Pack_AnyVectors_Saturates(string name, int bits, bool signed)
    {
        using var cpu = new VectorCpu();
        foreach (string operands in new[] { "xmm_xmmm128", "mm_mmm64" })
        {
            if (!Enum.TryParse($"{name}_{operands}", out Code code))
                continue;
            foreach ((byte[] a, byte[] b) in Pairs(operands[0] == 'x' ? 16 : 8))
            {
                int n = 8 * a.Length / bits;
                byte[] expected = new byte[a.Length];
                for (int i = 0; i < 2 * n; i++)
                    Put(expected, bits / 2, i, Saturate(Get(i < n ? a : b, bits, i % n, true), bits / 2, signed));
                Assert.Equal(expected, cpu.Binary(code, a, b));
            }
        }
    }

    [Theory]
    [InlineData(Code.Pslldq_xmm_imm8)]
    [InlineData(Code.Psrldq_xmm_imm8)]
    public void ByteShift_EveryCount_MatchesTheDefinition(Code code)
    {
        using var cpu = new VectorCpu();
        byte[] a = Pairs(16, 3).Last().A;
        var value = new BigInteger(a, isUnsigned: true);
        for (int count = 0; count < 256; count++)
        {
            byte[] expected = new byte[16];
            Put(expected, 128, 0, count > 15 ? 0 : code == Code.Pslldq_xmm_imm8 ? value << (8 * count) : value >> (8 * count));
            cpu.Xmm(1, a);
            Assert.Null(cpu.Run(Instruction.Create(code, Register.XMM1, count)));
            Assert.Equal(expected, cpu.Xmm(1));
        }
    }

    [Theory]
    [InlineData(Code.Pshufb_xmm_xmmm128)]
    [InlineData(Code.Pshufb_mm_mmm64)]
    public void ShuffleBytes_AnyControl_MatchesTheDefinition(Code code)
    {
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(code == Code.Pshufb_mm_mmm64 ? 8 : 16))
            Assert.Equal(b.Select(c => c > 0x7F ? (byte)0 : a[c % a.Length]), cpu.Binary(code, a, b));
    }

    [Theory]
    [InlineData(Code.Palignr_xmm_xmmm128_imm8)]
    [InlineData(Code.Palignr_mm_mmm64_imm8)]
    public void Align_EveryCount_MatchesTheDefinition(Code code)
    {
        using var cpu = new VectorCpu();
        (byte[] a, byte[] b) = Pairs(code == Code.Palignr_mm_mmm64_imm8 ? 8 : 16, 3).Last();
        byte[] both = [.. b, .. a, .. new byte[256 + 16]];
        for (int i = 0; i < 256; i++)
            Assert.Equal(both[i..(i + a.Length)], cpu.Binary(code, a, b, (byte)i));
    }

    [Theory]
    [InlineData(Code.Pblendw_xmm_xmmm128_imm8, 16)]
    [InlineData(Code.Blendps_xmm_xmmm128_imm8, 32)]
    [InlineData(Code.Blendpd_xmm_xmmm128_imm8, 64)]
    public void BlendByImmediate_EveryImmediate_MatchesTheDefinition(Code code, int bits)
    {
        using var cpu = new VectorCpu();
        (byte[] a, byte[] b) = Pairs(16, 3).Last();
        for (int i = 0; i < 256; i++)
        {
            byte[] expected = new byte[16];
            for (int n = 0; n < 128 / bits; n++)
                Put(expected, bits, n, Get((i >> n & 1) != 0 ? b : a, bits, n, false));
            Assert.Equal(expected, cpu.Binary(code, a, b, (byte)i));
        }
    }

    [Theory]
    [InlineData(Code.Pblendvb_xmm_xmmm128, 8)]
    [InlineData(Code.Blendvps_xmm_xmmm128, 32)]
    [InlineData(Code.Blendvpd_xmm_xmmm128, 64)]
    public void BlendBySign_AnyMask_MatchesTheDefinition(Code code, int bits)
    {
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(16))
        {
            byte[] mask = [.. a.Zip(b, (x, y) => (byte)(x * 3 + y))];
            cpu.Xmm(0, mask);
            byte[] expected = new byte[16];
            for (int n = 0; n < 128 / bits; n++)
                Put(expected, bits, n, Get(Get(mask, bits, n, true) < 0 ? b : a, bits, n, false));
            Assert.Equal(expected, cpu.Binary(code, a, b));
        }
    }

    [Theory]
    [InlineData("bw", 8, 16)]
    [InlineData("bd", 8, 32)]
    [InlineData("bq", 8, 64)]
    [InlineData("wd", 16, 32)]
    [InlineData("wq", 16, 64)]
    [InlineData("dq", 32, 64)]
    public void Extension_AnyVector_OfRegisterAndNarrowMemory(string kind, int from, int to)
    {
        using var cpu = new VectorCpu();
        int read = 128 * from / to;
        foreach (bool signed in new[] { true, false })
        {
            Code code = Enum.Parse<Code>($"Pmov{(signed ? "sx" : "zx")}{kind}_xmm_xmmm{read}");
            foreach ((byte[] a, byte[] b) in Pairs(16, 50))
            {
                byte[] expected = new byte[16];
                for (int i = 0; i < 128 / to; i++)
                    Put(expected, to, i, Get(b, from, i, signed));
                Assert.Equal(expected, cpu.Binary(code, a, b));
                // The last bytes before a page that is not there.
                ulong at = TestCpu.NotPresent - (ulong)(read / 8);
                cpu.Cpu.Write(at, b[..(read / 8)]);
                Assert.Null(cpu.Run(Instruction.Create(code, Register.XMM1, new MemoryOperand(Register.None, Register.None, 1, (long)at, 8))));
                Assert.Equal(expected, cpu.Xmm(1));
            }
        }
    }

    [Theory]
    [InlineData("Movddup", "xmm_xmmm64", 64, new[] { 0, 0 })]
    [InlineData("Movsldup", "xmm_xmmm128", 32, new[] { 0, 0, 2, 2 })]
    [InlineData("Movshdup", "xmm_xmmm128", 32, new[] { 1, 1, 3, 3 })]
    public void Duplicate_AnyVector_RepeatsElements(string name, string operands, int bits, int[] from)
    {
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(16, 20))
        {
            byte[] expected = new byte[16];
            for (int i = 0; i < from.Length; i++)
                Put(expected, bits, i, Get(b, bits, from[i], false));
            Assert.Equal(expected, cpu.Binary(Enum.Parse<Code>($"{name}_{operands}"), a, b));
        }
    }

    [Fact]
    public void InsertSingle_EveryImmediate_MatchesTheDefinition()
    {
        using var cpu = new VectorCpu();
        (byte[] a, byte[] b) = Pairs(16, 3).Last();
        cpu.Cpu.Write(TestCpu.DataAt, b);
        for (int i = 0; i < 256; i++)
        {
            foreach (bool memory in new[] { false, true })
            {
                byte[] expected = (byte[])a.Clone();
                Put(expected, 32, i >> 4 & 3, Get(b, 32, memory ? 0 : i >> 6, false));
                for (int n = 0; n < 4; n++)
                    if ((i >> n & 1) != 0)
                        Put(expected, 32, n, 0);
                cpu.Xmm(1, a);
                cpu.Xmm(2, b);
                var operand = new MemoryOperand(Register.None, Register.None, 1, (long)TestCpu.DataAt, 8);
                Assert.Null(cpu.Run(memory ? Instruction.Create(Code.Insertps_xmm_xmmm32_imm8, Register.XMM1, operand, i)
                    : Instruction.Create(Code.Insertps_xmm_xmmm32_imm8, Register.XMM1, Register.XMM2, i)));
                Assert.Equal(expected, cpu.Xmm(1));
            }
        }
    }

    [Theory]
    [InlineData("b", 8, "r32m8")]
    [InlineData("d", 32, "rm32")]
    [InlineData("q", 64, "rm64")]
    public void Elements_EveryIndex_AreExtractedAndInserted(string kind, int bits, string operand)
    {
        using var cpu = new VectorCpu();
        (byte[] a, _) = Pairs(16, 3).Last();
        Register general = bits == 64 ? Register.RAX : Register.EAX;
        var memory = new MemoryOperand(Register.None, Register.None, 1, (long)TestCpu.DataAt, 8);
        for (int i = 0; i < 32; i++)
        {
            int index = i % (128 / bits);
            Code extract = Enum.Parse<Code>($"Pextr{kind}_{operand}_xmm_imm8"), insert = Enum.Parse<Code>($"Pinsr{kind}_xmm_{operand}_imm8");
            cpu.Xmm(1, a);
            cpu.Cpu[0] = ulong.MaxValue;
            Assert.Null(cpu.Run(Instruction.Create(extract, general, Register.XMM1, i)));
            Assert.Equal(Get(a, bits, index, false), cpu.Cpu[0]);
            cpu.Cpu.Write64(TestCpu.DataAt, 0);
            Assert.Null(cpu.Run(Instruction.Create(extract, memory, Register.XMM1, i)));
            Assert.Equal(Get(a, bits, index, false), cpu.Cpu.Read64(TestCpu.DataAt));

            byte[] expected = (byte[])a.Clone();
            Put(expected, bits, index, 0x1122_3344_5566_7788);
            cpu.Cpu[0] = 0x1122_3344_5566_7788;
            cpu.Cpu.Write64(TestCpu.DataAt, 0x1122_3344_5566_7788);
            Assert.Null(cpu.Run(Instruction.Create(insert, Register.XMM1, general, i)));
            Assert.Equal(expected, cpu.Xmm(1));
            cpu.Xmm(1, a);
            Assert.Null(cpu.Run(Instruction.Create(insert, Register.XMM1, memory, i)));
            Assert.Equal(expected, cpu.Xmm(1));
        }
    }
}
