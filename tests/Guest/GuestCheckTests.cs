using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.Cli;
using Emu.Tests.Exploration;
using Xunit;

namespace Emu.Tests.Guest;

/// <summary>
/// The rule of cross-modifying code over the guest's protocols, every order of events: nothing is reported of those that keep to it, and something of each that does
/// not, be it that nothing comes of it.
/// </summary>
public sealed class GuestCheckTests
{
    [Theory]
    [InlineData("p6", "protocol=int3-ipi")]
    [InlineData("p6", "protocol=int3-ipi site=line")]
    [InlineData("p6", "protocol=text-poke-bp")]
    [InlineData("p6", "protocol=stop-machine")]
    [InlineData("p6", "protocol=stop-machine-nmi site=nmi")]
    [InlineData("p6-strict", "protocol=stop-machine")]
    [InlineData("p6", "protocol=up")]
    [InlineData("intel", "protocol=int3-ipi")]
    [InlineData("intel", "protocol=text-poke-bp")]
    [InlineData("intel", "protocol=text-poke-bp site=line")]
    [InlineData("intel", "protocol=text-poke-bp site=jump5-split")]
    [InlineData("intel", "protocol=int3-ipi sync=serialize site=handler")]
    [InlineData("intel-strict", "protocol=stop-machine")]
    [InlineData("intel-strict", "protocol=up")]
    [InlineData("amd", "protocol=text-poke-bp")]
    [InlineData("amd", "protocol=quadword site=jmp5")]
    [InlineData("amd", "protocol=direct-sync")]
    public void Check_OfAProtocolThatKeepsToTheRule_ReportsNothing(string profile, string choices)
    {
        ExplorationResult result = Explorer.Run(Subject(profile, choices), new ExplorationOptions());
        Assert.Empty(result.Findings.Select(f => f.Finding));
        Assert.Equal(Verdict.Safe, result.Verdict);
        Assert.True(result.SharedCode > 0);
    }

    /// <summary>The last word is the symbol of the instruction that stored.</summary>
    [Theory]
    [InlineData("p6", "protocol=direct", "on-mismatch")]
    [InlineData("p6", "protocol=direct-sync", "on-mismatch")]
    [InlineData("p6", "protocol=int3", "on-mismatch")]
    [InlineData("p6", "protocol=quadword", "on-mismatch")]
    [InlineData("p6", "protocol=merged site=jmp5", "atomic-unit")]
    [InlineData("p6", "protocol=int3-ipi ipi=x2apic", "on-mismatch")]
    [InlineData("p6-strict", "protocol=int3-ipi", "int3-exempt")]
    [InlineData("intel-strict", "protocol=text-poke-bp", "int3-exempt")]
    // Nothing comes of these three: the old instruction runs before the protocol claims to be done, or old and new parts make up either of the two.
    [InlineData("intel", "protocol=direct-sync", "on-mismatch")]
    [InlineData("intel", "protocol=quadword site=jmp5", "on-mismatch")]
    [InlineData("intel", "protocol=int3-ipi-final site=jump5-line", "atomic-unit")]
    [InlineData("intel", "protocol=int3-ipi site=line", "atomic-unit")]
    [InlineData("intel", "protocol=int3-ipi sync=mfence site=handler", "on-mismatch")]
    [InlineData("intel", "protocol=int3-ipi ack=before-sync site=handler", "on-mismatch")]
    [InlineData("amd", "protocol=direct site=quad", "atomic-unit")]
    [InlineData("amd", "protocol=bytewise site=jmp5", "atomic-exempt")]
    public void Check_OfAProtocolThatDoesNot_ReportsBothAccesses(string profile, string choices, string field)
    {
        GuestSubject subject = Subject(profile, choices);
        ExplorationResult result = Explorer.Run(subject, new ExplorationOptions { Threads = 1 });
        ExploredFinding found = Assert.Single(result.Findings.Where(f => f.Finding.Kind == FindingKind.UnsynchronisedExecution).Take(1));
        using var file = new TemporaryFile("check.witness", []);
        WitnessFile.Save(Witness.Of(subject, WitnessCatalogue.Image, WitnessCatalogue.ImageBytes.Span, result, found), file.Path);
        Witness witness = WitnessFile.Load(file.Path);
        Assert.True(witness.Check);
        Subject again = WitnessCatalogue.Open(witness);
        WitnessTable table = witness.Play(again);
        Assert.Null(WitnessValidation.Run(again, table));
        Assert.NotNull(table.Race);
        Assert.Equal(field, table.Race.Verdict.Field);
        Assert.NotEqual(table.Race.Cpu.Value, table.Race.Culprit.Writer.Cpu);
        // The rows that the report names are those of the store and of the execution.
        Assert.Equal("drain", table.Steps[(int)table.Race.Culprit.Time].Event);
        Assert.Equal("execute", table.Steps[(int)table.Race.Time].Event);
        Assert.True(table.Race.Serialised.Time <= table.Race.Culprit.Time && table.Race.Culprit.Time < table.Race.Time);
        string report = string.Join('\n', table.Report!.Lines());
        foreach (string line in (string[])["WARNING: unsynchronised execution of modified code at jump_site_", "  Stored by CPU ", "  Versions since CPU ", $"  Forbidden by profile {profile}, {field}=", "  Source: ", "  Would be excused by: "])
            Assert.Contains(line, report, StringComparison.Ordinal);
        Assert.Contains($"  Source: {subject.Profile.Source}\n", report, StringComparison.Ordinal);
    }

    /// <summary>The control: without it the same explorations have nothing to report.</summary>
    [Theory]
    [InlineData("intel", "protocol=direct-sync")]
    [InlineData("intel", "protocol=int3-ipi-final site=jump5-line")]
    public void NoCheck_OfWhatDoesNoHarm_ReportsNothing(string profile, string choices) =>
        Assert.Equal(Verdict.Safe, Explorer.Run(Subject(profile, choices, check: false), new ExplorationOptions()).Verdict);

    [Fact]
    public void Checkpoint_OfACheckedExploration_GoesOnChecking()
    {
        GuestSubject subject = Subject("intel", "protocol=direct-sync");
        ExplorationResult part = Explorer.Run(subject, new ExplorationOptions { Threads = 1, States = 1 });
        Assert.NotNull(part.Rest);
        using var file = new TemporaryFile("rest", []);
        ExplorationFile.Save(file.Path, Witness.Of(subject, WitnessCatalogue.Image, WitnessCatalogue.ImageBytes.Span, part, null), part.Rest);
        (Witness what, ExplorationRest rest) = ExplorationFile.Load(file.Path);
        ExplorationResult whole = Explorer.Run(WitnessCatalogue.Open(what), new ExplorationOptions { Threads = 1, Resume = rest });
        Assert.Contains(whole.Findings, f => f.Finding.Kind == FindingKind.UnsynchronisedExecution);
    }

    private static GuestSubject Subject(string profile, string choices, bool check = true) =>
        new(BootImage.Open(WitnessCatalogue.ImageBytes, "emu64.elf"), $"{choices} explore={(choices.Contains("site=handler", StringComparison.Ordinal) ? 0 : 1)}",
            new MachineOptions { CpuCount = 2, Model = CpuModels.AlderLake, Profile = FetchProfiles.Find(profile)! })
        {
            Check = check,
        };
}
