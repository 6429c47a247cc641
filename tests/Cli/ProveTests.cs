using System.Text.Json;
using Emu.Cli;
using Emu.Exploration;
using Xunit;

namespace Emu.Tests.Cli;

public sealed class ProveTests
{
    [Fact]
    public void Prove_TheMailsProtocol_IsSafeAndSaysWithinWhat()
    {
        Invocation run = Invocation.Of("prove", "int3-ipi");
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        Assert.Contains("2 CPUs (alderlake), profile p6: fetch depth 32", run.Out);
        Assert.StartsWith("safe: every interleaving within this bound was explored: ", run.LastLine);
    }

    [Fact]
    public void Prove_TheMailsBuggyScheme_IsUnsafeAndItsWitnessReplays()
    {
        using var file = new TemporaryFile("direct.witness", []);
        Invocation run = Invocation.Of("prove", "direct", "--save", file.Path);
        Assert.Equal((FindingKind.UnexpectedException.ExitCode(), ""), (run.Code, run.Error));
        Assert.Contains("| fetches eb e5 at jump_site_short ", run.Out);
        Assert.Contains("unsafe: unexpected exception: panic: general protection fault at jump_site_short", run.Out);
        Invocation again = Invocation.Of("replay", file.Path);
        Assert.Equal((ExitCode.Success, ""), (again.Code, again.Error));
        Assert.Contains("| fetches eb e5 at jump_site_short ", again.Out);
        Assert.Equal("the same on the machine itself, with every fetch as an event", again.LastLine);
    }

    [Fact]
    public void Prove_Check_ReportsWhatDoesNoHarmAndItsWitnessReplays()
    {
        using var file = new TemporaryFile("direct-sync.witness", []);
        Invocation run = Invocation.Of("prove", "direct-sync", "--profile", "intel", "--check", "--save", file.Path);
        Assert.Equal((FindingKind.UnsynchronisedExecution.ExitCode(), ""), (run.Code, run.Error));
        Assert.Contains("WARNING: unsynchronised execution of modified code at jump_site_short", run.Out);
        Invocation again = Invocation.Of("replay", file.Path);
        Assert.Equal((ExitCode.Success, ""), (again.Code, again.Error));
        Assert.Contains("  Forbidden by profile intel, on-mismatch=stale: ", again.Out);
        JsonElement json = JsonDocument.Parse(Invocation.Of("prove", "direct-sync", "--profile", "intel", "--check", "--json").Out).RootElement;
        Assert.True(json.GetProperty("check").GetBoolean());
        Assert.StartsWith("store_bytes", json.GetProperty("unsynchronised").GetProperty("store").GetProperty("symbol").GetString());
    }

    [Fact]
    public void Prove_FewPreemptionsEndedEarly_GoesOnWithinTheSameBound()
    {
        using var file = new TemporaryFile("rest", []);
        Invocation run = Invocation.Of("prove", "int3-ipi", "--preempt", "2", "--max-states", "1", "--checkpoint", file.Path);
        Assert.Equal((ExitCode.BoundReached, ""), (run.Code, run.Error));
        Assert.Contains("to go on: emu prove --resume ", run.LastLine);
        Invocation rest = Invocation.Of("prove", "--resume", file.Path);
        Assert.Equal((ExitCode.Success, ""), (rest.Code, rest.Error));
        Assert.Contains("profile p6: fetch depth 32, at most 2 preemptions\n", rest.Out);
    }

    [Fact]
    public void Prove_Json_IsOneValueWithTheWitness()
    {
        Invocation run = Invocation.Of("prove", "direct", "--json");
        JsonElement result = JsonDocument.Parse(run.Out).RootElement;
        Assert.Equal("unsafe", result.GetProperty("verdict").GetString());
        Assert.Equal(run.Code, result.GetProperty("exit").GetInt32());
        Assert.Equal("unexpected-exception", result.GetProperty("findings")[0].GetProperty("kind").GetString());
        Assert.NotEqual(0, result.GetProperty("steps").GetArrayLength());
    }

    [Fact]
    public void Prove_BoundReached_ProvesNothingAndSaysSo()
    {
        Invocation run = Invocation.Of("prove", "int3-ipi", "--max-events", "100");
        Assert.Equal((ExitCode.BoundReached, ""), (run.Code, run.Error));
        Assert.StartsWith("bound reached: nothing was found, which proves nothing: paths longer than 100 events were cut off: ", run.LastLine);
    }

    [Theory]
    [InlineData("prove no-such-protocol", "the guest did not come to explore_begin")]
    [InlineData("prove", "nothing says what to explore")]
    [InlineData("prove direct --profile coherent --check", "nothing is ever stale")]
    [InlineData("matrix --check", "add --explore")]
    [InlineData("matrix --html x", "add --explore")]
    [InlineData("prove direct --cpus 17", "a number from 1 to 16")]
    [InlineData("prove direct --memory-limit lots", "is not a size")]
    [InlineData("prove direct --max-states x", "is not a number")]
    [InlineData("prove direct --profile p7", "choose one of coherent")]
    [InlineData("prove direct --save /no/such/folder/w", "cannot be written")]
    [InlineData("prove direct --image /no/such/image", "there is no such file")]
    public void Prove_WhatCannotBe_IsRefusedInOneLine(string line, string expected)
    {
        Invocation run = Invocation.Of(line.Split(' '));
        Assert.Equal((ExitCode.Usage, ""), (run.Code, run.Out));
        Assert.Contains(expected, run.Error);
        Assert.Equal(1, run.Error.Count(c => c == '\n'));
    }
}
