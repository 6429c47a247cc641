using System.Text.RegularExpressions;
using Emu.Cpus;
using Emu.Exploration;
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
        Scenario scenario = Litmus.Parse(text, Path.Combine(Repository.Root, Page));
        ScenarioResult result = ScenarioExplorer.IsAskedFor(scenario)
            ? ScenarioExplorer.Run(scenario, scenario.Explore!, new ExplorationOptions { Threads = 1 })
            : ScenarioRunner.Run(scenario);
        Assert.Null(result.Problem);
        Assert.True(result.AsExpected, $"{result.Name}: {string.Join(" ", result.States.Select(s => s.Text))}");
    }

    /// <summary>Each construct that the code knows by name stands in an example.</summary>
    [Fact]
    public void Examples_EachConstruct_IsInOne()
    {
        string[] header = ["profile: ", "set: ", "model: ", "apic: ", "cpus: ", "image: ", "runs: ", "seed: ", "limit: ", "explore: ", "watch: ", "expect: "];
        string[] init = ["alias ", "idt[#", "idt[0x", "1:idt[", ":if = 0", ":rip = ", "uint8_t t[", "int* ", "PTE("];
        string[] directives = [".byte ", ".word ", ".long ", ".quad ", ".align ", ".org ", ".skip ", ".straddle "];
        string[] instructions = ["int3", "iretq", "cpuid", "serialize", "mfence", "hlt", "(apic+0x300)", "wrmsr", "lock ", "invlpg"];
        string[] events = [.. Enum.GetNames<ScenarioEventKind>().Select(n => n.ToLowerInvariant())];
        string[] schedule = ["schedule:", ": fetch 2", " version 1", ": execute", " until ", ": drain", ": deliver", "  run"];
        string[] explore = ["explore: exhaustive", "explore: preempt<=", "explore: pct ", ", events<=", ", states<="];
        string[] sections = ["locations [", "filter ", "\nexists ", "\n~exists ", "\nforall ", "=>", "\\/", "/\\", "not "];
        string all = string.Concat(Example().Matches(Repository.Read(Page)).Select(m => m.Groups[1].Value));
        Assert.All((string[])[.. header, .. init, .. directives, .. instructions, .. events, .. schedule, .. explore, .. sections],
            construct => Assert.Contains(construct, all, StringComparison.Ordinal));
    }

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
