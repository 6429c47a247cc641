using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;
using Emu.Tests.Machine;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Execution;

/// <summary>Blocks, links, budgets, and code that changes under the coherent loop.</summary>
public sealed unsafe class InterpreterTests
{
    private const ulong Code = SmallMachine.CodeAt;

    /// <summary>A mixture of everything that blocks treat specially: silent flags, fused branches, calls, memory.</summary>
    private static void Mixture(Assembler a)
    {
        Label loop = a.CreateLabel();
        Label odd = a.CreateLabel();
        Label next = a.CreateLabel();
        Label sub = a.CreateLabel();
        a.mov(ebx, (int)SmallMachine.DataAt);
        a.mov(ecx, 1000);
        a.xor(eax, eax);
        a.Label(ref loop);
        a.add(rax, rcx);
        a.imul(rdx, rax, 7);
        a.shr(rdx, 3);
        a.xor(rax, rdx);
        a.mov(__qword_ptr[rbx + rcx * 8], rax);
        a.test(al, 1);
        a.jne(odd);
        a.sub(rax, 3);
        a.jmp(next);
        a.Label(ref odd);
        a.call(sub);
        a.Label(ref next);
        a.adc(rax, __qword_ptr[rbx + rcx * 8]);
        a.pushfq();
        a.pop(rsi);
        a.add(rdi, rsi);
        a.dec(ecx);
        a.cmp(ecx, 0);
        a.jg(loop);
        a.hlt();
        a.Label(ref sub);
        a.rol(rax, 5);
        a.inc(rax);
        a.ret();
    }

    private static (ulong Hash, ulong Instructions) RunMixture(FetchProfile profile, Action<Machines.Machine> run)
    {
        using var m = new SmallMachine(profile, cpus: 1);
        m.Assemble(Code, Mixture);
        run(m.Machine);
        Assert.Equal(Activity.Halted, m[0]->Activity);
        ulong hash = 0;
        for (int i = 0; i < 16; i++)
            hash = hash * 31 + m[0]->Registers[i];
        foreach (byte b in m.Read(SmallMachine.DataAt, 8192))
            hash = hash * 31 + b;
        return (hash * 31 + Flags.Get(m[0]), m.Machine.Instructions);
    }

    [Fact]
    public void Blocks_SameProgramSteppedOrModelled_GiveTheSameStateAndCount()
    {
        (ulong, ulong) blocks = RunMixture(FetchProfiles.Coherent, m => m.Run(100_000));
        (ulong, ulong) steps = RunMixture(FetchProfiles.Coherent, m =>
        {
            while (m.Step(new CpuIndex(0)))
            {
            }
        });
        (ulong, ulong) modelled = RunMixture(FetchProfiles.P6, m => m.Run(100_000));
        (ulong, ulong) strict = RunMixture(FetchProfiles.IntelStrict, m => m.Run(100_000));
        Assert.Equal(steps, blocks);
        Assert.Equal(steps, modelled);
        Assert.Equal(steps, strict);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    public void Run_InPieces_StopsExactlyAtTheLimit(int piece)
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        m.Assemble(Code, Mixture);
        using var whole = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        whole.Assemble(Code, Mixture);
        for (int i = 1; i <= 5; i++)
        {
            Assert.Equal(StopReason.InstructionLimit, m.Machine.Run((ulong)piece).Reason);
            Assert.Equal((ulong)(i * piece), m.Machine.Instructions);
        }
        whole.Machine.Run((ulong)(5 * piece));
        Assert.Equal(whole[0]->Rip, m[0]->Rip);
        Assert.Equal(whole[0]->Registers[0], m[0]->Registers[0]);
    }

    [Fact]
    public void SelfModification_InTheSameBlock_TakesEffectAtOnce()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        // The store rewrites the immediate of the instruction behind it, in the block that is running.
        int store = m.Assemble(Code, a => a.mov(__byte_ptr[Code], 1));
        ulong target = Code + (ulong)store;
        m.Assemble(Code, a =>
        {
            a.mov(__byte_ptr[target + 1], 0x77);
            a.mov(eax, 0x11);
            a.hlt();
        });
        m.Machine.Run(10);
        Assert.Equal(0x77UL, m[0]->Registers[0]);
    }

    [Fact]
    public void PatchedAndCalled_EachTime_SeesThePresentBytes()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        const ulong function = Code + 0x800;
        m.Assemble(function, a =>
        {
            a.mov(eax, 0);
            a.add(rdx, rax);
            a.ret();
        });
        m.Assemble(Code, a =>
        {
            Label loop = a.CreateLabel();
            a.xor(edx, edx);
            a.mov(ecx, 100);
            a.Label(ref loop);
            a.mov(__byte_ptr[function + 1], cl);
            a.call(function);
            a.dec(ecx);
            a.jne(loop);
            a.hlt();
        });
        m.Machine.Run(10_000);
        Assert.Equal(5050UL, m[0]->Registers[2]);
    }

    [Fact]
    public void Block_StoreByAnotherCpu_IsSeenAtTheNextTurn()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, quantum: 16);
        const ulong spin = Code + 0x400;
        m.Assemble(spin, a =>
        {
            Label self = a.CreateLabel();
            a.Label(ref self);
            a.jmp(self);
        });
        m.Assemble(Code, a =>
        {
            a.mov(__word_ptr[spin], 0x90F4 & 0x7FFF); // hlt
            a.hlt();
        });
        m[1]->Rip = spin;
        m.Machine.Run(1000);
        m.Assemble(spin, a => a.hlt());
        RunResult result = m.Machine.Run(1000);
        Assert.Equal(StopReason.AllHalted, result.Reason);
    }

    /// <summary>The RTC's periodic interrupt never ends, and nobody takes it.</summary>
    [Fact]
    public void HltWithInterruptsOff_UnderAPeriodicTimer_EndsTheRun()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        m.Assemble(Code, a =>
        {
            a.mov(al, 0x0B);
            a.@out(0x70, al);
            a.mov(al, 0x42); // PIE, 24 hours
            a.@out(0x71, al);
            a.cli();
            a.hlt();
        });
        m[0]->Rip = Code;
        RunResult result = m.Machine.Run(100_000);
        Assert.Equal(StopReason.AllHalted, result.Reason);
        Assert.Contains("halted with interrupts off", result.Message);
    }

    [Fact]
    public void InstructionAcrossPages_SecondPageMissing_FaultsWithItsAddress()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        // The first page of 2 MiB beyond RAM's mapping: nothing is mapped at 1 GiB + 2 MiB.
        const ulong end = SmallMachine.AliasAt + 0x20_0000;
        m.Write(0x20_0000 - 1, 0x48);
        m.Assemble(Code, a => a.hlt());
        m.SetVector((byte)Vector.PageFault, Code);
        m[0]->Rip = end - 1;
        m.Machine.Run(2);
        Assert.Equal(end, m[0]->Paging.Cr2);
        Assert.Equal(Activity.Halted, m[0]->Activity);
    }

    /// <summary>What makes FF /7 undefined is its second byte: when that one changes the block is another.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void UndefinedEncoding_WhoseLaterByteChanges_IsAnInstruction(bool modelled)
    {
        using var m = new SmallMachine(modelled ? FetchProfiles.P6 : FetchProfiles.Coherent, cpus: 1);
        const ulong handler = Code + 0x400, site = Code + 0x800;
        m.Write(site, 0xFF, 0xF8, 0xF4);
        m.Assemble(Code, a =>
        {
            a.xor(eax, eax);
            a.jmp(site);
        });
        m.Assemble(handler, a =>
        {
            a.mov(__byte_ptr[site + 1], 0xC0); // inc eax
            a.inc(ebx);
            a.iretq();
        });
        m.SetVector((byte)Vector.InvalidOpcode, handler);
        m[0]->Registers[3] = 0;
        m.Machine.Run(100);
        Assert.Equal((Activity.Halted, 1UL, 1UL), (m[0]->Activity, m[0]->Registers[0], m[0]->Registers[3]));
    }

    /// <summary>A page of code that is always written anew: what it held before does not slow its stores down, and is forgotten.</summary>
    [Fact]
    public void CodePage_WrittenAnewThousandsOfTimes_ExecutesWhatItHolds()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        const ulong site = Code + 0x1000;
        m.Write(site, 0x05, 0, 0, 0, 0, 0xC3); // add eax, imm32; ret
        m.Assemble(Code, a =>
        {
            Label loop = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(ecx, 5000);
            a.Label(ref loop);
            a.mov(__dword_ptr[site + 1], ecx);
            a.call(site);
            a.dec(ecx);
            a.jne(loop);
            a.hlt();
        });
        m.Machine.Run(100_000);
        Assert.Equal((Activity.Halted, 5000UL * 5001 / 2), (m[0]->Activity, m[0]->Registers[0]));
    }

    [Fact]
    public void TrapFlag_EachInstruction_RaisesDebug()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        const ulong handler = Code + 0x400;
        m.Assemble(Code, a =>
        {
            a.pushfq();
            a.or(__qword_ptr[rsp], 0x100);
            a.popfq();
            a.nop();
            a.nop();
            a.hlt();
        });
        m.Assemble(handler, a =>
        {
            a.inc(r15);
            a.cmp(r15, 2);
            Label go = a.CreateLabel();
            a.jne(go);
            a.and(__qword_ptr[rsp + 16], ~0x100);
            a.Label(ref go);
            a.iretq();
        });
        m.SetVector((byte)Vector.Debug, handler);
        m.Machine.Run(1000);
        Assert.Equal(2UL, m[0]->Registers[15]);
        Assert.Equal(Activity.Halted, m[0]->Activity);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void PushesAndPopsInARow_AnyRegistersAcrossPages_AreWhatSteppingThemGives(int seed)
    {
        var random = new Random(seed);
        AssemblerRegister64[] registers = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
        int[] order = [.. Enumerable.Range(0, 400).Select(_ => random.Next(random.Next(4) == 0 ? 16 : 4))];
        bool[] push = new bool[order.Length];
        for (int i = 1; i < push.Length; i++)
            push[i] = random.Next(5) == 0 ? !push[i - 1] : push[i - 1];
        void Program(Assembler a)
        {
            for (int i = 0; i < order.Length; i++)
            {
                AssemblerRegister64 r = registers[order[i]];
                if (push[i])
                    a.push(r);
                else if (order[i] != 4)
                    a.pop(r);
                else
                    a.add(rsp, 8);
            }
            a.hlt();
        }
        byte[] Result(Action<Machines.Machine> run)
        {
            using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
            m.Assemble(Code, Program);
            for (int i = 0; i < 16; i++)
                if (i != 4)
                    m[0]->Registers[i] = 0x0101_0101_0101_0101UL * (ulong)i;
            m[0]->Registers[4] = SmallMachine.DataAt + 0x1000 + 8 * (ulong)seed;
            run(m.Machine);
            Assert.Equal(Activity.Halted, m[0]->Activity);
            return [.. new ReadOnlySpan<byte>(m[0]->Registers, 128), .. m.Read(SmallMachine.DataAt, 0x2000)];
        }
        Assert.Equal(
            Result(m =>
            {
                while (m.Step(new CpuIndex(0)))
                {
                }
            }),
            Result(m => m.Run(10_000)));
    }

    [Fact]
    public void PopsInARow_ThirdBeyondTheMapping_FaultsThereWithTheOthersDone()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        const ulong end = SmallMachine.AliasAt + 0x20_0000;
        m.Write64(0x20_0000 - 16, 11);
        m.Write64(0x20_0000 - 8, 22);
        m.Assemble(Code, a =>
        {
            a.pop(rax);
            a.pop(rcx);
            a.pop(rdx);
            a.pop(rbx);
        });
        m.Assemble(Code + 0x400, a => a.hlt());
        m.SetVector((byte)Vector.PageFault, Code + 0x400);
        (m[0]->Registers[2], m[0]->Registers[4]) = (33, end - 16);
        m.Machine.Run(100);
        Assert.Equal(Activity.Halted, m[0]->Activity);
        Assert.Equal((11UL, 22UL, 33UL, end), (m[0]->Registers[0], m[0]->Registers[1], m[0]->Registers[2], m[0]->Paging.Cr2));
        // The frame: error code, then RIP of the third.
        ulong frame = m[0]->Registers[4] - SmallMachine.AliasAt;
        Assert.Equal(Code + 2, m.Read64(frame + 8));
        Assert.Equal(end, m.Read64(frame + 32));
    }

    [Fact]
    public void PushesInARow_ThirdBelowTheMapping_LeavesTheStackPointerThere()
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        // Mapped a third time, with nothing below.
        const ulong bottom = SmallMachine.AliasAt + 0x40_0000;
        m.Write64(0x4010, SmallMachine.AliasedAt | 0xE3);
        m.Assemble(Code, a =>
        {
            a.push(rax);
            a.push(rcx);
            a.push(rdx);
        });
        (m[0]->Registers[0], m[0]->Registers[1], m[0]->Registers[4]) = (11, 22, bottom + 16);
        Assert.Equal(StopReason.TripleFault, m.Machine.Run(100).Reason); // There is no stack for the fault either.
        Assert.Equal((Code + 2, bottom, bottom - 8), (m[0]->Rip, m[0]->Registers[4], m[0]->Paging.Cr2));
        Assert.Equal((22UL, 11UL), (m.Read64(0), m.Read64(8)));
        Assert.Equal(2UL, m.Machine.Instructions);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(100)]
    public void StiHlt_InterruptThatWaits_ComesBehindHlt(int piece)
    {
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        const ulong handler = Code + 0x400;
        int halt = m.Assemble(Code, a => Waiting(a));
        m.Assemble(Code, a =>
        {
            Waiting(a);
            a.cli();
            a.hlt();
        });
        m.Assemble(handler, a =>
        {
            a.mov(r12, __qword_ptr[rsp]);
            a.inc(r13);
            a.mov(__dword_ptr[rdi + 0xB0], 0);
            a.iretq();
        });
        m.SetVector(0x41, handler);
        m[0]->Registers[7] = 0xFEE0_0000;
        for (int i = 0; i < 100 && m.Machine.Run((ulong)piece).Reason == StopReason.InstructionLimit; i++)
        {
        }
        Assert.Equal((Code + (ulong)halt, 1UL), (m[0]->Registers[12], m[0]->Registers[13]));
        Assert.Equal(Code + (ulong)halt + 2, m[0]->Rip);
        Assert.Equal(11UL, m.Machine.Instructions);

        // IPI to itself while interrupts are off.
        static void Waiting(Assembler a)
        {
            a.cli();
            a.mov(__dword_ptr[rdi + 0x300], 0x4_4041);
            a.nop();
            a.sti();
            a.hlt();
        }
    }

    [Fact]
    public void Run_InManyPieces_CountsAndTellsTheTimeAsInOne()
    {
        const int piece = 37, pieces = 400;
        using var m = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        using var whole = new SmallMachine(FetchProfiles.Coherent, cpus: 1);
        foreach (SmallMachine machine in new[] { m, whole })
            machine.Assemble(Code, a =>
            {
                Label loop = a.CreateLabel();
                a.Label(ref loop);
                a.rdtsc();
                a.lea(rbx, __qword_ptr[rbx + rax]);
                a.sti(); // From the second time on interrupts are on already.
                a.push(rax);
                a.push(rdx);
                a.pop(rdx);
                a.pop(rsi);
                a.jmp(loop);
            });
        for (int i = 1; i <= pieces; i++)
        {
            Assert.Equal(StopReason.InstructionLimit, m.Machine.Run(piece).Reason);
            Assert.Equal((ulong)(i * piece), m.Machine.Instructions);
        }
        whole.Machine.Run(pieces * piece);
        for (int i = 0; i < 16; i++)
            Assert.Equal(whole[0]->Registers[i], m[0]->Registers[i]);
        Assert.Equal(whole[0]->Rip, m[0]->Rip);
    }
}
