using Emu.Execution;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.Machine;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Execution;

/// <summary>Executions at chosen addresses are told of, each once, and change nothing.</summary>
public sealed class ExecutionWatchTests
{
    private const ulong Code = SmallMachine.CodeAt;
    private const int Rounds = 100;

    /// <summary>Addresses of the loop's instructions.</summary>
    private const ulong Loop = Code + 5;
    private const ulong Middle = Code + 8;
    private const ulong Inside = Code + 9;
    private const ulong End = Code + 15;

    private static void Program(Assembler a)
    {
        Label loop = a.CreateLabel();
        a.mov(ecx, Rounds);
        a.Label(ref loop);
        a.add(rax, rcx);
        a.add(rdx, rax);
        a.dec(ecx);
        a.jne(loop);
        a.hlt();
    }

    private static SmallMachine Build(string profile, ScheduleKind schedule, int cpus = 2)
    {
        var m = new SmallMachine(FetchProfiles.Find(profile)!, cpus, schedule, seed: 3, quantum: 7);
        Assert.Equal(16, m.Assemble(Code, Program));
        return m;
    }

    [Theory]
    [InlineData("coherent", ScheduleKind.RoundRobin)]
    [InlineData("p6", ScheduleKind.RoundRobin)]
    [InlineData("p6", ScheduleKind.Random)]
    [InlineData("intel", ScheduleKind.Random)]
    public void OnReach_Loop_TellsEachExecutionOfEachCpu(string profile, ScheduleKind schedule)
    {
        using SmallMachine m = Build(profile, schedule);
        using SmallMachine unwatched = Build(profile, schedule);
        var counts = new Dictionary<(int, ulong), int>();
        m.Machine.Watch.OnReach = (cpu, linear) => counts[(cpu.Index.Value, linear)] = counts.GetValueOrDefault((cpu.Index.Value, linear)) + 1;
        foreach (ulong linear in (ulong[])[Code, Loop, Middle, Inside, End])
            Assert.True(m.Machine.Watch.Add(linear));
        Assert.False(m.Machine.Watch.Add(Loop));
        Assert.Equal(StopReason.AllHalted, m.Machine.Run(100_000).Reason);
        unwatched.Machine.Run(100_000);
        for (int cpu = 0; cpu < 2; cpu++)
        {
            Assert.Equal((1, Rounds, Rounds, 1), (counts[(cpu, Code)], counts[(cpu, Loop)], counts[(cpu, Middle)], counts[(cpu, End)]));
            // No instruction begins there.
            Assert.False(counts.ContainsKey((cpu, Inside)));
        }
        Assert.Equal(unwatched.Machine.RunHash, m.Machine.RunHash);
    }

    [Theory]
    [InlineData("coherent")]
    [InlineData("p6")]
    public void OnReach_AsTold_TimeIsThatBeforeTheInstruction(string profile)
    {
        using SmallMachine m = Build(profile, ScheduleKind.RoundRobin, cpus: 1);
        var times = new List<ulong>();
        m.Machine.Watch.OnReach = (_, _) => times.Add(m.Machine.Now);
        m.Machine.Watch.Add(Middle);
        m.Machine.Run(100_000);
        Assert.Equal(Enumerable.Range(0, Rounds).Select(i => 2 + 4 * (ulong)i), times);
    }

    [Theory]
    [InlineData("coherent", 10)]
    [InlineData("p6", 9)]
    public void AddAndRemove_WhileItRuns_TakeEffect(string profile, int missed)
    {
        using SmallMachine m = Build(profile, ScheduleKind.RoundRobin, cpus: 1);
        int loop = 0;
        int middle = 0;
        ExecutionWatch watch = m.Machine.Watch;
        watch.OnReach = (_, linear) =>
        {
            if (linear == Middle)
                middle++;
            if (linear == Loop && ++loop == 10)
                watch.Add(Middle, Middle);
            if (linear == Loop && loop == 20)
                watch.Remove(Loop);
            if (linear == Middle && middle == 50)
                watch.Add(Loop);
        };
        watch.Add(Loop);
        m.Machine.Run(100_000);
        // A block that is being executed is executed to its end as it is.
        Assert.Equal(Rounds - missed, middle);
        Assert.Equal(20 + Rounds - 50 - missed, loop);
    }

    [Fact]
    public void Add_CodeThatHasRun_IsSeenFromThenOn()
    {
        using SmallMachine m = Build("coherent", ScheduleKind.RoundRobin, cpus: 1);
        m.Machine.Run(1 + 4 * 30);
        int reached = 0;
        m.Machine.Watch.OnReach = (_, _) => reached++;
        m.Machine.Watch.Add(Middle);
        m.Machine.Run(100_000);
        Assert.Equal(Rounds - 30, reached);
    }

    [Fact]
    public void OnReach_CodeThatChangesAndComesBack_IsStillWatched()
    {
        using SmallMachine m = Build("coherent", ScheduleKind.RoundRobin, cpus: 1);
        int reached = 0;
        m.Machine.Watch.OnReach = (_, _) => reached++;
        m.Machine.Watch.Add(Middle);
        byte[] old = m.Read(Middle, 3);
        m.Machine.Run(1 + 4 * 30);
        m.Write(Middle, 0x0F, 0x1F, 0x00);
        m.Machine.Run(4 * 30);
        m.Write(Middle, old);
        m.Machine.Run(100_000);
        Assert.Equal(Rounds, reached);
    }
}
