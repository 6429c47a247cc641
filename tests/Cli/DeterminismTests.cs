using System.Diagnostics;
using System.Text.RegularExpressions;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Cli;

/// <summary>One seed, one image, one profile: one execution.</summary>
public sealed partial class DeterminismTests
{
    [Theory]
    [InlineData("--seed 1")]
    [InlineData("--seed 2 --append protocol=direct")]
    [InlineData("--profile intel --seed 3 --cpus 3")]
    [InlineData("--profile coherent")]
    [InlineData("--profile coherent --schedule random --seed 4")]
    [InlineData("--schedule round-robin:100 --cpus 2")]
    public void Boot_Twice_PrintsTheSameHash(string options)
    {
        string[] arguments = ["boot", .. options.Split(' ')];
        Invocation[] runs = new Invocation[2];
        // Side by side, so that what one machine does cannot leak into the other unseen.
        Parallel.For(0, runs.Length, i => runs[i] = Invocation.Of(arguments));
        Assert.Equal(Mask(runs[0].Out), Mask(runs[1].Out));
    }

    [Fact]
    public void Boot_AnotherSeed_IsAnotherExecution() =>
        Assert.NotEqual(Hash(Invocation.Of("boot", "--seed", "1").LastLine), Hash(Invocation.Of("boot", "--seed", "2").LastLine));

    /// <summary>As users start it: a process of its own, with its own addresses and its own order of compilation.</summary>
    [Fact]
    public void Boot_AsAProcess_IsTheSameExecution()
    {
        string program = Path.Combine(AppContext.BaseDirectory, "emu.dll");
        using var process = Process.Start(new ProcessStartInfo("dotnet", [program, "boot", "--seed", "5"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Repository.Root,
        })!;
        string output = process.StandardOutput.ReadToEnd();
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal((0, ""), (process.ExitCode, error));
        Assert.Equal(Mask(Invocation.Of("boot", "--seed", "5").Out), Mask(output));
    }

    private static string Mask(string output) => Speed().Replace(output, "N MIPS");

    private static string Hash(string line) => line[line.IndexOf("0x", StringComparison.Ordinal)..];

    [GeneratedRegex(@"\d+\.\d MIPS")]
    private static partial Regex Speed();
}
