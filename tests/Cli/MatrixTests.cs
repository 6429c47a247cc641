using System.Text.Json;
using System.Text.RegularExpressions;
using Emu.Cli;
using Xunit;

namespace Emu.Tests.Cli;

/// <summary>The verdicts of the thread of October 2009 (README, "What the thread said"), found by running the guest.</summary>
public sealed partial class MatrixTests
{
    private const int Seeds = 16;

    [Theory]
    [InlineData("direct", "fails")]
    [InlineData("int3", "fails")]
    [InlineData("int3-ipi", "no failure")]
    [InlineData("text-poke-bp", "no failure")]
    [InlineData("stop-machine", "no failure")]
    [InlineData("up", "no failure")]
    [InlineData("quadword", "fails")]
    public void Matrix_ProtocolUnderP6_IsJudgedAsTheThreadDid(string protocol, string verdict) =>
        Assert.Equal(verdict, Verdict("--protocol", protocol, "--profile", "p6"));

    /// <summary>No breakpoint protocol is formally safe where nobody grants the breakpoint its exemption.</summary>
    [Theory]
    [InlineData("int3-ipi", "p6-strict")]
    [InlineData("text-poke-bp", "p6-strict")]
    [InlineData("int3-ipi", "intel-strict")]
    [InlineData("text-poke-bp", "intel-strict")]
    public void Matrix_BreakpointWithoutExemption_Fails(string protocol, string profile) =>
        Assert.Equal("fails", Verdict("--protocol", protocol, "--profile", profile));

    [Theory]
    [InlineData("xapic", "none", "no failure")]
    [InlineData("x2apic", "none", "fails")]
    [InlineData("x2apic", "mfence-lfence", "no failure")]
    public void Matrix_X2ApicWithoutItsFence_Fails(string ipi, string fence, string verdict) =>
        Assert.Equal(verdict, Verdict("--protocol", "int3-ipi", "--profile", "intel", "--ipi", ipi, "--fence", fence));

    /// <summary>Every IPI ends in IRET, which serialises: only between the sync and the IRET can a weak sync be seen.</summary>
    [Theory]
    [InlineData("none", 32, "fails")]
    [InlineData("lfence", 32, "fails")]
    [InlineData("mfence", 32, "fails")]
    [InlineData("cpuid", 6, "no failure")]
    [InlineData("iret", 6, "no failure")]
    [InlineData("serialize", 6, "no failure")]
    [InlineData("mov-cr2", 6, "no failure")]
    public void Matrix_SiteInTheHandlersTailUnderIntel_NeedsASerialisingSync(string sync, int seeds, string verdict) =>
        Assert.Equal(verdict, Verdict(seeds, "--protocol", "int3-ipi", "--site", "handler", "--profile", "intel", "--sync", sync, "--rounds", "64"));

    /// <summary>An instruction across two cache lines is fetched in two parts: the tail needs a sync of its own.</summary>
    [Theory]
    [InlineData("int3-ipi", "line", "fails")]
    [InlineData("int3-ipi", "page", "fails")]
    [InlineData("text-poke-bp", "line", "no failure")]
    [InlineData("text-poke-bp", "page", "no failure")]
    public void Matrix_JumpAcrossLinesUnderIntel_NeedsThreeSyncs(string protocol, string site, string verdict) =>
        Assert.Equal(verdict, Verdict(Seeds, "--protocol", protocol, "--site", site, "--profile", "intel", "--rounds", "16"));

    [Fact]
    public void Matrix_CombinationThatTheGuestRefuses_IsNotAVerdict() =>
        Assert.Equal("refused", Verdict("--protocol", "quadword", "--site", "line", "--profile", "p6"));

    [Fact]
    public void Matrix_CommandUnderAFailure_FailsAgain()
    {
        Invocation matrix = Invocation.Of("matrix", "--protocol", "direct", "--fence", "mfence", "--profile", "p6", "--set", "depth=16", "--seeds", "32");
        string replay = matrix.Out.Split('\n').Single(l => l.StartsWith("  emu boot ", StringComparison.Ordinal)).Trim();
        Assert.Contains("--set depth=16", replay);
        IEnumerable<string> words = Word().Matches(replay).Select(m => m.Value.Trim('"'));
        Invocation boot = Invocation.Of([.. words.Skip(1)]);
        Assert.Equal(ExitCode.Failure, boot.Code);
        Assert.Contains("stale bytes: CPU", boot.Out);
    }

    [Fact]
    public void Matrix_AnyNumberOfJobs_GivesTheSame()
    {
        string[] line = ["matrix", "--json", "--protocol", "direct,int3", "--profile", "p6,intel", "--seeds", "8", "--rounds", "4"];
        Assert.Equal(Invocation.Of([.. line, "--jobs", "1"]).Out, Invocation.Of([.. line, "--jobs", "4"]).Out);
    }

    private static string Verdict(params string[] options) => Verdict(Seeds, [.. options, "--rounds", "16"]);

    private static string Verdict(int seeds, params string[] options)
    {
        Invocation run = Invocation.Of(["matrix", "--json", "--seeds", seeds.ToString(), .. options]);
        Assert.True(run.Code == ExitCode.Success, run.ToString());
        return JsonDocument.Parse(run.Out).RootElement.EnumerateArray().Single().GetProperty("verdict").GetString()!;
    }

    /// <summary>A word as a shell takes it.</summary>
    [GeneratedRegex("\"[^\"]*\"|[^ \"]+")]
    private static partial Regex Word();
}
