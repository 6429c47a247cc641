using Emu.Cpus;
using Emu.Fetch;
using Emu.Tests.Machine;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Execution;

/// <summary>
/// Breakpoints and single steps, as a guest's #DB handler sees them: it logs DR6, the saved RIP relative to the program, and RFLAGS, and clears DR6.
/// On the coherent machine and on one that fetches through a queue.
/// </summary>
public sealed unsafe class DebugTests
{
    private const ulong Code = SmallMachine.CodeAt, Data = SmallMachine.DataAt, Handler = Code + 0x1000, Log = Data + 0x1000, Other = Code + 0x2000;
    private const ulong B0 = 1, Bs = 1 << 14, Bd = 1 << 13;

    private sealed record Hit(ulong Dr6, ulong Offset, ulong Flags);

    private static List<Hit> Run(Action<Assembler> program, bool modelled = false, Action<SmallMachine>? prepare = null)
    {
        using var m = new SmallMachine(modelled ? FetchProfiles.P6 : FetchProfiles.Coherent, cpus: 1);
        m.Assemble(Handler, a =>
        {
            a.push(rax);
            a.push(rdx);
            a.mov(rdx, __qword_ptr[Log]);
            a.mov(rax, dr6);
            a.mov(__qword_ptr[rdx], rax);
            a.mov(rax, __qword_ptr[rsp + 16]);
            a.mov(__qword_ptr[rdx + 8], rax);
            a.mov(rax, __qword_ptr[rsp + 32]);
            a.mov(__qword_ptr[rdx + 16], rax);
            a.add(__qword_ptr[Log], 24);
            // Or a breakpoint on an instruction would hit for ever.
            a.or(__dword_ptr[rsp + 32], (uint)Rflags.Rf);
            a.xor(eax, eax);
            a.mov(dr6, rax);
            a.pop(rdx);
            a.pop(rax);
            a.iretq();
        });
        m.Assemble(Other, a => a.iretq());
        m.SetVector(1, Handler);
        m.SetVector(0x80, Other);
        m.Write64(Log, Log + 8);
        m.Assemble(Code, a =>
        {
            program(a);
            a.hlt();
        });
        m[0]->Registers[6] = m[0]->Registers[7] = Data;
        prepare?.Invoke(m);
        m.Machine.Run(2000);
        Assert.Equal(Activity.Halted, m[0]->Activity);
        var hits = new List<Hit>();
        for (ulong at = Log + 8; at < m.Read64(Log); at += 24)
            hits.Add(new Hit(m.Read64(at) & 0xE00F, m.Read64(at + 8) - Code, m.Read64(at + 16)));
        return hits;
    }

    /// <summary>DR0 at an address, with a condition (R/W) and a length (LEN) in DR7.</summary>
    private static void Arm(Assembler a, ulong address, ulong readWrite, ulong length)
    {
        a.mov(rax, address);
        a.mov(dr0, rax);
        a.mov(eax, (uint)(readWrite << 16 | length << 18 | 2));
        a.mov(dr7, rax);
    }

    private static void Disarm(Assembler a)
    {
        a.xor(eax, eax);
        a.mov(dr7, rax);
    }

    private static ulong Offset(Action<Assembler> before)
    {
        var a = new Assembler(64);
        before(a);
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), Code);
        return (ulong)stream.Length;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void InstructionBreakpoint_IsAFault_AndRfHoldsItOff(bool modelled)
    {
        ulong target = 0;
        void Before(Assembler a)
        {
            Arm(a, target, 0, 0);
            a.nop();
        }
        target = Code + 64; // Any 64-bit address of the same length will do for measuring.
        ulong offset = Offset(Before);
        target = Code + offset;
        List<Hit> hits = Run(a =>
        {
            Before(a);
            a.inc(ebx);
            a.nop();
            Disarm(a);
        }, modelled);
        Hit hit = Assert.Single(hits);
        Assert.Equal((B0, offset), (hit.Dr6, hit.Offset));
        Assert.Equal(0UL, hit.Flags & Rflags.Rf);
    }

    [Theory]
    [InlineData(1UL, 0UL, 0, true, 1, true)]
    [InlineData(1UL, 0UL, 0, false, 1, false)]
    [InlineData(3UL, 0UL, 0, false, 1, true)]
    [InlineData(3UL, 3UL, 0, false, 8, true)]
    [InlineData(1UL, 3UL, 4, true, 1, false)]
    [InlineData(1UL, 3UL, 3, true, 1, true)]
    [InlineData(1UL, 2UL, 7, true, 1, true)]
    [InlineData(1UL, 2UL, 8, true, 1, false)]
    [InlineData(1UL, 1UL, -1, true, 2, true)]
    [InlineData(1UL, 1UL, -2, true, 2, false)]
    public void DataBreakpoint_IsATrapBehindTheInstruction(ulong readWrite, ulong length, int displacement, bool write, int size, bool hits)
    {
        foreach (bool modelled in (bool[])[false, true])
        {
            void Before(Assembler a)
            {
                Arm(a, Data + 0x100, readWrite, length);
                if (size == 1 && write)
                    a.mov(__byte_ptr[rsi + 0x100 + displacement], bl);
                else if (size == 1)
                    a.mov(bl, __byte_ptr[rsi + 0x100 + displacement]);
                else if (size == 2)
                    a.mov(__word_ptr[rsi + 0x100 + displacement], bx);
                else
                    a.mov(rbx, __qword_ptr[rsi + 0x100 + displacement]);
            }
            List<Hit> seen = Run(a =>
            {
                Before(a);
                a.nop();
                Disarm(a);
            }, modelled);
            Assert.Equal(hits ? 1 : 0, seen.Count);
            if (hits)
                Assert.Equal((B0, Offset(Before)), (seen[0].Dr6, seen[0].Offset));
        }
    }

    [Fact]
    public void DataBreakpoint_InAPageAlreadyInTheTlb_Hits()
    {
        List<Hit> hits = Run(a =>
        {
            a.mov(__byte_ptr[rsi + 0x100], 1);
            Arm(a, Data + 0x100, 1, 0);
            a.mov(__byte_ptr[rsi + 0x100], 1);
            Disarm(a);
            a.mov(__byte_ptr[rsi + 0x100], 1);
        });
        Assert.Single(hits);
    }

    [Fact]
    public void RepMovs_StopsBehindTheIterationThatHits_AndGoesOn()
    {
        void Before(Assembler a)
        {
            a.mov(ecx, 8);
            a.lea(rdi, __[rsi + 0x200]);
            Arm(a, Data + 0x203, 1, 0);
        }
        List<Hit> hits = Run(a =>
        {
            Before(a);
            a.rep.movsb();
            Disarm(a);
        });
        Hit hit = Assert.Single(hits);
        // RIP is still the instruction's own: iterations remain.
        Assert.Equal((B0, Offset(Before)), (hit.Dr6, hit.Offset));
        Assert.NotEqual(0UL, hit.Flags & Rflags.Rf);
    }

    [Fact]
    public void SingleStep_TrapsBehindEachIterationOfRep()
    {
        void Before(Assembler a)
        {
            a.mov(ecx, 3);
            a.lea(rdi, __[rsi + 0x200]);
            a.pushfq();
            a.or(__dword_ptr[rsp], (uint)Rflags.Tf);
            a.popfq();
        }
        List<Hit> hits = Run(a =>
        {
            Before(a);
            a.rep.stosb();
            a.pushfq();
            a.and(__dword_ptr[rsp], -0x101);
            a.popfq();
        });
        ulong at = Offset(Before);
        Assert.Equal([at, at, at + 2], hits.Take(3).Select(h => h.Offset));
        Assert.All(hits, h => Assert.Equal(Bs, h.Dr6));
        // Behind PUSHF, AND and POPF: TF was set before each.
        Assert.Equal(6, hits.Count);
    }

    [Fact]
    public void Btf_TrapsBehindBranchesOnly()
    {
        void Before(Assembler a, Label l)
        {
            a.mov(ecx, 0x1D9);
            a.mov(eax, 2);
            a.xor(edx, edx);
            a.wrmsr();
            a.pushfq();
            a.or(__dword_ptr[rsp], (uint)Rflags.Tf);
            a.popfq();
            a.nop();
            a.nop();
            a.jmp(l);
            a.ud2();
            a.Label(ref l);
            a.nop();
        }
        List<Hit> hits = Run(a =>
        {
            Before(a, a.CreateLabel());
            // BTF is clear now, and TF traps everywhere until it is cleared too.
            a.pushfq();
            a.and(__dword_ptr[rsp], -0x101);
            a.popfq();
        });
        Assert.Equal(5, hits.Count);
        Assert.Equal((Bs, Offset(a => Before(a, a.CreateLabel())) - 1), (hits[0].Dr6, hits[0].Offset));
    }

    [Fact]
    public void MovSs_HoldsDataTrapsUntilTheNextInstruction_AndSingleStep()
    {
        void Before(Assembler a)
        {
            a.mov(__word_ptr[rsi + 0x100], 0x10);
            Arm(a, Data + 0x100, 3, 1);
            a.mov(ss, __word_ptr[rsi + 0x100]);
            a.nop();
        }
        List<Hit> hits = Run(a =>
        {
            Before(a);
            Disarm(a);
        });
        Assert.Equal((B0, Offset(Before)), (Assert.Single(hits).Dr6, hits[0].Offset));
    }

    [Fact]
    public void IntN_UnderTf_IsNotFollowedByATrap_ItsIretIs()
    {
        void Before(Assembler a)
        {
            a.pushfq();
            a.or(__dword_ptr[rsp], (uint)Rflags.Tf);
            a.popfq();
            a.@int(0x80);
        }
        List<Hit> hits = Run(a =>
        {
            Before(a);
            a.nop();
            a.pushfq();
            a.and(__dword_ptr[rsp], -0x101);
            a.popfq();
        });
        ulong at = Offset(Before);
        // Nothing in the handler; IRET sets TF, and the trap comes behind the next instruction.
        Assert.Equal(at + 1, hits[0].Offset);
        Assert.Equal(4, hits.Count);
    }

    [Fact]
    public void IoBreakpoint_NeedsDe()
    {
        foreach (bool de in (bool[])[false, true])
        {
            List<Hit> hits = Run(a =>
            {
                if (de)
                {
                    a.mov(rax, cr4);
                    a.or(eax, (int)ControlBits.Cr4De);
                    a.mov(cr4, rax);
                }
                Arm(a, 0x81, 2, 0);
                a.@in(al, 0x81);
                a.@in(al, 0x82);
                Disarm(a);
            });
            Assert.Equal(de ? 1 : 0, hits.Count);
        }
    }

    [Fact]
    public void GeneralDetect_FaultsAtTheMove_AndIsCleared()
    {
        void Before(Assembler a)
        {
            a.mov(eax, (uint)DebugRegisters.Dr7GeneralDetect);
            a.mov(dr7, rax);
        }
        List<Hit> hits = Run(a =>
        {
            Before(a);
            a.mov(rbx, dr3);
        });
        Assert.Equal((Bd, Offset(Before)), (Assert.Single(hits).Dr6, hits[0].Offset));
    }

    [Fact]
    public void Icebp_LeavesDr6Alone_AndPushesTheNextRip()
    {
        List<Hit> hits = Run(a => a.db(0xF1));
        Assert.Equal((0UL, 1UL), (Assert.Single(hits).Dr6, hits[0].Offset));
    }

    [Fact]
    public void StackPushOfAnInterrupt_MeetsABreakpoint()
    {
        List<Hit> hits = Run(a =>
        {
            a.lea(rbx, __[rsp - 8]);
            a.and(rbx, -16);
            a.mov(dr0, rbx);
            a.mov(eax, 0x000D_0002); // Writes of 4 bytes.
            a.mov(dr7, rax);
            a.@int(0x80);
            Disarm(a);
        });
        Assert.Equal(Other - Code, Assert.Single(hits).Offset);
    }

    [Fact]
    public void Hlt_UnderTf_TrapsAtOnce()
    {
        List<Hit> hits = Run(a =>
        {
            a.pushfq();
            a.or(__dword_ptr[rsp], (uint)Rflags.Tf);
            a.popfq();
            a.hlt();
            a.pushfq();
            a.and(__dword_ptr[rsp], -0x101);
            a.popfq();
        });
        Assert.Equal(4, hits.Count);
    }

    /// <summary>#DB on the interrupt stack table finds the same breakpoint on its stack again and again; a run ends all the same.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void EndlessEvents_DoNotKeepARunFromItsEnd(bool modelled)
    {
        using var m = new SmallMachine(modelled ? FetchProfiles.P6 : FetchProfiles.Coherent, cpus: 1);
        const ulong stack = Data + 0x4000, tss = Data + 0x5000;
        m.SetVector(1, Handler);
        m.Write(SmallMachine.IdtAt + 16 + 4, 1);
        m.Write64(tss + 0x24, stack);
        m[0]->Tr = new SegmentRegister { Base = tss, Limit = 0x67, Attributes = SegmentAttributes.Present | SystemType.BusyTss32, Usable = 1 };
        m.Assemble(Handler, a => a.hlt());
        m.Assemble(Code, a =>
        {
            Arm(a, stack - 8, 1, 2);
            a.mov(__qword_ptr[stack - 8], rax);
            a.hlt();
        });
        m.Machine.Run(5000);
        Assert.NotEqual(Activity.Halted, m[0]->Activity);
        Assert.Equal(5000UL, m.Machine.Instructions);
    }
}
