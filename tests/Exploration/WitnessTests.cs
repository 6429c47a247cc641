using Emu.Exploration;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>Every committed witness plays on the machine of the exploration and on the machine itself, to the end that it names; a spoilt one says so.</summary>
public sealed class WitnessTests
{
    public static TheoryData<string> Names => [.. WitnessCatalogue.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Witness_Committed_PlaysOnBothMachinesToTheSameEnd(string name)
    {
        string path = WitnessCatalogue.PathOf(name);
        if (Environment.GetEnvironmentVariable("EMU_UPDATE_WITNESSES") == "1")
            WitnessFile.Save(WitnessCatalogue.Make(name), path);
        Witness witness = WitnessFile.Load(path);
        Subject subject;
        try
        {
            subject = WitnessCatalogue.Open(witness);
        }
        catch (WitnessException e)
        {
            Assert.Fail($"{e.Message}; after a change of the guest, EMU_UPDATE_WITNESSES=1 dotnet test tests --filter Witness makes all of them again");
            return;
        }
        WitnessTable table = witness.Play(subject);
        Assert.Null(WitnessValidation.Run(subject, table));
    }

    [Fact]
    public void Witnesses_Folder_HoldsThoseOfTheList() =>
        Assert.Equal(WitnessCatalogue.Names.Order(StringComparer.Ordinal), Repository.Files(WitnessCatalogue.Folder, ".witness").Select(f => Path.GetFileNameWithoutExtension(f)!));

    [Fact]
    public void Witness_WrittenAndRead_IsTheSame()
    {
        foreach (string name in (string[])["direct-p6", "int3-ipi-line-intel", "mail-buggy"])
        {
            string text = File.ReadAllText(WitnessCatalogue.PathOf(name));
            Assert.Equal(text.ReplaceLineEndings("\n"), WitnessFile.Format(WitnessFile.Parse(text, name)));
        }
    }

    [Fact]
    public void Witness_CutOffAnywhere_IsRefusedInOneLine()
    {
        string text = File.ReadAllText(WitnessCatalogue.PathOf("mail-buggy"));
        for (int length = 0; length < text.Length - 1; length += 41)
        {
            WitnessException e = Assert.Throws<WitnessException>(() => WitnessFile.Parse(text[..length], "w"));
            Assert.StartsWith("w: ", e.Message);
            Assert.DoesNotContain('\n', e.Message);
        }
    }

    [Fact]
    public void Witness_AlteredAnywhere_IsRefused()
    {
        string text = File.ReadAllText(WitnessCatalogue.PathOf("mail-buggy"));
        for (int at = 0; at < text.Length; at += 29)
        {
            char other = text[at] == 'x' ? 'y' : 'x';
            Assert.Throws<WitnessException>(() => WitnessFile.Parse($"{text[..at]}{other}{text[(at + 1)..]}", "w"));
        }
    }

    [Fact]
    public void Witness_OfAnotherImage_SaysWhich()
    {
        Witness witness = WitnessFile.Load(WitnessCatalogue.PathOf("direct-p6"));
        byte[] other = WitnessCatalogue.ImageBytes.ToArray();
        other[^1] ^= 1;
        WitnessException e = Assert.Throws<WitnessException>(() => witness.Open(_ => other));
        Assert.StartsWith("images/emu64.elf is not the image that the witness was made with (SHA-256 ", e.Message);
    }

    [Fact]
    public void Witness_WithAnotherChoice_DoesNotEndAsItSays()
    {
        // The control: what makes the difference is the version that was fetched.
        Witness witness = WitnessFile.Load(WitnessCatalogue.PathOf("direct-p6"));
        Witness spoilt = witness with { Steps = [.. witness.Steps.Select(s => s with { Picks = default })] };
        Assert.Throws<WitnessException>(() => spoilt.Play(WitnessCatalogue.Open(spoilt)));
    }

    [Fact]
    public void Table_OfTheMailsBuggyScheme_ShowsTheFetchWhereItHappened()
    {
        Witness witness = WitnessFile.Load(WitnessCatalogue.PathOf("direct-p6"));
        WitnessTable table = witness.Play(WitnessCatalogue.Open(witness));
        string[] events = [.. table.Steps.Select(s => $"{s.Cpu} {s.Event} {s.Text}")];
        int fetch = Array.IndexOf(events, "1 fetch fetches eb e5 at jump_site_short");
        int drain = Array.IndexOf(events, "0 drain jump_site_short+0x1 := f0");
        int jump = Array.FindIndex(events, e => e.StartsWith("1 execute jump_site_short: jmp", StringComparison.Ordinal));
        Assert.True(fetch > 0 && fetch + 1 == drain && drain < jump, string.Join('\n', events));
        Assert.Equal("jump_site_short: eb e5", table.Steps[drain].Cpus[1].Queue);
        Assert.Equal(("eb e5", "eb f0"), (table.Steps[fetch].Memory[0], table.Steps[drain].Memory[0]));
        Assert.Contains(table.Steps[jump].Notes, n => n.StartsWith("executes eb e5, memory holds eb f0: #GP", StringComparison.Ordinal));
        // No shorter way leads there: the store becomes visible, the CPU enters the function, and executes the jump.
        Assert.Equal(3, witness.Steps.Count);
    }
}
