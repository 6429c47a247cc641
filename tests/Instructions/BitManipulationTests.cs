using System.Numerics;
using Emu.Cpus;
using Iced.Intel;
using Xunit;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>BMI1, BMI2 and ADX against straightforward definitions.</summary>
public sealed class BitManipulationTests
{
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3;

    [Theory]
    [InlineData("Andn", 32)]
    [InlineData("Andn", 64)]
    [InlineData("Pdep", 32)]
    [InlineData("Pdep", 64)]
    [InlineData("Pext", 32)]
    [InlineData("Pext", 64)]
    [InlineData("Bextr", 32)]
    [InlineData("Bextr", 64)]
    [InlineData("Bzhi", 32)]
    [InlineData("Bzhi", 64)]
    [InlineData("Sarx", 32)]
    [InlineData("Sarx", 64)]
    [InlineData("Shlx", 64)]
    [InlineData("Shrx", 32)]
    public void ThreeOperands_AnyValues_MatchTheDefinition(string name, int bits)
    {
        using var cpu = new TestCpu();
        (Register a, Register b, Register c) = bits == 32 ? (Register.EAX, Register.EBX, Register.ECX) : (Register.RAX, Register.RBX, Register.RCX);
        bool maskInRm = name is "Andn" or "Pdep" or "Pext";
        Code code = Enum.Parse<Code>(maskInRm ? $"VEX_{name}_r{bits}_r{bits}_rm{bits}" : $"VEX_{name}_r{bits}_rm{bits}_r{bits}");
        cpu.Load(x => x.AddInstruction(Instruction.Create(code, a, b, c)));
        Law.Holds((x, y) =>
        {
            (cpu[Rax], cpu[Rbx], cpu[Rcx]) = (ulong.MaxValue, x, y);
            cpu.Rflags = Rflags.Arithmetic;
            Assert.Null(cpu.Again());
            ulong u = x & Law.Mask(bits), v = y & Law.Mask(bits);
            int n = (int)(y & (ulong)(bits - 1));
            ulong expected = name switch
            {
                "Andn" => ~u & v,
                "Pdep" => Deposit(u, v),
                "Pext" => Extract(u, v),
                "Bextr" => (ulong)(((BigInteger)u >> (int)(y & 0xFF)) & ((BigInteger.One << (int)(y >> 8 & 0xFF)) - 1)),
                "Bzhi" => (ulong)(u & ((BigInteger.One << (int)(y & 0xFF)) - 1)),
                "Sarx" => Law.Low(Law.Signed(x, bits) >> n, bits),
                "Shlx" => u << n,
                _ => u >> n,
            } & Law.Mask(bits);
            Assert.Equal(expected, cpu[Rax]);
            ulong flags = cpu.Rflags & (Rflags.Cf | Rflags.Zf | Rflags.Of);
            if (name is "Andn" or "Bextr")
                Assert.Equal(expected == 0 ? Rflags.Zf : 0, flags);
            else if (name == "Bzhi")
                Assert.Equal((expected == 0 ? Rflags.Zf : 0) | ((y & 0xFF) >= (ulong)bits ? Rflags.Cf : 0), flags);
            else
                Assert.Equal(Rflags.Arithmetic, cpu.Arithmetic);
        });
    }

    private static ulong Deposit(ulong source, ulong mask)
    {
        ulong r = 0;
        int k = 0;
        for (int i = 0; i < 64; i++)
            if ((mask >> i & 1) != 0)
                r |= (source >> k++ & 1) << i;
        return r;
    }

    private static ulong Extract(ulong source, ulong mask)
    {
        ulong r = 0;
        int k = 0;
        for (int i = 0; i < 64; i++)
            if ((mask >> i & 1) != 0)
                r |= (source >> i & 1) << k++;
        return r;
    }

    [Theory]
    [InlineData("Blsi")]
    [InlineData("Blsr")]
    [InlineData("Blsmsk")]
    public void LowestBit_AnyValue_MatchesTheDefinition(string name)
    {
        using var cpu = new TestCpu();
        cpu.Load(x => x.AddInstruction(Instruction.Create(Enum.Parse<Code>($"VEX_{name}_r32_rm32"), Register.EAX, Register.EBX)));
        Law.Holds((x, _) =>
        {
            cpu[Rbx] = x;
            Assert.Null(cpu.Again());
            uint v = (uint)x, low = v & (uint)-(int)v;
            uint expected = name switch { "Blsi" => low, "Blsr" => v ^ low, _ => low == 0 ? uint.MaxValue : low * 2 - 1 };
            Assert.Equal(expected, cpu[Rax]);
            Assert.Equal(name == "Blsi" ? v != 0 : v == 0, (cpu.Rflags & Rflags.Cf) != 0);
            Assert.Equal(Law.ResultFlags(expected, 32) & ~Rflags.Pf, cpu.Rflags & (Rflags.Zf | Rflags.Sf));
        });
    }

    [Fact]
    public void MulxAndAdx_AnyValues_KeepTheOtherFlags()
    {
        using var cpu = new TestCpu();
        Law.Holds((x, y, f) =>
        {
            ulong before = f & Rflags.Arithmetic;
            (cpu[Rdx], cpu[Rcx]) = (x, y);
            cpu.Rflags = before;
            Assert.Null(cpu.Run(a => a.mulx(AssemblerRegisters.rax, AssemblerRegisters.rbx, AssemblerRegisters.rcx)));
            Assert.Equal((BigInteger)x * y, (BigInteger)cpu[Rax] << 64 | cpu[Rbx]);
            Assert.Equal(before, cpu.Arithmetic);
            Add("adcx", Rflags.Cf);
            Add("adox", Rflags.Of);

            void Add(string name, ulong flag)
            {
                (cpu[Rax], cpu[Rcx]) = (x, y);
                cpu.Rflags = before;
                Assert.Null(cpu.Run(a =>
                {
                    if (name == "adcx")
                        a.adcx(AssemblerRegisters.rax, AssemblerRegisters.rcx);
                    else
                        a.adox(AssemblerRegisters.rax, AssemblerRegisters.rcx);
                }));
                BigInteger sum = (BigInteger)x + y + ((before & flag) != 0 ? 1 : 0);
                Assert.Equal(Law.Low(sum, 64), cpu[Rax]);
                Assert.Equal((before & ~flag) | (sum >> 64 != 0 ? flag : 0), cpu.Arithmetic);
            }
        });
    }

    [Fact]
    public void PortableHigh_OfTheProduct_IsThatOfTheHost()
    {
        Law.Holds((x, y) => Assert.Equal((ulong)((BigInteger)x * y >> 64), Emu.Instructions.Multiply.PortableHigh(x, y)));
    }

    [Fact]
    public void VexInstruction_InRealModeOrOnAnOldModel_IsInvalidOpcode()
    {
        using var real = new TestCpu(16);
        real.Load(0xC4, 0xE2, 0x78, 0xF2, 0xC1); // andn eax, eax, ecx; LES with a register operand without VEX
        Assert.Equal(Vector.InvalidOpcode, real.Step());
        using var old = new TestCpu(model: CpuModels.K8);
        old.Load(0xC4, 0xE2, 0x78, 0xF2, 0xC1);
        Assert.Equal(Vector.InvalidOpcode, old.Step());
    }
}
