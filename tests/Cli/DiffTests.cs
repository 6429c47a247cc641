using Emu.Cli;
using Xunit;

namespace Emu.Tests.Cli;

/// <summary><c>emu diff</c>, <c>emu lockstep</c> and <c>emu isa</c>: results and bad input.</summary>
public class DiffTests
{
    [Fact]
    public void Replay_AgreeingCase_ExitsWithZeroAndShowsBoth()
    {
        Invocation run = Invocation.Of("diff", "replay", "64 4801d8 rax=ffffffffffffffff rbx=1");
        Assert.Equal(ExitCode.Success, run.Code);
        Assert.Contains("rax=0", run.Out, StringComparison.Ordinal);
        Assert.Contains("they agree", run.Out, StringComparison.Ordinal);
        Assert.Empty(run.Error);
    }

    [Fact]
    public void Diff_FewCasesOfOneInstruction_ExitsWithZero()
    {
        Invocation run = Invocation.Of("diff", "--count", "300", "--mode", "32", "--code", "xadd");
        Assert.True(run.Code == ExitCode.Success, run.Out + run.Error);
        Assert.Contains("300 cases", run.Out, StringComparison.Ordinal);
        Assert.Contains("0 different", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Diff_PerCode_RunsSoManyOfEach()
    {
        Invocation run = Invocation.Of("diff", "--per-code", "5", "--mode", "64", "--feature", "bmi1", "--by-code");
        Assert.True(run.Code == ExitCode.Success, run.Out + run.Error);
        Assert.Contains("VEX_Andn_r32_r32_rm32                   5 cases", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Codes_LeftOut_SaysWhy()
    {
        Invocation run = Invocation.Of("diff", "codes", "--left-out", "--mode", "64");
        Assert.Equal(ExitCode.Success, run.Code);
        Assert.Contains("Cpuid", run.Out, StringComparison.Ordinal);
        Assert.Contains("the CPU models differ", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Record_ToAFile_AddsTheCasesThatAgreed()
    {
        using var file = new TemporaryFile("checks.txt", "# nothing yet\nVEX_Andn_r32_r32_rm32 | u64=7\n"u8);
        Invocation run = Invocation.Of("diff", "--per-code", "5", "--mode", "64", "--code", "VEX_Andn_r32_r32_rm32", "--record", file.Path);
        Assert.True(run.Code == ExitCode.Success, run.Out + run.Error);
        Assert.Contains("VEX_Andn_r32_r32_rm32 | 64=5 u64=7", File.ReadAllText(file.Path), StringComparison.Ordinal);
    }

    [Fact]
    public void Isa_OfAFeature_ListsItsCodes()
    {
        Invocation run = Invocation.Of("isa", "--feature", "bmi1");
        Assert.Equal(ExitCode.Success, run.Code);
        Assert.Contains("VEX_Andn_r32_r32_rm32", run.Out, StringComparison.Ordinal);
        Invocation json = Invocation.Of("isa", "--feature", "bmi1", "--json");
        Assert.Contains("\"state\": \"done\"", json.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("diff", "replay", "48 90")]
    [InlineData("diff", "replay", "64 9")]
    [InlineData("diff", "replay", "64 xx")]
    [InlineData("diff", "replay", "64 90 rzx=1")]
    [InlineData("diff", "replay", "64 90 rax")]
    [InlineData("diff", "replay", "64 90 rax=q")]
    [InlineData("diff", "replay", "32 90 r8=1")]
    [InlineData("diff", "replay", "32 90 xmm8=1")]
    [InlineData("diff", "replay", "64 90 xmm1=1ffffffffffffffffffffffffffffffff")]
    [InlineData("diff", "replay", "64 90 fpr8=1")]
    [InlineData("diff", "replay", "64 90 mxcsr=q")]
    [InlineData("diff", "replay", "64 90 rip=0")]
    [InlineData("diff", "replay", "64 90 mem@10=00")]
    [InlineData("diff", "replay", "64 909090")]
    [InlineData("diff", "replay", "64 48")]
    [InlineData("diff", "replay", "64")]
    [InlineData("diff", "--mode", "48")]
    [InlineData("diff", "--oracle", "nosuch")]
    [InlineData("diff", "--oracle", "unicorn", "--mode", "u64")]
    [InlineData("diff", "--code", "nosuch")]
    [InlineData("diff", "--code", "cpuid")]
    [InlineData("diff", "--feature", "nosuch")]
    [InlineData("diff", "--count", "0")]
    [InlineData("diff", "--seconds", "-1")]
    [InlineData("diff", "--count", "many")]
    [InlineData("diff", "--seed", "-1")]
    [InlineData("diff", "--record", "no/such/file")]
    [InlineData("isa", "--feature", "nosuch")]
    [InlineData("lockstep", "no-such-file.elf")]
    public void Input_Bad_IsOneLineAndExitCodeTwo(params string[] args)
    {
        Invocation run = Invocation.Of(args);
        Assert.True(run.Code == ExitCode.Usage, $"{run.Code}: {run.Out}");
        Assert.StartsWith("emu: ", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }
}
