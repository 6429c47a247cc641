using Emu.Cpus;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;
using Vector = Emu.Cpus.Vector;

namespace Emu.Tests.Instructions;

/// <summary>XADD, CMPXCHG and their wide forms; what LOCK does to the store buffer.</summary>
public sealed class AtomicTests
{
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsi = 6;

    private static Register Sized(int bits, Register r8, Register r16, Register r32, Register r64) =>
        bits switch { 8 => r8, 16 => r16, 32 => r32, _ => r64 };

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void Cmpxchg_RegisterAndMemory_ComparesWithTheAccumulator(int bits)
    {
        using var register = new TestCpu();
        using var memory = new TestCpu();
        Register cx = Sized(bits, Register.CL, Register.CX, Register.ECX, Register.RCX);
        Register bx = Sized(bits, Register.BL, Register.BX, Register.EBX, Register.RBX);
        Code code = Enum.Parse<Code>($"Cmpxchg_rm{bits}_r{bits}");
        register.Load(a => a.AddInstruction(Instruction.Create(code, bx, cx)));
        memory.Load(a => a.AddInstruction(Instruction.Create(code, new MemoryOperand(Register.RSI), cx)));
        Law.Holds((accumulator, destination, source, pick) =>
        {
            if ((pick & 1) != 0)
                accumulator = (accumulator & ~Law.Mask(bits)) | (destination & Law.Mask(bits));
            bool equal = ((accumulator ^ destination) & Law.Mask(bits)) == 0;
            Check(register, () => register[Rbx], v => register[Rbx] = v, Law.Merge(destination, equal ? source : destination, bits));
            ulong kept = bits == 64 ? 0 : destination & ~Law.Mask(bits);
            Check(memory, () => memory.Read64(TestCpu.DataAt), v => memory.Write64(TestCpu.DataAt, v), kept | ((equal ? source : destination) & Law.Mask(bits)));

            void Check(TestCpu cpu, Func<ulong> get, Action<ulong> set, ulong expected)
            {
                cpu[Rsi] = TestCpu.DataAt;
                cpu[Rax] = accumulator;
                cpu[Rcx] = source;
                set(destination);
                Assert.Null(cpu.Again());
                Assert.Equal(expected, get());
                Assert.Equal(equal ? accumulator : Law.Merge(accumulator, destination, bits), cpu[Rax]);
                ulong difference = accumulator - destination;
                Assert.Equal(Law.ResultFlags(difference, bits), cpu.Rflags & (Rflags.Zf | Rflags.Sf | Rflags.Pf));
                Assert.Equal((accumulator & Law.Mask(bits)) < (destination & Law.Mask(bits)), (cpu.Rflags & Rflags.Cf) != 0);
            }
        });
    }

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(32)]
    [InlineData(64)]
    public void Xadd_Memory_LeavesSumThereAndOldValueInRegister(int bits)
    {
        using var cpu = new TestCpu();
        Register cx = Sized(bits, Register.CL, Register.CX, Register.ECX, Register.RCX);
        cpu.Load(a => a.AddInstruction(Instruction.Create(Enum.Parse<Code>($"Xadd_rm{bits}_r{bits}"), new MemoryOperand(Register.RSI), cx)));
        cpu[Rsi] = TestCpu.DataAt;
        Law.Holds((destination, source) =>
        {
            cpu.Write64(TestCpu.DataAt, destination);
            cpu[Rcx] = source;
            Assert.Null(cpu.Again());
            ulong kept = bits == 64 ? 0 : destination & ~Law.Mask(bits);
            Assert.Equal(kept | ((destination + source) & Law.Mask(bits)), cpu.Read64(TestCpu.DataAt));
            Assert.Equal(Law.Merge(source, destination, bits), cpu[Rcx]);
            Assert.Equal(Law.ResultFlags(destination + source, bits), cpu.Rflags & (Rflags.Zf | Rflags.Sf | Rflags.Pf));
        });
    }

    [Fact]
    public void Xadd_RegisterWithItself_LeavesTheSum()
    {
        using var cpu = new TestCpu();
        cpu[Rax] = 21;
        Assert.Null(cpu.Run(a => a.xadd(eax, eax)));
        Assert.Equal(42UL, cpu[Rax]);
    }

    [Fact]
    public void Cmpxchg8b_EqualAndDifferent_TouchesOnlyZf()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.DataAt;
        cpu.Write64(TestCpu.DataAt, 0x1111_2222_3333_4444);
        cpu[Rdx] = 0x1111_2222;
        cpu[Rax] = 0x3333_4444;
        cpu[Rcx] = 0xAAAA_BBBB;
        cpu[Rbx] = 0xCCCC_DDDD;
        cpu.Rflags = Rflags.Cf | Rflags.Pf | Rflags.Of;
        Assert.Null(cpu.Run(a => a.@lock.cmpxchg8b(__qword_ptr[rsi])));
        Assert.Equal(0xAAAA_BBBB_CCCC_DDDDUL, cpu.Read64(TestCpu.DataAt));
        Assert.Equal(Rflags.Cf | Rflags.Pf | Rflags.Of | Rflags.Zf, cpu.Arithmetic);
        Assert.Null(cpu.Again());
        Assert.Equal(0xAAAA_BBBBUL, cpu[Rdx]);
        Assert.Equal(0xCCCC_DDDDUL, cpu[Rax]);
        Assert.Equal(Rflags.Cf | Rflags.Pf | Rflags.Of, cpu.Arithmetic);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public void Cmpxchg16b_EqualAndDifferent_ExchangesSixteenBytes(int buffer)
    {
        using var cpu = new TestCpu(storeBuffer: buffer);
        cpu[Rsi] = TestCpu.DataAt + 16;
        cpu.Write64(TestCpu.DataAt + 16, 1);
        cpu.Write64(TestCpu.DataAt + 24, 2);
        (cpu[Rax], cpu[Rdx], cpu[Rbx], cpu[Rcx]) = (1, 2, 3, 4);
        Assert.Null(cpu.Run(a => a.@lock.cmpxchg16b(__[rsi])));
        Assert.Equal((3UL, 4UL), (cpu.Read64(TestCpu.DataAt + 16), cpu.Read64(TestCpu.DataAt + 24)));
        Assert.NotEqual(0UL, cpu.Rflags & Rflags.Zf);
        Assert.Null(cpu.Again());
        Assert.Equal((3UL, 4UL), (cpu[Rax], cpu[Rdx]));
        Assert.Equal(0UL, cpu.Rflags & Rflags.Zf);
    }

    [Fact]
    public void Cmpxchg16b_Misaligned_IsGeneralProtection()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.DataAt + 8;
        cpu.Load(a => a.cmpxchg16b(__[rsi]));
        string before = cpu.Image();
        Assert.Equal(Vector.GeneralProtection, cpu.Step());
        Assert.Equal(before, cpu.Image());
    }

    [Fact]
    public void LockedAdd_WithWaitingStores_DrainsThemAndItself()
    {
        using var cpu = new TestCpu(storeBuffer: 8);
        cpu[Rsi] = TestCpu.DataAt;
        cpu[Rax] = 5;
        Assert.Null(cpu.Run(a => a.mov(__qword_ptr[rsi], rax)));
        Assert.Equal(1, cpu.Cpu.StoreBuffer.Count);
        Assert.Equal(0UL, cpu.Read64(TestCpu.DataAt));
        Assert.Null(cpu.Run(a => a.add(__qword_ptr[rsi], 1)));
        Assert.Equal(2, cpu.Cpu.StoreBuffer.Count);
        Assert.Null(cpu.Run(a => a.@lock.add(__qword_ptr[rsi], 1)));
        Assert.Equal(0, cpu.Cpu.StoreBuffer.Count);
        Assert.Equal(7UL, cpu.Read64(TestCpu.DataAt));
    }

    [Fact]
    public void Lock_OnAFormWithoutMemoryDestination_IsInvalidOpcode()
    {
        using var cpu = new TestCpu();
        cpu.Load(0xF0, 0x01, 0xC8); // lock add eax, ecx
        Assert.Equal(Vector.InvalidOpcode, cpu.Step());
        cpu.Load(0xF0, 0x89, 0x06); // lock mov [rsi], eax
        Assert.Equal(Vector.InvalidOpcode, cpu.Step());
        cpu.Load(0xF0, 0x0F, 0xA3, 0x06); // lock bt [rsi], eax
        Assert.Equal(Vector.InvalidOpcode, cpu.Step());
    }

    [Fact]
    public void Cmpxchg_OnReadOnlyPage_FaultsEvenIfDifferent()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.ReadOnly;
        cpu[Rax] = 12345;
        cpu.Load(a => a.@lock.cmpxchg(__qword_ptr[rsi], rcx));
        string before = cpu.Image();
        Assert.Equal(Vector.PageFault, cpu.Step());
        Assert.Equal(before, cpu.Image());
    }

    [Fact]
    public void Xadd_AcrossPagesWithTheSecondAbsent_ChangesNothing()
    {
        using var cpu = new TestCpu();
        cpu[Rsi] = TestCpu.NotPresent - 3;
        cpu.Write(TestCpu.NotPresent - 3, 1, 2, 3);
        cpu.Load(a => a.xadd(__dword_ptr[rsi], ecx));
        string before = cpu.Image();
        Assert.Equal(Vector.PageFault, cpu.Step());
        Assert.Equal(TestCpu.NotPresent, cpu.Fault.LinearAddress);
        Assert.Equal(before, cpu.Image());
        Assert.Equal([1, 2, 3], cpu.Read(TestCpu.NotPresent - 3, 3));
    }
}
