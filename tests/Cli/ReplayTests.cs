using System.Text;
using System.Text.Json;
using Emu.Cli;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Cli;

public sealed class ReplayTests
{
    private static readonly string Buggy = Path.Combine(Repository.Root, "tests/witnesses/mail-buggy.witness");

    [Fact]
    public void Replay_StepByStep_GoesForwardsAndBackwards()
    {
        (int code, string output) = Type("\nn\nb\n4\nwhat\nq\n", "replay", Buggy, "--step");
        Assert.Equal(ExitCode.Success, code);
        int[] shown = [.. output.Split('\n').Where(l => l.Length > 3 && char.IsAsciiDigit(l[0])).Select(l => l[0] - '0')];
        Assert.Equal([0, 1, 2, 1, 4, 4], shown);
        Assert.Contains("Enter or n: next, b: back, 0 to ", output);
    }

    [Fact]
    public void Replay_InputThatEnds_EndsToo()
    {
        (int code, string output) = Type("", "replay", Buggy, "--step");
        Assert.Equal(ExitCode.Success, code);
        Assert.Contains("ends in fault(#GP,P1);", output);
    }

    [Fact]
    public void Replay_Json_HasEveryStep()
    {
        Invocation run = Invocation.Of("replay", Buggy, "--json");
        JsonElement result = JsonDocument.Parse(run.Out).RootElement;
        Assert.Equal(JsonValueKind.Null, result.GetProperty("machine").ValueKind);
        Assert.Equal("fetch", result.GetProperty("steps")[4].GetProperty("event").GetString());
    }

    [Fact]
    public void Replay_FileThatIsNone_IsRefusedInOneLine()
    {
        string text = File.ReadAllText(Buggy);
        foreach ((string contents, string expected) in ((string, string)[])
            [("hello", "is no witness"), (text[..^30], "is cut off"), (text.Replace("P1", "P0", StringComparison.Ordinal), "was altered"), (text.Replace("witness 1", "witness 9", StringComparison.Ordinal), "of another version")])
        {
            using var file = new TemporaryFile("bad.witness", Encoding.UTF8.GetBytes(contents));
            Invocation run = Invocation.Of("replay", file.Path);
            Assert.Equal((ExitCode.Usage, ""), (run.Code, run.Out));
            Assert.Contains(expected, run.Error);
            Assert.Equal(1, run.Error.Count(c => c == '\n'));
        }
        Assert.Contains("there is no such file", Invocation.Of("replay", "no-such-file").Error);
    }

    private static (int Code, string Output) Type(string typed, params string[] arguments)
    {
        using var output = new MemoryStream();
        using var error = new StringWriter();
        using var terminal = new Terminal(output, error, isInteractive: false) { In = new StringReader(typed) };
        int code = Program.Run(arguments, terminal);
        return (code, Encoding.UTF8.GetString(output.ToArray()));
    }
}
