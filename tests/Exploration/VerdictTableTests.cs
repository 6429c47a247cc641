using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>The cells of <c>emu matrix --explore</c> on which the thread of 2009, LKML since then and the manuals decide.</summary>
public sealed class VerdictTableTests
{
    private const string Safe = "safe";

    /// <summary>Guest's command line, profile (with a field that is changed, if any), verdict: "safe" or the kinds of finding of which there must be one.</summary>
    public static TheoryData<string, string, string> Cells => new()
    {
        // The thread: p6.
        { "protocol=direct", "p6", "unexpected-exception" },
        { "protocol=int3", "p6", "unexpected-exception" },
        { "protocol=int3-ipi", "p6", Safe },
        { "protocol=int3-ipi explore=2", "p6", Safe },
        { "protocol=text-poke-bp", "p6", Safe },
        { "protocol=stop-machine", "p6", Safe },
        { "protocol=up", "p6", Safe },

        // Without the exemption of int3 no breakpoint protocol is formally safe; the others are as they were.
        { "protocol=int3-ipi", "p6-strict", "unexpected-exception" },
        { "protocol=text-poke-bp", "p6-strict", "unexpected-exception" },
        { "protocol=merged", "p6-strict", "unexpected-exception" },
        { "protocol=stop-machine", "p6-strict", Safe },
        { "protocol=int3-ipi", "intel-strict", "unexpected-exception" },
        { "protocol=text-poke-bp", "intel-strict", "unexpected-exception" },
        { "protocol=merged", "intel-strict", "unexpected-exception" },
        { "protocol=stop-machine", "intel-strict", Safe },

        // Five bytes, fetched in order.
        { "protocol=int3-ipi site=jmp5", "p6", Safe },
        { "protocol=int3-ipi site=line", "p6", Safe },
        { "protocol=merged site=jmp5", "p6", "torn-instruction" },

        // Granules in any order: one IPI will do within one of them.
        { "protocol=int3-ipi", "intel", Safe },
        { "protocol=int3-ipi site=jmp5", "intel", Safe },
        { "protocol=int3-ipi site=line", "intel", "torn-instruction" },
        { "protocol=int3-ipi site=jump5-line", "intel", "stale-instruction" },
        { "protocol=text-poke-bp site=jmp5", "intel", Safe },
        { "protocol=text-poke-bp site=line", "intel", Safe },
        { "protocol=text-poke-bp site=jump5-line", "intel", Safe },

        // Merging the breakpoint and the tail (LKML, January 2025).
        { "protocol=merged site=jmp5", "intel", Safe },
        { "protocol=merged site=line", "intel", "torn-instruction" },

        // What stands in the handler in place of CPUID.
        { "protocol=int3-ipi sync=mfence", "intel", Safe },
        { "protocol=int3-ipi sync=none", "intel", Safe },
        { "protocol=int3-ipi sync=cpuid site=handler", "intel", Safe },
        { "protocol=int3-ipi sync=mfence site=handler", "intel", "stale-instruction" },
        { "protocol=int3-ipi sync=none site=handler", "intel", "stale-instruction" },
        { "protocol=int3-ipi sync=serialize site=handler", "intel", Safe },
        { "protocol=int3-ipi sync=iret site=handler", "intel", Safe },
        { "protocol=int3-ipi sync=mov-cr2 site=handler", "intel", Safe },
        { "protocol=text-poke-bp sync=mfence", "intel", Safe },
        { "protocol=text-poke-bp sync=mfence site=handler int3=die", "intel", "unexpected-exception" },
        { "protocol=text-poke-bp sync=cpuid site=handler int3=die", "intel", Safe },
        { "protocol=text-poke-bp sync=mfence site=handler-line", "intel", "torn-instruction" },

        // AMD.
        { "protocol=quadword site=jmp5", "amd", Safe },
        { "protocol=quadword-no-sync site=jmp5", "amd", "stale-instruction" },
        { "protocol=direct", "amd", "stale-instruction" },
        { "protocol=direct-sync", "amd", Safe },
        { "protocol=direct site=quad", "amd", "torn-instruction" },
        { "protocol=bytewise site=jmp5", "amd", "unexpected-exception wrong-target torn-instruction" },
        { "protocol=int3-ipi sync=mfence site=handler", "amd", Safe },
        { "protocol=int3-ipi sync=mfence site=handler", "amd mfence-serialises=no", "stale-instruction" },

        // The fence of an x2APIC.
        { "protocol=int3-ipi ipi=x2apic", "p6", "unexpected-exception" },
        { "protocol=int3-ipi ipi=x2apic", "intel", "stale-instruction" },
        { "protocol=int3-ipi ipi=x2apic fence=mfence-lfence", "intel", Safe },
        { "protocol=int3-ipi ipi=x2apic poke=alias-mm", "intel", Safe },

        // An answer before the sync, and a record that is gone.
        { "protocol=int3-ipi ack=before-sync", "intel", Safe },
        { "protocol=int3-ipi ack=before-sync site=nmi", "intel", "stale-instruction" },
        { "protocol=int3-ipi int3=die", "intel", "unexpected-exception" },
        { "protocol=int3-ipi-final int3=die", "intel", Safe },
        { "protocol=text-poke-bp int3=die", "intel", Safe },
        { "protocol=int3-spin", "p6", "deadlock" },
        { "protocol=stop-machine site=nmi", "intel", "unexpected-exception" },
    };

    private static readonly BootImage Image = BootImage.OpenFile(Path.Combine(Repository.Root, "images", "emu64.elf"));

    [Theory]
    [MemberData(nameof(Cells))]
    public void Explorer_CellOfTheTable_AgreesWithThreadAndManuals(string commandLine, string profile, string verdict)
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
