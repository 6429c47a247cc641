using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using Emu.Instructions;
using Iced.Intel;
using Xunit;
using static Emu.Tests.Instructions.VectorLaw;
using Aes = Emu.Instructions.Aes;

namespace Emu.Tests.Instructions;

/// <summary>AES, carry-less multiplication, SHA and CRC32 against published vectors and straightforward definitions.</summary>
public sealed unsafe class CryptographyTests
{
    private static readonly byte[] _key = Convert.FromHexString("000102030405060708090a0b0c0d0e0f");
    private static readonly byte[] _plain = Convert.FromHexString("00112233445566778899aabbccddeeff");
    private static readonly byte[] _cipher = Convert.FromHexString("69c4e0d86a7b0430d8cdb78070b4c55a");

    /// <summary>FIPS 197, appendix C.1.</summary>
    [Fact]
    public void Aes128_PublishedVector_EncryptsAndDecrypts()
    {
        using var cpu = new VectorCpu();
        byte[][] keys = Expand(cpu);
        byte[] state = Xor(_plain, keys[0]);
        for (int round = 1; round < 10; round++)
            state = cpu.Binary(Code.Aesenc_xmm_xmmm128, state, keys[round]);
        state = cpu.Binary(Code.Aesenclast_xmm_xmmm128, state, keys[10]);
        Assert.Equal(_cipher, state);

        // The equivalent inverse cipher.
        state = Xor(state, keys[10]);
        for (int round = 9; round > 0; round--)
            state = cpu.Binary(Code.Aesdec_xmm_xmmm128, state, cpu.Binary(Code.Aesimc_xmm_xmmm128, new byte[16], keys[round]));
        Assert.Equal(_plain, cpu.Binary(Code.Aesdeclast_xmm_xmmm128, state, keys[0]));
    }

    private static byte[][] Expand(VectorCpu cpu)
    {
        var keys = new byte[11][];
        keys[0] = _key;
        byte constant = 1;
        for (int i = 1; i < 11; i++, constant = (byte)(constant << 1 ^ (constant > 0x7F ? 0x1B : 0)))
        {
            byte[] assist = cpu.Binary(Code.Aeskeygenassist_xmm_xmmm128_imm8, new byte[16], keys[i - 1], constant);
            keys[i] = new byte[16];
            BigInteger word = Get(assist, 32, 3, false);
            for (int w = 0; w < 4; w++)
            {
                word ^= Get(keys[i - 1], 32, w, false);
                Put(keys[i], 32, w, word);
            }
        }
        // FIPS 197, appendix C.1: the last round key.
        Assert.Equal("13111d7fe3944a17f307a78b4d2b30c5", Convert.ToHexString(keys[10]).ToLowerInvariant());
        return keys;
    }

    private static byte[] Xor(byte[] a, byte[] b) => [.. a.Zip(b, (x, y) => (byte)(x ^ y))];

    [Fact]
    public void PortableAes_AnyVectors_GivesTheInstructionsResults()
    {
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(16))
        {
            Same<Aes.Portable.Encrypt>(Code.Aesenc_xmm_xmmm128);
            Same<Aes.Portable.EncryptLast>(Code.Aesenclast_xmm_xmmm128);
            Same<Aes.Portable.Decrypt>(Code.Aesdec_xmm_xmmm128);
            Same<Aes.Portable.DecryptLast>(Code.Aesdeclast_xmm_xmmm128);
            Same<Aes.Portable.InverseMixColumns>(Code.Aesimc_xmm_xmmm128);

            void Same<T>(Code code) where T : struct, ILongVectorOperation
            {
                byte[] r = (byte[])a.Clone();
                fixed (byte* destination = r, source = b)
                    T.Execute(cpu.S, destination, source, 0);
                Assert.Equal(r, cpu.Binary(code, a, b));
            }
        }
    }

    /// <summary>Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction and its Usage for Computing the GCM Mode", figure of examples.</summary>
    [Theory]
    [InlineData(0x00, "1d4d84c85c3440c0929633d5d36f0451")]
    [InlineData(0x01, "1bd17c8d556ab5a17fa540ac2a281315")]
    [InlineData(0x10, "1a2bf6db3a30862fbabf262df4b7d5c9")]
    [InlineData(0x11, "1d1e1f2c592e7c45d66ee03e410fd4ed")]
    public void CarrylessMultiply_PublishedVector_IsTheProduct(byte immediate, string expected)
    {
        using var cpu = new VectorCpu();
        byte[] a = Reversed("48692853686179295b477565726f6e5d"), b = Reversed("7b5b54657374566563746f725d53475d");
        Assert.Equal(Reversed(expected), cpu.Binary(Code.Pclmulqdq_xmm_xmmm128_imm8, a, b, immediate));

        static byte[] Reversed(string hex) => [.. Convert.FromHexString(hex).Reverse()];
    }

    [Fact]
    public void CarrylessMultiply_AnyVectors_ChoosesByTheImmediateAndIsPortable()
    {
        using var cpu = new VectorCpu();
        foreach ((byte[] a, byte[] b) in Pairs(16, 50))
        {
            foreach (byte immediate in new byte[] { 0x00, 0x01, 0x10, 0x11, 0xEE })
            {
                BigInteger x = Get(a, 64, immediate & 1, false), product = 0;
                ulong y = (ulong)Get(b, 64, immediate >> 4 & 1, false);
                for (int i = 0; i < 64; i++)
                    if ((y >> i & 1) != 0)
                        product ^= x << i;
                byte[] expected = new byte[16];
                Put(expected, 128, 0, product);
                Assert.Equal(expected, cpu.Binary(Code.Pclmulqdq_xmm_xmmm128_imm8, a, b, immediate));
                Assert.Equal(product, (BigInteger)CarrylessMultiply.Portable((ulong)x, y));
            }
        }
    }

    [Theory]
    [InlineData("abc", "a9993e364706816aba3e25717850c26c9cd0d89d", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")]
    [InlineData("", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData("Immediate values, jump labels, text_poke", null, null)]
    public void Sha_OneBlock_GivesThePublishedDigest(string text, string? sha1, string? sha256)
    {
        byte[] message = Encoding.ASCII.GetBytes(text);
        byte[] block = new byte[64];
        message.CopyTo(block, 0);
        block[message.Length] = 0x80;
        BinaryPrimitives.WriteInt64BigEndian(block.AsSpan(56), 8 * message.Length);
        uint[] w = [.. Enumerable.Range(0, 16).Select(i => BinaryPrimitives.ReadUInt32BigEndian(block.AsSpan(4 * i)))];
        using var cpu = new VectorCpu();
#pragma warning disable CA5350 // The digest, not a secret.
        Assert.Equal(Convert.ToHexStringLower(SHA1.HashData(message)), Sha1(cpu, w));
#pragma warning restore CA5350
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(message)), Sha256(cpu, w));
        if (sha1 != null)
            Assert.Equal((sha1, sha256), (Sha1(cpu, w), Sha256(cpu, w)));
    }

    private static string Sha1(VectorCpu cpu, uint[] w)
    {
        uint[] start = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
        var message = new byte[20][];
        for (int g = 0; g < 20; g++)
        {
            message[g] = g < 4 ? High(w[4 * g], w[4 * g + 1], w[4 * g + 2], w[4 * g + 3])
                : cpu.Binary(Code.Sha1msg2_xmm_xmmm128, Xor(cpu.Binary(Code.Sha1msg1_xmm_xmmm128, message[g - 4], message[g - 3]), message[g - 2]), message[g - 1]);
        }
        byte[] abcd = High(start[0], start[1], start[2], start[3]), before = [];
        for (int g = 0; g < 20; g++)
        {
            byte[] words = g == 0 ? High(w[0] + start[4], w[1], w[2], w[3]) : cpu.Binary(Code.Sha1nexte_xmm_xmmm128, before, message[g]);
            before = abcd;
            abcd = cpu.Binary(Code.Sha1rnds4_xmm_xmmm128_imm8, abcd, words, (byte)(g / 5));
        }
        uint e = (uint)Get(cpu.Binary(Code.Sha1nexte_xmm_xmmm128, before, new byte[16]), 32, 3, false);
        return Digest([Word(abcd, 3), Word(abcd, 2), Word(abcd, 1), Word(abcd, 0), e], start);
    }

    private static string Sha256(VectorCpu cpu, uint[] w)
    {
        int[] primes = [.. Enumerable.Range(2, 400).Where(n => Enumerable.Range(2, n - 2).All(d => n % d != 0)).Take(64)];
        uint[] start = [.. primes.Take(8).Select(p => (uint)(Root((BigInteger)p << 64, 2) & uint.MaxValue))];
        var message = new byte[16][];
        for (int g = 0; g < 16; g++)
        {
            if (g < 4)
            {
                message[g] = High(w[4 * g + 3], w[4 * g + 2], w[4 * g + 1], w[4 * g]);
                continue;
            }
            byte[] seven = [.. message[g - 2][4..], .. message[g - 1][..4]];
            byte[] sum = Map(cpu.Binary(Code.Sha256msg1_xmm_xmmm128, message[g - 4], message[g - 3]), seven, 32, false, (x, y) => x + y);
            message[g] = cpu.Binary(Code.Sha256msg2_xmm_xmmm128, sum, message[g - 1]);
        }
        byte[] abef = High(start[0], start[1], start[4], start[5]), cdgh = High(start[2], start[3], start[6], start[7]);
        for (int i = 0; i < 64; i += 2)
        {
            uint Wk(int n) => Word(message[n / 4], n % 4) + (uint)(Root((BigInteger)primes[n] << 96, 3) & uint.MaxValue);
            cpu.Xmm(0, High(0, 0, Wk(i + 1), Wk(i)));
            (abef, cdgh) = (cpu.Binary(Code.Sha256rnds2_xmm_xmmm128, cdgh, abef), abef);
        }
        return Digest([Word(abef, 3), Word(abef, 2), Word(cdgh, 3), Word(cdgh, 2), Word(abef, 1), Word(abef, 0), Word(cdgh, 1), Word(cdgh, 0)], start);
    }

    private static string Digest(uint[] words, uint[] start) => string.Concat(words.Zip(start, (a, b) => (a + b).ToString("x8")));

    private static uint Word(byte[] v, int i) => BinaryPrimitives.ReadUInt32LittleEndian(v.AsSpan(4 * i));

    private static byte[] High(uint w3, uint w2, uint w1, uint w0) =>
        [.. BitConverter.GetBytes(w0), .. BitConverter.GetBytes(w1), .. BitConverter.GetBytes(w2), .. BitConverter.GetBytes(w3)];

    private static BigInteger Root(BigInteger v, int degree)
    {
        BigInteger low = 0, high = BigInteger.One << 80;
        while (high - low > 1)
        {
            BigInteger middle = (low + high) / 2;
            (low, high) = BigInteger.Pow(middle, degree) <= v ? (middle, high) : (low, middle);
        }
        return low;
    }

    /// <summary>RFC 3720, appendix B.4, and the check value of CRC-32C.</summary>
    [Theory]
    [InlineData("313233343536373839", 0xE306_9283)]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000", 0x8A91_36AA)]
    [InlineData("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 0x62A8_AB43)]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 0x46DD_794E)]
    public void Crc32_PublishedVectors_InEveryWidth(string hex, uint expected)
    {
        byte[] data = Convert.FromHexString(hex);
        using var cpu = new VectorCpu();
        cpu.Cpu.Write(TestCpu.DataAt, data);
        foreach ((Code code, int bytes, bool wide) in new[]
        {
            (Code.Crc32_r32_rm8, 1, false), (Code.Crc32_r64_rm8, 1, true), (Code.Crc32_r32_rm16, 2, false), (Code.Crc32_r32_rm32, 4, false), (Code.Crc32_r64_rm64, 8, true),
        })
        {
            if (data.Length % bytes != 0)
                continue;
            foreach (bool memory in new[] { false, true })
            {
                cpu.Cpu[0] = wide ? ulong.MaxValue : 0xDEAD_BEEF_FFFF_FFFF;
                cpu.Cpu.Rflags = Cpus.Rflags.Arithmetic;
                for (int i = 0; i < data.Length; i += bytes)
                {
                    Register destination = wide ? Register.RAX : Register.EAX;
                    Register source = bytes switch { 1 => Register.CL, 2 => Register.CX, 4 => Register.ECX, _ => Register.RCX };
                    cpu.Cpu[1] = BitConverter.ToUInt64([.. data[i..(i + bytes)], .. Enumerable.Repeat((byte)0xEE, 8 - bytes)]);
                    var operand = new MemoryOperand(Register.None, Register.None, 1, (long)TestCpu.DataAt + i, 8);
                    Assert.Null(cpu.Run(memory ? Instruction.Create(code, destination, operand) : Instruction.Create(code, destination, source)));
                }
                Assert.Equal(~expected, cpu.Cpu[0]);
                Assert.Equal(Cpus.Rflags.Arithmetic, cpu.Cpu.Arithmetic);
            }
        }
    }
}
