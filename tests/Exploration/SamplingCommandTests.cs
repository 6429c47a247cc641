using System.Text.Json;
using Emu.Cli;
using Emu.Tests.Cli;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary><c>emu sample</c>, and <c>--check</c> on the command line.</summary>
public sealed class SamplingCommandTests
{
    [Fact]
    public void Sample_UnderPct_NamesTheBoundOfTheEventsThatItCounted()
    {
        JsonElement sample = Sample("--schedule", "pct:3", "--runs", "2");
        double k = sample.GetProperty("steps").GetDouble();
        Assert.InRange(k, 100_000, 10_000_000);
        Assert.Equal(1 / (8 * k * k), sample.GetProperty("bound").GetDouble(), 1e-18);
        Assert.Equal(sample.GetProperty("hits").GetInt32() / 2.0, sample.GetProperty("rate").GetDouble());
    }

    /// <summary>From the guest's marker on k is small, so that the bound says something; and it is kept.</summary>
    [Theory]
    [InlineData("direct", 2)]
    [InlineData("int3", 3)]
    public void Sample_UnderPctFromTheMarker_FindsABrokenProtocolAtLeastAsOftenAsTheBoundSays(string protocol, int depth)
    {
        Invocation run = Invocation.Of("sample", "--json", "--cpus", "2", "--append", $"protocol={protocol} explore=1", "--schedule", $"pct:{depth}", "--runs", "48");
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        JsonElement sample = JsonDocument.Parse(run.Out).RootElement;
        Assert.Equal("explore_begin", sample.GetProperty("begin").GetString());
        double k = sample.GetProperty("steps").GetDouble();
        Assert.InRange(k, 50, 5000);
        Assert.Equal(1 / (8 * Math.Pow(k, depth - 1)), sample.GetProperty("bound").GetDouble(), 1e-12);
        Assert.True(sample.GetProperty("rate").GetDouble() >= sample.GetProperty("bound").GetDouble());
        string[] replay = Assert.Single(sample.GetProperty("failures").EnumerateArray()).GetProperty("replay").GetString()!.Split(' ', 3)[2].Split(" --append ");
        Assert.Contains($":{k}:explore_begin ", replay[0], StringComparison.Ordinal);
        Invocation again = Invocation.Of(["boot", .. replay[0].Split(' '), "--append", replay[1].Trim('"')]);
        Assert.Equal(ExitCode.Failure, again.Code);
        Assert.Contains("general protection fault at jump_site_short", again.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Sample_BrokenProtocol_NamesASeedThatReplays()
    {
        JsonElement sample = Sample("--runs", "8");
        int hits = sample.GetProperty("hits").GetInt32();
        Assert.Equal(hits, sample.GetProperty("failures").EnumerateArray().Sum(f => f.GetProperty("count").GetInt32()));
        Assert.NotEqual(0, hits);
        string[] replay = sample.GetProperty("failures")[0].GetProperty("replay").GetString()!.Split(' ', 3)[2].Split(" --append ");
        Invocation again = Invocation.Of(["boot", .. replay[0].Split(' '), "--append", replay[1].Trim('"')]);
        Assert.NotEqual(ExitCode.Success, again.Code);
    }

    private static JsonElement Sample(params string[] arguments)
    {
        Invocation run = Invocation.Of(["sample", "--json", "--cpus", "2", "--append", "protocol=direct rounds=8", .. arguments]);
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        return JsonDocument.Parse(run.Out).RootElement;
    }

    [Fact]
    public void Sample_InTurn_IsRefused()
    {
        Invocation run = Invocation.Of("sample", "--profile", "coherent");
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains("--schedule", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Boot_CheckOfABrokenProtocol_EndsWithTheExitCodeOfTheFinding()
    {
        Invocation run = Invocation.Of("boot", "--profile", "coherent", "--check", "--append", "protocol=direct rounds=2");
        Assert.Equal(9, run.Code);
        foreach (string line in (string[])["WARNING: unsynchronised execution", "Stored by CPU 0 at store_bytes", "last serialised by IRET at ", "Forbidden by profile intel, ", "Source: SDM", "Would be excused by: "])
            Assert.Contains(line, run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Boot_CheckJson_HasTheFindings()
    {
        Invocation run = Invocation.Of("boot", "--json", "--profile", "coherent", "--check", "--append", "protocol=direct rounds=2");
        JsonElement finding = Assert.Single(JsonDocument.Parse(run.Out).RootElement.GetProperty("findings").EnumerateArray());
        Assert.Equal("unsynchronised-execution", finding.GetProperty("kind").GetString());
        Assert.StartsWith("jump_site_short", finding.GetProperty("execution").GetProperty("symbol").GetString());
        Assert.StartsWith("store_bytes", finding.GetProperty("store").GetProperty("symbol").GetString());
    }

    [Theory]
    [InlineData("--profile", "p6", "--check=amd")]
    [InlineData("--profile", "coherent", "--check=coherent")]
    [InlineData("--profile", "coherent", "--check=nonsense")]
    [InlineData("--profile", "p6", "--schedule=pct:0")]
    [InlineData("--profile", "p6", "--schedule=pct:2:none")]
    [InlineData("--profile", "p6", "--schedule=pct:2:800:no_such_symbol")]
    public void Boot_CheckOrScheduleThatCannotBe_IsRefusedInOneLine(params string[] arguments)
    {
        Invocation run = Invocation.Of(["boot", .. arguments]);
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
    }
}
