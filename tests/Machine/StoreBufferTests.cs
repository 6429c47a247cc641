using Emu.Fetch;
using Emu.Memory;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Machine;

/// <summary>x86-TSO through the store buffers (Sewell et al., CACM 2010), and what must wait for them.</summary>
public sealed unsafe class StoreBufferTests
{
    private const ulong X = SmallMachine.DataAt;
    private const ulong Y = SmallMachine.DataAt + 0x100;
    private const ulong P1 = SmallMachine.CodeAt + 0x800;

    /// <summary>SB: each CPU stores to its own variable and loads the other's.</summary>
    private static SmallMachine StoreBuffering(Action<Assembler>? between)
    {
        var m = new SmallMachine(FetchProfiles.P6);
        void Side(ulong at, ulong mine, ulong other) => m.Assemble(at, a =>
        {
            a.mov(__qword_ptr[mine], 1);
            between?.Invoke(a);
            a.mov(rax, __qword_ptr[other]);
            a.nop();
        });
        Side(SmallMachine.CodeAt, X, Y);
        Side(P1, Y, X);
        m[1]->Rip = P1;
        return m;
    }

    [Fact]
    public void SB_NoFence_BothLoadsMaySeeTheOldValue()
    {
        using SmallMachine m = StoreBuffering(null);
        m.Step(0);
        m.Step(1);
        m.Step(0);
        m.Step(1);
        Assert.Equal((0UL, 0UL), (m[0]->Registers[0], m[1]->Registers[0]));
    }

    [Theory]
    [InlineData("mfence")]
    [InlineData("lock")]
    [InlineData("xchg")]
    [InlineData("cpuid")]
    public void SB_FenceBetween_DrainsTheBuffer(string fence)
    {
        using SmallMachine m = StoreBuffering(a =>
        {
            switch (fence)
            {
                case "mfence":
                    a.mfence();
                    break;
                case "lock":
                    a.@lock.add(__dword_ptr[rsp], 0);
                    break;
                case "xchg":
                    a.xchg(__dword_ptr[rsp], edx);
                    break;
                default:
                    a.cpuid();
                    break;
            }
        });
        m.Step(0, 2);
        m.Step(1, 2);
        m.Step(0);
        m.Step(1);
        Assert.NotEqual((0UL, 0UL), (m[0]->Registers[0], m[1]->Registers[0]));
        Assert.Equal(0, m.Machine.Cpus[0].StoreBuffer.Count);
    }

    [Fact]
    public void OwnLoad_BehindOwnStores_SeesEachByteOfTheNewest()
    {
        using var m = new SmallMachine(FetchProfiles.P6);
        m.Write64(X, 0x1111_1111_1111_1111);
        m.Assemble(SmallMachine.CodeAt, a =>
        {
            a.mov(__dword_ptr[X], 0x2222_2222);
            a.mov(__byte_ptr[X + 1], 0x33);
            a.mov(rax, __qword_ptr[X]);
        });
        m.Step(0, 3);
        Assert.Equal(0x1111_1111_2222_3322UL, m[0]->Registers[0]);
        Assert.Equal(0x1111_1111_1111_1111UL, m.Read64(X));
        Assert.Equal(2, m.Machine.Cpus[0].StoreBuffer.Count);
        Assert.True(m.Agent(0).Drain());
        Assert.Equal(0x1111_1111_2222_2222UL, m.Read64(X));
    }

    /// <summary>The store before an IPI must be visible when the IPI is: so it is by uncached MMIO, and so it is not by WRMSR to the x2APIC.</summary>
    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void XapicIcrWrite_EarlierStore_IsDrainedAsTheProfileSays(bool waits, bool drained)
    {
        using var m = new SmallMachine(FetchProfiles.P6 with { XapicIcrWaits = waits });
        m.Assemble(SmallMachine.CodeAt, a =>
        {
            a.mov(__qword_ptr[X], 1);
            a.mov(ebx, unchecked((int)0xFEE0_0000));
            a.mov(__dword_ptr[rbx + 0x300], 0x000C_00FB);
        });
        m.Step(0, 3);
        Assert.Equal(drained ? 1UL : 0UL, m.Read64(X));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void X2apicIcrWrite_EarlierStore_IsDrainedAsTheProfileSays(bool waits, bool drained)
    {
        using var m = new SmallMachine(FetchProfiles.P6 with { X2apicIcrWaits = waits });
        m.Assemble(SmallMachine.CodeAt, a =>
        {
            a.mov(ecx, 0x1B);
            a.rdmsr();
            a.or(eax, 0x400);
            a.wrmsr();
            a.mov(__qword_ptr[X], 1);
            a.mov(ecx, 0x830);
            a.xor(edx, edx);
            a.mov(eax, 0x000C_00FB);
            a.wrmsr();
        });
        m.Step(0, 9);
        Assert.Equal(drained ? 1UL : 0UL, m.Read64(X));
    }

    [Fact]
    public void FullBuffer_OneMoreStore_DrainsTheOldestFirst()
    {
        using var memory = new PhysicalMemory(1 << 20);
        var buffer = new StoreBuffer(new CpuIndex(0), memory, 2);
        buffer.Add(0x100, 0x100, 1, 1);
        buffer.Add(0x101, 0x101, 1, 2);
        buffer.Add(0x102, 0x102, 1, 3);
        Assert.Equal(2, buffer.Count);
        Assert.Equal(1UL, memory.Read(0x100, 1));
        Assert.Equal(0UL, memory.Read(0x101, 1));
        Assert.Equal(2UL, buffer.Load(0x101, 1));
    }
}
