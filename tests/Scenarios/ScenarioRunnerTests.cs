using System.Text.Json;
using Emu.Scenarios;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>How scenarios run: events, verdicts, sampling, and what the table says.</summary>
public sealed class ScenarioRunnerTests
{
    private const string Mail = "tests/litmus/mail-buggy.litmus";

    [Fact]
    public void Pinned_MailBuggy_StepsAreTheMails()
    {
        ScenarioResult result = ScenarioRunner.Run(Litmus.Load(Mail));
        Assert.Equal(
            ["start:", "fetch:fetches 90 at start", "fetch:fetches eb at site", "fetch:fetches e5 at site+1", "execute:movb $0xf0,site+1", "drain:site+1 := f0", "execute:nop", "execute:jmp old"],
            result.Steps.Select(s => $"{s.Event}:{s.Text}"));
        Assert.Equal(["eb e5", "eb e5", "eb e5", "eb e5", "eb e5", "eb f0", "eb f0", "eb f0"], result.Steps.Select(s => s.Memory[0]));
        Assert.Equal("start: 90 eb e5", result.Steps[5].Cpus[1].Queue);
        Assert.Equal(new StoreView("site+1", "f0"), Assert.Single(result.Steps[4].Cpus[0].Stores));
        Assert.Contains("the erratum: fetched eb e5, memory holds eb f0", result.Steps[^1].Notes);
        Assert.Contains("#GP", result.Steps[^1].Notes);
        Assert.Equal((1, 0, Observation.Always, true), (result.Positive, result.Negative, result.Observation, result.AsExpected));
    }

    [Fact]
    public void Pinned_Ipi_GoesThroughFabricVectorAndIret()
    {
        ScenarioResult result = ScenarioRunner.Run(Litmus.Load("tests/litmus/mail-breakpoint-ipi.litmus"));
        string[] events = [.. result.Steps.Select(s => $"P{s.Cpu} {s.Event} {s.Text} {string.Join(',', s.Notes)}")];
        int sent = Array.FindIndex(events, e => e.Contains("sends IPI 0xf2 to P1", StringComparison.Ordinal));
        int delivered = Array.FindIndex(events, e => e.StartsWith("P1 deliver IPI 0xf2 from P0", StringComparison.Ordinal));
        int taken = Array.FindIndex(events, e => e.StartsWith("P1 interrupt takes an interrupt, to ipi", StringComparison.Ordinal));
        int left = Array.FindIndex(events, e => e.StartsWith("P1 execute iretq serialises", StringComparison.Ordinal));
        Assert.True(0 < sent && sent < delivered && delivered < taken && taken < left, string.Join('\n', events));
    }

    [Fact]
    public void Table_MailBuggy_ShowsMemoryQueueAndVerdict()
    {
        var output = new StringWriter();
        ScenarioTable.Write(ScenarioRunner.Run(Litmus.Load(Mail)), output);
        string[] lines = output.ToString().Split(Environment.NewLine);
        Assert.Contains("  | site  | CPU 0               | stores    | CPU 1                                      | stores                  | queue", lines);
        Assert.Contains("5 | eb f0 | drains site+1 := f0 |           |                                            |                         | start: 90 eb e5", lines);
        Assert.Contains("States 1", lines);
        Assert.Contains("1     *>fault(#GP,P1);", lines);
        Assert.Contains("Observation mail-buggy Always 1 0", lines);
        Assert.Contains("Verdict mail-buggy: as expected (expected Always)", lines);
    }

    [Fact]
    public void Result_Json_HoldsStepsAndVerdict()
    {
        ScenarioResult result = ScenarioRunner.Run(Litmus.Load(Mail));
        using JsonDocument json = JsonDocument.Parse(JsonSerializer.Serialize(result));
        Assert.Equal(result.Steps.Count, json.RootElement.GetProperty("Steps").GetArrayLength());
        Assert.True(json.RootElement.GetProperty("AsExpected").GetBoolean());
        Assert.Equal("start: 90 eb e5", json.RootElement.GetProperty("Steps")[5].GetProperty("Cpus")[1].GetProperty("Queue").GetString());
    }

    [Fact]
    public void Sampled_SameSeed_GivesTheSameCounts()
    {
        string text = Repository.Read("tests/litmus/SB.litmus");
        Assert.Equal(Litmus.Run(text).States, Litmus.Run(text).States);
        Assert.NotEqual(Litmus.Run(text).States, Litmus.Run(text.Replace("{", "seed: 9\n{", StringComparison.Ordinal)).States);
    }

    [Fact]
    public void Sampled_StoreBuffering_ShowsAllFourStatesOfTso()
    {
        ScenarioResult result = Litmus.Run(Repository.Read("tests/litmus/SB.litmus"));
        Assert.Equal(4, result.States.Count);
        Assert.Equal(1000, result.States.Sum(s => s.Count));
        Assert.Equal(Observation.Sometimes, result.Observation);
    }

    [Fact]
    public void Sampled_WithoutStoreBuffer_ShowsTheThreeOfSequentialConsistency()
    {
        ScenarioResult result = Litmus.Run(Repository.Read("tests/litmus/SB.litmus").Replace("{", "set: store-buffer=0\n{", StringComparison.Ordinal));
        Assert.Equal(3, result.States.Count);
        Assert.Equal(Observation.Never, result.Observation);
    }

    [Fact]
    public void Sampled_Witness_ReplaysFromItsSeed()
    {
        string text = Repository.Read("tests/litmus/SB.litmus");
        ScenarioResult sampled = Litmus.Run(text);
        ScenarioResult replayed = Litmus.Run(text.Replace("{", $"runs: 1\nseed: {sampled.WitnessSeed}\n{{", StringComparison.Ordinal));
        Assert.Equal(Observation.Always, replayed.Observation);
        Assert.Equal(sampled.Steps.Select(s => s.Text), replayed.Steps.Select(s => s.Text));
    }

    [Fact]
    public void Sampled_Summary_SaysThatItWasSampled()
    {
        var output = new StringWriter();
        ScenarioTable.WriteSummary(Litmus.Run(Repository.Read("tests/litmus/MP.litmus")), output);
        Assert.Contains("Sampled 1000 random schedules", output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("proved that", output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exists", "0:rax=1", null, Observation.Always, true)]
    [InlineData("exists", "0:rax=2", null, Observation.Never, false)]
    [InlineData("~exists", "0:rax=2", null, Observation.Never, true)]
    [InlineData("~exists", "0:rax=1", null, Observation.Always, false)]
    [InlineData("forall", "0:rax=1", null, Observation.Always, true)]
    [InlineData("exists", "0:rax=1", "Sometimes", Observation.Always, false)]
    [InlineData("~exists", "0:rax=1", "Always", Observation.Always, true)]
    public void Verdict_ConditionAndExpectation_AreCompared(string quantifier, string condition, string? expect, Observation observation, bool asExpected)
    {
        ScenarioResult result = Litmus.Run($"X86_64 t\nruns: 3\n{(expect == null ? "" : $"expect: {expect}\n")}{{}}\nP0;\nmovl $1,%eax;\n{quantifier} ({condition})\n");
        Assert.Equal((observation, asExpected), (result.Observation, result.AsExpected));
    }

    [Theory]
    [InlineData("P0: drain", "5:2: P0 has no store to drain")]
    [InlineData("P0: deliver", "5:2: no message waits for P0")]
    [InlineData("P0: fetch", "fetches at execution only")]
    [InlineData("P0: execute 3", "P0 does not execute: it is halted")]
    public void Pinned_EventThatCannotHappen_IsTold(string line, string problem)
    {
        ScenarioResult result = Litmus.Run($"X86_64 t\n{{}}\nP0; nop;\nschedule:\n {line}\nexists (true)\n");
        Assert.False(result.AsExpected);
        Assert.Contains(problem, result.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("P0: fetch 40", "P0 has nothing to fetch: its queue is full")]
    [InlineData("P0: fetch version 1", "there is no version 1 of P0")]
    [InlineData("P0: fetch P0:.end", "P0 cannot fetch .end now: it may fetch P0")]
    public void Pinned_FetchThatCannotHappen_IsTold(string line, string problem)
    {
        ScenarioResult result = Litmus.Run($"X86_64 t\nprofile: p6\n{{}}\nP0; nop;\nschedule:\n {line}\nexists (true)\n");
        Assert.Contains(problem, result.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Fault_WithoutHandler_StopsTheCpuAndIsSeen()
    {
        ScenarioResult result = Litmus.Run("X86_64 t\nruns: 5\n{}\nP0;\nmovl $1,%eax;\nmovl (0),%ebx;\nmovl $2,%eax;\nforall (fault(#PF,P0) /\\ fault(P0) /\\ fault() /\\ 0:rax=1 /\\ ~halted(P0) /\\ ~fault(#GP))\n");
        Assert.True(result.AsExpected, result.States[0].Text);
    }

    [Fact]
    public void TripleFault_BrokenStack_EndsTheRun()
    {
        ScenarioResult result = Litmus.Run("X86_64 t\n{}\nP0;\nmovq $0,%rsp;\nud2;\nschedule:\n run\nexists (fault(#PF,P0) /\\ ~halted(P0))\n");
        Assert.True(result.AsExpected, result.States[0].Text);
        Assert.Equal("shut down", result.Steps[^1].Cpus[0].State);
        Assert.Contains("triple fault: shuts down", result.Steps[^1].Notes);
    }

    [Fact]
    public void EndlessLoop_AtTheLimit_IsGivenUpAndSaid()
    {
        ScenarioResult result = Litmus.Run("X86_64 t\nlimit: 100\nruns: 2\n{}\nP0;\nspin: jmp spin;\n~exists (halted(P0))\n");
        Assert.Equal(2, result.Unfinished);
        Assert.Equal(Observation.Never, result.Observation);
    }

    [Fact]
    public void JumpToWhereNoMemoryIs_CannotBeJudged()
    {
        // The local APIC answers there, and no RAM.
        ScenarioResult result = Litmus.Run("X86_64 t\nruns: 1\n{ 0:rdi=0xfee00000; }\nP0;\njmp *%rdi;\n~exists (false)\n");
        Assert.False(result.AsExpected);
        Assert.Contains("where no memory is", result.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void SelfModification_OwnStoreStillInTheBuffer_IsSeenByTheNextInstruction()
    {
        // SDM, "Self-Modifying Code": a write to a prefetched instruction by the CPU itself takes effect at once.
        ScenarioResult result = Litmus.Run("""
            X86_64 t
            profile: p6
            {}
            P0;
            movb $7,(site+1);
            site: movb $1,%al;
            schedule:
              P0: fetch all
              P0: execute 2
            forall (0:rax=7 /\ ~fault() /\ ~stale())
            """);
        Assert.True(result.AsExpected, result.States[0].Text);
    }

    [Fact]
    public void Torn_TwoUnitsOfOneInstruction_IsToldFromStale()
    {
        const string Text = """
            X86_64 t
            profile: intel
            {{}}
            P0 | P1;
            movl $0x22222222,(site+1) | .straddle 16, 3;
            | site: movl $0x11111111,%eax;
            | .byte 0;
            | .byte 0;
            schedule:
              P1: execute until site
              {0}
              P1: execute
            exists ({1})
            """;
        Assert.True(Litmus.Run(string.Format(Text, "P0: execute\n P0: drain", "stale(P1) /\\ torn(P1) /\\ 1:rax=0x22221111")).AsExpected);
        Assert.True(Litmus.Run(string.Format(Text, "P1: fetch site+3\n P0: execute\n P0: drain", "stale(P1) /\\ ~torn(P1) /\\ 1:rax=0x11111111")).AsExpected);
    }

    [Fact]
    public void Image_EntryOfTheGuest_RunsToItsReturn()
    {
        ScenarioResult result = ScenarioRunner.Run(Litmus.Parse("""
            X86_64 t
            image: images/emu64.elf
            runs: 3
            { seq = 0; 0:rip = run_site_short; 0:rdi = seq; }
            forall (0:rax=0 /\ halted(P0) /\ ~fault())
            """, Path.Combine(Repository.Root, "tests/litmus/t.litmus")));
        Assert.Null(result.Problem);
        Assert.True(result.AsExpected, result.States[0].Text);
    }
}
