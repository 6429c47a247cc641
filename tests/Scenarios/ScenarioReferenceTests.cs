using System.Text.RegularExpressions;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Scenarios;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>The reference page: each of its examples is a scenario that goes as it expects.</summary>
public sealed partial class ScenarioReferenceTests
{
    private const string Page = "emulator/Scenarios/README.md";

    public static TheoryData<string> Examples => [.. Example().Matches(Repository.Read(Page)).Select(m => m.Groups[1].Value)];

    [Theory]
    [MemberData(nameof(Examples))]
    public void Example_Played_GoesAsItExpects(string text)
    {
        ScenarioResult result = Litmus.Run(text);
        Assert.Null(result.Problem);
        Assert.True(result.AsExpected, $"{result.Name}: {string.Join(" ", result.States.Select(s => s.Text))}");
    }

    [Fact]
    public void Examples_OnePerSection_AreThere() => Assert.Equal(6, Examples.Count);

    [Fact]
    public void Page_Defaults_AreThoseOfTheCode()
    {
        Scenario scenario = Litmus.Parse("X86_64 defaults\n{}\nP0;\nnop;\nexists (true)\n");
        Assert.Equal(CpuModels.AlderLake, scenario.Model);
        Assert.Equal((1000, 1UL, 20_000), (scenario.Runs, scenario.Seed, scenario.Limit));
        Assert.Equal(FetchProfiles.Coherent.Depth, scenario.Profile.Depth);
        Assert.NotEqual(0, scenario.Profile.StoreBuffer);
        Assert.False(scenario.X2Apic);
    }

    [GeneratedRegex("```litmus\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Example();
}
