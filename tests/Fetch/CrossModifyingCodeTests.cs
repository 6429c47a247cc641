using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Tests.Machine;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Fetch;

/// <summary>One patched jump, seen by a CPU that may have fetched it before: the rules of the profiles, one by one.</summary>
public sealed unsafe class CrossModifyingCodeTests
{
    private const ulong Site = SmallMachine.CodeAt;
    private const ulong OldTarget = Site + 2 + 0x20;
    private const ulong NewTarget = Site + 2 + 0x30;
    private const ulong Handler = SmallMachine.CodeAt + 0x1000;
    private const byte Int3 = 0xCC;

    /// <summary>CPU 1 stands before a short jump <c>eb 20</c> that is to become <c>eb 30</c>; vectors 3 and 13 lead to a HLT.</summary>
    private static SmallMachine Prepare(FetchProfile profile)
    {
        var m = new SmallMachine(profile);
        m.Write(Site, 0xEB, 0x20);
        m.Assemble(Handler, a => a.hlt());
        m.SetVector((byte)Vector.Breakpoint, Handler);
        m.SetVector((byte)Vector.GeneralProtection, Handler + 0x100);
        return m;
    }

    private static void FetchSite(SmallMachine m) => m.Agent(1).FetchAll();

    [Fact]
    public void DirectWrite_P6FetchedBefore_RaisesGeneralProtection()
    {
        using SmallMachine m = Prepare(FetchProfiles.P6);
        FetchSite(m);
        m.Write(Site + 1, 0x30);
        m.Step(1);
        Assert.Equal(Handler + 0x100, m[1]->Rip);
        StaleExecution stale = Assert.Single(m.Machine.StaleExecutions);
        Assert.Equal(StaleOutcome.GeneralProtection, stale.Outcome);
        Assert.Equal([0xEB, 0x20], stale.Fetched);
        Assert.Equal([0xEB, 0x30], stale.Memory);
    }

    [Fact]
    public void DirectWrite_P6FetchedAfter_TakesNewTarget()
    {
        using SmallMachine m = Prepare(FetchProfiles.P6);
        m.Write(Site + 1, 0x30);
        m.Step(1);
        Assert.Equal(NewTarget, m[1]->Rip);
        Assert.Empty(m.Machine.StaleExecutions);
    }

    [Fact]
    public void DirectWrite_Coherent_TakesNewTarget()
    {
        using SmallMachine m = Prepare(FetchProfiles.Coherent);
        m.Write(Site + 1, 0x30);
        m.Step(1);
        Assert.Equal(NewTarget, m[1]->Rip);
    }

    [Fact]
    public void DirectWrite_AmdFetchedBefore_RetiresTheOldWholeInstruction()
    {
        using SmallMachine m = Prepare(FetchProfiles.Amd);
        FetchSite(m);
        m.Write(Site + 1, 0x30);
        m.Step(1);
        Assert.Equal(OldTarget, m[1]->Rip);
        Assert.Equal(StaleOutcome.Retired, Assert.Single(m.Machine.StaleExecutions).Outcome);
    }

    [Fact]
    public void BreakpointInserted_FetchedBefore_IsExemptAndTakesOldTarget()
    {
        using SmallMachine m = Prepare(FetchProfiles.P6);
        FetchSite(m);
        m.Write(Site, Int3);
        m.Step(1);
        Assert.Equal(OldTarget, m[1]->Rip);
        Assert.Equal(StaleOutcome.ExemptByInt3, Assert.Single(m.Machine.StaleExecutions).Outcome);
    }

    [Fact]
    public void BreakpointInserted_P6StrictFetchedBefore_RaisesGeneralProtection()
    {
        using SmallMachine m = Prepare(FetchProfiles.P6Strict);
        FetchSite(m);
        m.Write(Site, Int3);
        m.Step(1);
        Assert.Equal(Handler + 0x100, m[1]->Rip);
    }

    [Fact]
    public void BreakpointFetched_PatchCompletesMeanwhile_Traps()
    {
        using SmallMachine m = Prepare(FetchProfiles.P6);
        m.Write(Site, Int3);
        FetchSite(m);
        m.Write(Site, 0xEB, 0x30);
        m.Step(1);
        Assert.Equal(Handler, m[1]->Rip);
    }

    [Fact]
    public void BreakpointWithoutIpi_FetchedBeforeAllThreeWrites_RaisesGeneralProtection()
    {
        using SmallMachine m = Prepare(FetchProfiles.P6);
        FetchSite(m);
        m.Write(Site, Int3);
        m.Write(Site + 1, 0x30);
        m.Write(Site, 0xEB);
        m.Step(1);
        Assert.Equal(Handler + 0x100, m[1]->Rip);
    }

    /// <summary>What B runs between the fetch of the site and its execution, and whether the profile lets it empty the queue for good.</summary>
    [Theory]
    [InlineData("p6", "cpuid", true)]
    [InlineData("p6", "mfence", true)]
    [InlineData("p6", "lfence", false)]
    [InlineData("p6", "nop", false)]
    [InlineData("intel-strict", "cpuid", true)]
    [InlineData("intel-strict", "serialize", true)]
    [InlineData("intel-strict", "mfence", false)]
    [InlineData("amd", "mfence", true)]
    [InlineData("amd", "sfence", false)]
    public void Barrier_BetweenFetchAndExecution_SerialisesAsTheProfileSays(string profile, string barrier, bool serialises)
    {
        using var m = new SmallMachine(FetchProfiles.Find(profile)!);
        int length = m.Assemble(Site, a =>
        {
            switch (barrier)
            {
                case "cpuid":
                    a.cpuid();
                    break;
                case "mfence":
                    a.mfence();
                    break;
                case "lfence":
                    a.lfence();
                    break;
                case "sfence":
                    a.sfence();
                    break;
                case "serialize":
                    a.serialize();
                    break;
                default:
                    a.nop();
                    break;
            }
        });
        ulong jump = Site + (ulong)length;
        m.Write(jump, 0xEB, 0x20);
        m.Assemble(Handler, a => a.hlt());
        m.SetVector((byte)Vector.GeneralProtection, Handler);
        FetchSite(m);
        m.Write(jump + 1, 0x30);
        m.Step(1, 2);
        Assert.Equal(serialises, m[1]->Rip == jump + 2 + 0x30);
    }

    [Fact]
    public void Iret_BetweenFetchAndExecution_Serialises()
    {
        using var m = new SmallMachine(FetchProfiles.P6);
        ulong stack = SmallMachine.DataAt;
        m.Assemble(Site, a => a.iretq());
        m.Write(Site + 2, 0xEB, 0x20);
        m.Write64(stack, Site + 2);
        m.Write64(stack + 8, 8);
        m.Write64(stack + 16, 2);
        m.Write64(stack + 24, stack + 0x100);
        m.Write64(stack + 32, 0x10);
        m[1]->Registers[4] = stack;
        FetchSite(m);
        m.Write(Site + 3, 0x30);
        m.Step(1, 2);
        Assert.Equal(Site + 4 + 0x30, m[1]->Rip);
        Assert.Empty(m.Machine.StaleExecutions);
    }

    [Fact]
    public void Window_OldVersionAfterBranch_IsOfferedUntilSerialised()
    {
        using SmallMachine m = Prepare(FetchProfiles.Intel);
        FetchSite(m);
        m.Write(Site + 1, 0x30);
        m.Agent(1).Queue.Flush(Site);
        Span<ulong> units = stackalloc ulong[64];
        Assert.NotEqual(0, m.Agent(1).FetchCandidates(units));
        Assert.Equal(2, m.Agent(1).Versions(Site));
        m.Machine.Cpus[1].Serialise();
        Assert.Equal(1, m.Agent(1).Versions(Site));
    }

    [Fact]
    public void Window_OwnStore_IsNeverMissed()
    {
        using var m = new SmallMachine(FetchProfiles.Intel);
        // The CPU rewrites the jump ahead of it, then jumps to it: "store, then jump" needs no serialisation.
        const ulong jump = Site + 0x200;
        m.Write(jump, 0xEB, 0x20);
        m.Assemble(Site, a =>
        {
            a.mov(__byte_ptr[jump + 1], 0x30);
            a.jmp(jump);
        });
        m.Agent(1).FetchAll();
        m.Step(1, 3);
        Assert.Equal(jump + 2 + 0x30, m[1]->Rip);
        Assert.Empty(m.Machine.StaleExecutions);
    }

    [Fact]
    public void Straddling_FetchedInTwoParts_IsTorn()
    {
        // A 5-byte jump across two 16-byte units: the first part old, the second new.
        using var m = new SmallMachine(FetchProfiles.Intel);
        const ulong site = Site + 14;
        m.Write(site, 0xE9, 0x01, 0x00, 0x00, 0x00);
        m[1]->Rip = site;
        Assert.True(m.Agent(1).Fetch(Site));
        m.Write(site + 1, 0x10, 0x01, 0x00, 0x00);
        Assert.True(m.Agent(1).Fetch(Site + 16));
        m.Step(1);
        Assert.Equal(site + 5 + 0x0101, m[1]->Rip);
        Assert.Equal(StaleOutcome.Retired, Assert.Single(m.Machine.StaleExecutions).Outcome);
    }

    /// <summary>A store through another mapping of the code: by linear address the CPU does not see that it changes what it has fetched.</summary>
    [Theory]
    [InlineData(CompareBy.Linear, true)]
    [InlineData(CompareBy.Physical, false)]
    public void OwnStoreThroughAlias_FetchedBefore_IsMissedByLinearAddressOnly(CompareBy compare, bool missed)
    {
        using var m = new SmallMachine(FetchProfiles.P6 with { OnMismatch = MismatchRule.Stale, CompareBy = compare });
        m[1]->Registers[3] = SmallMachine.AliasAt + Site + 0x10 + 1;
        int length = m.Assemble(Site, a => a.mov(__byte_ptr[rbx], 0x30));
        m.Write(Site + (ulong)length, [.. Enumerable.Repeat((byte)0x90, 0x10 - length)]);
        m.Write(Site + 0x10, 0xEB, 0x20);
        m.Agent(1).FetchAll();
        m.Step(1);
        Assert.True(m.Agent(1).Drain());
        m.Step(1, 1 + 0x10 - length);
        Assert.Equal(Site + 0x12 + (missed ? 0x20UL : 0x30UL), m[1]->Rip);
    }
}
