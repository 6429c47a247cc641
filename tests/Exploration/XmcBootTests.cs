using Emu.Boot;
using Emu.Cpus;
using Emu.Execution;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;
using Xunit;
using GuestMachine = Emu.Machines.Machine;

namespace Emu.Tests.Exploration;

/// <summary>The guest under the checker: no report on a protocol that is correct under a profile, and one on each that is not, whatever the schedule.</summary>
public sealed class XmcBootTests
{
    private const int Seeds = 3;

    public static TheoryData<string, string, string> Correct => new()
    {
        { "p6", "int3-ipi", "short" },
        { "p6", "int3-ipi", "line" },
        { "intel", "int3-ipi", "short" },
        { "intel", "int3-ipi", "jmp5" },
        { "amd", "int3-ipi", "quad" },
        { "p6", "text-poke-bp", "short" },
        { "intel", "text-poke-bp", "line" },
        { "intel", "text-poke-bp", "page" },
        { "intel", "text-poke-bp", "batch" },
        { "amd", "text-poke-bp", "quad" },
        { "intel-strict", "stop-machine", "line" },
        { "p6-strict", "stop-machine", "short" },
        { "intel-strict", "up", "short" },
        { "p6-strict", "up", "page" },
        { "amd", "quadword", "jmp5" },
    };

    [Theory]
    [MemberData(nameof(Correct))]
    public void Check_CorrectProtocol_ReportsNothing(string profile, string protocol, string site)
    {
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            Assert.Empty(Boot(profile, coherent: false, protocol, site, seed).Findings);
            Assert.Empty(Boot(profile, coherent: true, protocol, site, seed).Findings);
        }
    }

    public static TheoryData<string, string, string> Broken => new()
    {
        { "p6", "direct", "short" },
        { "p6", "int3", "short" },
        { "intel", "direct", "short" },
        { "intel", "int3", "short" },
        { "intel", "int3-ipi", "line" },
        { "intel", "int3-ipi", "page" },
        { "p6-strict", "int3-ipi", "short" },
        { "p6-strict", "text-poke-bp", "short" },
        { "intel-strict", "int3-ipi", "short" },
        { "intel-strict", "text-poke-bp", "short" },
        { "amd", "direct", "jmp5" },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public void Check_BrokenProtocol_IsReported(string profile, string protocol, string site)
    {
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            AssertNamesBothSides(Boot(profile, coherent: false, protocol, site, seed).Findings);
            AssertNamesBothSides(Boot(profile, coherent: true, protocol, site, seed).Findings);
        }
    }

    /// <summary>One coherent run in turn, nothing random in it: the machine itself sees nothing wrong, and the checker does.</summary>
    [Fact]
    public void Check_CoherentMachineInTurn_NeedsNoLuckyFetch()
    {
        using GuestMachine machine = Build(FetchProfiles.Coherent, FetchProfiles.Intel, ScheduleKind.RoundRobin, 1);
        (RunResult result, XmcChecker checker) = Run(machine, "protocol=direct rounds=2");
        Assert.Equal((StopReason.GuestExit, 0x10), (result.Reason, result.ExitCode));
        XmcRace race = Assert.Single(checker.Findings).Race;
        Assert.Equal(["EBE5", "EBF0"], race.Versions.Select(v => Convert.ToHexString(v.Bytes.AsSpan(0, 2))));
        Assert.Equal([0xEB, 0xE5], race.Verdict.Fetched);
        Assert.Equal(SerialisingEvent.Iret, race.Serialised.Event);
        Assert.Equal(0, race.Culprit.Writer.Cpu);
        Assert.NotEqual(0, race.Cpu.Value);
    }

    /// <summary>The checker looks on: one seed, one execution, with it or without.</summary>
    [Theory]
    [InlineData("coherent", "intel", ScheduleKind.RoundRobin, "direct")]
    [InlineData("coherent", "p6", ScheduleKind.Random, "int3-ipi")]
    [InlineData("p6", "p6", ScheduleKind.Random, "text-poke-bp")]
    public void Check_AnyRun_IsTheSameExecution(string profile, string rule, ScheduleKind schedule, string protocol)
    {
        using GuestMachine with = Build(FetchProfiles.Find(profile)!, FetchProfiles.Find(rule), schedule, 5);
        using GuestMachine without = Build(FetchProfiles.Find(profile)!, null, schedule, 5);
        Run(with, $"protocol={protocol} rounds=8");
        Load(without, $"protocol={protocol} rounds=8");
        without.Run();
        Assert.Equal(without.RunHash, with.RunHash);
    }

    [Fact]
    public void Restore_InTheMiddleOfAPatch_ReportsTheSameAgain()
    {
        using GuestMachine machine = Build(FetchProfiles.Coherent, FetchProfiles.Intel, ScheduleKind.RoundRobin, 1);
        Load(machine, "protocol=direct rounds=4");
        var first = new XmcChecker(machine);
        while (first.Findings.Count == 0)
            machine.Run(1000);
        MachineSnapshot snapshot = machine.TakeSnapshot();
        var before = new XmcChecker(machine);
        machine.Run();
        machine.Restore(snapshot);
        var after = new XmcChecker(machine);
        machine.Run();
        Assert.NotEmpty(after.Findings);
        Assert.Equal(before.Findings.Sum(f => f.Count) - after.Findings.Sum(f => f.Count), after.Findings.Sum(f => f.Count));
    }

    [Fact]
    public void Check_RuleOfAnotherProfileInTheModelledMachine_IsRefused() =>
        Assert.Throws<ArgumentException>(() => Build(FetchProfiles.P6, FetchProfiles.Amd, ScheduleKind.Random, 1).Dispose());

    private static void AssertNamesBothSides(IReadOnlyList<XmcFinding> findings)
    {
        Assert.NotEmpty(findings);
        foreach (XmcFinding finding in findings)
        {
            Assert.Equal(0, finding.Race.Culprit.Writer.Cpu);
            Assert.NotEqual(0UL, finding.Race.Culprit.Writer.Rip);
            Assert.NotEqual(0UL, finding.Race.Serialised.Rip);
            Assert.False(finding.Race.Verdict.Excused);
        }
    }

    private static XmcChecker Boot(string profile, bool coherent, string protocol, string site, ulong seed)
    {
        FetchProfile rule = FetchProfiles.Find(profile)!;
        using GuestMachine machine = Build(coherent ? FetchProfiles.Coherent : rule, rule, ScheduleKind.Random, seed);
        return Run(machine, $"protocol={protocol} site={site} rounds=8").Checker;
    }

    private static GuestMachine Build(FetchProfile profile, FetchProfile? rule, ScheduleKind schedule, ulong seed) =>
        new(new MachineOptions { CpuCount = 3, Model = CpuModels.AlderLake, Profile = profile, Check = rule, Schedule = schedule, Seed = seed, MemorySize = 16 << 20 });

    private static void Load(GuestMachine machine, string commandLine) =>
        BootImage.OpenFile(Path.Combine(Repository.Root, "images", "emu64.elf")).Load(machine.Memory, machine.Cpus[0], commandLine, []);

    private static (RunResult Result, XmcChecker Checker) Run(GuestMachine machine, string commandLine)
    {
        var checker = new XmcChecker(machine);
        Load(machine, commandLine);
        return (machine.Run(20_000_000), checker);
    }
}
