using Emu.Scenarios;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>Sampling by PCT: what it promises, and that it keeps it.</summary>
public sealed class PctTests
{
    [Theory]
    // Store buffering is of depth 2: each CPU's load before the other's drain.
    [InlineData("tests/litmus/SB.litmus", 2)]
    [InlineData("tests/litmus/x86-tso/n6.litmus", 3)]
    [InlineData("tests/litmus/x86-tso/IRIW.litmus", 3)]
    public void Pct_MeasuredHitRate_IsAtLeastItsBound(string file, int depth)
    {
        ScenarioResult result = ScenarioRunner.Run(WithPct(file, depth));
        Assert.NotNull(result.Pct);
        Assert.Equal((depth, result.CpuCount * 3 + 1), (result.Pct.Depth, result.Pct.Agents));
        Assert.Equal(1 / (result.Pct.Agents * Math.Pow(result.Pct.Events, depth - 1)), result.Pct.Probability, 12);
        Assert.Equal(0, result.Unfinished);
        if (result.Quantifier == Quantifier.Exists)
            Assert.True(result.Positive >= result.Runs * result.Pct.Probability, $"{result.Positive} of {result.Runs}, promised {result.Pct.Probability}");
        else
            Assert.Equal(0, result.Positive);
    }

    [Theory]
    [InlineData("tests/litmus/mail-buggy.litmus")]
    [InlineData("tests/litmus/up-alias.litmus")]
    public void Pct_BrokenProtocol_IsFoundAndItsRunIsShown(string file)
    {
        ScenarioResult result = ScenarioRunner.Run(WithPct(file, 3, "~exists (fault(#GP) \\/ fault(#PF) \\/ fault(#UD) \\/ stale() \\/ torn())"));
        Assert.NotEqual(Observation.Never, result.Observation);
        Assert.NotEmpty(result.Steps);
    }

    [Fact]
    public void Pct_CpusThatWaitForEachOther_GetOn()
    {
        ScenarioResult result = Litmus.Run("X86_64 t\nruns: 300\n{ x; y; }\nP0|P1;\nmovl $1,(x)|wait: cmpl $0,(x);\nspin: cmpl $0,(y)|je wait;\nje spin|movl $1,(y);\nexplore: pct 4\nforall (halted(P0) /\\ halted(P1))\n");
        Assert.Equal((0, true), (result.Unfinished, result.AsExpected));
    }

    [Fact]
    public void Pct_SameSeed_SameRunsAndItsBoundIsPrinted()
    {
        ScenarioResult first = ScenarioRunner.Run(WithPct("tests/litmus/SB.litmus", 2));
        Assert.Equal(first.States, ScenarioRunner.Run(WithPct("tests/litmus/SB.litmus", 2)).States);
        var output = new StringWriter();
        ScenarioTable.WriteSummary(first, output);
        Assert.Contains("Sampled 1000 schedules by PCT of depth 2 from seed 1: of 7 agents and ", output.ToString());
    }

    private static Scenario WithPct(string file, int depth, string? condition = null)
    {
        string text = Repository.Read(file).Replace("explore: exhaustive\n", "", StringComparison.Ordinal);
        if (condition != null)
            text = Litmus.WithCondition(Litmus.WithoutSchedule(text), condition);
        int brace = text.IndexOf("\n{", StringComparison.Ordinal);
        return Litmus.Parse($"{text[..brace]}\nexplore: pct {depth}{text[brace..]}", Path.Combine(Repository.Root, file));
    }
}
