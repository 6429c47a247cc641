using Emu.Exploration;
using Emu.Tests.Cli;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>A saved instruction pointer inside of what was patched: its name, its exit code, and a table that shows where it was saved and to what it returns.</summary>
public sealed class SavedRipTests
{
    [Fact]
    public void Prove_CpuInterruptedBetweenTwoNops_EndsWithTheExitCodeOfItsOwn()
    {
        Invocation run = Invocation.Of("prove", "stop-machine", "--append", "site=two-nops");
        Assert.Equal((FindingKind.SavedRipInsidePatch.ExitCode(), ""), (run.Code, run.Error));
        Assert.StartsWith("unsafe: saved RIP inside a patched instruction: CPU 1 was interrupted at jump_site_two_nops+0x3, and comes back to the inside of what is now one instruction at jump_site_two_nops (",
            run.LastLine);
        Assert.Contains("returns to jump_site_two_nops+0x3, inside", run.Out);
    }

    [Fact]
    public void Witness_OfTwoNops_IsInterruptedBetweenThemAndReturnsBehindThePatch()
    {
        Witness witness = WitnessFile.Load(WitnessCatalogue.PathOf("stop-machine-two-nops"));
        WitnessTable table = witness.Play(WitnessCatalogue.Open(witness));
        int interrupt = table.Steps.ToList().FindIndex(s => s.Event == "interrupt" && s.Cpu == 1);
        Assert.Equal("jump_site_two_nops+0x3", table.Steps[interrupt - 1].Cpus[1].Rip);
        Assert.Equal("0f 1f 00 66 90", table.Steps[interrupt].Memory[0]);
        Assert.StartsWith("e9 ", table.Steps[^1].Memory[0]);
        Assert.Contains("serialises", table.Steps[^1].Notes);
    }
}
