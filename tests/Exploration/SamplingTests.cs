using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.Machine;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Exploration;

/// <summary>Schedules of probabilistic concurrency testing, and what they find of what they promise.</summary>
public sealed unsafe class SamplingTests
{
    private const ulong Site = SmallMachine.CodeAt + 0x808;
    private const ulong Patcher = SmallMachine.CodeAt + 0x2000;
    private const ulong Handler = SmallMachine.CodeAt + 0x1000;
    private const ulong Stale = SmallMachine.CodeAt + 0x1100;
    private const int Runs = 2000;

    /// <summary>
    /// The mail's "breakpoint without IPI", made to need a change of priorities: CPU 1 jumps to the block of the site, which empties its queue, fetches the
    /// site, and has to stand still while CPU 0 stores three times.
    /// </summary>
    private static SmallMachine Build(int depth, ulong steps, ulong seed)
    {
        var m = new SmallMachine(FetchProfiles.P6, 2, ScheduleKind.Pct, seed, memory: 4 << 20, depth: depth, steps: steps);
        m.Assemble(SmallMachine.CodeAt, a => a.jmp(Site - 8));
        m.Assemble(Site - 8, a =>
        {
            for (int i = 0; i < 8; i++)
                a.nop();
        });
        m.Write(Site, 0xEB, 0x20);
        m.Assemble(Site + 0x22, a => a.hlt());
        m.Assemble(Site + 0x32, a => a.hlt());
        m.Assemble(Handler, a => a.hlt());
        m.Assemble(Stale, a => a.hlt());
        m.SetVector((byte)Vector.Breakpoint, Handler);
        m.SetVector((byte)Vector.GeneralProtection, Stale);
        m.Assemble(Patcher, a =>
        {
            a.mov(__byte_ptr[Site], 0xCC);
            a.mov(__byte_ptr[Site + 1], 0x30);
            a.mov(__byte_ptr[Site], 0xEB);
            a.hlt();
        });
        m[0]->Rip = Patcher;
        m[1]->Rip = SmallMachine.CodeAt;
        m[0]->SystemFlags &= ~Rflags.If;
        m[1]->SystemFlags &= ~Rflags.If;
        return m;
    }

    private static (int Hits, ulong Steps) Sample(int depth, ulong steps)
    {
        int hits = 0;
        ulong most = 0;
        for (ulong seed = 1; seed <= Runs; seed++)
        {
            using SmallMachine m = Build(depth, steps, seed);
            Assert.Equal(StopReason.AllHalted, m.Machine.Run().Reason);
            most = Math.Max(most, m.Machine.PctSteps);
            if (m[1]->Rip == Stale + 1)
                hits++;
        }
        return (hits, most);
    }

    [Fact]
    public void Pct_BreakpointWithoutIpi_IsMetAtLeastAsOftenAsTheBoundSays()
    {
        ulong steps = Sample(1, 1).Steps;
        int agents = 2 * Machines.Machine.PctAgentsPerCpu;
        (int hits, _) = Sample(2, steps);
        double bound = PctPriorities.Bound(agents, 2, steps);
        Assert.True(hits >= bound * Runs, $"{hits} of {Runs} runs, and the bound is {bound:0.0000} of {steps} steps");
    }

    /// <summary>Without a change of priorities CPU 1 runs through, or comes late: the bug has depth 2.</summary>
    [Fact]
    public void Pct_DepthTooSmall_NeverMeetsIt() => Assert.Equal(0, Sample(1, 1).Hits);

    [Fact]
    public void Pct_SameSeed_IsTheSameExecution()
    {
        for (ulong seed = 1; seed < 20; seed++)
        {
            using SmallMachine first = Build(2, 40, seed);
            using SmallMachine second = Build(2, 40, seed);
            first.Machine.Run();
            second.Machine.Run();
            Assert.Equal(first.Machine.RunHash, second.Machine.RunHash);
        }
    }

    [Fact]
    public void Pct_Restored_GoesOnAsItDid()
    {
        using SmallMachine m = Build(3, 40, 7);
        m.Machine.Run(4);
        MachineSnapshot snapshot = m.Machine.TakeSnapshot();
        m.Machine.Run();
        ulong hash = m.Machine.RunHash;
        m.Machine.Restore(snapshot);
        m.Machine.Run();
        Assert.Equal(hash, m.Machine.RunHash);
    }

    [Fact]
    public void Priorities_WithoutChange_TakeTheHighestThatCanStep()
    {
        var pct = new PctPriorities(4, 1, 100, new DeterministicRandom(3));
        int first = pct.Next(_ => true);
        Assert.All(Enumerable.Range(0, 50), _ => Assert.Equal(first, pct.Next(_ => true)));
        int second = pct.Next(a => a != first);
        Assert.NotEqual(first, second);
        Assert.Equal(first, pct.Next(_ => true));
        pct.Yield(first);
        Assert.Equal(second, pct.Next(_ => true));
        Assert.Equal(-1, pct.Next(_ => false));
    }

    [Fact]
    public void Priorities_DepthThree_ChangeTwice()
    {
        var pct = new PctPriorities(4, 3, 100, new DeterministicRandom(5));
        int[] chosen = [.. Enumerable.Range(0, 100).Select(_ => pct.Next(_ => true))];
        Assert.Equal(2, chosen.Zip(chosen.Skip(1)).Count(p => p.First != p.Second));
    }

    [Theory]
    [InlineData(2, 1, 100, 0.5)]
    [InlineData(2, 3, 10, 0.005)]
    public void Bound_AsInThePaper(int agents, int depth, int steps, double bound) => Assert.Equal(bound, PctPriorities.Bound(agents, depth, (ulong)steps), 12);
}
