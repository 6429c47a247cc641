using System.Text.RegularExpressions;
using Emu.Exploration;
using Emu.Scenarios;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>The published tests of x86-TSO, explored and under random schedules: what is forbidden is never seen, and what is allowed is.</summary>
public sealed partial class PublishedLitmusTests
{
    public static TheoryData<string> All => [.. Litmus.Published.Select(f => Path.GetFileNameWithoutExtension(f))];

    [Theory]
    [MemberData(nameof(All))]
    public void Published_RandomSchedules_GoAsTheLiteratureSays(string name)
    {
        Scenario scenario = Load(name);
        Assert.Equal(name, scenario.Name);
        ScenarioResult result = ScenarioRunner.Run(scenario);
        Assert.Null(result.Problem);
        Assert.Equal((0, 0), (result.Unfinished, result.Deadlocks));
        Assert.True(result.AsExpected, $"{result.Observation} {result.Positive} {result.Negative}");
    }

    /// <summary>Not only the verdict: the outcomes of all registers and locations are exactly those of the abstract machine.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void Published_Explored_HasTheOutcomesOfTheAbstractMachineAndTheVerdictOfTheLiterature(string name)
    {
        string text = Repository.Read(PathOf(name));
        var machine = new TsoMachine(text);
        int condition = text.IndexOf(Load(name).Quantifier == Quantifier.Exists ? "\nexists" : "\n~exists", StringComparison.Ordinal);
        Scenario scenario = Litmus.Parse($"{text[..condition]}\nlocations [{string.Join("; ", machine.Names)};]{text[condition..]}");
        ExplorationResult explored = Explorer.Run(new ScenarioSubject(scenario), new ExplorationOptions { Threads = 1 });
        Assert.Null(explored.Problem);
        Assert.Null(explored.Bound);
        Assert.NotEmpty(machine.Outcomes());
        Assert.Equal(machine.Outcomes().Order(StringComparer.Ordinal), explored.Outcomes.Select(o => o.Text).Order(StringComparer.Ordinal));
        Assert.Equal(scenario.Quantifier == Quantifier.Exists, explored.Outcomes.Any(o => o.Holds));
    }

    /// <summary>Without a store buffer nothing of what x86-TSO allows beyond sequential consistency is seen.</summary>
    [Theory]
    [MemberData(nameof(All))]
    public void Published_WithoutStoreBuffer_NothingIsReordered(string name)
    {
        // A CPU reads and writes in one event here; a lost increment is the store buffer's doing as well.
        string text = Repository.Read(PathOf(name)).Replace("explore: exhaustive", "runs: 200\nset: store-buffer=0", StringComparison.Ordinal);
        Assert.Equal(Observation.Never, ScenarioRunner.Run(Litmus.Parse(text)).Observation);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Published_File_IsExploredNamesItsSourceAndUsesNothingThatHerdDoesNotKnow(string name)
    {
        string text = Repository.Read(PathOf(name));
        Assert.Equal(new ExploreDirective(ExploreKind.Exhaustive), Load(name).Explore);
        Assert.Matches("TPHOLs|CACM|TOPLAS|SDM", text);
        // herd7 passes over lines between the doc string and the brace that are no "Key=Value"; behind it, only its own words may stand.
        string program = text[text.IndexOf("P0", StringComparison.Ordinal)..text.LastIndexOf("exists", StringComparison.Ordinal)];
        Assert.All(Mnemonic().Matches(program), m => Assert.Contains(m.Groups[1].Value, (string[])["movl", "xchgl", "mfence", "lock", "incl"]));
        Assert.NotEmpty(Mnemonic().Matches(program));
    }

    [Fact]
    public void Readme_EachVerdict_IsThatOfItsFile()
    {
        var listed = new Dictionary<string, bool>();
        foreach (Match row in Row().Matches(Repository.Read($"{Litmus.PublishedFolder}/README.md")))
        {
            string shape = row.Groups[1].Value;
            string[] cells = row.Groups[2].Value.Split('|', StringSplitOptions.TrimEntries);
            foreach ((string suffix, string verdict) in new[] { ("", cells[0]), ("+mfences", cells[1]), ("+xchgs", cells[2]) })
                if (verdict.Length != 0)
                    listed.Add(shape + suffix, verdict == "allowed");
            foreach (Match other in Variant().Matches(cells[3]))
                listed.Add(shape + other.Groups[1].Value, other.Groups[2].Value == "allowed");
        }
        IEnumerable<KeyValuePair<string, bool>> files = Litmus.Published.Select(f => Litmus.Load(f))
            .Select(s => new KeyValuePair<string, bool>(s.Name, s.Quantifier == Quantifier.Exists && s.Expected == Observation.Sometimes));
        Assert.Equal(files.OrderBy(f => f.Key, StringComparer.Ordinal), listed.OrderBy(l => l.Key, StringComparer.Ordinal));
    }

    private static string PathOf(string name) => $"{Litmus.PublishedFolder}/{name}.litmus";

    private static Scenario Load(string name) => Litmus.Load(PathOf(name));

    [GeneratedRegex(@"(?:^|\|) ([a-z]+) ", RegexOptions.Multiline)]
    private static partial Regex Mnemonic();

    [GeneratedRegex(@"^\| `([^`]+)` \|(.*)\|$", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex("`([^`]+)` (allowed|forbidden)")]
    private static partial Regex Variant();
}
