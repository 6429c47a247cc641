using System.Numerics;
using System.Runtime.Intrinsics;
using Emu.Instructions;
using Iced.Intel;
using Xunit;
using static Emu.Tests.Instructions.VectorLaw;

namespace Emu.Tests.Instructions;

/// <summary>Packed integer instructions against one element at a time, on XMM and MMX, register and memory.</summary>
public sealed class PackedArithmeticTests
{
    private delegate BigInteger Element(BigInteger a, BigInteger b);

    /// <summary>By mnemonic: bits of an element, whether it is signed, and what becomes of it.</summary>
    private static readonly Dictionary<string, (int Bits, bool Signed, Element F)> _elements = new()
    {
        ["Pand"] = (64, false, (a, b) => a & b),
        ["Pandn"] = (8, false, (a, b) => 0xFF - a & b),
        ["Por"] = (64, false, (a, b) => a | b),
        ["Pxor"] = (64, false, (a, b) => a ^ b),
        ["Andps"] = (64, false, (a, b) => a & b),
        ["Andpd"] = (64, false, (a, b) => a & b),
        ["Andnps"] = (8, false, (a, b) => 0xFF - a & b),
        ["Andnpd"] = (8, false, (a, b) => 0xFF - a & b),
        ["Orps"] = (64, false, (a, b) => a | b),
        ["Orpd"] = (64, false, (a, b) => a | b),
        ["Xorps"] = (64, false, (a, b) => a ^ b),
        ["Xorpd"] = (64, false, (a, b) => a ^ b),
        ["Pcmpeqb"] = (8, false, (a, b) => a == b ? -1 : 0),
        ["Pcmpeqw"] = (16, false, (a, b) => a == b ? -1 : 0),
        ["Pcmpeqd"] = (32, false, (a, b) => a == b ? -1 : 0),
        ["Pcmpgtb"] = (8, true, (a, b) => a > b ? -1 : 0),
        ["Pcmpgtw"] = (16, true, (a, b) => a > b ? -1 : 0),
        ["Pcmpgtd"] = (32, true, (a, b) => a > b ? -1 : 0),
        ["Pminub"] = (8, false, BigInteger.Min),
        ["Pmaxub"] = (8, false, BigInteger.Max),
        ["Pminsw"] = (16, true, BigInteger.Min),
        ["Pmaxsw"] = (16, true, BigInteger.Max),
        ["Paddb"] = (8, false, (a, b) => a + b),
        ["Paddw"] = (16, false, (a, b) => a + b),
        ["Paddd"] = (32, false, (a, b) => a + b),
        ["Paddq"] = (64, false, (a, b) => a + b),
        ["Psubb"] = (8, true, (a, b) => a - b),
        ["Psubw"] = (16, true, (a, b) => a - b),
        ["Psubd"] = (32, true, (a, b) => a - b),
        ["Psubq"] = (64, true, (a, b) => a - b),
        ["Paddsb"] = (8, true, (a, b) => Saturate(a + b, 8, true)),
        ["Paddsw"] = (16, true, (a, b) => Saturate(a + b, 16, true)),
        ["Paddusb"] = (8, false, (a, b) => Saturate(a + b, 8, false)),
        ["Paddusw"] = (16, false, (a, b) => Saturate(a + b, 16, false)),
        ["Psubsb"] = (8, true, (a, b) => Saturate(a - b, 8, true)),
        ["Psubsw"] = (16, true, (a, b) => Saturate(a - b, 16, true)),
        ["Psubusb"] = (8, false, (a, b) => Saturate(a - b, 8, false)),
        ["Psubusw"] = (16, false, (a, b) => Saturate(a - b, 16, false)),
        ["Pavgb"] = (8, false, (a, b) => (a + b + 1) / 2),
        ["Pavgw"] = (16, false, (a, b) => (a + b + 1) / 2),
        ["Pmullw"] = (16, true, (a, b) => a * b),
        ["Pmulhw"] = (16, true, (a, b) => a * b >> 16),
        ["Pmulhuw"] = (16, false, (a, b) => a * b >> 16),
        ["Pcmpeqq"] = (64, false, (a, b) => a == b ? -1 : 0),
        ["Pcmpgtq"] = (64, true, (a, b) => a > b ? -1 : 0),
        ["Pminsb"] = (8, true, BigInteger.Min),
        ["Pminuw"] = (16, false, BigInteger.Min),
        ["Pminsd"] = (32, true, BigInteger.Min),
        ["Pminud"] = (32, false, BigInteger.Min),
        ["Pmaxsb"] = (8, true, BigInteger.Max),
        ["Pmaxuw"] = (16, false, BigInteger.Max),
        ["Pmaxsd"] = (32, true, BigInteger.Max),
        ["Pmaxud"] = (32, false, BigInteger.Max),
        ["Pabsb"] = (8, true, (_, b) => BigInteger.Abs(b)),
        ["Pabsw"] = (16, true, (_, b) => BigInteger.Abs(b)),
        ["Pabsd"] = (32, true, (_, b) => BigInteger.Abs(b)),
        ["Psignb"] = (8, true, (a, b) => a * b.Sign),
        ["Psignw"] = (16, true, (a, b) => a * b.Sign),
        ["Psignd"] = (32, true, (a, b) => a * b.Sign),
        ["Pmulhrsw"] = (16, true, (a, b) => ((a * b >> 14) + 1) >> 1),
        ["Pmulld"] = (32, true, (a, b) => a * b),
    };

    public static TheoryData<Code> ElementCodes()
    {
        var data = new TheoryData<Code>();
        foreach (string name in _elements.Keys)
            foreach (string operands in new[] { "xmm_xmmm128", "mm_mmm64" })
                if (Enum.TryParse(name + "_" + operands, out Code code))
                    data.Add(code);
        return data;
    }

    [Theory]
    [MemberData(nameof(ElementCodes))]
    public void ElementWise_AnyVectors_MatchesTheDefinition(Code code)
    {
        (int bits, bool signed, Element f) = _elements[code.Mnemonic().ToString()];
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(code.ToString().Contains("_mm_", System.StringComparison.Ordinal) ? 8 : 16))
            Assert.Equal(Map(a, b, bits, signed, (x, y) => f(x, y)), cpu.Binary(code, a, b));
    }

    [Theory]
    [InlineData(Code.Pmaddwd_xmm_xmmm128)]
    [InlineData(Code.Pmaddwd_mm_mmm64)]
    [InlineData(Code.Pmuludq_xmm_xmmm128)]
    [InlineData(Code.Pmuludq_mm_mmm64)]
    [InlineData(Code.Psadbw_xmm_xmmm128)]
    [InlineData(Code.Psadbw_mm_mmm64)]
    [InlineData(Code.Pmuldq_xmm_xmmm128)]
    [InlineData(Code.Pmaddubsw_xmm_xmmm128)]
    [InlineData(Code.Pmaddubsw_mm_mmm64)]
    public void Widening_AnyVectors_MatchesTheDefinition(Code code)
    {
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(code.ToString().Contains("_mm_", System.StringComparison.Ordinal) ? 8 : 16))
        {
            byte[] expected = new byte[a.Length];
            switch (code.Mnemonic())
            {
                case Mnemonic.Pmaddwd:
                    for (int i = 0; i < a.Length / 4; i++)
                        Put(expected, 32, i, Get(a, 16, 2 * i, true) * Get(b, 16, 2 * i, true) + Get(a, 16, 2 * i + 1, true) * Get(b, 16, 2 * i + 1, true));
                    break;
                case Mnemonic.Pmuludq or Mnemonic.Pmuldq:
                    bool signed = code.Mnemonic() == Mnemonic.Pmuldq;
                    for (int i = 0; i < a.Length / 8; i++)
                        Put(expected, 64, i, Get(a, 32, 2 * i, signed) * Get(b, 32, 2 * i, signed));
                    break;
                case Mnemonic.Pmaddubsw:
                    for (int i = 0; i < a.Length / 2; i++)
                        Put(expected, 16, i, Saturate(a[2 * i] * (sbyte)b[2 * i] + a[2 * i + 1] * (sbyte)b[2 * i + 1], 16, true));
                    break;
                default:
                    for (int i = 0; i < a.Length; i++)
                        Put(expected, 64, i / 8, Get(expected, 64, i / 8, false) + Math.Abs(a[i] - b[i]));
                    break;
            }
            Assert.Equal(expected, cpu.Binary(code, a, b));
        }
    }

    public static TheoryData<string, int> Shifts() => new()
    {
        { "Psllw", 16 }, { "Pslld", 32 }, { "Psllq", 64 }, { "Psrlw", 16 }, { "Psrld", 32 }, { "Psrlq", 64 }, { "Psraw", 16 }, { "Psrad", 32 },
    };

    [Theory]
    [MemberData(nameof(Shifts))]
    public void Shift_EveryCount_MatchesTheDefinition(string name, int bits)
    {
        using var cpu = new VectorCpu();
        bool arithmetic = name.StartsWith("Psra", StringComparison.Ordinal);
        foreach (string file in new[] { "xmm", "mm" })
        {
            int bytes = file == "xmm" ? 16 : 8;
            Code byVector = Enum.Parse<Code>(file == "xmm" ? $"{name}_xmm_xmmm128" : $"{name}_mm_mmm64");
            Code byImmediate = Enum.Parse<Code>($"{name}_{file}_imm8");
            byte[] a = Pairs(bytes, 3).Last().A;
            foreach (ulong count in Enumerable.Range(0, 256).Select(i => (ulong)i).Append(0x1_0000_0000UL).Append(ulong.MaxValue))
            {
                BigInteger Shift(BigInteger v, BigInteger _) => count >= (ulong)bits && !arithmetic ? 0
                    : name[2] == 'l' ? v << (int)count : v >> (int)Math.Min(count, (ulong)bits);
                byte[] expected = Map(a, a, bits, arithmetic, Shift);
                byte[] b = new byte[bytes];
                BitConverter.TryWriteBytes(b, count);
                if (bytes == 16)
                    b[15] = 0xAA; // Beyond the low quadword: ignored.
                Assert.Equal(expected, cpu.Binary(byVector, a, b));
                if (count > 255)
                    continue;
                if (file == "xmm")
                    cpu.Xmm(1, a);
                else
                    cpu.Mmx(1, a);
                Assert.Null(cpu.Run(Instruction.Create(byImmediate, file == "xmm" ? Register.XMM1 : Register.MM1, (int)count)));
                Assert.Equal(expected, file == "xmm" ? cpu.Xmm(1) : cpu.Mmx(1));
            }
        }
    }

    [Theory]
    [InlineData("Phaddw", 16, 1, false)]
    [InlineData("Phaddd", 32, 1, false)]
    [InlineData("Phaddsw", 16, 1, true)]
    [InlineData("Phsubw", 16, -1, false)]
    [InlineData("Phsubd", 32, -1, false)]
    [InlineData("Phsubsw", 16, -1, true)]
    public void Horizontal_AnyVectors_CombinesNeighbours(string name, int bits, int sign, bool saturates)
    {
        using var cpu = new VectorCpu();
        foreach (string operands in new[] { "xmm_xmmm128", "mm_mmm64" })
        {
            foreach ((byte[] a, byte[] b) in Pairs(operands[0] == 'x' ? 16 : 8))
            {
                byte[] expected = new byte[a.Length];
                int half = 4 * a.Length / bits;
                for (int i = 0; i < 2 * half; i++)
                {
                    byte[] from = i < half ? a : b;
                    BigInteger v = Get(from, bits, 2 * (i % half), true) + sign * Get(from, bits, 2 * (i % half) + 1, true);
                    Put(expected, bits, i, saturates ? Saturate(v, bits, true) : v);
                }
                Assert.Equal(expected, cpu.Binary(Enum.Parse<Code>($"{name}_{operands}"), a, b));
            }
        }
    }

    [Fact]
    public void MinimumPosition_AnyWords_IsTheFirstOfTheLeast()
    {
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(16))
        {
            BigInteger[] words = [.. Enumerable.Range(0, 8).Select(i => Get(b, 16, i, false))];
            byte[] expected = new byte[16];
            Put(expected, 16, 0, words.Min());
            Put(expected, 16, 1, Array.IndexOf(words, words.Min()));
            Assert.Equal(expected, cpu.Binary(Code.Phminposuw_xmm_xmmm128, a, b));
        }
    }

    [Fact]
    public void SlidingDifferences_EveryBlock_MatchTheDefinition()
    {
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(16, 20))
        {
            for (int immediate = 0; immediate < 16; immediate++)
            {
                byte[] expected = new byte[16];
                for (int i = 0; i < 8; i++)
                    Put(expected, 16, i, Enumerable.Range(0, 4).Sum(k => Math.Abs(a[(immediate & 4) + i + k] - b[4 * (immediate & 3) + k])));
                Assert.Equal(expected, cpu.Binary(Code.Mpsadbw_xmm_xmmm128_imm8, a, b, (byte)immediate));
            }
        }
    }

    [Fact]
    public void Test_AnyVectors_SetsZeroAndCarryAlone()
    {
        using var cpu = new VectorCpu();
        var seen = new HashSet<ulong>();
        byte[] zeros = new byte[16], ones = [.. Enumerable.Repeat((byte)0xFF, 16)];
        foreach ((byte[] a, byte[] b) in Pairs(16).Append((zeros, ones)).Append((ones, zeros)).Append((ones, ones)).Append((zeros, zeros)))
        {
            BigInteger x = Get(a, 128, 0, false), y = Get(b, 128, 0, false);
            cpu.Cpu.Rflags = Cpus.Rflags.Arithmetic;
            Assert.Equal(a, cpu.Binary(Code.Ptest_xmm_xmmm128, a, b));
            Assert.Equal(((x & y) == 0 ? Cpus.Rflags.Zf : 0) | ((y & ~x) == 0 ? Cpus.Rflags.Cf : 0), cpu.Cpu.Arithmetic);
            seen.Add(cpu.Cpu.Arithmetic);
        }
        Assert.Equal(4, seen.Count);
    }

    /// <summary>What the host has no instruction for is computed; both must be the same.</summary>
    [Fact]
    public void PortableForms_AnyVectors_GiveTheHostsResults()
    {
        foreach ((byte[] x, byte[] y) in Pairs(16, 500))
        {
            Vector128<byte> a = Vector128.Create(x), b = Vector128.Create(y);
            Assert.Equal(PackedMultiply.High.Execute<W128>(a, b), PackedMultiply.High.Portable(a, b));
            Assert.Equal(PackedMultiply.HighUnsigned.Execute<W128>(a, b), PackedMultiply.HighUnsigned.Portable(a, b));
            Assert.Equal(PackedMultiply.HighRounded.Execute<W128>(a, b), PackedMultiply.HighRounded.Portable(a, b));
            Assert.Equal(PackedMultiply.AddProducts.Execute<W128>(a, b), PackedMultiply.AddProducts.Portable(a, b));
            Assert.Equal(PackedMultiply.AddByteProducts.Execute<W128>(a, b), PackedMultiply.AddByteProducts.Portable(a, b));
            Assert.Equal(PackedMultiply.EvenUnsigned.Execute<W128>(a, b), PackedMultiply.EvenUnsigned.Portable(a, b));
            Assert.Equal(PackedMultiply.EvenSigned.Execute<W128>(a, b), PackedMultiply.EvenSigned.Portable(a, b));
            Assert.Equal(PackedMultiply.SumOfDifferences.Execute<W128>(a, b), PackedMultiply.SumOfDifferences.Portable(a, b));
            Assert.Equal(PackedShuffles.PackWordsUnsigned.Execute<W128>(a, b), PackedShuffles.PackWordsUnsigned.Portable(a, b));
            Interleaved<byte>(a, b);
            Interleaved<ushort>(a, b);
            Interleaved<uint>(a, b);
            Interleaved<ulong>(a, b);
        }

        static void Interleaved<T>(Vector128<byte> a, Vector128<byte> b) where T : unmanaged
        {
            Assert.Equal(PackedShuffles.InterleaveLow<T>.Execute<W128>(a, b), PackedShuffles.InterleaveLow<T>.Portable(a, b));
            Assert.Equal(PackedShuffles.InterleaveHigh<T>.Execute<W128>(a, b), PackedShuffles.InterleaveHigh<T>.Portable(a, b));
        }
    }
}
