using System.Text.RegularExpressions;
using Emu.Scenarios;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Scenarios;

/// <summary>Every file in tests/litmus: judged as it expects, red when its expectation is turned round, and true beyond its pinned order.</summary>
public sealed partial class ShippedScenarioTests
{
    /// <summary>Anything that a protocol which is not to be noticed must not let happen.</summary>
    private const string Harm = "(fault(#GP) \\/ fault(#PF) \\/ fault(#UD) \\/ stale() \\/ torn())";

    /// <summary>Files whose protocol is correct, under any order of events.</summary>
    private static readonly string[] Correct =
    [
        "guest-site-int3-ipi", "handler-tail-cpuid", "handler-tail-late-ack", "init-text-checked", "ipi-return-iret", "mail-breakpoint-hit", "mail-breakpoint-ipi", "nop5-line",
        "stop-machine", "stop-machine-thread-sync", "up", "x2apic-fence", "xapic-no-fence",
    ];

    /// <summary>Files whose protocol is broken, so that random orders find the harm as well.</summary>
    private static readonly string[] BrokenAndFoundBySampling =
    [
        "guest-site-direct", "handler-tail-early-ack", "handler-tail-mfence", "init-text-unmapped", "ipi-return-jump", "mail-breakpoint-hit-returns", "mail-breakpoint-no-ipi", "mail-buggy",
        "stop-machine-thread", "up-alias",
    ];

    public static TheoryData<string> All => [.. Litmus.Files];

    public static TheoryData<string> CorrectProtocols => [.. Correct.Select(PathOf)];

    public static TheoryData<string> BrokenProtocols => [.. BrokenAndFoundBySampling.Select(PathOf)];

    [Theory]
    [MemberData(nameof(All))]
    public void Shipped_Played_GoesAsItExpects(string file)
    {
        ScenarioResult result = ScenarioRunner.Run(Litmus.Load(file));
        Assert.Null(result.Problem);
        Assert.Equal(0, result.Unfinished);
        Assert.True(result.AsExpected, $"{result.Observation} {result.Positive} {result.Negative}");
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Shipped_ExpectationInverted_IsNotAsExpected(string file)
    {
        Scenario inverted = Litmus.Parse(Litmus.Inverted(Repository.Read(file)), Path.Combine(Repository.Root, file));
        Assert.False(ScenarioRunner.Run(inverted).AsExpected);
    }

    [Theory]
    [MemberData(nameof(CorrectProtocols))]
    public void CorrectProtocol_RandomSchedules_DoesNoHarm(string file)
    {
        ScenarioResult result = Sample(file);
        Assert.Null(result.Problem);
        Assert.Equal(0, result.Unfinished);
        Assert.Equal(Observation.Never, result.Observation);
    }

    [Theory]
    [MemberData(nameof(BrokenProtocols))]
    public void BrokenProtocol_RandomSchedules_IsFound(string file)
    {
        ScenarioResult result = Sample(file);
        Assert.NotEqual(Observation.Never, result.Observation);
        Assert.NotEmpty(result.Steps);
    }

    [Fact]
    public void Shipped_EachNamedTwin_Exists() =>
        Assert.All(Litmus.Files.SelectMany(f => TwinName().Matches(Repository.Read(f)).Select(m => PathOf(m.Groups[1].Value))), twin => Assert.Contains(twin, Litmus.Files));

    [Fact]
    public void Shipped_EachCorrectProtocol_NamesABrokenTwin() =>
        Assert.All(Correct.Select(PathOf), f => Assert.Matches(@"Broken\s+twins?:|The\s+fix\s+of", Repository.Read(f)));

    [Fact]
    public void Shipped_Name_IsThatOfItsFile() =>
        Assert.All(Litmus.Files, f => Assert.Equal(Path.GetFileNameWithoutExtension(f), Litmus.Load(f).Name));

    [Fact]
    public void Readme_ListsEveryFileAndNoOther()
    {
        IEnumerable<string> rows = Repository.Read($"{Litmus.Folder}/README.md").Split('\n').Where(l => l.StartsWith("| `", StringComparison.Ordinal));
        IEnumerable<string> listed = rows.SelectMany(r => r.Split('|')[1..3]).SelectMany(cell => Quoted().Matches(cell).Select(m => m.Groups[1].Value));
        Assert.Equal(Litmus.Files.Select(f => Path.GetFileNameWithoutExtension(f)).Order(), listed.Order());
    }

    private static string PathOf(string name) => $"{Litmus.Folder}/{name}.litmus";

    private static ScenarioResult Sample(string file)
    {
        string text = Litmus.WithCondition(Litmus.WithoutSchedule(Repository.Read(file)), "~exists " + Harm);
        return ScenarioRunner.Run(Litmus.Parse(text, Path.Combine(Repository.Root, file)));
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"(?:Correct|Broken)\s+twins?:\s+([\w+-]+)\.")]
    private static partial Regex TwinName();
}
