using System.Diagnostics;
using System.Text.RegularExpressions;
using Emu.Tests.Cli;
using Xunit;

namespace Emu.Tests.House;

/// <summary>
/// guest/TUTORIAL.md, as its reader goes through it: the protocol is saved and built in a copy of the guest, and every command prints what stands there.
/// EMU_UPDATE_README=1 pastes what was printed instead.
/// </summary>
public sealed partial class TutorialTests : IDisposable
{
    private const string Tutorial = "guest/TUTORIAL.md";

    private readonly string _copy = Path.Combine(Path.GetTempPath(), $"emu-tutorial-{Guid.NewGuid():n}");

    [Fact]
    public void Transcript_OfTheTutorial_IsWhatItsReaderSees()
    {
        CopyGuest();
        string[] lines = Repository.Read(Tutorial).Split('\n');
        var updated = new List<string>();
        int commands = 0;
        for (int i = 0; i < lines.Length; i++)
        {
            updated.Add(lines[i]);
            if (!lines[i].StartsWith("```", StringComparison.Ordinal) || lines[i].Length == 3)
                continue;
            int end = Array.IndexOf(lines, "```", i + 1);
            string[] block = lines[(i + 1)..end];
            i = end;
            if (lines[end - block.Length - 1] == "```c")
            {
                File.WriteAllText(Path.Combine(_copy, "guest", "protocols", "mine.c"), string.Join('\n', block) + "\n");
                updated.AddRange(block);
            }
            else
            {
                commands++;
                updated.Add(block[0]);
                updated.AddRange(Play(block));
            }
            updated.Add("```");
        }
        Assert.Equal(9, commands);
        if (Environment.GetEnvironmentVariable("EMU_UPDATE_README") == "1")
            File.WriteAllText(Path.Combine(Repository.Root, Tutorial), string.Join('\n', updated));
    }

    public void Dispose() => Directory.Delete(_copy, recursive: true);

    /// <summary>What the first line of a block prints; it must be what the others show.</summary>
    private IEnumerable<string> Play(string[] block)
    {
        string[] words = [.. block[0].Split(' ', StringSplitOptions.RemoveEmptyEntries)];
        Assert.Equal("$", words[0]);
        if (words[1] == "make")
        {
            Make();
            return [];
        }
        Assert.Equal("emu", words[1]);
        // The protocol of the reader is in the copy's image; what a scenario names is relative to the repository.
        string[] arguments = words[2] == "prove"
            ? [.. words[2..], "--image", Path.Combine(_copy, "images", "emu64.elf")]
            : [words[2], .. words[3..].Select(w => Path.Combine(Repository.Root, w))];
        Invocation run = Invocation.Of(arguments);
        string[] printed = [.. (run.Out + run.Error).TrimEnd('\n').Split('\n').Select(l => l.TrimEnd())];
        // A line "[...]" stands for any number of lines.
        int elided = Array.IndexOf(block, "[...]");
        if (elided >= 0)
            printed = [.. printed.Take(elided - 1), "[...]", .. printed.TakeLast(block.Length - elided - 1)];
        if (Environment.GetEnvironmentVariable("EMU_UPDATE_README") != "1")
            Assert.Equal(Mask(block[1..]), Mask(printed));
        return printed;
    }

    private void CopyGuest()
    {
        foreach (string file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "guest"), "*", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(Repository.Root, file);
            // What an earlier build left behind would be taken for new.
            if (relative.Split(Path.DirectorySeparatorChar).Contains("build"))
                continue;
            string to = Path.Combine(_copy, relative);
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(file, to);
        }
        Directory.CreateDirectory(Path.Combine(_copy, "images"));
        File.Copy(Path.Combine(Repository.Root, "images", "emu64.elf"), Path.Combine(_copy, "images", "emu64.elf"));
    }

    private void Make()
    {
        using var make = Process.Start(new ProcessStartInfo("make", ["-C", Path.Combine(_copy, "guest")]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = make.StandardOutput.ReadToEndAsync();
        string errors = make.StandardError.ReadToEnd();
        make.WaitForExit();
        Assert.True(make.ExitCode == 0, $"make -C guest failed: {errors}{output.Result}");
    }

    /// <summary>Time differs, and how much a proof takes is the engine's business.</summary>
    private static string Mask(IEnumerable<string> lines) => Measured().Replace(string.Join('\n', lines), "...");

    [GeneratedRegex(@"\d+ states, \d+ choices, \d+ events, [\d.]+ s")]
    private static partial Regex Measured();
}
