using Emu.Differ;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>The command line of the differ: results and bad input.</summary>
public class CommandLineTests
{
    [Fact]
    public void Replay_AgreeingCase_ExitsWithZeroAndShowsBoth()
    {
        (int code, string output, string error) = Run("replay", "64 4801d8 rax=ffffffffffffffff rbx=1");
        Assert.Equal(ExitCode.Agreement, code);
        Assert.Contains("rax=0", output, StringComparison.Ordinal);
        Assert.Contains("they agree", output, StringComparison.Ordinal);
        Assert.Empty(error);
    }

    [Fact]
    public void Run_FewCasesOfOneInstruction_ExitsWithZero()
    {
        (int code, string output, _) = Run("run", "--count", "300", "--mode", "32", "--code", "xadd");
        Assert.True(code == ExitCode.Agreement, output);
        Assert.Contains("300 cases", output, StringComparison.Ordinal);
        Assert.Contains("0 different", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Codes_LeftOut_SaysWhy()
    {
        (int code, string output, _) = Run("codes", "--left-out", "--mode", "64");
        Assert.Equal(ExitCode.Agreement, code);
        Assert.Contains("Cpuid", output, StringComparison.Ordinal);
        Assert.Contains("the CPU models differ", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("replay", "48 90")]
    [InlineData("replay", "64 9")]
    [InlineData("replay", "64 xx")]
    [InlineData("replay", "64 90 rzx=1")]
    [InlineData("replay", "64 90 rax")]
    [InlineData("replay", "64 90 rax=q")]
    [InlineData("replay", "32 90 r8=1")]
    [InlineData("replay", "64 90 rip=0")]
    [InlineData("replay", "64 90 mem@10=00")]
    [InlineData("replay", "64 909090")]
    [InlineData("replay", "64 48")]
    [InlineData("replay", "64")]
    [InlineData("run", "--mode", "48")]
    [InlineData("run", "--code", "nosuch")]
    [InlineData("run", "--code", "cpuid")]
    [InlineData("run", "--count", "0")]
    [InlineData("run", "--seconds", "-1")]
    [InlineData("run", "--count", "many")]
    [InlineData("nosuch")]
    [InlineData("lockstep", "no-such-file.elf")]
    public void Input_Bad_IsOneLineAndExitCodeTwo(params string[] args)
    {
        (int code, _, string error) = Run(args);
        Assert.Equal(ExitCode.Usage, code);
        Assert.StartsWith("differ: ", error, StringComparison.Ordinal);
        Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    private static (int Code, string Output, string Error) Run(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int code = Program.Run(args, output, error);
        return (code, output.ToString(), error.ToString());
    }
}
