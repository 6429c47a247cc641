using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Xunit;
using static Emu.Tests.Execution.CodeMode;

namespace Emu.Tests.Execution;

/// <summary>Bad input: instructions of which a page cannot be fetched.</summary>
public sealed unsafe class FetchFaultTests
{
    private const uint Page = 0x1000;
    private const ulong Present = 1, Writable = 2, User = 4, Xd = 1UL << 63;
    private const ulong Second = FaultBench.Code + Page;

    public static TheoryData<CodeMode, int> Paged => new()
    {
        { Virtual8086, 3 }, { Protected16, 0 }, { Protected32, 0 }, { Protected32, 3 }, { Compatibility, 0 }, { Compatibility, 3 }, { Long, 0 }, { Long, 3 },
    };

    /// <summary>Every length of the part in the first page: CR2 is the first byte of the second one, RIP the instruction, nothing is done; with the page mapped it executes.</summary>
    [Theory]
    [MemberData(nameof(Paged))]
    public void SecondPageAbsent_IsPfThere_AndRestarts(CodeMode mode, int cpl) => FaultBench.Each(mode, b =>
    {
        int word = b.IsSegmented ? 2 : 4;
        byte[] store = [0xC7, 0x87, .. new byte[word], .. Enumerable.Repeat((byte)0x5A, word)];
        uint error = 0x10 | (cpl == 3 ? 4u : 0);
        ulong target = b.IsSegmented ? FaultBench.Data + (b.S->Registers[3] & 0xFFFF) : b.S->Registers[7];
        for (uint first = 1; first < store.Length; first++)
        {
            b.Store(target, 4, 0);
            b.Map(Second, Present | Writable | User);
            b.Write(FaultBench.Code + Page - first, store);
            b.Write(FaultBench.Code + Page - first + (uint)store.Length, 0xF4);
            b.Map(Second, 0);
            b.RunAt(b.Start + Page - first, store.Length).ExpectPageFault(error, Second, b.Start + Page - first);
            Assert.Equal(0UL, b.Read(target, 4));
            b.Map(Second, Present | Writable | User);
            b.RunAt(b.Start + Page - first, store.Length).ExpectNext(b.Start + Page - first + (ulong)store.Length);
            Assert.Equal(0x5A5AUL, b.Read(target, 2));
        }
    }, cpl);

    /// <summary>An instruction that ends with the page needs nothing of the next one; the one behind it faults there, at its own address.</summary>
    [Theory]
    [MemberData(nameof(Paged))]
    public void InstructionThatEndsWithThePage_Executes(CodeMode mode, int cpl) => FaultBench.Each(mode, b =>
    {
        b.Map(Second, 0);
        b.Run([0xB0, 0x77], Page - 2, halt: false);
        b.ExpectPageFault(0x10 | (cpl == 3 ? 4u : 0), Second, b.Start + Page, unchanged: false);
        Assert.Equal(0x77UL, b.S->Registers[0] & 0xFF);
    }, cpl);

    /// <summary>SDM Vol. 3A, "Page-Fault Exceptions", the error code: P for rights, U/S for CPL 3, I/D with EFER.NXE; W/R and RSVD never for a fetch of a sound entry.</summary>
    [Theory]
    [InlineData(Protected32, 0, Present | Writable | User | Xd, 0x11U)]
    [InlineData(Protected32, 3, Present | Writable | User | Xd, 0x15U)]
    [InlineData(Protected32, 3, Present | Writable, 0x15U)]
    [InlineData(Long, 0, Present | Writable | User | Xd, 0x11U)]
    [InlineData(Long, 3, Present | Writable | User | Xd, 0x15U)]
    [InlineData(Long, 3, Present | Writable, 0x15U)]
    [InlineData(Long, 3, Present, 0x15U)]
    [InlineData(Long, 0, Present | User | 1UL << 51, 0x19U)]
    [InlineData(Compatibility, 3, Present | Writable, 0x15U)]
    [InlineData(Virtual8086, 3, Present | Writable, 0x15U)]
    [InlineData(Virtual8086, 3, Present | User | Xd, 0x15U)]
    [InlineData(Protected16, 0, Present | Xd, 0x11U)]
    public void SecondPage_WithoutRights_GivesTheErrorCode(CodeMode mode, int cpl, ulong flags, uint error) => FaultBench.Each(mode, b =>
    {
        b.Map(Second, flags);
        b.Run([0xB8], Page - 1, halt: false).ExpectPageFault(error, Second, b.Start + Page - 1);
    }, cpl);

    [Theory]
    [InlineData(Protected32, 0)]
    [InlineData(Protected32, 3)]
    [InlineData(Virtual8086, 3)]
    public void WithoutNxeAndSmep_TheErrorCodeHasNoId(CodeMode mode, int cpl) => FaultBench.Each(mode, b =>
    {
        b.S->Paging.Efer = 0;
        CpuMode.Update(b.S);
        b.Map(Second, 0);
        b.Run([0xB8], Page - 1, halt: false).ExpectPageFault(cpl == 3 ? 4u : 0, Second, b.Start + Page - 1);
    }, cpl);

    [Fact]
    public void Smep_UserPageBehindASupervisorPage_IsPf()
    {
        foreach (CodeMode mode in (CodeMode[])[Protected32, Long])
            FaultBench.Each(mode, b =>
            {
                b.S->Paging.Cr4 |= ControlBits.Cr4Smep;
                b.S->Paging.Efer &= ~ControlBits.EferNxe;
                // Everything that runs here is a supervisor's, handlers too.
                for (uint page = 0; page < 0x60; page++)
                    b.Map(page << 12, Present | Writable);
                b.Map(Second, Present | Writable | User);
                CpuMode.Update(b.S);
                b.Run([0xB8], Page - 1, halt: false).ExpectPageFault(0x11, Second, b.Start + Page - 1);
            });
    }

    /// <summary>The first page is looked at before the second, and the operand after both.</summary>
    [Theory]
    [MemberData(nameof(Paged))]
    public void FirstPage_CountsBeforeTheSecond_AndBothBeforeTheOperand(CodeMode mode, int cpl) => FaultBench.Each(mode, b =>
    {
        byte[] load = [0x8B, 0x07];
        uint user = cpl == 3 ? 4u : 0;
        uint operand = b.IsSegmented ? FaultBench.Data + (uint)(b.S->Registers[3] & 0xFFFF) : (uint)b.S->Registers[7];
        b.Write(FaultBench.Code + Page - 1, load);
        b.Map(operand, 0);
        b.RunAt(b.Start + Page - 1, 2).ExpectPageFault(user, operand, b.Start + Page - 1);
        b.Map(Second, 0);
        b.RunAt(b.Start + Page - 1, 2).ExpectPageFault(0x10 | user, Second, b.Start + Page - 1);
        b.Map(FaultBench.Code, 0);
        b.RunAt(b.Start + Page - 1, 2).ExpectPageFault(0x10 | user, FaultBench.Code + Page - 1, b.Start + Page - 1);
    }, cpl);

    /// <summary>
    /// UD0 and UD1 have a ModRM byte: where it cannot be fetched, that is the fault (SDM, "UD - Undefined Instruction"; only some older processors decode UD0 without one).
    /// UD2 has none.
    /// </summary>
    [Theory]
    [MemberData(nameof(Paged))]
    public void UndefinedInstruction_WhoseModRmIsAbsent_IsPf(CodeMode mode, int cpl) => FaultBench.Each(mode, b =>
    {
        uint error = 0x10 | (cpl == 3 ? 4u : 0);
        b.Map(Second, 0);
        b.Run([0x0F, 0xFF], Page - 2, halt: false).ExpectPageFault(error, Second, b.Start + Page - 2);
        b.Run([0x0F, 0xB9], Page - 2, halt: false).ExpectPageFault(error, Second, b.Start + Page - 2);
        b.Run([0x0F, 0x0B], Page - 2, halt: false).ExpectFault(Vector.InvalidOpcode, ip: b.Start + Page - 2);
        b.Run([0xF0, 0x90], Page - 2, halt: false).ExpectFault(Vector.InvalidOpcode, ip: b.Start + Page - 2);
    }, cpl);

    /// <summary>The prefetch queue goes on at 0 behind the last address, by whichever units it is filled.</summary>
    [Fact]
    public void FetchEvents_ThroughZero_FillTheQueue()
    {
        const ulong topPage = 0x10_0000; // FaultBench has it at the end of the address space.
        Span<ulong> units = stackalloc ulong[4];
        foreach (FetchProfile profile in FetchProfiles.All)
        {
            if (profile.Depth == 0)
                continue;
            using var b = new FaultBench(Long, Engine.Modelled, profile: profile);
            ModelledCpu agent = b.Machine.Agents[0];
            b.Write(topPage + 0xFFD, 0x90, 0x90, 0xB0);
            b.Write(0, 0x77, 0x90, 0x90, 0xF4);
            b.S->Rip = ulong.MaxValue - 2;
            for (int events = 0; events < 128 && agent.FetchCandidates(units) != 0; events++)
                Assert.True(agent.Fetch(units[0]), profile.Name);
            Assert.InRange(agent.Queue.Ready, 5, 128);
            for (int i = 0; i < 3; i++)
                Assert.True(agent.Execute(out bool retired) && retired, profile.Name);
            Assert.Equal((profile.Name, 1UL, 0x77UL), (profile.Name, b.S->Rip, b.S->Registers[0] & 0xFF));
        }
    }
}
