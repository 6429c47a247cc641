using Emu.Exploration;
using Emu.Scenarios;
using Emu.Tests.House;
using Xunit;
using Xunit.Abstractions;

namespace Emu.Tests.Exploration;

/// <summary>
/// The reduction against naive enumeration: on small programs both must give the same set of final states, of registers, memory and events. The number of random
/// programs of each kind is set by EMU_REDUCTION_PROGRAMS, and the first of them by EMU_REDUCTION_FIRST; without them a fixed few are compared.
/// </summary>
public sealed class ReductionTests(ITestOutputHelper output)
{
    /// <summary>Programs that take more events than this to enumerate are left out, and counted.</summary>
    private const long MostTransitions = 4000;

    /// <summary>A protocol takes more instructions than one race does.</summary>
    private const long MostTransitionsOfProtocols = 15_000;
    private const int Fewest = 100;

    [Theory]
    [InlineData(nameof(ReductionKind.Data))]
    [InlineData(nameof(ReductionKind.Patch))]
    [InlineData(nameof(ReductionKind.SelfPatch))]
    [InlineData(nameof(ReductionKind.Interrupt))]
    [InlineData(nameof(ReductionKind.Protocol))]
    public void RandomPrograms_ReducedAndNaive_HaveTheSameOutcomes(string kind)
    {
        int first = Number("EMU_REDUCTION_FIRST", 0);
        int count = Number("EMU_REDUCTION_PROGRAMS", Fewest);
        int compared = 0, severalOutcomes = 0;
        for (int seed = first; seed < first + count; seed++)
        {
            string text = ReductionPrograms.Text(Enum.Parse<ReductionKind>(kind), seed);
            if (Compare(text, $"{kind}-{seed}", kind == nameof(ReductionKind.Protocol) ? MostTransitionsOfProtocols : MostTransitions) is not { } naive)
                continue;
            compared++;
            severalOutcomes += naive.Outcomes.Count > 1 ? 1 : 0;
        }
        output.WriteLine($"{kind}: {compared} of {count} programs compared, {severalOutcomes} of them with more than one outcome");
        // Programs that are all too large, or in which nothing races, would compare nothing.
        Assert.InRange(compared, count / 8, count);
        Assert.InRange(severalOutcomes, compared / 4, compared);
    }

    public static TheoryData<string> Corpus => [.. ReductionCorpus.Programs.Keys];

    [Theory]
    [MemberData(nameof(Corpus))]
    public void Corpus_ReducedAndNaive_HaveTheSameOutcomes(string name) => Assert.NotNull(Compare(ReductionCorpus.Text(name), name, long.MaxValue));

    [Theory]
    [InlineData("SB")]
    [InlineData("MP")]
    [InlineData("2+2W")]
    [InlineData("R+mfences")]
    [InlineData("SB+xchgs")]
    [InlineData("SB+rfi-pos")]
    [InlineData("n6")]
    [InlineData("INC+lock+po")]
    public void PublishedLitmus_ReducedAndNaive_HaveTheSameOutcomes(string name) =>
        Assert.NotNull(Compare(Repository.Read($"tests/litmus/x86-tso/{name}.litmus"), name, long.MaxValue));

    [Fact]
    public void Compare_StoreBuffering_SaysHowMuchTheReductionSaves()
    {
        Scenario scenario = Scenario.Parse(Repository.Read("tests/litmus/x86-tso/SB.litmus"), "SB");
        ReductionComparison comparison = NaiveExplorer.Compare(scenario, new ExplorationOptions { Threads = 1 });
        Assert.True(comparison.Agree);
        Assert.True(comparison.StateRatio > 1 && comparison.TransitionRatio > 1);
        // Given up early, it still says nothing against the exploration.
        ReductionComparison early = NaiveExplorer.Compare(scenario, new ExplorationOptions { Threads = 1 }, mostTransitions: 20);
        Assert.True(early.Agree && !early.Naive.IsComplete);
    }

    /// <summary>Compares one program; null when it is too large.</summary>
    internal static NaiveResult? Compare(string text, string name, long mostTransitions)
    {
        Scenario scenario = Scenario.Parse(text, name);
        NaiveResult naive = NaiveExplorer.Run(scenario, mostTransitions);
        if (!naive.IsComplete)
            return null;
        ExplorationResult reduced = Explorer.Run(new ScenarioSubject(scenario), new ExplorationOptions { Threads = 1, StopAtFinding = false });
        Assert.True((naive.Problem == null) == (reduced.Problem == null), $"{name}: naive: {naive.Problem ?? "none"}; reduced: {reduced.Problem ?? "none"}\n{text}");
        if (naive.Problem != null)
            return naive;
        var found = reduced.Outcomes.Select(o => o.Text).ToHashSet();
        string lost = string.Join('\n', naive.Outcomes.Where(o => !found.Contains(o)).Select(o => $"lost by the reduction: {o}\n  {naive.Ways[o]}"));
        string invented = string.Join('\n', found.Where(o => !naive.Outcomes.Contains(o)).Select(o => $"made up by the reduction: {o}"));
        Assert.True(lost.Length + invented.Length == 0, $"{name}\n{lost}\n{invented}\n{text}");
        return naive;
    }

    private static int Number(string variable, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(variable), out int n) ? n : otherwise;
}
