using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;
using Emu.Scenarios;
using Emu.Tests.Cli;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>An exploration that is ended early and goes on, from a file, says what one says that was not.</summary>
public sealed class ResumeTests
{
    private const string Litmus = "tests/litmus/x86-tso/IRIW.litmus";

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Exploration_EndedEarlyAgainAndAgain_SaysTheSame(int threads)
    {
        var subject = new GuestSubject(BootImage.Open(WitnessCatalogue.ImageBytes, "emu64.elf"), "protocol=text-poke-bp explore=2 patches=2",
            new MachineOptions { CpuCount = 2, Model = CpuModels.AlderLake, Profile = FetchProfiles.Find("p6")! });
        var options = new ExplorationOptions { Threads = threads };
        ExplorationResult whole = Explorer.Run(subject, options);
        Assert.Equal(Verdict.Safe, whole.Verdict);
        using var file = new TemporaryFile("rest", []);
        ExplorationRest? rest = null;
        int parts = 0;
        for (long states = 1; ; states += whole.States / 4)
        {
            ExplorationResult part = Explorer.Run(subject, options with { States = states, Resume = rest });
            parts++;
            if (part.Rest == null)
            {
                Assert.Equal((Verdict.Safe, whole.States, whole.SharedData), (part.Verdict, part.States, part.SharedData));
                Assert.Equal(whole.Outcomes, part.Outcomes);
                break;
            }
            Assert.Equal(Verdict.BoundReached, part.Verdict);
            ExplorationFile.Save(file.Path, Witness.Of(subject, WitnessCatalogue.Image, WitnessCatalogue.ImageBytes.Span, part, null), part.Rest);
            rest = ExplorationFile.Load(file.Path).Remaining;
        }
        Assert.True(parts > 2, "it was not ended in the middle");
    }

    [Fact]
    public void ExplorationFile_Altered_IsRefusedInOneLine()
    {
        string text = Repository.Read(Litmus);
        var subject = new ScenarioSubject(Scenario.Parse(text, Litmus));
        ExplorationResult part = Explorer.Run(subject, new ExplorationOptions { Threads = 1, States = 1 });
        using var file = new TemporaryFile("rest", []);
        ExplorationFile.Save(file.Path, new Witness { File = Litmus, ScenarioText = text, Profile = subject.Profile, Ending = "", Steps = [] }, part.Rest!);
        byte[] good = File.ReadAllBytes(file.Path);
        for (int at = 0; at < good.Length; at += 1 + good.Length / 50)
        {
            byte[] bad = [.. good];
            bad[at] ^= 0x10;
            File.WriteAllBytes(file.Path, bad);
            WitnessException e = Assert.Throws<WitnessException>(() => ExplorationFile.Load(file.Path));
            Assert.DoesNotContain('\n', e.Message);
        }
        File.WriteAllBytes(file.Path, good[..^1]);
        Assert.Contains("was cut off or altered", Assert.Throws<WitnessException>(() => ExplorationFile.Load(file.Path)).Message);
    }

    [Fact]
    public void Exploration_OfSomethingElse_DoesNotGoOn()
    {
        ExplorationResult part = Explorer.Run(new ScenarioSubject(Scenario.Parse(Repository.Read(Litmus), Litmus)), new ExplorationOptions { Threads = 1, States = 1 });
        var other = new ScenarioSubject(Scenario.Parse(Repository.Read("tests/litmus/SB.litmus"), "SB"));
        Assert.Throws<WitnessException>(() => Explorer.Run(other, new ExplorationOptions { Threads = 1, Resume = part.Rest }));
    }
}
