using System.Globalization;
using System.Text.RegularExpressions;
using Emu.Exploration;
using Emu.Scenarios;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>Each entry of the catalogue: the failure is found by exhaustion, and the fix is proved by exhaustion to be free of the very same failure.</summary>
public sealed partial class CatalogueTests
{
    public static TheoryData<string> Entries => [.. Catalogue.Names];

    [Theory]
    [MemberData(nameof(Entries))]
    public void Broken_EveryOrderTried_HarmIsFound(string name)
    {
        Scenario scenario = Catalogue.Load(name, Catalogue.Broken);
        ExplorationResult result = Catalogue.Explore(scenario);
        AssertExhausted(result);
        Assert.Equal(Quantifier.Exists, scenario.Quantifier);
        Assert.Contains(result.Outcomes, o => o.Holds);
        Assert.NotEmpty(result.Deciding!);
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void Fixed_EveryOrderTried_HarmIsNowhere(string name)
    {
        Scenario scenario = Catalogue.Load(name, Catalogue.Fixed);
        ExplorationResult result = Catalogue.Explore(scenario);
        AssertExhausted(result);
        Assert.Equal(Quantifier.NotExists, scenario.Quantifier);
        Assert.NotEmpty(result.Outcomes);
        Assert.DoesNotContain(result.Outcomes, o => o.Holds);
        Assert.Null(result.Deciding);
    }

    /// <summary>What an entry says of stale fetches is so: without them its failure is there, or it is not.</summary>
    [Theory]
    [MemberData(nameof(Entries))]
    public void Broken_CodeFetchedWhenExecuted_IsFoundUnlessItNeedsModelledFetch(string name)
    {
        Scenario scenario = Catalogue.WithCoherentFetch(name, Catalogue.Broken);
        ExplorationResult result = Catalogue.Explore(scenario);
        AssertExhausted(result);
        Assert.Equal(Catalogue.InfoOf(scenario, "Fetch") == Catalogue.AnyExplorerFindsIt, result.Outcomes.Any(o => o.Holds));
    }

    /// <summary>Another engine, which orders fetch, execute, drain and deliver at random, sees nothing that the exploration does not know.</summary>
    [Theory]
    [MemberData(nameof(Entries))]
    public void Entry_SampledByRandomSchedules_ShowsNothingUnexplored(string name)
    {
        foreach (string form in new[] { Catalogue.Broken, Catalogue.Fixed })
        {
            ScenarioResult sampled = ScenarioRunner.Run(Catalogue.Sampled(name, form, runs: 300));
            Assert.Null(sampled.Problem);
            Assert.Subset(Catalogue.Explore(Catalogue.Load(name, form)).Outcomes.Select(o => o.Text).ToHashSet(), sampled.States.Select(s => s.Text).ToHashSet());
        }
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void Twins_DifferInTheFixAlone(string name)
    {
        Scenario broken = Catalogue.Load(name, Catalogue.Broken);
        Scenario repaired = Catalogue.Load(name, Catalogue.Fixed);
        Assert.Equal(name + Catalogue.Broken, broken.Name);
        Assert.Equal(name + Catalogue.Fixed, repaired.Name);
        Assert.Equal(Catalogue.HarmOf(broken), Catalogue.HarmOf(repaired));
        Assert.Equal(broken.Profile, repaired.Profile);
        Assert.Equal(broken.Model, repaired.Model);
        Assert.Equal(Catalogue.InfoOf(broken, "Source"), Catalogue.InfoOf(repaired, "Source"));
        Assert.Equal(Catalogue.InfoOf(broken, "Fetch"), Catalogue.InfoOf(repaired, "Fetch"));
        Assert.NotEqual(broken.Code.SelectMany(c => c.Bytes), repaired.Code.SelectMany(c => c.Bytes));
    }

    [Fact]
    public void Files_EachHasATwinASourceAndAWordOnFetching()
    {
        Assert.Equal(
            Catalogue.Names.SelectMany(n => new[] { Catalogue.PathOf(n, Catalogue.Broken), Catalogue.PathOf(n, Catalogue.Fixed) }).Order(),
            Catalogue.Files.Order());
        Assert.All(Catalogue.Names.SelectMany(n => new[] { Catalogue.Load(n, Catalogue.Broken), Catalogue.Load(n, Catalogue.Fixed) }), scenario =>
        {
            Assert.Matches("Linux [0-9a-f]{12}|LKML|SDM|issue", Catalogue.InfoOf(scenario, "Source"));
            Assert.Contains(Catalogue.InfoOf(scenario, "Fetch"), new[] { Catalogue.NeedsModelledFetch, Catalogue.AnyExplorerFindsIt });
            Assert.NotEmpty(scenario.Description);
            Assert.Equal(new ExploreDirective(ExploreKind.Exhaustive), scenario.Explore);
        });
    }

    /// <summary>README.md, "What the model says beyond the sources".</summary>
    [Fact]
    public void NmiFix_WhereOldBytesOutliveTheQueue_IsNotProved()
    {
        string text = Repository.Read(Catalogue.PathOf("10-nmi-half-patched", Catalogue.Fixed)).Replace("profile: p6", "profile: intel", StringComparison.Ordinal);
        ExplorationResult result = Catalogue.Explore(Scenario.Parse(text, "nmi-under-intel.litmus"));
        AssertExhausted(result);
        Assert.Contains(result.Outcomes, o => o.Holds);
    }

    /// <summary>The table of README.md, but for the times. EMU_UPDATE_CATALOGUE=1 measures and writes it.</summary>
    [Fact]
    public void Readme_Table_IsWhatWasMeasured()
    {
        bool update = Environment.GetEnvironmentVariable("EMU_UPDATE_CATALOGUE") == "1";
        List<string> rows = [.. Catalogue.Names.Select(Row)];
        string text = Repository.Read(Catalogue.Readme);
        List<string> listed = [.. text.Split('\n').Where(l => EntryRow().IsMatch(l))];
        if (update)
        {
            string[] kept = [.. text.Split('\n').Where(l => !EntryRow().IsMatch(l))];
            int after = Array.FindIndex(kept, l => l.StartsWith("|---", StringComparison.Ordinal)) + 1;
            File.WriteAllText(Path.Combine(Repository.Root, Catalogue.Readme), string.Join('\n', [.. kept[..after], .. rows, .. kept[after..]]));
            return;
        }
        Assert.Equal(rows.Select(WithoutTimes), listed.Select(WithoutTimes));
    }

    private static string Row(string name)
    {
        Scenario scenario = Catalogue.Load(name, Catalogue.Broken);
        ExplorationResult broken = Catalogue.Explore(scenario);
        ExplorationResult repaired = Catalogue.Explore(Catalogue.Load(name, Catalogue.Fixed));
        string fetch = Catalogue.InfoOf(scenario, "Fetch") == Catalogue.NeedsModelledFetch ? "yes" : "no";
        return string.Create(CultureInfo.InvariantCulture, $"| `{name}` | {Catalogue.InfoOf(scenario, "Source")} | {fetch} | {scenario.Profile.Name} | "
            + $"{broken.States} states, {broken.Elapsed.TotalMilliseconds:F0} ms, witness of {broken.Deciding?.Count} steps | "
            + $"{repaired.States} states, {repaired.Elapsed.TotalMilliseconds:F0} ms |");
    }

    private static void AssertExhausted(ExplorationResult result)
    {
        Assert.Null(result.Problem);
        Assert.Null(result.Bound);
        Assert.Equal(Verdict.Safe, result.Verdict);
    }

    private static string WithoutTimes(string row) => Time().Replace(row, "");

    [GeneratedRegex(@"^\| `\d\d-")]
    private static partial Regex EntryRow();

    [GeneratedRegex(@" \d+ ms")]
    private static partial Regex Time();
}
