using System.Text.RegularExpressions;
using Emu.Exploration;
using Emu.Scenarios;
using Emu.Tests.House;

namespace Emu.Tests.Exploration;

/// <summary>The catalogue of known failures: pairs of a broken form and its fix, tests/catalogue/NAME-broken.litmus and NAME-fixed.litmus.</summary>
internal static partial class Catalogue
{
    public const string Folder = "tests/catalogue";
    public const string Readme = Folder + "/README.md";
    public const string Broken = "-broken";
    public const string Fixed = "-fixed";

    /// <summary>What a file says of an entry that no machine shows which fetches code when it executes it.</summary>
    public const string NeedsModelledFetch = "needs modelled fetch";
    public const string AnyExplorerFindsIt = "any SMP explorer finds it";

    public static IEnumerable<string> Files => Repository.Files(Folder, ".litmus");

    /// <summary>The names of the entries, in order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Files.Select(f => Suffix().Replace(Path.GetFileNameWithoutExtension(f), "")).Distinct()];

    public static string PathOf(string name, string form) => $"{Folder}/{name}{form}.litmus";

    public static Scenario Load(string name, string form) => Parse(Repository.Read(PathOf(name, form)), name, form);

    /// <summary>The same on a machine that executes what memory holds: x86-TSO and nothing else.</summary>
    public static Scenario WithCoherentFetch(string name, string form) => Parse(Profile().Replace(Repository.Read(PathOf(name, form)), ""), name, form);

    /// <summary>The same, to be run under random schedules.</summary>
    public static Scenario Sampled(string name, string form, int runs) =>
        Parse(Repository.Read(PathOf(name, form)).Replace("explore: exhaustive", $"runs: {runs}", StringComparison.Ordinal), name, form);

    public static string InfoOf(Scenario scenario, string key) => scenario.Info.FirstOrDefault(i => i.Key == key).Value ?? "";

    /// <summary>Explores in one thread, so that the states are counted in the same way on every host.</summary>
    public static ExplorationResult Explore(Scenario scenario) => Explorer.Run(new ScenarioSubject(scenario), new ExplorationOptions { Threads = 1 });

    /// <summary>The condition without its quantifier: what must not happen.</summary>
    public static string HarmOf(Scenario scenario) => Quantified().Replace(scenario.ConditionText, "");

    private static Scenario Parse(string text, string name, string form) => Scenario.Parse(text, Path.Combine(Repository.Root, PathOf(name, form)));

    [GeneratedRegex("-(broken|fixed)$")]
    private static partial Regex Suffix();

    [GeneratedRegex("^(profile|set):.*$", RegexOptions.Multiline)]
    private static partial Regex Profile();

    [GeneratedRegex(@"^~?exists\s*")]
    private static partial Regex Quantified();
}
