using System.Text.Json;
using Emu.Cli;
using Xunit;

namespace Emu.Tests.Cli;

/// <summary><c>emu linux --check</c> and <c>--break</c>, on a kernel of a few functions.</summary>
public sealed class KernelObserverTests
{
    private static Invocation Run(byte[] image, params string[] options)
    {
        using var kernel = new TemporaryFile("vmlinuz", image);
        using var busybox = new TemporaryFile("busybox", "static"u8);
        return Invocation.Of(["linux", "--kernel", kernel.Path, "--busybox", busybox.Path, "--cpus", "1", "--memory", "16M", "--run", "true", .. options]);
    }

    private static JsonElement Json(byte[] image, params string[] options)
    {
        Invocation run = Run(image, [.. options, "--json"]);
        Assert.Equal("", run.Error);
        return JsonDocument.Parse(run.Out).RootElement;
    }

    private static long? Runs(JsonElement result, string function)
    {
        JsonElement runs = result.GetProperty("functions").EnumerateArray().Single(f => f.GetProperty("name").GetString() == function).GetProperty("runs");
        return runs.ValueKind == JsonValueKind.Null ? null : runs.GetInt64();
    }

    [Theory]
    [InlineData("coherent")]
    [InlineData("p6")]
    public void Check_KernelThatPatchesItself_CountsRunsAndKeepsTheSite(string profile)
    {
        JsonElement result = Json(TinyLinux.Build(), "--check", "--profile", profile);
        Assert.Equal((1, 3, 3), (Runs(result, "text_poke_bp_batch"), Runs(result, "__text_poke"), Runs(result, "do_sync_core")));
        Assert.Null(Runs(result, "poke_int3_handler"));
        JsonElement site = Assert.Single(result.GetProperty("sites").EnumerateArray());
        Assert.Equal(("site", "66 90", "eb 00", 1), (site.GetProperty("symbol").GetString(), site.GetProperty("before").GetString(), site.GetProperty("now").GetString(), site.GetProperty("patched").GetInt32()));
        JsonElement execution = Assert.Single(site.GetProperty("executions").EnumerateArray());
        Assert.Equal(("CPUID", "do_sync_core+0x2"), (execution.GetProperty("serialisedBy").GetString(), execution.GetProperty("serialisation").GetProperty("symbol").GetString()));
        Assert.Equal(0, result.GetProperty("boot").GetProperty("exit").GetInt32());
    }

    [Fact]
    public void Check_AsAlways_LeavesTheRunAsItIs()
    {
        string Hash(params string[] options) => Json(TinyLinux.Build(), options).GetProperty("boot").GetProperty("runHash").GetString()!;
        Assert.Equal(Hash(), Hash("--check"));
        Assert.NotEqual(Hash(), Hash("--break", "do_sync_core"));
    }

    [Fact]
    public void Break_Callee_IsNotCalled()
    {
        JsonElement result = Json(TinyLinux.Build(), "--check", "--break", "text_poke_bp_batch:do_sync_core");
        Assert.Equal((1, 3, 0), (Runs(result, "text_poke_bp_batch"), Runs(result, "__text_poke"), Runs(result, "do_sync_core")));
        Assert.StartsWith("text_poke_bp_batch does not call do_sync_core: 3 calls are NOPs, at text_poke_bp_batch+0x", result.GetProperty("broken")[0].GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Break_Function_ReturnsAtOnce_AlsoWhenTheBootWroteOverIt(bool lateWrite)
    {
        JsonElement result = Json(TinyLinux.Build(lateWrite: lateWrite), "--check", "--break", "text_poke_bp_batch");
        Assert.Equal((1, 0, 0), (Runs(result, "text_poke_bp_batch"), Runs(result, "__text_poke"), Runs(result, "do_sync_core")));
        Assert.Empty(result.GetProperty("sites").EnumerateArray());
        // Not so without it.
        Assert.Equal(3, Runs(Json(TinyLinux.Build(lateWrite: lateWrite), "--check"), "__text_poke"));
    }

    [Theory]
    [InlineData("text_poke_bp_batch:text_poke_sync", "has no function text_poke_sync")]
    [InlineData("main:do_sync_core", "main does not call do_sync_core; it calls rest_init, site, text_poke_bp_batch")]
    [InlineData("nothing", "has no function nothing")]
    [InlineData("a:b:c", "\"a:b:c\" names no function")]
    public void Break_WhatIsNotThere_IsOneLine(string text, string expected)
    {
        Invocation run = Run(TinyLinux.Build(), "--break", text);
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.StartsWith("emu: --break: ", run.Error, StringComparison.Ordinal);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void Check_KernelWithoutSymbols_IsOneLine()
    {
        Invocation run = Run(TinyLinux.Build(symbols: false), "--check");
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains("carries no symbols", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_OnTheTerminal_IsTables()
    {
        Invocation run = Run(TinyLinux.Build(), "--check", "--break", "do_sync_core");
        Assert.Contains("emu: do_sync_core returns at once: RET at do_sync_core\n", run.Out, StringComparison.Ordinal);
        Assert.Matches(@"\n *__text_poke +3 +3 *\n", run.Out);
        Assert.Matches(@"\n *kprobe_int3_handler +not in this kernel", run.Out);
        Assert.Matches(@"\n *site +66 90 +eb 00 +1 +0 +\+", run.Out);
    }

    [Theory]
    [InlineData("observe nothing", "there is no \"nothing\"; choose one of toggles, preemption, tracepoint, kprobe, ftrace, polling, module")]
    [InlineData("observe toggles --control all", "choose one of none, no-sync, no-core")]
    [InlineData("observe --rounds 0", "--rounds")]
    [InlineData("linux --coherent-boot", "there is no command")]
    [InlineData("linux --coherent-boot --run true", "the profile is coherent anyway")]
    public void Options_ThatCannotBe_AreOneLine(string line, string expected)
    {
        using var busybox = new TemporaryFile("busybox", "static"u8);
        using var kernel = new TemporaryFile("vmlinuz", TinyLinux.Build());
        string[] files = line.StartsWith("linux", StringComparison.Ordinal) ? ["--kernel", kernel.Path, "--busybox", busybox.Path] : [];
        Invocation run = Invocation.Of([.. line.Split(' '), .. files]);
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
    }
}
