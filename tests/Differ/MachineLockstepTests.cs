using Emu.Boot;
using Emu.Cpus;
using Emu.Differ.Lockstep;
using Emu.Differ.Machines;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;
using Emu.Tests.Cli;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Differ;

/// <summary>Lockstep with a whole machine: that it follows interrupts and devices, and finds what is planted. The other machine is a second one of Emu's; tests/run has QEMU and Bochs.</summary>
public sealed unsafe class MachineLockstepTests
{
    private const ulong MemorySize = 4 << 20;
    private const uint Handler = 0x20_0000, Idt = 0x21_0000, Counter = 0x22_0000, Gdt = 0x21_1000;

    /// <summary>A kernel that loops while a timer of the local APIC interrupts it, waits for one in HLT, copies with REP MOVS, and leaves by the exit port.</summary>
    private static byte[] Kernel()
    {
        // What the handler does: nothing, counts, and ends the interrupt.
        byte[] handler = [0x90, 0xFF, 0x05, .. BitConverter.GetBytes(Counter), 0xC7, 0x05, 0xB0, 0x00, 0xE0, 0xFE, 0, 0, 0, 0, 0xCF];
        return TinyKernel.Build(a =>
        {
            Label wait = a.CreateLabel(), here = a.CreateLabel();
            a.mov(esp, 0x30_0000);
            a.mov(__dword_ptr[Gdt + 8], 0xFFFF);
            a.mov(__dword_ptr[Gdt + 12], 0x00CF_9B00);
            a.mov(__dword_ptr[Gdt + 16], 0xFFFF);
            a.mov(__dword_ptr[Gdt + 20], 0x00CF_9300);
            a.mov(__word_ptr[Gdt - 8], 23);
            a.mov(__dword_ptr[Gdt - 6], (int)Gdt);
            a.lgdt(__fword_ptr[Gdt - 8]);
            a.call(here);
            a.Label(ref here);
            a.pop(eax);
            a.lea(eax, __[eax + 8]); // To behind RETF.
            a.push(8);
            a.push(eax);
            a.retf();
            a.mov(eax, 0x10);
            foreach (AssemblerRegisterSegment segment in (AssemblerRegisterSegment[])[ds, es, ss])
                a.mov(segment, eax);
            for (int i = 0; i < handler.Length; i++)
                a.mov(__byte_ptr[Handler + i], handler[i]);
            a.mov(__dword_ptr[Idt + 8 * 0x40], (int)(8 << 16 | (Handler & 0xFFFF)));
            a.mov(__dword_ptr[Idt + 8 * 0x40 + 4], (int)(Handler & 0xFFFF_0000 | 0x8E00));
            a.mov(__word_ptr[Idt - 8], 0x7FF);
            a.mov(__dword_ptr[Idt - 6], (int)Idt);
            a.lidt(__fword_ptr[Idt - 8]);
            a.mov(__dword_ptr[0xFEE0_00F0], 0x1FF);
            a.mov(__dword_ptr[0xFEE0_0320], 0x2_0040); // periodic
            a.mov(__dword_ptr[0xFEE0_03E0], 0xB);
            a.mov(__dword_ptr[0xFEE0_0380], 700);
            a.sti();
            a.Label(ref wait);
            a.mov(esi, Handler);
            a.mov(edi, 0x23_0000);
            a.mov(ecx, 64);
            a.rep.movsd();
            a.pause();
            a.cpuid();
            a.cmp(__dword_ptr[Counter], 5);
            a.jb(wait);
            a.hlt();
            a.cli();
            a.mov(al, 0x10);
            a.@out(0xF4, al);
        });
    }

    private static MachineLockstep Open(bool tells, int batch = 1, long exactFrom = 0)
    {
        BootImage image = BootImage.Open(Kernel(), "tiny.elf");
        return new MachineLockstep(image, "", MemorySize, _ => new SecondMachine(image, tells) { Batch = batch, ExactFrom = exactFrom });
    }

    private static string Found(LockstepRun run) => $"{string.Join("; ", run.Differences)} at {run.Where} after\n  {string.Join("\n  ", run.Trail)}";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Kernel_WithInterrupts_IsFollowedToItsEnd(bool tells)
    {
        using MachineLockstep run = Open(tells);
        LockstepEnd end = run.Run(100_000);
        Assert.True(end == LockstepEnd.Guest, $"{end}: {Found(run)}");
        Assert.Contains("out", run.Where, StringComparison.Ordinal);
        Assert.InRange(run.Interrupts, 6, 50);
        Assert.InRange(run.Compared, 100, 100_000);
        Assert.InRange(run.Fed, 10, run.Compared / 2);
    }

    [Theory]
    [InlineData("rbx")]
    [InlineData("flags DF")]
    [InlineData("memory at physical 221000")]
    [InlineData("selector Fs")]
    [InlineData("xmm3, upper half")]
    [InlineData("cr3")]
    public void Difference_ThatIsPlanted_IsFoundWithTheInstructionsBeforeIt(string what)
    {
        using MachineLockstep run = Open(tells: false);
        run.Sabotage = (count, cpu) =>
        {
            if (count != 60)
                return;
            CpuState* s = cpu.State;
            switch (what.Split(' ')[0])
            {
                case "rbx": s->Registers[3] ^= 0x100; break;
                case "flags": s->SystemFlags ^= Rflags.Df; break;
                case "memory": cpu.Memory.Base[0x22_1000] ^= 1; break;
                case "selector": s->Fs.Selector ^= 8; break;
                case "xmm3,": s->Floating.Xmm[7] ^= 1; break;
                default: s->Paging.Cr3 ^= 0x1000; break;
            }
        };
        Assert.Equal(LockstepEnd.Different, run.Run(100_000));
        Assert.Contains(run.Differences, d => d.What.EndsWith(what[^3..], StringComparison.Ordinal) && d.What.Split(' ')[0].EndsWith(what.Split(' ')[0][^3..], StringComparison.Ordinal));
        Assert.NotEmpty(run.Trail);
        Assert.Equal(run.Where, run.Trail.Last());
    }

    /// <summary>A machine that tells selectors after every 64 steps only: where the difference is, a second run shows.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(60)]
    public void Difference_ThatIsSeenLate_IsFoundWhereItIsInASecondRun(int at)
    {
        using MachineLockstep first = Open(tells: false, batch: 64, exactFrom: long.MaxValue);
        void Break(long count, Cpu cpu)
        {
            if (count == at)
                cpu.State->Fs.Selector ^= 8;
        }
        first.Sabotage = Break;
        Assert.Equal(LockstepEnd.Different, first.Run(100_000));
        Assert.NotNull(first.DiffersAfter);
        Assert.InRange(first.Compared + first.Fed, at + 1, at + 64);

        using MachineLockstep second = Open(tells: false, batch: 64, exactFrom: first.DiffersAfter.Value);
        second.Sabotage = Break;
        Assert.Equal(LockstepEnd.Different, second.Run(100_000));
        Assert.Equal((at + 1, "selector Fs"), (second.Compared + second.Fed, second.Differences.Single().What));
    }

    /// <summary>Emu in the role of another machine, which says of interrupts that it took one, or not.</summary>
    private sealed class SecondMachine : SteppedMachine
    {
        private readonly Machines.Machine _machine;
        private readonly bool _tells;
        private bool _before;

        public SecondMachine(BootImage image, bool tells)
        {
            _tells = tells;
            _machine = new Machines.Machine(new MachineOptions { CpuCount = 1, MemorySize = MemorySize, Model = FullModel.Instance, Profile = FetchProfiles.Coherent with { Name = "one", Depth = 1 } });
            image.Load(_machine.Memory, _machine.Cpus[0]);
            Read();
        }

        public override string Name => "Emu";

        /// <summary>After how many steps it tells selectors and control registers, and the step from which it tells them always.</summary>
        public int Batch { get; init; } = 1;
        public long ExactFrom { get; init; }

        protected override ulong? Make(bool system)
        {
            CpuState* s = _machine.Cpus[0].State;
            if (_before)
            {
                // The handler's NOP has been executed already.
                _before = false;
                Read();
                return null;
            }
            // A modelled CPU takes an interrupt and executes the first instruction of its handler in one step. Of REP MOVS it is to do one round.
            ulong rip = s->Rip, count = s->Registers[1];
            bool repeats = count > 1 && _machine.Memory.Read(rip, 2) == 0xA5F3;
            if (repeats)
                s->Registers[1] = 1;
            _machine.Step(new CpuIndex(0));
            if (repeats && s->Rip == Handler + 1)
                s->Registers[1] = count;
            else if (repeats)
                (s->Registers[1], s->Rip) = (count - 1, rip);
            if (s->Activity == Activity.Halted)
                _machine.Run(1);
            Read();
            if (s->Rip != Handler + 1)
                return null;
            if (_tells)
                return Handler;
            _before = true;
            Registers.Rip = Handler;
            return null;
        }

        public override void CopyMemory(PhysicalMemory memory) => Buffer.MemoryCopy(_machine.Memory.Base, memory.Base, MemorySize, MemorySize);

        public override MemoryDifference? FirstDifference(PhysicalMemory memory, Predicate<MemoryDifference> isExcused)
        {
            for (ulong page = 0; page < MemorySize; page += Page.Size)
                if (IsCompared(page) && FirstDifference(page, new(_machine.Memory.Base + page, Page.Size), new(memory.Base + page, Page.Size), isExcused) is { } difference)
                    return difference;
            return null;
        }

        public override void Dispose() => _machine.Dispose();

        private void Read()
        {
            CpuState* s = _machine.Cpus[0].State;
            for (int i = 0; i < 16; i++)
                Registers.General[i] = s->Registers[i];
            Registers.Rip = s->Rip;
            Registers.Flags = Flags.Get(s);
            SegmentRegister* segments = &s->Es;
            for (int i = 0; i < 6; i++)
                Registers.Selectors[i] = segments[i].Selector;
            (Registers.Cr0, Registers.Cr2, Registers.Cr3, Registers.Cr4, Registers.Efer) = (s->Paging.Cr0, s->Paging.Cr2, s->Paging.Cr3, s->Paging.Cr4, s->Paging.Efer);
            for (int i = 0; i < 32; i++)
                Registers.Xmm[i] = s->Floating.Xmm[i];
            Registers.KnowsXmm = true;
            Registers.KnowsSystem = Steps >= ExactFrom || (Steps + 1) % Batch == 0;
        }
    }
}
