using Emu.Differ.Cases;
using Emu.Differ.Host;
using Emu.Differ.Machines;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>The host's CPU as an oracle: what it reports, and that no case can do it lasting harm. Elsewhere than on x86-64 Linux there is nothing to test.</summary>
public unsafe class HostTests
{
    private static bool IsThere => HostMachine.Unavailable == null;

    [Fact]
    public void Cases_OfOneBatch_AreReportedInOrder()
    {
        if (!IsThere)
            return;
        using var host = new HostMachine(CodeMode.User64);
        Case[] cases = [.. Enumerable.Range(0, host.BatchSize).Select(i => CaseText.Parse($"u64 4801d8 rip={0x100000 + 64 * i:x} rax={i:x} rbx=1"))];
        Outcome[] outcomes = [.. cases.Select(_ => new Outcome())];
        for (int round = 0; round < 3; round++)
        {
            host.Submit(cases);
            host.Collect(outcomes);
            Assert.All(Enumerable.Range(0, cases.Length), i =>
            {
                Assert.Equal(Outcome.NoVector, outcomes[i].Vector);
                Assert.Equal((ulong)i + 1, outcomes[i].Registers[0]);
                Assert.Equal(cases[i].Rip + 3, outcomes[i].Rip);
            });
        }
    }

    [Theory]
    [InlineData("u64 f4", 13, 0UL)] // HLT
    [InlineData("u64 0f0b", 6, 0UL)] // UD2
    [InlineData("u64 f7f1", 0, 0UL)] // DIV by zero
    [InlineData("u64 8b00 rax=2004000", 14, 0x2004000UL)]
    [InlineData("u64 8900 rax=2003000", 14, 0x2003000UL)] // The read-only page.
    [InlineData("u64 8b00 rax=800000000000", 13, 0UL)]
    [InlineData("u64 8b0424 rsp=800000000000", 12, 0UL)]
    [InlineData("u64 8b00 rax=2001001 flags=40202", 17, 0UL)] // AC
    [InlineData("u32 62acd84b040000 eax=769c9000 ebx=116c6d80", 14, 0x200004BUL)]
    [InlineData("u32 ce flags=a02", 4, 0UL)] // INTO
    public void Fault_OfACase_IsReportedWithVectorAndAddress(string line, int vector, ulong address)
    {
        if (!IsThere)
            return;
        Outcome o = Run(line);
        Assert.Equal(vector, o.Vector);
        Assert.Equal(address, o.FaultAddress);
    }

    [Fact]
    public void Memory_ThatACaseWrites_IsReportedAndBackAgainForTheNext()
    {
        if (!IsThere)
            return;
        using var host = new HostMachine(CodeMode.User64);
        var outcome = new Outcome();
        Arena arena = Arena.For(CodeMode.User64);
        ulong at = arena.Physical(Arena.DataBase + 0x1808);
        foreach ((string line, byte expected) in new[] { ("u64 c60055 rax=2001808", (byte)0x55), ("u64 90", arena.Image[at]), ("u64 90 mem@2001808=77", (byte)0x77) })
        {
            host.Submit([CaseText.Parse(line)]);
            host.Collect([outcome]);
            Assert.Equal(expected, outcome.Memory.ByteAt(arena, at));
        }
    }

    [Theory]
    [InlineData("u64 ebfe")] // Never ends.
    [InlineData("u64 0f05 rax=27")] // A system call that the helper has given up: getpid.
    [InlineData("u64 0f05 rax=3c")] // exit
    [InlineData("u64 c700ffffffff rax=3c5aa6000008")] // Its own memory: the number of the present case.
    public void Case_ThatTakesTheHelperAlong_IsNamedAndTheOthersAreRun(string line)
    {
        if (!IsThere)
            return;
        using var host = new HostMachine(CodeMode.User64);
        Case good = CaseText.Parse("u64 4801d8 rax=1 rbx=1");
        Outcome[] outcomes = [new(), new(), new()];
        host.Submit([good, CaseText.Parse(line), good]);
        host.Collect(outcomes);
        Assert.Equal(2UL, outcomes[0].Registers[0]);
        Assert.Null(outcomes[0].Refusal);
        host.Submit([good]);
        host.Collect(outcomes[..1]);
        Assert.Equal(2UL, outcomes[0].Registers[0]);
        Assert.Null(outcomes[0].Refusal);
    }

    private static Outcome Run(string line)
    {
        Case c = CaseText.Parse(line);
        using var host = new HostMachine(c.Mode);
        var outcome = new Outcome();
        host.Submit([c]);
        host.Collect([outcome]);
        return outcome;
    }
}
