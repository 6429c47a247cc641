using System.Text.RegularExpressions;
using Emu.Cli;
using Emu.Tests.Cli;
using Xunit;

namespace Emu.Tests.House;

/// <summary>What README.md shows is so: its commands, its transcripts, its C#.</summary>
public sealed partial class ReadmeExampleTests
{
    [Fact]
    public void Map_EachFolder_Exists()
    {
        string[] folders = [.. Readme.Lines.Select(l => MapRow().Match(l)).Where(m => m.Success).Select(m => m.Groups[1].Value)];
        Assert.All(folders, f => Assert.True(Directory.Exists(Path.Combine(Repository.Root, f)), $"README.md names {f}, which does not exist"));
        IEnumerable<string> layers = Layers.Order.Select(l => $"emulator/{l.Folder}").Where(f => Directory.Exists(Path.Combine(Repository.Root, f)));
        Assert.Equal(layers.Reverse(), folders.Where(f => f.StartsWith("emulator/", StringComparison.Ordinal)));
    }

    [Fact]
    public void Command_EachThatIsShown_IsUnderstood()
    {
        string[] commands = [.. Readme.Blocks.Where(b => b.Language is "console" or "").SelectMany(b => b.Lines).Where(l => Command().IsMatch(l))];
        Assert.NotEmpty(commands);
        using var terminal = new Terminal(new MemoryStream(), TextWriter.Null, isInteractive: false);
        Assert.All(commands, line => Assert.Empty(CommandTree.Build(terminal).Parse(Words(line)).Errors));
    }

    [Fact]
    public void Sample_OfTheLibrary_IsTheOneThatIsTested()
    {
        Readme.Block sample = Assert.Single(Readme.Blocks, b => b.Language == "csharp");
        string tested = Normalise(Repository.Read("tests/House/ReadmeSample.cs"));
        Assert.Contains(Normalise(string.Join('\n', sample.Lines)), tested);
    }

    /// <summary>
    /// Runs every command of a <c>console</c> block and compares what it prints, down to the last instruction: a run is the same on every host. Only speed and
    /// hash may differ (the hash changes with what goes into it), and a line "[...]" stands for any number of lines. EMU_UPDATE_README=1 pastes what was
    /// printed into the README instead.
    /// </summary>
    [Fact]
    public void Transcript_OfEachRun_IsWhatTheRunPrints()
    {
        string[] lines = [.. Readme.Lines];
        var updated = new List<string>(lines);
        bool update = Environment.GetEnvironmentVariable("EMU_UPDATE_README") == "1";
        foreach (Readme.Block block in Readme.Blocks.Where(b => b.Language == "console").Reverse())
        {
            Assert.Matches(Command(), block.Lines[0]);
            Invocation run = Invocation.Of(Words(block.Lines[0]));
            string[] printed = [.. (run.Out + run.Error).TrimEnd('\n').Replace("\r", "", StringComparison.Ordinal).Split('\n').Select(l => l.TrimEnd())];
            string[] shown = [.. block.Lines.Skip(1)];
            string[] expected = Elide(printed, Array.IndexOf(shown, "[...]"), shown.Length);
            if (update)
            {
                updated.RemoveRange(block.FirstLine + 1, shown.Length);
                updated.InsertRange(block.FirstLine + 1, expected);
            }
            else
            {
                string printedText = Mask(string.Join('\n', expected));
                Assert.True(printedText == Mask(string.Join('\n', shown)),
                    $"{block.Lines[0]} does not print what README.md shows; EMU_UPDATE_README=1 dotnet test --filter Transcript pastes this:\n{printedText}");
            }
        }
        if (update)
            File.WriteAllText(Path.Combine(Repository.Root, Readme.Path), string.Join('\n', updated));
    }

    /// <summary>Leaves out what a transcript leaves out: the lines before its "[...]" and behind it are as many as there.</summary>
    private static string[] Elide(string[] printed, int at, int length) =>
        at < 0 ? printed : [.. printed.Take(at), "[...]", .. printed.TakeLast(length - at - 1)];

    private static string Mask(string text) => Measured().Replace(text, "...");

    private static string[] Words(string line) =>
        [.. Word().Matches(line[(Command().Match(line).Length)..]).Select(m => m.Value.Trim('"')).TakeWhile(w => w != "#")];

    private static string Normalise(string code) => string.Join('\n', code.Split('\n').Select(l => l.Trim()).Where(l => l.Length != 0));

    [GeneratedRegex(@"^\| `([\w/]+)` \|")]
    private static partial Regex MapRow();

    [GeneratedRegex(@"^\$ (emu|dotnet run --project tools/emu --) ")]
    private static partial Regex Command();

    [GeneratedRegex("\"[^\"]*\"|[^ \"]+")]
    private static partial Regex Word();

    [GeneratedRegex(@"\d+\.\d MIPS, run hash 0x\w{16}|\d+ states, \d+ choices, \d+ events, [\d.]+ s")]
    private static partial Regex Measured();
}
