using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>Explorations of the guest: profiles' switches, more CPUs, threads, and what cannot be explored. <see cref="Guest.GuestVerdictTests"/> has the verdicts of the thread.</summary>
public sealed class GuestExplorationTests
{
    private const string Safe = "safe";

    /// <summary>Guest's command line, profile (with a field that is changed, if any), verdict: "safe" or the kinds of finding of which there must be one.</summary>
    public static TheoryData<string, string, string> Cells => new()
    {
        // Without the exemption of int3 no breakpoint protocol is formally safe; the others are as they were.
        { "protocol=int3-ipi", "intel-strict", "unexpected-exception" },
        { "protocol=text-poke-bp", "p6-strict", "unexpected-exception" },
        { "protocol=merged", "p6-strict", "unexpected-exception" },
        { "protocol=merged", "intel-strict", "unexpected-exception" },
        { "protocol=stop-machine", "p6-strict", Safe },
        { "protocol=stop-machine", "intel-strict", Safe },

        // A switch of the profile decides, and nothing else.
        { "protocol=int3-ipi sync=mfence site=handler", "amd mfence-serialises=no retention=window", "stale-instruction" },
        { "protocol=int3-ipi sync=mfence site=handler", "amd retention=window", Safe },
        { "protocol=int3-ipi sync=mfence site=handler", "intel mfence-serialises=yes", Safe },
        { "protocol=int3-ipi", "p6 int3-exempt=no", "unexpected-exception" },

        // Executed twice, and patched twice.
        { "protocol=int3-ipi explore=2", "p6", Safe },
        { "protocol=text-poke-bp patches=2", "intel", Safe },

        { "protocol=int3-spin", "p6", "deadlock" },
        { "protocol=int3-ipi int3=die", "coherent", "unexpected-exception" },
    };

    private static readonly BootImage Image = BootImage.OpenFile(Path.Combine(Repository.Root, "images", "emu64.elf"));

    [Theory]
    [MemberData(nameof(Cells))]
    public void Explorer_GuestOnProfile_GivesTheVerdictOfItsRules(string commandLine, string profile, string verdict)
    {
        ExplorationResult result = Explorer.Run(Subject(commandLine, profile, 2), new ExplorationOptions());
        Assert.Null(result.Problem);
        if (verdict == Safe)
        {
            Assert.Empty(result.Findings.Select(f => f.Finding));
            Assert.Equal(Verdict.Safe, result.Verdict);
            // A proof in which nobody met the patch would be none.
            Assert.True(result.SharedCode > 0);
        }
        else
        {
            Assert.Equal(Verdict.Unsafe, result.Verdict);
            Assert.Contains(result.Findings, f => verdict.Split(' ').Contains(f.Finding.Kind.Word()));
            Assert.All(result.Findings, f => Assert.NotEmpty(f.Steps));
        }
    }

    [Theory]
    [InlineData("protocol=int3-ipi", "p6", Safe)]
    [InlineData("protocol=int3", "p6", "unexpected-exception")]
    public void Explorer_ThreeCpus_AgreesAsWell(string commandLine, string profile, string verdict)
    {
        ExplorationResult result = Explorer.Run(Subject(commandLine, profile, 3), new ExplorationOptions());
        Assert.Equal(verdict, result.Findings.Count == 0 && result.Verdict == Verdict.Safe ? Safe : result.Findings[0].Finding.Kind.Word());
    }

    [Theory]
    [InlineData("protocol=direct", "amd")]
    [InlineData("protocol=direct-sync", "amd")]
    [InlineData("protocol=int3-ipi site=line", "intel")]
    public void Explorer_OneThreadOrTwo_SameStatesAndFindings(string commandLine, string profile)
    {
        var options = new ExplorationOptions { StopAtFinding = false };
        ExplorationResult one = Explorer.Run(Subject(commandLine, profile, 2), options with { Threads = 1 });
        ExplorationResult two = Explorer.Run(Subject(commandLine, profile, 2), options with { Threads = 2 });
        Assert.Equal(one.States, two.States);
        Assert.Equal(one.Findings.Select(f => f.Finding.Text).Order(), two.Findings.Select(f => f.Finding.Text).Order());
    }

    [Fact]
    public void Explorer_ImageWithoutMarker_IsRefusedInOneLine()
    {
        BootImage bench = BootImage.OpenFile(Path.Combine(Repository.Root, "images", "bench.elf"));
        var refused = Assert.Throws<BootException>(() => new GuestSubject(bench, "", new MachineOptions()));
        Assert.Contains("explore_begin", refused.Message);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Fact]
    public void Explorer_CommandLineWithoutExplore_IsRefusedInOneLine()
    {
        var subject = new GuestSubject(Image, "rounds=1", new MachineOptions { CpuCount = 2, Profile = FetchProfiles.P6 });
        var refused = Assert.Throws<BootException>(() => Explorer.Run(subject, new ExplorationOptions()));
        Assert.Contains("explore=1", refused.Message);
        Assert.DoesNotContain('\n', refused.Message);
    }

    private static GuestSubject Subject(string commandLine, string profile, int cpus)
    {
        string[] words = profile.Split(' ');
        FetchProfile machine = FetchProfiles.Find(words[0])!;
        foreach (string change in words.Skip(1))
        {
            Assert.True(FetchProfileFields.TrySet(machine, change, out FetchProfile? changed, out string? error), error);
            machine = changed;
        }
        string explore = commandLine.Contains("explore=", StringComparison.Ordinal) ? "" : " explore=1";
        return new GuestSubject(Image, commandLine + explore, new MachineOptions { CpuCount = cpus, Model = CpuModels.AlderLake, Profile = machine });
    }
}
