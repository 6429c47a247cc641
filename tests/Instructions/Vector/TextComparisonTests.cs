using System.Numerics;
using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Emu.Tests.Instructions.VectorLaw;

namespace Emu.Tests.Instructions;

/// <summary>PCMPxSTRx: every immediate, lengths of every kind, against the manual's tables done literally.</summary>
public sealed class TextComparisonTests
{
    /// <summary>A table of all comparisons, overridden for invalid elements, then summed up.</summary>
    private static (uint IntRes2, int Most, ulong Flags) Reference(byte[] a, byte[] b, int lengthA, int lengthB, byte imm)
    {
        int bits = (imm & 1) != 0 ? 16 : 8;
        int most = 128 / bits;
        bool signed = (imm & 2) != 0;
        int aggregation = imm >> 2 & 3;
        var table = new bool[most, most]; // [second string, first string]
        for (int j = 0; j < most; j++)
        {
            for (int i = 0; i < most; i++)
            {
                BigInteger x = Get(a, bits, i, signed), y = Get(b, bits, j, signed);
                bool v = aggregation == 1 ? i % 2 == 0 ? y >= x : y <= x : x == y;
                bool validA = i < lengthA, validB = j < lengthB;
                if (!validA || !validB)
                    v = aggregation switch
                    {
                        0 or 1 => false,
                        2 => !validA && !validB,
                        _ => !validA,
                    };
                table[j, i] = v;
            }
        }
        uint result = 0;
        for (int j = 0; j < most; j++)
        {
            bool bit = aggregation switch
            {
                0 => Enumerable.Range(0, most).Any(i => table[j, i]),
                1 => Enumerable.Range(0, most / 2).Any(i => table[j, 2 * i] && table[j, 2 * i + 1]),
                2 => table[j, j],
                _ => Enumerable.Range(0, most - j).All(i => table[j + i, i]),
            };
            bool invert = (imm & 0x30) == 0x10 || ((imm & 0x30) == 0x30 && j < lengthB);
            result |= (bit != invert ? 1U : 0) << j;
        }
        ulong flags = (result != 0 ? Rflags.Cf : 0) | (lengthB < most ? Rflags.Zf : 0) | (lengthA < most ? Rflags.Sf : 0) | ((result & 1) != 0 ? Rflags.Of : 0);
        return (result, most, flags);
    }

    private static int Zero(byte[] text, int bits)
    {
        for (int i = 0; i < 128 / bits; i++)
            if (Get(text, bits, i, false) == 0)
                return i;
        return 128 / bits;
    }

    /// <summary>Few different letters, so that they meet; some zeros.</summary>
    private static byte[] Text(Random random)
    {
        byte[] letters = [0x41, 0x42, 0x43, 0x81, 0xFF, 0x00];
        byte[] text = new byte[16];
        bool words = random.Next(2) == 0;
        for (int i = 0; i < 16; i++)
            text[i] = words && i % 2 == 1 ? (byte)(text[i - 1] == 0 ? 0 : 0x80 * random.Next(2)) : letters[random.Next(random.Next(4) == 0 ? 6 : 5)];
        return text;
    }

    [Theory]
    [InlineData(Code.Pcmpestri_xmm_xmmm128_imm8)]
    [InlineData(Code.Pcmpestri64_xmm_xmmm128_imm8)]
    [InlineData(Code.Pcmpestrm_xmm_xmmm128_imm8)]
    [InlineData(Code.Pcmpestrm64_xmm_xmmm128_imm8)]
    [InlineData(Code.Pcmpistri_xmm_xmmm128_imm8)]
    [InlineData(Code.Pcmpistrm_xmm_xmmm128_imm8)]
    public void Compare_EveryImmediate_MatchesTheDefinition(Code code)
    {
        using var cpu = new VectorCpu();
        var random = new Random(2009);
        bool isExplicit = code.ToString().Contains("est"), wide = code.ToString().Contains("64"), mask = code.ToString().Contains("strm");
        ulong[] lengths = [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 0xFFFF_FFFF, 0xFFFF_FFF8, 0x8000_0000, ulong.MaxValue, 0x1_0000_0003, 0x8000_0000_0000_0000];
        for (int n = 0; n < 2048; n++)
        {
            byte imm = (byte)n;
            byte[] a = Text(random), b = Text(random);
            ulong rax = lengths[random.Next(lengths.Length)], rdx = lengths[random.Next(lengths.Length)];
            int most = (imm & 1) != 0 ? 8 : 16;
            int lengthA = isExplicit ? Length(rax) : Zero(a, 128 / most), lengthB = isExplicit ? Length(rdx) : Zero(b, 128 / most);
            (uint result, _, ulong flags) = Reference(a, b, lengthA, lengthB, imm);
            (cpu.Cpu[0], cpu.Cpu[2], cpu.Cpu[1]) = (rax, rdx, ulong.MaxValue);
            cpu.Cpu.Rflags = Rflags.Arithmetic;
            byte[] zero = new byte[16];
            Put(zero, 128, 0, mask ? -1 : 5);
            cpu.Xmm(0, zero);
            Assert.Equal(a, cpu.Binary(code, a, b, imm));
            Assert.Equal(flags, cpu.Cpu.Arithmetic);
            if (mask)
            {
                byte[] expected = new byte[16];
                for (int i = 0; i < most; i++)
                    Put(expected, 128 / most, i, (result >> i & 1) != 0 ? -1 : 0);
                if ((imm & 0x40) == 0)
                    Put(expected, 128, 0, result);
                Assert.Equal(expected, cpu.Xmm(0));
                Assert.Equal(ulong.MaxValue, cpu.Cpu[1]);
            }
            else
            {
                int index = result == 0 ? most : (imm & 0x40) != 0 ? BitOperations.Log2(result) : BitOperations.TrailingZeroCount(result);
                Assert.Equal((ulong)index, cpu.Cpu[1]);
                Assert.Equal(zero, cpu.Xmm(0));
            }

            int Length(ulong register)
            {
                BigInteger v = wide ? (long)register : (int)register;
                return (int)BigInteger.Min(BigInteger.Abs(v), most);
            }
        }
    }
}
