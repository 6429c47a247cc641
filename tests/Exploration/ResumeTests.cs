using Emu.Exploration;
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
        string text = Repository.Read(Litmus);
        var subject = new ScenarioSubject(Scenario.Parse(text, Litmus));
        var options = new ExplorationOptions { Threads = threads, StopAtFinding = false };
        ExplorationResult whole = Explorer.Run(subject, options);
        Assert.Equal(Verdict.Safe, whole.Verdict);
        using var file = new TemporaryFile("rest", []);
        ExplorationRest? rest = null;
        int parts = 0;
        for (long states = 1; ; states += 100)
        {
            ExplorationResult part = Explorer.Run(subject, options with { States = states, Resume = rest });
            parts++;
            if (part.Rest == null)
            {
                Assert.Equal(Verdict.Safe, part.Verdict);
                Assert.Equal((whole.States, whole.SharedData), (part.States, part.SharedData));
                Assert.Equal(whole.Outcomes, part.Outcomes);
                break;
            }
            Assert.Equal(Verdict.BoundReached, part.Verdict);
            ExplorationFile.Save(file.Path, new Witness { File = Litmus, ScenarioText = text, Profile = subject.Profile, Ending = "", Steps = [] }, part.Rest);
            rest = ExplorationFile.Load(file.Path).Remaining;
        }
        Assert.True(parts > 1, "it was never ended early");
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
