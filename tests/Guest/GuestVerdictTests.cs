using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Guest;

/// <summary>
/// The guest's protocols on two CPUs, every order of events: each broken one is found, and in the way in which the thread and the manuals say that it breaks;
/// and what mends it is proved.
/// </summary>
public sealed class GuestVerdictTests
{
    /// <summary>The thread of 2009, on the machine that it describes.</summary>
    [Theory]
    [InlineData("p6", "protocol=direct", FindingKind.UnexpectedException)]
    [InlineData("p6", "protocol=int3", FindingKind.UnexpectedException)]
    [InlineData("p6", "protocol=int3-ipi", null)]
    [InlineData("p6", "protocol=stop-machine", null)]
    [InlineData("p6", "protocol=up", null)]
    [InlineData("p6", "protocol=int3-ipi site=line", null)]
    [InlineData("p6", "protocol=merged site=jmp5", FindingKind.TornInstruction)]
    [InlineData("p6-strict", "protocol=int3-ipi", FindingKind.UnexpectedException)]
    [InlineData("intel-strict", "protocol=text-poke-bp", FindingKind.UnexpectedException)]
    public void Guest_UnderTheRulesOfTheThread_IsJudgedAsThere(string profile, string choices, FindingKind? finding) => Check(profile, choices, finding);

    /// <summary>Where an instruction lies in two units of fetching, each of Linux's syncs is there for something.</summary>
    [Theory]
    [InlineData("protocol=int3-ipi site=jmp5", null)]
    [InlineData("protocol=int3-ipi site=line", FindingKind.TornInstruction)]
    [InlineData("protocol=int3-ipi site=jump5-line", FindingKind.StaleInstruction)]
    [InlineData("protocol=int3-ipi-final site=jump5-line", null)]
    [InlineData("protocol=int3-ipi-final site=granule", FindingKind.TornInstruction)]
    [InlineData("protocol=text-poke-bp-no-middle site=line", FindingKind.TornInstruction)]
    [InlineData("protocol=text-poke-bp-no-final int3=die", FindingKind.UnexpectedException)]
    [InlineData("protocol=text-poke-bp-no-final int3=retry", null)]
    [InlineData("protocol=text-poke-bp int3=die", null)]
    [InlineData("protocol=text-poke-bp site=line", null)]
    [InlineData("protocol=text-poke-bp site=jump5-split", null)]
    [InlineData("protocol=merged site=jmp5", null)]
    [InlineData("protocol=merged site=line", FindingKind.TornInstruction)]
    public void Guest_AcrossUnitsOfFetching_NeedsEverySync(string choices, FindingKind? finding) => Check("intel", choices, finding);

    /// <summary>Nobody executes the site while it changes, and every CPU serialises; but one was interrupted inside. A NOP of one piece has no inside.</summary>
    [Theory]
    [InlineData("p6", "protocol=stop-machine site=two-nops", FindingKind.SavedRipInsidePatch)]
    [InlineData("intel", "protocol=stop-machine site=two-nops", FindingKind.SavedRipInsidePatch)]
    [InlineData("amd", "protocol=stop-machine site=two-nops", FindingKind.SavedRipInsidePatch)]
    [InlineData("coherent", "protocol=stop-machine site=two-nops", FindingKind.SavedRipInsidePatch)]
    [InlineData("intel", "protocol=text-poke-bp site=two-nops", FindingKind.SavedRipInsidePatch)]
    [InlineData("p6", "protocol=stop-machine site=jmp5", null)]
    [InlineData("intel", "protocol=stop-machine site=jmp5", null)]
    [InlineData("amd", "protocol=stop-machine site=jmp5", null)]
    [InlineData("coherent", "protocol=stop-machine site=jmp5", null)]
    [InlineData("intel", "protocol=stop-machine site=jmp5 patches=2", null)]
    [InlineData("intel", "protocol=text-poke-bp site=batch", null)]
    public void Guest_InterruptedInsideOfWhatIsPatched_ComesBackIntoOneInstruction(string profile, string choices, FindingKind? finding) => Check(profile, choices, finding);

    /// <summary>Every IPI ends in IRET: what is wrong with the sync or the answer shows between them and the IRET, and nowhere else.</summary>
    [Theory]
    [InlineData("sync=mfence", null)]
    [InlineData("sync=mfence site=handler", FindingKind.StaleInstruction)]
    [InlineData("sync=cpuid site=handler", null)]
    [InlineData("sync=iret site=handler", null)]
    [InlineData("sync=serialize site=handler", null)]
    [InlineData("sync=mov-cr2 site=handler", null)]
    [InlineData("sync=mfence site=handler int3=die protocol=text-poke-bp", FindingKind.UnexpectedException)]
    [InlineData("sync=mfence site=handler-line protocol=text-poke-bp", FindingKind.TornInstruction)]
    [InlineData("sync=cpuid site=handler-line protocol=text-poke-bp", null)]
    [InlineData("ack=before-sync", null)]
    [InlineData("ack=before-sync site=handler", FindingKind.StaleInstruction)]
    [InlineData("ack=before-sync site=nmi", FindingKind.StaleInstruction)]
    [InlineData("protocol=stop-machine-no-sync", null)]
    [InlineData("protocol=stop-machine-no-sync site=handler", FindingKind.StaleInstruction)]
    [InlineData("protocol=stop-machine site=handler", null)]
    public void Guest_BeforeTheIret_NeedsASync(string choices, FindingKind? finding) => Check("intel", choices, finding);

    /// <summary>Half-written bytes in memory itself: what an NMI sees while all others stand still.</summary>
    [Theory]
    [InlineData("protocol=stop-machine site=nmi", FindingKind.UnexpectedException)]
    [InlineData("protocol=stop-machine-nmi site=nmi", null)]
    public void Guest_SiteInTheNmiHandler_NeedsMoreThanStopMachine(string choices, FindingKind? finding) => Check("intel", choices, finding);

    [Theory]
    [InlineData("ipi=x2apic", FindingKind.StaleInstruction)]
    [InlineData("ipi=x2apic fence=mfence-lfence", null)]
    [InlineData("ipi=x2apic poke=alias-mm", null)]
    [InlineData("ipi=xapic", null)]
    public void Guest_X2ApicIpi_NeedsAFenceUnlessThePokeSerialises(string choices, FindingKind? finding) => Check("intel", choices, finding);

    [Theory]
    [InlineData("protocol=direct", FindingKind.StaleInstruction)]
    [InlineData("protocol=direct-sync", null)]
    [InlineData("protocol=quadword site=jmp5", null)]
    [InlineData("protocol=quadword-no-sync site=jmp5", FindingKind.StaleInstruction)]
    [InlineData("protocol=bytewise site=line", FindingKind.TornInstruction)]
    [InlineData("sync=mfence site=handler", null)]
    public void Guest_UnderAmd_MayStoreWholeQuadwords(string choices, FindingKind? finding) => Check("amd", choices, finding);

    /// <summary>Not for lack of a sync: each waits for the other.</summary>
    [Fact]
    public void Guest_HandlerThatWaitsForThePatch_Deadlocks() => Check("p6", "protocol=int3-spin", FindingKind.Deadlock);

    private static void Check(string profile, string choices, FindingKind? finding)
    {
        var image = BootImage.OpenFile(Path.Combine(Repository.Root, "images/emu64.elf"));
        FetchProfile rules = FetchProfiles.All.Single(p => p.Name == profile);
        var subject = new GuestSubject(image, "explore=1 " + choices, new MachineOptions { CpuCount = 2, Model = CpuModels.AlderLake, Profile = rules });
        ExplorationResult result = Explorer.Run(subject, new ExplorationOptions { Threads = 1, States = 2_000_000 });
        Assert.Null(result.Problem);
        if (finding == null)
            Assert.Equal(Verdict.Safe, result.Verdict);
        else
            Assert.Contains(finding.Value, result.Findings.Select(f => f.Finding.Kind));
    }
}
