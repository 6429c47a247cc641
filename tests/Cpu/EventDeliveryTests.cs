using Emu.Cpus;
using Emu.Fetch;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

/// <summary>Frames compared word by word, lowest address first: as the handler finds them.</summary>
public sealed unsafe class EventDeliveryTests
{
    private const ulong Handler = 0x0012_3456;
    private const Vector Irq = (Vector)0x41;

    [Fact]
    public void RealMode_PushesFlagsCsIp_AndClearsIf()
    {
        using TestCpu t = new();
        Flags.Set(t.S, Rflags.If | Rflags.Tf | Rflags.Cf | Rflags.IoplMask);
        t.S->Registers[4] = 0x8000;
        t.S->Cs.Selector = 0x0100;
        t.S->Rip = 0x1111;
        t.Write(0x41 * 4, 4, 0x2000_3333);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal([0x1111, 0x0100, 0x3303], t.Words(0x7FFA, 2, 3));
        Assert.Equal((0x7FFAUL, 0x3333UL, 0x2_0000UL), (t.Rsp, t.S->Rip, t.S->Cs.Base));
        Assert.Equal(Rflags.Cf | Rflags.IoplMask | 2, Flags.Get(t.S));
    }

    [Fact]
    public void RealMode_HasNoErrorCodes_AndWrapsSpWithin64K()
    {
        using TestCpu t = new();
        t.S->Registers[4] = 0xFFFF_0002;
        t.S->Rip = 0x1111;
        t.Write(13 * 4, 4, 0x2000_3333);
        Access.Raise(t.S, Vector.GeneralProtection, 0x123);
        Assert.True(EventDelivery.DeliverFault(t.S));
        Assert.Equal(0xFFFF_FFFCUL, t.Rsp);
        Assert.Equal([0x1111, 0xF000], t.Words(0xFFFC, 2, 2));
        Assert.Equal(2UL, t.Read(0, 2));
    }

    [Fact]
    public void RealMode_VectorBeyondTheIdt_EndsInADoubleFault_ThenShutdown()
    {
        using TestCpu t = new();
        t.S->Registers[4] = 0x8000;
        t.S->Idtr.Limit = 0x40 * 4 - 1;
        t.Write(13 * 4, 4, 0x2000_3333);
        t.Write(8 * 4, 4, 0x2000_4444);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal(0x3333UL, t.S->Rip);

        t.S->Idtr.Limit = 9 * 4 - 1;
        Access.Raise(t.S, Vector.GeneralProtection);
        Assert.True(EventDelivery.DeliverFault(t.S));
        Assert.Equal(0x4444UL, t.S->Rip);

        t.S->Idtr.Limit = 3;
        Assert.False(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal(Activity.Shutdown, t.S->Activity);
    }

    [Theory]
    [InlineData(SystemType.InterruptGate32, 4, false)]
    [InlineData(SystemType.TrapGate32, 4, true)]
    [InlineData(SystemType.InterruptGate16, 2, false)]
    [InlineData(SystemType.TrapGate16, 2, true)]
    public void ProtectedMode_SamePrivilege_PushesThreeWordsOfTheGatesSize(int type, int size, bool keepsIf)
    {
        using TestCpu t = Protected();
        Flags.Set(t.S, Rflags.If | Rflags.Nt | Rflags.Tf | Rflags.Ac);
        t.SetVector(0x41, Code0, Handler, type);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        ulong flags = Rflags.If | Rflags.Nt | Rflags.Tf | Rflags.Ac | 2;
        Assert.Equal([0x6000, Code0, size == 2 ? flags & 0xFFFF : flags], t.Words(Stack0 - 3 * (ulong)size, size, 3));
        Assert.Equal(Stack0 - 3 * (ulong)size, t.Rsp);
        Assert.Equal(size == 2 ? Handler & 0xFFFF : Handler, t.S->Rip);
        Assert.Equal(Rflags.Ac | 2 | (keepsIf ? Rflags.If : 0), Flags.Get(t.S));
    }

    [Fact]
    public void ProtectedMode_FromUser_SwitchesTheStackAndPushesTheErrorCode()
    {
        using TestCpu t = Protected(cpl: 3);
        Flags.Set(t.S, Rflags.If);
        t.SetVector(14, Code0, Handler);
        Access.Raise(t.S, Vector.PageFault, 6, 0xDEAD_B000);
        Assert.True(EventDelivery.DeliverFault(t.S));
        // RF is set in the pushed image of a fault.
        Assert.Equal([6, 0x6000, Code3, Rflags.If | Rflags.Rf | 2, Stack3, Data3], t.Words(Stack0 - 24, 4, 6));
        Assert.Equal((0, Code0, Data0, (ulong)Stack0 - 24), (t.S->Cpl, t.S->Cs.Selector, t.S->Ss.Selector, t.Rsp));
        Assert.Equal((0xDEAD_B000UL, Handler), (t.S->Paging.Cr2, t.S->Rip));
        Assert.Equal(2UL, Flags.Get(t.S));
        Assert.Equal(0U, t.S->ModeKey & ModeKey.User);
    }

    [Fact]
    public void ProtectedMode_ConformingHandler_StaysAtCpl3()
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Segment(ConformingType, 0));
        t.SetVector(0x41, Free, Handler);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal((3, (ulong)Stack3 - 12), (t.S->Cpl, t.Rsp));
    }

    [Theory]
    [InlineData(EventKind.SoftwareInterrupt, 3, true)]
    [InlineData(EventKind.SoftwareInterrupt, 0, false)]
    [InlineData(EventKind.SoftwareException, 0, false)]
    [InlineData(EventKind.PrivilegedSoftwareException, 0, true)]
    [InlineData(EventKind.ExternalInterrupt, 0, true)]
    [InlineData(EventKind.Fault, 0, true)]
    public void GateDpl_CountsForSoftwareEventsOnly(EventKind kind, int dpl, bool reached)
    {
        foreach (bool longMode in new[] { false, true })
        {
            using TestCpu t = longMode ? Long(cpl: 3) : Protected(cpl: 3);
            t.SetVector(3, Code0, Handler, dpl: dpl);
            t.SetVector(13, Code0, 0x1_3000);
            Assert.True(EventDelivery.Deliver(t.S, Vector.Breakpoint, kind, returnRip: 0x6001));
            int size = longMode ? 8 : 4;
            if (reached)
            {
                Assert.Equal(Handler, t.S->Rip);
                Assert.Equal(0x6001UL, t.Read(t.Rsp, size));
                continue;
            }
            // #GP at the instruction itself; the code names the vector, without EXT.
            Assert.Equal(0x1_3000UL, t.S->Rip);
            Assert.Equal([3 * 8 + 2, 0x6000], t.Words(t.Rsp, size, 2));
        }
    }

    /// <summary>SDM, "INT n", PROTECTED-MODE and IA-32e: what is wrong with gate or target, for an event that is external, so that EXT is set.</summary>
    [Theory]
    [InlineData(SystemType.InterruptGate32, false, Code0, Vector.SegmentNotPresent, 0x41U * 8 + 3)]
    [InlineData(SystemType.CallGate32, true, Code0, Vector.GeneralProtection, 0x41U * 8 + 3)]
    [InlineData(SystemType.InterruptGate32, true, (ushort)0, Vector.GeneralProtection, 1U)]
    [InlineData(SystemType.InterruptGate32, true, Data0, Vector.GeneralProtection, Data0 + 1U)]
    [InlineData(SystemType.InterruptGate32, true, Code3, Vector.GeneralProtection, (Code3 & ~3U) + 1)]
    [InlineData(SystemType.InterruptGate32, true, (ushort)0x1000, Vector.GeneralProtection, 0x1001U)]
    [InlineData(SystemType.InterruptGate32, true, Free, Vector.SegmentNotPresent, Free + 1U)]
    public void BadGate_IsReportedWithTheSelectorAtFault(int type, bool present, ushort selector, Vector vector, uint code)
    {
        foreach (bool longMode in new[] { false, true })
        {
            using TestCpu t = longMode ? Long() : Protected();
            t.SetDescriptor(Free, Segment(CodeType, 0, present: false, big: !longMode, isLong: longMode));
            t.SetVector(0x41, selector, Handler, type, present: present);
            t.SetVector((int)vector, Code0, 0x1_3000);
            Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
            int size = longMode ? 8 : 4;
            Assert.Equal([code, 0x6000], t.Words(t.Rsp, size, 2));
            Assert.Equal(0x1_3000UL, t.S->Rip);
        }
    }

    [Fact]
    public void VectorBeyondTheIdt_IsGpWithVectorIdtAndExt()
    {
        using TestCpu t = Protected();
        t.S->Idtr.Limit = 0x41 * 8 + 6;
        t.SetVector(0x41, Code0, Handler);
        t.SetVector(13, Code0, 0x1_3000);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal(0x41UL * 8 + 3, t.Read(t.Rsp, 4));
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.SoftwareInterrupt, returnRip: 0x1_3002));
        Assert.Equal(0x41UL * 8 + 2, t.Read(t.Rsp, 4));
    }

    [Fact]
    public void LongMode_Gates_MustLeadTo64BitCode()
    {
        using TestCpu t = Long();
        t.SetDescriptor(Free, Segment(CodeType, 0));
        t.SetVector(0x41, Free, Handler);
        t.SetVector(13, Code0, 0x1_3000);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal(Free + 1UL, t.Read(t.Rsp, 8));
        t.SetVector(0x41, Code0, Handler, SystemType.InterruptGate16);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal(0x41UL * 8 + 3, t.Read(t.Rsp, 8));
    }

    [Fact]
    public void LongMode_SamePrivilege_AlignsTheStackAndPushesSsRsp()
    {
        using TestCpu t = Long();
        t.S->Registers[4] = 0x8FFB;
        Flags.Set(t.S, Rflags.If | Rflags.Zf);
        t.SetVector(0x41, Code0, 0xFFFF_FFFF_8000_1000, SystemType.TrapGate32);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal([0x6000, Code0, Rflags.If | Rflags.Zf | 2, 0x8FFB, Data0], t.Words(0x8FF0 - 40, 8, 5));
        Assert.Equal((0x8FF0UL - 40, 0xFFFF_FFFF_8000_1000, Data0), (t.Rsp, t.S->Rip, t.S->Ss.Selector));
        Assert.Equal(Rflags.If | Rflags.Zf | 2, Flags.Get(t.S));
    }

    [Fact]
    public void LongMode_FromUser_LoadsANullSs_AndPushesTheErrorCode()
    {
        using TestCpu t = Long(cpl: 3);
        t.SetVector(13, Code0, Handler);
        Access.Raise(t.S, Vector.GeneralProtection, 0x18);
        Assert.True(EventDelivery.DeliverFault(t.S));
        Assert.Equal([0x18, 0x6000, Code3, Rflags.Rf | 2, Stack3, Data3], t.Words(Stack0 - 48, 8, 6));
        Assert.Equal((0, (ushort)0, (ulong)Stack0 - 48), (t.S->Cpl, t.S->Ss.Selector, t.Rsp));
    }

    [Fact]
    public void LongMode_FromCompatibilityMode_PushesQuadwords()
    {
        using TestCpu t = Long(cpl: 3);
        t.SetDescriptor(Free, Segment(CodeType, 3));
        Assert.True(FarTransfer.Jump(t.S, Free | 3, 0x7000, 4));
        t.S->Registers[4] = 0xFFFF_FFFF_0000_9FF8;
        t.SetVector(0x41, Code0, Handler);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal([0x7000, Free | 3, 2, 0x9FF8, Data3], t.Words(Stack0 - 40, 8, 5));
        Assert.True(t.S->Is64Bit);
    }

    /// <summary>SDM, "64-Bit Mode Stack Frame": SS:RSP is pushed always, as a quadword; a stack of 16 bits, which compatibility mode may have, does not cut it.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(0)]
    public void LongMode_FromA16BitStackOfCompatibilityMode_PushesAllOfRsp(int cpl)
    {
        const ushort stack = Free + 8;
        using TestCpu t = Long(cpl);
        t.SetDescriptor(Free, Segment(CodeType, cpl));
        t.SetDescriptor(stack, Segment(DataType, cpl, big: false));
        Assert.True(FarTransfer.Jump(t.S, (ushort)(Free | cpl), 0x7000, 4));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ss, (ushort)(stack | cpl)));
        CpuMode.Update(t.S);
        t.S->Registers[4] = 0x12_9FF8;
        t.SetVector(0x41, Code0, Handler);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        // Without a change of privilege the frame lies on that stack, at its whole address too.
        ulong top = cpl == 3 ? Stack0 : 0x12_9FF0UL;
        Assert.Equal([0x7000, (ulong)(Free | cpl), 2, 0x12_9FF8, (ulong)(stack | cpl)], t.Words(top - 40, 8, 5));
        Assert.Equal(top - 40, t.Rsp);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void LongMode_InterruptStackTable_IsUsedFromEveryLevel(int cpl)
    {
        using TestCpu t = Long(cpl);
        t.Write(Tss + 36, 8, 0x7008);
        t.Write(Tss + 84, 8, 0x7800);
        t.SetVector(2, Code0, Handler, stack: 1);
        t.SetVector(8, Code0, Handler, stack: 7);
        Assert.True(EventDelivery.Deliver(t.S, Vector.Nmi, EventKind.Nmi));
        Assert.Equal(0x7000UL - 40, t.Rsp);
        Assert.Equal(1, t.S->NmiBlocked);
        Assert.True(EventDelivery.Deliver(t.S, Vector.DoubleFault, EventKind.Fault, 0));
        Assert.Equal(0x7800UL - 48, t.Rsp);
    }

    [Fact]
    public void LongMode_NonCanonicalHandlerOrStack_Faults()
    {
        using TestCpu t = Long(cpl: 3);
        t.SetVector(0x41, Code0, 0x8000_0000_0000);
        t.SetVector(13, Code0, 0x1_3000);
        t.SetVector(12, Code0, 0x1_2000, stack: 1);
        t.Write(Tss + 36, 8, 0x7000);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal((0x1_3000UL, 1UL), (t.S->Rip, t.Read(t.Rsp, 8)));

        t.SetLevel(3, longMode: true);
        t.SetVector(0x41, Code0, Handler);
        t.Write(Tss + 4, 8, 0x8000_0000_0000);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal((0x1_2000UL, 1UL), (t.S->Rip, t.Read(t.Rsp, 8)));
    }

    [Fact]
    public void Virtual8086_InterruptToRing0_PushesAllSegmentsAndClearsThem()
    {
        using TestCpu t = Virtual8086();
        t.SetVector(0x41, Code0, Handler);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal([0x6000, 0x0100, Rflags.Vm | Rflags.If | 2, 0x800, 0x0900, 0x0E00, 0x0D00, 0x0F00, 0x0A00], t.Words(Stack0 - 36, 4, 9));
        Assert.Equal((0, false, (ulong)Stack0 - 36), (t.S->Cpl, t.S->Virtual8086, t.Rsp));
        Assert.Equal((0, 0, 0, 0), (t.S->Ds.Usable, t.S->Es.Usable, t.S->Fs.Usable, t.S->Gs.Usable));
        Assert.Equal(0U, t.S->ModeKey & ModeKey.Real);
    }

    [Fact]
    public void Virtual8086_HandlerMustRunAtCpl0()
    {
        using TestCpu t = Virtual8086();
        t.SetVector(0x41, Code3, Handler);
        t.SetVector(13, Code0, 0x1_3000);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal((Code3 & ~3UL) + 1, t.Read(t.Rsp, 4));
    }

    [Theory]
    [InlineData(EventKind.SoftwareInterrupt, 0, false)]
    [InlineData(EventKind.SoftwareInterrupt, 3, true)]
    [InlineData(EventKind.SoftwareException, 0, true)]
    public void Virtual8086_IntN_WantsIopl3_AndInt3DoesNot(EventKind kind, int iopl, bool reached)
    {
        using TestCpu t = Virtual8086();
        Flags.Set(t.S, Rflags.Vm | (ulong)iopl << 12);
        t.SetVector(3, Code0, Handler, dpl: 3);
        t.SetVector(13, Code0, 0x1_3000);
        Assert.True(EventDelivery.Deliver(t.S, Vector.Breakpoint, kind, returnRip: 0x6002));
        Assert.Equal(reached ? Handler : 0x1_3000UL, t.S->Rip);
        if (!reached)
            Assert.Equal([0UL, 0x6000], t.Words(t.Rsp, 4, 2));
    }

    /// <summary>A handler at CPL 3 whose frame is misaligned: #AC while #AC is delivered, for ever; the host must not wait for it.</summary>
    [Fact]
    public void AlignmentCheck_WhoseFrameIsMisaligned_IsRaisedAgainByTheInstruction()
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetVector((int)Vector.AlignmentCheck, Code3, Handler);
        t.S->Paging.Cr0 |= ControlBits.Cr0Am;
        Flags.Set(t.S, Rflags.Ac);
        CpuMode.Update(t.S);
        t.S->Registers[4] = Stack3 - 1;
        ulong rip = t.S->Rip;
        Assert.True(EventDelivery.Deliver(t.S, Vector.AlignmentCheck, EventKind.Fault, 0));
        Assert.Equal((rip, Stack3 - 1UL, 3), (t.S->Rip, t.Rsp, t.S->Cpl));
    }

    /// <summary>SDM, table "Conditions for Generating a Double Fault": a first event whose gate is not present, so that #NP is the second.</summary>
    [Theory]
    [InlineData(Vector.DivideError, EventKind.Fault, Vector.DoubleFault)]
    [InlineData(Vector.InvalidTss, EventKind.Fault, Vector.DoubleFault)]
    [InlineData(Vector.StackFault, EventKind.Fault, Vector.DoubleFault)]
    [InlineData(Vector.GeneralProtection, EventKind.Fault, Vector.DoubleFault)]
    [InlineData(Vector.PageFault, EventKind.Fault, Vector.DoubleFault)]
    [InlineData(Vector.InvalidOpcode, EventKind.Fault, Vector.SegmentNotPresent)]
    [InlineData(Vector.Debug, EventKind.Trap, Vector.SegmentNotPresent)]
    [InlineData(Vector.Breakpoint, EventKind.SoftwareException, Vector.SegmentNotPresent)]
    [InlineData(Vector.Nmi, EventKind.Nmi, Vector.SegmentNotPresent)]
    [InlineData(Vector.GeneralProtection, EventKind.SoftwareInterrupt, Vector.SegmentNotPresent)]
    [InlineData(Vector.PageFault, EventKind.ExternalInterrupt, Vector.SegmentNotPresent)]
    public void SecondFault_OfContributoryClass_DependsOnTheFirst(Vector first, EventKind kind, Vector expected)
    {
        using TestCpu t = Protected();
        t.SetVector((int)first, Code0, Handler, present: false, dpl: 3);
        t.SetVector(8, Code0, 0x1_0008);
        t.SetVector(11, Code0, 0x1_000B);
        Assert.True(EventDelivery.Deliver(t.S, first, kind, kind == EventKind.Fault && EventDelivery.HasErrorCode(first) ? 0x55 : null));
        Assert.Equal(0x1_0000UL + (ulong)expected, t.S->Rip);
        uint ext = kind is EventKind.SoftwareException or EventKind.SoftwareInterrupt ? 0U : 1U;
        Assert.Equal(expected == Vector.DoubleFault ? 0UL : (ulong)first * 8 + 2 + ext, t.Read(t.Rsp, 4));
    }

    [Theory]
    [InlineData(Vector.GeneralProtection, Vector.PageFault)]
    [InlineData(Vector.PageFault, Vector.DoubleFault)]
    [InlineData(Vector.InvalidOpcode, Vector.PageFault)]
    public void SecondFault_OfPageFaultClass_DependsOnTheFirst(Vector first, Vector expected)
    {
        using TestCpu t = Long();
        // The first handler runs on an unmapped stack.
        t.Write(Tss + 36, 8, 0x20_1000);
        t.Write(PteOf(0x20_0000), 8, 0);
        t.SetVector((int)first, Code0, Handler, stack: 1);
        t.SetVector(8, Code0, 0x1_0008);
        if (first != Vector.PageFault)
            t.SetVector(14, Code0, 0x1_000E);
        Access.Raise(t.S, first, 0, 0x1234);
        Assert.True(EventDelivery.DeliverFault(t.S));
        Assert.Equal(0x1_0000UL + (ulong)expected, t.S->Rip);
        // The second page fault has overwritten CR2, delivered or not.
        Assert.Equal(0x20_0FE0UL & ~0xFFFUL, t.S->Paging.Cr2 & ~0xFFFUL);
        Assert.Equal(expected == Vector.PageFault ? 2UL : 0, t.Read(t.Rsp, 8));
        Assert.Equal(0x6000UL, t.Read(t.Rsp + 8, 8));
    }

    [Fact]
    public void FaultInTheDoubleFaultHandlersGate_ShutsDown()
    {
        using TestCpu t = Protected(cpl: 3);
        Access.Raise(t.S, Vector.GeneralProtection);
        Assert.False(EventDelivery.DeliverFault(t.S));
        Assert.Equal(Activity.Shutdown, t.S->Activity);
        // Nothing was committed: the state shows where it happened.
        Assert.Equal((3, 0x6000UL, (ulong)Stack3, Code3), (t.S->Cpl, t.S->Rip, t.Rsp, t.S->Cs.Selector));
    }

    [Fact]
    public void PageFaultWhilePushing_OnAnInnerStack_IsASupervisorsAndCommitsNothing()
    {
        using TestCpu t = Long(cpl: 3);
        // The frame straddles into an unmapped page; the #PF handler has a stack of its own.
        t.Write(Tss + 4, 8, 0x20_1010);
        t.Write(PteOf(0x20_0000), 8, 0);
        t.Write(0x20_1000, 8, 0x5A5A);
        t.Write(Tss + 36, 8, 0x7800);
        t.SetVector(0x41, Code0, Handler);
        t.SetVector(14, Code0, 0x1_000E, stack: 1);
        Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal([2, 0x6000, Code3, Rflags.Rf | 2, Stack3, Data3], t.Words(0x7800 - 48, 8, 6));
        Assert.Equal(0x5A5AUL, t.Read(0x20_1000, 8));
    }

    /// <summary>
    /// The frame is pushed value by value, from the top: the page fault of an absent stack names the first value's address, not the frame's lowest byte (SDM,
    /// "Page-Fault Exception (#PF)": "the processor loads the CR2 register with the 32-bit linear address that generated the exception").
    /// </summary>
    [Theory]
    [InlineData(true, 0x20_0800U)]
    [InlineData(false, 0x20_0800U)]
    [InlineData(true, 0x20_1000U)]
    [InlineData(false, 0x20_1000U)]
    public void PageFaultWhilePushing_OnAnAbsentInnerStack_NamesTheFirstValue(bool byCallGate, uint top)
    {
        using TestCpu t = Long(cpl: 3);
        t.Write(Tss + 4, 8, top);
        t.Write(PteOf(0x20_0000), 8, 0);
        t.Write(Tss + 36, 8, 0x7800);
        t.SetVector(0x41, Code0, Handler);
        t.SetVector(14, Code0, 0x1_000E, stack: 1);
        t.SetDescriptor(Free, Gate(Code0, (uint)Handler, SystemType.CallGate32, 3));
        t.SetDescriptor(Free + 8, 0);
        if (byCallGate)
        {
            Assert.False(FarTransfer.Call(t.S, Free | 3, 0, 8, 0x6002));
            Assert.True(EventDelivery.DeliverFault(t.S));
        }
        else
        {
            Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
        }
        Assert.Equal((top - 8UL, 2UL), (t.S->Paging.Cr2, t.Read(0x7800 - 48, 8)));
    }

    [Fact]
    public void Delivery_EndsHaltAndShadow_AndClearsGdOnDebug()
    {
        using TestCpu t = Protected();
        t.SetVector(1, Code0, Handler);
        t.S->Activity = Activity.Halted;
        t.S->InterruptShadow = 1;
        t.S->Dr7 |= DebugRegisters.Dr7GeneralDetect;
        Assert.True(EventDelivery.Deliver(t.S, Vector.Debug, EventKind.Trap));
        Assert.Equal((Activity.Active, 0, DebugRegisters.Dr7Reserved), (t.S->Activity, t.S->InterruptShadow, t.S->Dr7));
        // A trap does not set RF.
        Assert.Equal(2UL, t.Read(t.Rsp + 8, 4));
    }

    [Theory]
    [InlineData(EventKind.SoftwareException, Vector.Breakpoint, true, false, 1)]
    [InlineData(EventKind.SoftwareException, Vector.Breakpoint, false, true, 0)]
    [InlineData(EventKind.ExternalInterrupt, Irq, false, true, 1)]
    [InlineData(EventKind.ExternalInterrupt, Irq, true, false, 0)]
    [InlineData(EventKind.Fault, Vector.InvalidOpcode, true, true, 0)]
    public void Delivery_SerialisesAsTheProfileSays(EventKind kind, Vector vector, bool breakpoint, bool interrupt, int times)
    {
        FetchProfile profile = FetchProfiles.P6 with { BreakpointSerialises = breakpoint, InterruptSerialises = interrupt };
        using TestCpu t = Protected(profile: profile);
        t.SetVector((int)vector, Code0, Handler);
        t.TakeSerialised();
        Assert.True(EventDelivery.Deliver(t.S, vector, kind));
        Assert.Equal(times, t.TakeSerialised());
    }
}
