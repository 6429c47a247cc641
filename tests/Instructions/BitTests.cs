using System.Numerics;
using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>Bit scans, counts, tests and swaps.</summary>
public sealed class BitTests
{
    private const int Rax = 0, Rcx = 1, Rbx = 3, Rsi = 6;

    [Theory]
    [InlineData("Bsf", 16)]
    [InlineData("Bsf", 64)]
    [InlineData("Bsr", 32)]
    [InlineData("Bsr", 64)]
    [InlineData("Tzcnt", 16)]
    [InlineData("Tzcnt", 32)]
    [InlineData("Lzcnt", 16)]
    [InlineData("Lzcnt", 64)]
    [InlineData("Popcnt", 16)]
    [InlineData("Popcnt", 64)]
    public void Scan_AnySource_FindsTheBit(string name, int bits)
    {
        using var cpu = new TestCpu();
        (Register a, Register b) = bits switch { 16 => (Register.AX, Register.BX), 32 => (Register.EAX, Register.EBX), _ => (Register.RAX, Register.RBX) };
        cpu.Load(x => x.AddInstruction(Instruction.Create(Enum.Parse<Code>($"{name}_r{bits}_rm{bits}"), a, b)));
        Law.Holds((source, old) =>
        {
            cpu[Rax] = old;
            cpu[Rbx] = source;
            cpu.Rflags = Rflags.Arithmetic;
            Assert.Null(cpu.Again());
            ulong v = source & Law.Mask(bits);
            int lowest = 0, highest = bits - 1;
            while (lowest < bits && (v >> lowest & 1) == 0)
                lowest++;
            while (highest >= 0 && (v >> highest & 1) == 0)
                highest--;
            (ulong r, ulong flags, ulong defined) = name switch
            {
                "Bsf" => ((ulong)lowest, v == 0 ? Rflags.Zf : 0, Rflags.Zf),
                "Bsr" => ((ulong)highest, v == 0 ? Rflags.Zf : 0, Rflags.Zf),
                "Tzcnt" => ((ulong)lowest, (v == 0 ? Rflags.Cf : 0) | (lowest == 0 ? Rflags.Zf : 0), Rflags.Zf | Rflags.Cf),
                "Lzcnt" => ((ulong)(bits - 1 - highest), (v == 0 ? Rflags.Cf : 0) | (highest == bits - 1 ? Rflags.Zf : 0), Rflags.Zf | Rflags.Cf),
                _ => ((ulong)BitOperations.PopCount(v), v == 0 ? Rflags.Zf : 0, Rflags.Arithmetic),
            };
            bool kept = v == 0 && name is "Bsf" or "Bsr" && v == 0;
            Assert.Equal(kept ? old : Law.Merge(old, r, bits), cpu[Rax]);
            Assert.Equal(flags, cpu.Rflags & defined);
        });
    }

    [Fact]
    public void TzcntAndLzcnt_OnModelsWithoutThem_AreBsfAndBsr()
    {
        using var cpu = new TestCpu(32, CpuModels.Pentium3);
        cpu[Rbx] = 0x0001_0000;
        Assert.Null(cpu.Run(a => a.tzcnt(eax, ebx)));
        Assert.Equal(16UL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.lzcnt(eax, ebx)));
        Assert.Equal(16UL, cpu[Rax]);
    }

    [Theory]
    [InlineData("Bt")]
    [InlineData("Bts")]
    [InlineData("Btr")]
    [InlineData("Btc")]
    public void BitString_SignedOffsetInRegister_ReachesBeyondTheOperand(string name)
    {
        foreach (int bits in (int[])[16, 32, 64])
        {
            foreach (bool locked in (bool[])[false, true])
            {
                if (locked && name == "Bt")
                    continue;
                using var cpu = new TestCpu(storeBuffer: locked ? 4 : 0);
                Register index = bits switch { 16 => Register.CX, 32 => Register.ECX, _ => Register.RCX };
                Instruction i = Instruction.Create(Enum.Parse<Code>($"{name}_rm{bits}_r{bits}"), new MemoryOperand(Register.RSI), index);
                i.HasLockPrefix = locked;
                cpu.Load(a => a.AddInstruction(i));
                foreach (long offset in (long[])[0, 1, 7, 8, 63, 64, 100, 1000, -1, -8, -64, -65, -1000])
                {
                    byte[] expected = new byte[1024];
                    new Random((int)offset).NextBytes(expected);
                    cpu.Write(TestCpu.DataAt, expected);
                    cpu[Rsi] = TestCpu.DataAt + 512;
                    cpu[Rcx] = (ulong)offset;
                    cpu.Rflags = Rflags.Zf | Rflags.Sf;
                    Assert.Null(cpu.Again());
                    long at = 512 * 8 + offset;
                    bool bit = (expected[at >> 3] >> (int)(at & 7) & 1) != 0;
                    int mask = 1 << (int)(at & 7);
                    expected[at >> 3] = name switch
                    {
                        "Bts" => (byte)(expected[at >> 3] | mask),
                        "Btr" => (byte)(expected[at >> 3] & ~mask),
                        "Btc" => (byte)(expected[at >> 3] ^ mask),
                        _ => expected[at >> 3],
                    };
                    Assert.Equal(bit ? Rflags.Cf | Rflags.Zf | Rflags.Sf : Rflags.Zf | Rflags.Sf, cpu.Arithmetic);
                    if (!locked)
                        cpu.Cpu.StoreBuffer.DrainAll();
                    Assert.Equal(expected, cpu.Read(TestCpu.DataAt, 1024));
                }
            }
        }
    }

    [Fact]
    public void BitString_ImmediateOffset_StaysInsideTheOperand()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Write64(TestCpu.DataAt, 0);
        cpu.Write64(TestCpu.DataAt + 8, 0);
        Assert.Null(cpu.Run(a => a.bts(__dword_ptr[rsi], 33)));
        Assert.Equal(2UL, cpu.Read64(TestCpu.DataAt));
        Assert.Null(cpu.Run(a => a.btc(__qword_ptr[rsi], 65)));
        Assert.Equal(0UL, cpu.Read64(TestCpu.DataAt));
        Assert.NotEqual(0UL, cpu.Rflags & Rflags.Cf);
    }

    [Fact]
    public void Bts_IntoReadOnlyPage_FaultsAndChangesNothing()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.ReadOnly;
        cpu[Rcx] = 5;
        cpu.Load(a => a.bts(__qword_ptr[rsi], rcx));
        string before = cpu.Image();
        Assert.Equal(Vector.PageFault, cpu.Step());
        Assert.Equal(3u, cpu.Fault.ErrorCode);
        Assert.Equal(before, cpu.Image());
    }

    [Fact]
    public void Bswap_EveryWidth_Reverses()
    {
        using var cpu = new TestCpu();
        cpu[Rax] = 0x1122_3344_5566_7788;
        Assert.Null(cpu.Run(a => a.bswap(rax)));
        Assert.Equal(0x8877_6655_4433_2211UL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.bswap(eax)));
        Assert.Equal(0x1122_3344UL, cpu[Rax]);
    }

    [Fact]
    public void Movbe_LoadAndStore_Swap()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Write64(TestCpu.DataAt, 0x1122_3344_5566_7788);
        cpu[Rax] = ulong.MaxValue;
        Assert.Null(cpu.Run(a => a.movbe(ax, __word_ptr[rsi])));
        Assert.Equal(0xFFFF_FFFF_FFFF_8877UL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.movbe(eax, __dword_ptr[rsi])));
        Assert.Equal(0x8877_6655UL, cpu[Rax]);
        Assert.Null(cpu.Run(a => a.movbe(__qword_ptr[rsi], rax)));
        Assert.Equal(0x5566_7788_0000_0000UL, cpu.Read64(TestCpu.DataAt));
    }
}
