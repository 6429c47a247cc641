using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.Machine;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Execution;

/// <summary>How long the turns of the coherent machine's CPUs are.</summary>
public sealed unsafe class TurnTests
{
    private const ulong Code = SmallMachine.CodeAt;

    /// <summary>A CPU that runs alone has long slices; what wakes another one, or a timer that is set, ends them.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void RunningAlone_IpiOrTimer_TakesEffectAtOnce(bool ipi)
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 2);
        const ulong handler = Code + 0x400, idle = Code + 0x800;
        m.Assemble(handler, a =>
        {
            a.mov(r12, __qword_ptr[SmallMachine.DataAt]);
            a.cli();
            a.hlt();
        });
        m.Assemble(idle, a =>
        {
            a.sti();
            a.hlt();
        });
        m.Assemble(Code, a =>
        {
            Label loop = a.CreateLabel();
            // By now the other one is halted; and slices have become long.
            a.mov(ecx, 1000);
            a.Label(ref loop);
            a.dec(ecx);
            a.jnz(loop);
            a.mov(__dword_ptr[rdi + 0x3E0], 0b1011); // Timer: every tick
            a.mov(__dword_ptr[rdi + 0x320], 0x41);
            if (ipi)
            {
                a.mov(__dword_ptr[rdi + 0x310], 1 << 24);
                a.mov(__dword_ptr[rdi + 0x300], 0x4041);
            }
            else
            {
                a.sti();
                a.mov(__dword_ptr[rdi + 0x380], 100);
            }
            Label count = a.CreateLabel();
            a.Label(ref count);
            a.inc(__qword_ptr[SmallMachine.DataAt]);
            a.jmp(count);
        });
        m.SetVector(0x41, handler);
        m[0]->Registers[7] = 0xFEE0_0000;
        m[0]->Rip = Code;
        m[1]->Rip = idle;
        m.Machine.Run(50_000);
        ulong count = m[ipi ? 1 : 0]->Registers[12];
        Assert.InRange(count, ipi ? 0UL : 45, ipi ? 64UL : 51);
        Assert.Equal(Activity.Halted, m[ipi ? 1 : 0]->Activity);
    }

    /// <summary>Turns end before a block that exceeds them, and never behind it; a quantum that is shorter than any block goes on by instructions.</summary>
    [Theory]
    [InlineData(64)]
    [InlineData(3)]
    public void TwoActive_NoTurn_IsLongerThanTheQuantum(int quantum)
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 2, quantum: quantum);
        m.Assemble(Code, a =>
        {
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            // The other one's count, in the middle of a block of ten.
            for (int i = 0; i < 4; i++)
                a.nop();
            a.mov(rdx, __qword_ptr[rsi]);
            a.sub(rdx, rbx);
            a.add(rbx, rdx);
            a.cmp(rdx, rbp);
            a.cmova(rbp, rdx);
            a.inc(__qword_ptr[rdi]);
            a.jmp(loop);
        });
        for (int cpu = 0; cpu < 2; cpu++)
        {
            m[cpu]->Registers[7] = SmallMachine.DataAt + 8 * (ulong)cpu;
            m[cpu]->Registers[6] = SmallMachine.DataAt + 8 * (1 - (ulong)cpu);
            m[cpu]->Rip = Code;
        }
        m.Machine.Run(100_000);
        for (int cpu = 0; cpu < 2; cpu++)
            Assert.InRange(m[cpu]->Registers[5], 1UL, (ulong)quantum / 11 + 1);
        Assert.InRange((double)m.Read64(SmallMachine.DataAt) / m.Read64(SmallMachine.DataAt + 8), 0.95, 1.05);
    }

    /// <summary>PAUSE gives up the turn only where somebody else can have it; a machine that is asked to stop does so all the same.</summary>
    [Fact]
    public void RunningAlone_Pause_GoesOnInTheSameTurn()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 2);
        m.Assemble(Code, a =>
        {
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.inc(rax);
            a.cmp(rax, 3000);
            Label on = a.CreateLabel();
            a.jne(on);
            a.mov(al, 1);
            a.@out(0xF4, al);
            a.Label(ref on);
            a.pause();
            a.jmp(loop);
        });
        m.Assemble(Code + 0x800, a =>
        {
            a.cli();
            a.hlt();
        });
        m[0]->Rip = Code;
        m[1]->Rip = Code + 0x800;
        m.Machine.Run(10);
        // A turn of a CPU that runs alone, within which nobody looks at the time, ends at 20,000 instructions.
        m.Machine.RunUntil(m.Machine.Now + 1);
        Assert.InRange(m.Machine.Instructions, 10_000UL, 20_100UL);
        Assert.Equal(StopReason.GuestExit, m.Machine.Run(100_000).Reason);
    }

    /// <summary>A CPU in MWAIT notices a store to its line without an interrupt, though the other one runs on.</summary>
    [Fact]
    public void Mwait_StoreByACpuThatRunsOn_IsNoticedSoon()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 2);
        m.Assemble(Code, a =>
        {
            Label loop = a.CreateLabel();
            a.mov(ecx, 1000);
            a.Label(ref loop);
            a.dec(ecx);
            a.jnz(loop);
            Label count = a.CreateLabel();
            a.Label(ref count);
            a.inc(__qword_ptr[SmallMachine.DataAt]);
            a.jmp(count);
        });
        m.Assemble(Code + 0x800, a =>
        {
            a.mov(eax, (uint)SmallMachine.DataAt);
            a.xor(ecx, ecx);
            a.xor(edx, edx);
            a.monitor();
            a.mwait();
            a.mov(r12, __qword_ptr[SmallMachine.DataAt]);
            a.cli();
            a.hlt();
        });
        m[0]->Rip = Code;
        m[1]->Rip = Code + 0x800;
        m.Machine.Run(50_000);
        Assert.InRange(m[1]->Registers[12], 1UL, 4096UL);
    }
}
