using System.Text;
using System.Text.Json;
using Emu.Cli;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Cli;

public sealed class ScenarioCommandTests
{
    private static readonly string Buggy = Path.Combine(Repository.Root, "tests/litmus/mail-buggy.litmus");

    [Fact]
    public void Scenario_TheMailsFirstTable_IsShownAndAsExpected()
    {
        Invocation run = Invocation.Of("scenario", Buggy);
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        // Step 3 to 5 of the mail: fetched, written, reached.
        Assert.Contains("| fetches e5 at site+1", run.Out);
        Assert.Contains("the erratum: fetched eb e5, memory holds", run.Out);
        Assert.Contains("Observation mail-buggy Always 1 0", run.Out);
    }

    [Fact]
    public void Scenario_ExpectationThatIsNotMet_ExitsWithOne()
    {
        string text = File.ReadAllText(Buggy).Replace("expect: Always", "expect: Never", StringComparison.Ordinal);
        using var file = new TemporaryFile("turned-round.litmus", Encoding.UTF8.GetBytes(text));
        Invocation run = Invocation.Of("scenario", "--brief", file.Path, Buggy);
        Assert.Equal(ExitCode.Failure, run.Code);
        Assert.Equal("2 scenarios: 1 as expected, 1 not", run.LastLine);
    }

    [Fact]
    public void Scenario_SyntaxError_NamesLineAndColumn()
    {
        using var file = new TemporaryFile("wrong.litmus", "X86_64 wrong\n{\n}\n P0 ;\n mavl $1,%eax ;\nexists (0:rax=1)\n"u8);
        Invocation run = Invocation.Of("scenario", file.Path);
        Assert.Equal((ExitCode.Usage, ""), (run.Code, run.Out));
        Assert.StartsWith($"emu: {file.Path}:5:2: ", run.Error);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
    }

    [Fact]
    public void Scenario_ExploreInTheFileOrAsked_GoesThroughEveryOrder()
    {
        Invocation asked = Invocation.Of("scenario", "--explore", Path.Combine(Repository.Root, "tests/litmus/SB.litmus"));
        Assert.Contains("Explored exhaustive: ", asked.Out);
        Assert.Contains("States 4\n", asked.Out);
        Invocation inFile = Invocation.Of("scenario", "--json", Path.Combine(Repository.Root, "tests/litmus/x86-tso/SB+mfences.litmus"));
        Assert.Equal(ExitCode.Success, inFile.Code);
        JsonElement result = JsonDocument.Parse(inFile.Out).RootElement.EnumerateArray().Single();
        Assert.True(result.GetProperty("exploration").GetProperty("complete").GetBoolean());
        Assert.Equal("Never", result.GetProperty("observation").GetString());
    }

    [Fact]
    public void Scenario_BoundOfTheFileReached_IsSaid()
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "tests/litmus/x86-tso/IRIW.litmus")).Replace("exhaustive", "exhaustive, events<=3", StringComparison.Ordinal);
        using var file = new TemporaryFile("bounded.litmus", Encoding.UTF8.GetBytes(text));
        Invocation run = Invocation.Of("scenario", file.Path);
        Assert.Contains("Explored exhaustive, events<=3: ", run.Out);
        Assert.Contains("NOT complete: paths longer than 3 events were cut off", run.Out);
    }

    [Fact]
    public void Scenario_NoSuchFile_IsSaid()
    {
        Invocation run = Invocation.Of("scenario", "no-such-file");
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains("there is no such file", run.Error);
    }

    [Fact]
    public void Scenario_Json_IsAnArrayOfResultsWithTheirSteps()
    {
        Invocation run = Invocation.Of("scenario", "--json", Buggy);
        JsonElement result = JsonDocument.Parse(run.Out).RootElement.EnumerateArray().Single();
        Assert.Equal(
            "file name description profile cpuCount pinned exploration pct runs seed condition quantifier states positive negative observation ok expected asExpected problem filtered unfinished deadlocks livelocks watches steps witnessSeed hash",
            string.Join(' ', result.EnumerateObject().Select(p => p.Name)));
        Assert.True(result.GetProperty("asExpected").GetBoolean());
        JsonElement step = result.GetProperty("steps").EnumerateArray().Last();
        Assert.Equal("number cpu event text notes memory cpus", string.Join(' ', step.EnumerateObject().Select(p => p.Name)));
    }
}
