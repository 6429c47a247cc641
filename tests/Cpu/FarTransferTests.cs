using Emu.Cpus;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

public sealed unsafe class FarTransferTests
{
    [Fact]
    public void Jump_InRealMode_LoadsSelectorTimes16()
    {
        using TestCpu t = new();
        Assert.True(FarTransfer.Jump(t.S, 0x1234, 0xABCD, 2));
        Assert.Equal((0x1_2340UL, 0xABCDUL, (ushort)0x1234), (t.S->Cs.Base, t.S->Rip, t.S->Cs.Selector));
        Assert.False(FarTransfer.Jump(t.S, 0x1000, 0x1_0000, 4));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
    }

    /// <summary>SDM, "JMP": code segments named by the instruction.</summary>
    [Theory]
    [InlineData(0, 0, CodeType, 0, true, null)]
    [InlineData(0, 3, CodeType, 0, true, Vector.GeneralProtection)]
    [InlineData(0, 0, CodeType, 3, true, Vector.GeneralProtection)]
    [InlineData(3, 3, CodeType, 0, true, Vector.GeneralProtection)]
    [InlineData(3, 0, CodeType, 3, true, null)]
    [InlineData(3, 3, ConformingType, 0, true, null)]
    [InlineData(0, 0, ConformingType, 3, true, Vector.GeneralProtection)]
    [InlineData(0, 0, DataType, 0, true, Vector.GeneralProtection)]
    [InlineData(0, 0, CodeType, 0, false, Vector.SegmentNotPresent)]
    public void Jump_ToACodeSegment_ChecksPrivilege(int cpl, int rpl, int type, int dpl, bool present, Vector? fault)
    {
        using TestCpu t = Protected(cpl);
        t.SetDescriptor(Free, Segment(type, dpl, present: present));
        bool ok = FarTransfer.Jump(t.S, (ushort)(Free | rpl), 0x1234, 4);
        Assert.Equal(fault == null, ok);
        if (ok)
        {
            // CPL does not change, and is the selector's RPL whatever was asked for.
            Assert.Equal((ushort)(Free | cpl), t.S->Cs.Selector);
            Assert.Equal((cpl, 0x1234UL), (t.S->Cpl, t.S->Rip));
            return;
        }
        Assert.Equal((fault!.Value, (uint)Free), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal(0x6000UL, t.S->Rip);
    }

    [Fact]
    public void Jump_WithANullSelectorOrBeyondTheLimit_IsGp0()
    {
        using TestCpu t = Protected();
        Assert.False(FarTransfer.Jump(t.S, 3, 0, 4));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        t.SetDescriptor(Free, Segment(CodeType, 0, limit: 0xFF, large: false));
        Assert.True(FarTransfer.Jump(t.S, Free, 0xFF, 4));
        Assert.False(FarTransfer.Jump(t.S, Free, 0x100, 4));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Fact]
    public void Jump_InLongMode_ChangesBetweenCompatibilityAnd64BitMode()
    {
        using TestCpu t = Long();
        t.SetDescriptor(Free, Segment(CodeType, 0));
        Assert.True(FarTransfer.Jump(t.S, Free, 0x7000, 4));
        Assert.False(t.S->Is64Bit);
        Assert.Equal(1U, t.S->ModeKey & ModeKey.CodeSizeMask);
        Assert.True(FarTransfer.Jump(t.S, Code0, 0x7100, 4));
        Assert.True(t.S->Is64Bit);
        Assert.Equal(2U, t.S->ModeKey & ModeKey.CodeSizeMask);
        // L and D at once are reserved.
        t.SetDescriptor(Free, Segment(CodeType, 0, isLong: true));
        Assert.False(FarTransfer.Jump(t.S, Free, 0x7000, 4));
        Assert.Equal((Vector.GeneralProtection, (uint)Free), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Call_ToACodeSegment_PushesCsAndTheReturnAddress(int size)
    {
        using TestCpu t = Protected();
        Assert.True(FarTransfer.Call(t.S, Code0, 0x1234, size, returnRip: 0x6007));
        Assert.Equal(Stack0 - 2 * (ulong)size, t.Rsp);
        Assert.Equal([0x6007UL, Code0], t.Words(t.Rsp, size, 2));
        Assert.Equal(0x1234UL, t.S->Rip);
        Assert.True(FarReturn.Execute(t.S, size, 0));
        Assert.Equal((0x6007UL, (ulong)Stack0), (t.S->Rip, t.Rsp));
    }

    [Fact]
    public void Call_WithoutRoomOnTheStack_IsSs0AndChangesNothing()
    {
        using TestCpu t = Protected();
        t.S->Ss.Limit = Stack0 - 5;
        Assert.False(FarTransfer.Call(t.S, Code0, 0x1234, 4, 0x6007));
        Assert.Equal((Vector.StackFault, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal((0x6000UL, (ulong)Stack0), (t.S->Rip, t.Rsp));
    }

    [Fact]
    public void Call_ThroughAGateOf32Bits_SwitchesTheStackAndCopiesParameters()
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Gate(Code0, 0x0012_3456, SystemType.CallGate32, 3, count: 3));
        for (uint i = 0; i < 3; i++)
            t.Write(Stack3 + 4 * i, 4, 0xA0 + i);
        Assert.True(FarTransfer.Call(t.S, Free | 3, 0xDEAD, 4, returnRip: 0x6007));

        Assert.Equal((0, 0x0012_3456UL, Code0), (t.S->Cpl, t.S->Rip, t.S->Cs.Selector));
        Assert.Equal((Data0, (ulong)Stack0 - 28), (t.S->Ss.Selector, t.Rsp));
        Assert.Equal([0x6007, Code3, 0xA0, 0xA1, 0xA2, Stack3, Data3], t.Words(t.Rsp, 4, 7));

        // And back, dropping the parameters from both stacks.
        Assert.True(FarReturn.Execute(t.S, 4, 12));
        Assert.Equal((3, 0x6007UL, Code3), (t.S->Cpl, t.S->Rip, t.S->Cs.Selector));
        Assert.Equal((Data3, (ulong)Stack3 + 12), (t.S->Ss.Selector, t.Rsp));
    }

    [Fact]
    public void Call_ThroughAGateOf16Bits_UsesWords()
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Gate(Code0, 0xFFFF_3456, SystemType.CallGate16, 3, count: 1));
        t.Write(Stack3, 2, 0xBEEF);
        Assert.True(FarTransfer.Call(t.S, Free | 3, 0, 4, returnRip: 0x6007));
        Assert.Equal(0x3456UL, t.S->Rip);
        Assert.Equal([0x6007, Code3, 0xBEEF, Stack3, Data3], t.Words(t.Rsp, 2, 5));
    }

    [Fact]
    public void Call_WithA16BitTss_TakesTheStackFromIt()
    {
        using TestCpu t = Protected(cpl: 3);
        t.S->Tr.Attributes = SegmentAttributes.Present | SystemType.BusyTss16;
        t.Write(Tss + 2, 2, 0x8800);
        t.Write(Tss + 4, 2, Data0);
        t.SetDescriptor(Free, Gate(Code0, 0x3456, SystemType.CallGate32, 3));
        Assert.True(FarTransfer.Call(t.S, Free | 3, 0, 4, 0x6007));
        Assert.Equal(0x8800UL - 16, t.Rsp);
    }

    [Fact]
    public void Call_ThroughAGateToConformingCode_StaysAtItsLevel()
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free + 8, Segment(ConformingType, 0));
        t.SetDescriptor(Free, Gate(Free + 8, 0x3456, SystemType.CallGate32, 3, count: 2));
        Assert.True(FarTransfer.Call(t.S, Free | 3, 0, 4, 0x6007));
        Assert.Equal((3, (ulong)Stack3 - 8, (ushort)(Free + 8 | 3)), (t.S->Cpl, t.Rsp, t.S->Cs.Selector));
    }

    [Fact]
    public void Call_ThroughA64BitGate_PushesSsRspCsRip()
    {
        using TestCpu t = Long(cpl: 3);
        t.SetDescriptor(Free, Gate(Code0, 0x8012_3456, SystemType.CallGate32, 3, count: 5));
        t.Write(Gdt + Free + 8, 8, 0xFFFF_FFFF);
        Assert.True(FarTransfer.Call(t.S, Free | 3, 0, 8, returnRip: 0x6007));
        Assert.Equal((0, 0xFFFF_FFFF_8012_3456UL), (t.S->Cpl, t.S->Rip));
        // No parameters, and a null SS with the new level.
        Assert.Equal((ushort)0, t.S->Ss.Selector);
        Assert.Equal([0x6007, Code3, Stack3, Data3], t.Words(Stack0 - 32, 8, 4));
        Assert.True(FarReturn.Execute(t.S, 8, 0));
        Assert.Equal((3, 0x6007UL, (ulong)Stack3, Data3), (t.S->Cpl, t.S->Rip, t.Rsp, t.S->Ss.Selector));
    }

    [Fact]
    public void Call_ThroughA64BitGate_ToCodeThatIsNot_IsGp()
    {
        using TestCpu t = Long(cpl: 3);
        t.SetDescriptor(0x60, Segment(CodeType, 0));
        t.SetDescriptor(Free, Gate(0x60, 0x3456, SystemType.CallGate32, 3));
        t.Write(Gdt + Free + 8, 8, 0);
        Assert.False(FarTransfer.Call(t.S, Free | 3, 0, 8, 0x6007));
        Assert.Equal((Vector.GeneralProtection, 0x60U), (t.Fault.Vector, t.Fault.ErrorCode));
        // A type in the upper half of the gate.
        t.SetDescriptor(Free, Gate(Code0, 0x3456, SystemType.CallGate32, 3));
        t.Write(Gdt + Free + 8, 8, 1UL << 40);
        Assert.False(FarTransfer.Call(t.S, Free | 3, 0, 8, 0x6007));
        Assert.Equal((Vector.GeneralProtection, (uint)Free), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    /// <summary>SDM, "CALL", CALL-GATE: what is wrong with the gate or with what it names.</summary>
    [Theory]
    [InlineData(2, true, Code0, Vector.GeneralProtection, (uint)Free)]
    [InlineData(3, false, Code0, Vector.SegmentNotPresent, (uint)Free)]
    [InlineData(3, true, (ushort)0, Vector.GeneralProtection, 0U)]
    [InlineData(3, true, Data0, Vector.GeneralProtection, (uint)Data0)]
    [InlineData(3, true, (ushort)0x1000, Vector.GeneralProtection, 0x1000U)]
    public void Call_ThroughABadGate_FaultsWithItsSelectorOrTheTargets(int dpl, bool present, ushort target, Vector vector, uint code)
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Gate(target, 0x3456, SystemType.CallGate32, dpl, present: present));
        Assert.False(FarTransfer.Call(t.S, Free | 3, 0, 4, 0x6007));
        Assert.Equal((vector, code), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal((3, 0x6000UL, (ulong)Stack3), (t.S->Cpl, t.S->Rip, t.Rsp));
    }

    /// <summary>SDM, "CALL", MORE-PRIVILEGE: what is wrong with the stack in the TSS.</summary>
    [Theory]
    [InlineData((ushort)0, DataType, 0, true, Vector.InvalidTss, 0U)]
    [InlineData((ushort)(Free + 8 | 3), DataType, 0, true, Vector.InvalidTss, (uint)Free + 8)]
    [InlineData((ushort)(Free + 8), DataType, 3, true, Vector.InvalidTss, (uint)Free + 8)]
    [InlineData((ushort)(Free + 8), ReadOnlyType, 0, true, Vector.InvalidTss, (uint)Free + 8)]
    [InlineData((ushort)(Free + 8), CodeType, 0, true, Vector.InvalidTss, (uint)Free + 8)]
    [InlineData((ushort)(Free + 8), DataType, 0, false, Vector.StackFault, (uint)Free + 8)]
    [InlineData((ushort)0x1000, DataType, 0, true, Vector.InvalidTss, 0x1000U)]
    public void Call_ToAnInnerLevel_ChecksTheStackOfTheTss(ushort ss, int type, int dpl, bool present, Vector vector, uint code)
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Gate(Code0, 0x3456, SystemType.CallGate32, 3));
        t.SetDescriptor(Free + 8, Segment(type, dpl, present: present));
        t.Write(Tss + 8, 2, ss);
        Assert.False(FarTransfer.Call(t.S, Free | 3, 0, 4, 0x6007));
        Assert.Equal((vector, code), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal((3, 0x6000UL, (ulong)Stack3), (t.S->Cpl, t.S->Rip, t.Rsp));
    }

    [Fact]
    public void Call_ToAnInnerLevel_WithAShortTss_IsTsWithItsSelector()
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Gate(Code0, 0x3456, SystemType.CallGate32, 3));
        t.S->Tr.Limit = 8;
        Assert.False(FarTransfer.Call(t.S, Free | 3, 0, 4, 0x6007));
        Assert.Equal((Vector.InvalidTss, (uint)TssSelector), (t.Fault.Vector, t.Fault.ErrorCode));
        t.S->Tr.Limit = 9;
        Assert.True(FarTransfer.Call(t.S, Free | 3, 0, 4, 0x6007));
    }

    [Fact]
    public void Call_ToAnInnerStackWithoutRoom_IsSsWithItsSelector()
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Gate(Code0, 0x3456, SystemType.CallGate32, 3));
        t.SetDescriptor(Free + 8, Segment(DataType, 0, limit: Stack0 - 8, large: false));
        t.Write(Tss + 8, 2, Free + 8);
        Assert.False(FarTransfer.Call(t.S, Free | 3, 0, 4, 0x6007));
        Assert.Equal((Vector.StackFault, (uint)Free + 8), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Fact]
    public void Return_ToAnOuterLevel_DropsSegmentsThatItMayNotUse()
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Free, Segment(ConformingType, 0));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Es, Free));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Fs, Data3));
        PushReturnFrame(t, Code3, Data3);
        Assert.True(FarReturn.Execute(t.S, 4, 0));
        Assert.Equal(0, t.S->Ds.Usable);
        Assert.Equal((ushort)0, t.S->Ds.Selector);
        // Conforming code and data of level 3 stay.
        Assert.Equal((1, 1), (t.S->Es.Usable, t.S->Fs.Usable));
    }

    /// <summary>SDM, "RET": the code segment that stands on the stack.</summary>
    [Theory]
    [InlineData(3, Code0, CodeType, 0, true, Vector.GeneralProtection, (uint)Code0)]
    [InlineData(0, (ushort)0, CodeType, 0, true, Vector.GeneralProtection, 0U)]
    [InlineData(0, (ushort)0x1000, CodeType, 0, true, Vector.GeneralProtection, 0x1000U)]
    [InlineData(0, Data0, CodeType, 0, true, Vector.GeneralProtection, (uint)Data0)]
    [InlineData(0, Free, CodeType, 3, true, Vector.GeneralProtection, (uint)Free)]
    [InlineData(0, Free, ConformingType, 3, true, Vector.GeneralProtection, (uint)Free)]
    [InlineData(0, Free, CodeType, 0, false, Vector.SegmentNotPresent, (uint)Free)]
    public void Return_ToABadCodeSegment_Faults(int cpl, ushort cs, int type, int dpl, bool present, Vector vector, uint code)
    {
        using TestCpu t = Protected(cpl);
        t.SetDescriptor(Free, Segment(type, dpl, present: present));
        PushReturnFrame(t, cs, Data3);
        Assert.False(FarReturn.Execute(t.S, 4, 0));
        Assert.Equal((vector, code), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Theory]
    [InlineData((ushort)0, Vector.GeneralProtection, 0U)]
    [InlineData((ushort)(Data3 & ~3), Vector.GeneralProtection, Data3 & ~3U)]
    [InlineData((ushort)(Data0 | 3), Vector.GeneralProtection, (uint)Data0)]
    public void Return_ToAnOuterLevel_ChecksTheStack(ushort ss, Vector vector, uint code)
    {
        using TestCpu t = Protected();
        PushReturnFrame(t, Code3, ss);
        Assert.False(FarReturn.Execute(t.S, 4, 0));
        Assert.Equal((vector, code), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal((0, (ulong)Stack0 - 16), (t.S->Cpl, t.Rsp));
    }

    private static void PushReturnFrame(TestCpu t, ushort cs, ushort ss)
    {
        ulong at = t.Rsp - 16;
        t.Write(at, 4, 0x6100);
        t.Write(at + 4, 4, cs);
        t.Write(at + 8, 4, Stack3);
        t.Write(at + 12, 4, ss);
        t.S->Registers[4] = at;
    }
}
