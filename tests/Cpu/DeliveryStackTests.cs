using Emu.Cpus;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

/// <summary>
/// Bad input: stacks on which an event cannot be delivered. What comes is the fault of the delivery, at the instruction, with EXT where the event was not the program's;
/// the first event is lost, or the two make #DF; a fault of that one's delivery shuts the CPU down.
/// </summary>
public sealed unsafe class DeliveryStackTests
{
    private const Vector Irq = (Vector)0x41;
    private const ulong Handler = 0x1_4000, Second = 0x1_2000;
    private const ushort Conforming = Free, Stack = Free + 8;

    /// <summary>
    /// At CPL 3 with an interrupt gate to CPL 0. The faults of the delivery are handled by conforming code, at CPL 3 on the program's own stack; in long mode on a stack of
    /// the interrupt stack table.
    /// </summary>
    private static TestCpu Open(bool longMode)
    {
        TestCpu t = longMode ? Long(3) : Protected(3);
        t.SetDescriptor(Conforming, Segment(ConformingType, 0));
        t.Write(Tss + 36, 8, 0x7000);
        foreach (Vector v in (Vector[])[Vector.InvalidTss, Vector.StackFault, Vector.GeneralProtection, Vector.SegmentNotPresent, Vector.PageFault, Vector.DoubleFault])
            t.SetVector((int)v, longMode ? Code0 : Conforming, Second + (ulong)v, stack: longMode ? 1 : 0);
        t.SetVector((int)Irq, Code0, Handler, dpl: 3);
        return t;
    }

    private static void Deliver(TestCpu t, bool software) =>
        Assert.True(EventDelivery.Deliver(t.S, Irq, software ? EventKind.SoftwareInterrupt : EventKind.ExternalInterrupt, returnRip: software ? 0x6002 : null));

    private static void Expect(TestCpu t, string name, Vector vector, uint code)
    {
        int size = t.S->LongModeActive ? 8 : 4;
        Assert.Equal((name, Second + (ulong)vector), (name, t.S->Rip));
        Assert.Equal((name, (ulong)code), (name, t.Read(t.Rsp, size)));
        ulong[] frame = t.Words(t.Rsp + (ulong)size, size, 3);
        Assert.Equal((name, 0x6000UL, (ulong)Code3, Rflags.Rf | 2), (name, frame[0], frame[1], frame[2]));
        if (size == 8)
            Assert.Equal([Stack3, Data3], t.Words(t.Rsp + 32, 8, 2));
        else
            Assert.Equal((Stack3 - 16UL, 3), (t.Rsp, t.S->Cpl));
    }

    /// <summary>SDM, "INT n", INTER-PRIVILEGE-LEVEL-INTERRUPT: what the SS of the TSS must be: "#TS(NewSS selector | EXT)", when not present "#SS".</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void StackSegmentOfTheTss_OfAnyKind_IsCheckedAsTheManualSays(bool software)
    {
        uint ext = software ? 0u : 1;
        for (int system = 0; system < 2; system++)
            for (int type = 0; type < 16; type++)
                for (int dpl = 0; dpl < 4; dpl++)
                    foreach (bool present in (bool[])[true, false])
                        for (ushort rpl = 0; rpl < 4; rpl++)
                        {
                            using TestCpu t = Open(longMode: false);
                            t.SetDescriptor(Stack, Segment(type, dpl, present: present) & ~(system == 1 ? 1UL << 44 : 0));
                            t.Write(Tss + 8, 2, (ushort)(Stack | rpl));
                            Deliver(t, software);
                            string name = $"system={system} type={type:x} dpl={dpl} p={present} rpl={rpl}";
                            bool right = system == 0 && (type & 8) == 0 && (type & 2) != 0 && dpl == 0 && rpl == 0;
                            if (!right)
                                Expect(t, name, Vector.InvalidTss, Stack + ext);
                            else if (!present)
                                Expect(t, name, Vector.StackFault, Stack + ext);
                            else if ((type & 4) == 0)
                                Assert.Equal((name, Handler, 0), (name, t.S->Rip, t.S->Cpl));
                            else
                                Expect(t, name, Vector.StackFault, Stack + ext); // Expand-down with the largest limit: nothing is valid.
                        }
    }

    [Theory]
    [InlineData(0x0000, 1U)] // null
    [InlineData(0x0003, 1U)]
    [InlineData(0x1000, 0x1001U)] // beyond the GDT
    [InlineData(0x00F8 | 4, 0xFDU)] // of the LDT, empty
    [InlineData(0x0104, 0x105U)] // beyond the LDT
    public void StackSelectorOfTheTss_ThatNamesNothing_IsTs(int selector, uint code)
    {
        using TestCpu t = Open(longMode: false);
        t.Write(Tss + 8, 2, (ulong)selector);
        Deliver(t, software: false);
        Expect(t, $"{selector:x}", Vector.InvalidTss, code);
    }

    /// <summary>The TSS ends in each byte of what is read: SS0 and ESP0, RSP0, an entry of the interrupt stack table; "#TS(current TSS selector | EXT)".</summary>
    [Theory]
    [InlineData(false, 0, 9)]
    [InlineData(true, 0, 11)]
    [InlineData(true, 2, 51)]
    public void TssThatIsTooShort_IsTs(bool longMode, int interruptStack, int last)
    {
        for (int limit = longMode ? 43 : 0; limit < 60; limit++)
        {
            if (longMode && interruptStack == 0)
                break;
            using TestCpu t = Open(longMode);
            t.Write(Tss + 44, 8, 0x7800);
            t.SetVector((int)Irq, Code0, Handler, dpl: 3, stack: interruptStack);
            t.S->Tr.Limit = (uint)limit;
            Deliver(t, software: true);
            if (limit >= last)
                Assert.Equal((limit, Handler), (limit, t.S->Rip));
            else
                Expect(t, $"limit {limit}", Vector.InvalidTss, TssSelector);
        }
        if (!longMode || interruptStack != 0)
            return;
        // RSP0 stands before the interrupt stack table: the fault's own stack is not there either, nor is #DF's.
        using TestCpu u = Open(longMode);
        u.S->Tr.Limit = (uint)last - 1;
        Assert.False(EventDelivery.Deliver(u.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal((Activity.Shutdown, 0x6000UL, 3), (u.S->Activity, u.S->Rip, u.S->Cpl));
    }

    /// <summary>The inner stack's segment ends below, or above, the frame of five doublewords: "#SS(NewSS | EXT)"; one that holds it exactly will do.</summary>
    [Theory]
    [InlineData(false, 0x13FU, 0x140U, true)]
    [InlineData(false, 0x13EU, 0x140U, false)]
    [InlineData(false, 0xFFFU, 0x14U, true)]
    [InlineData(false, 0xFFFU, 0x13U, false)] // would wrap
    [InlineData(false, 0xFFFU, 0x0U, false)]
    [InlineData(true, 0x12BU, 0x140U, true)] // expand-down: above 12B
    [InlineData(true, 0x12CU, 0x140U, false)]
    [InlineData(true, 0x100U, 0x0U, true)] // FFFFFFEC
    public void InnerStack_WithoutRoomInItsSegment_IsSs(bool expandDown, uint limit, uint pointer, bool fits)
    {
        using TestCpu t = Open(longMode: false);
        // Pages at 4 GiB are not there: the base brings them down to 20 0000.
        t.SetDescriptor(Stack, Segment(expandDown ? DataType | 4 : DataType, 0, 0x20_0000, limit, big: true, large: false));
        t.Write(Tss + 4, 4, pointer);
        t.Write(Tss + 8, 2, Stack);
        Deliver(t, software: false);
        if (!fits)
        {
            Expect(t, $"{limit:x} {pointer:x}", Vector.StackFault, Stack + 1);
            return;
        }
        Assert.Equal((Handler, (ulong)(pointer - 20)), (t.S->Rip, t.Rsp));
        Assert.Equal([0x6000, Code3, 2, Stack3, Data3], t.Words((0x20_0000 + pointer - 20) & 0xFFFF_FFFF, 4, 5));
    }

    /// <summary>The present stack, at CPL 0, ends within the frame: #SS(EXT), for which there is no room either, nor for #DF: shutdown, and nothing is written.</summary>
    [Fact]
    public void PresentStack_WithoutRoom_ShutsDown()
    {
        for (ulong room = 0; room < 12; room++)
        {
            using TestCpu t = Protected();
            foreach (Vector v in (Vector[])[Irq, Vector.StackFault, Vector.DoubleFault])
                t.SetVector((int)v, Code0, Handler);
            // Expand-down with limit 7FFF: offsets above it are valid.
            t.S->Ss.Limit = 0x7FFF;
            t.S->Ss.Attributes |= SegmentAttributes.ExpandDownOrConforming;
            CpuMode.Update(t.S);
            t.S->Registers[4] = 0x8000 + room;
            t.Write(0x7FF0, 8, 0x1122_3344_5566_7788);
            Assert.False(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
            Assert.Equal((Activity.Shutdown, 0x6000UL, 0x8000 + room), (t.S->Activity, t.S->Rip, t.Rsp));
            Assert.Equal(0x1122_3344_5566_7788UL, t.Read(0x7FF0, 8));
        }
        using TestCpu fits = Protected();
        fits.SetVector((int)Irq, Code0, Handler);
        fits.S->Ss.Limit = 0x7FFF;
        fits.S->Ss.Attributes |= SegmentAttributes.ExpandDownOrConforming;
        CpuMode.Update(fits.S);
        fits.S->Registers[4] = 0x800C;
        Assert.True(EventDelivery.Deliver(fits.S, Irq, EventKind.ExternalInterrupt));
        Assert.Equal((Handler, 0x8000UL), (fits.S->Rip, fits.Rsp));
    }

    /// <summary>64-bit mode: RSP0 or an entry of the table that is not canonical is #SS(EXT); with RSP0 the first pushed byte counts too.</summary>
    [Theory]
    [InlineData(0x0000_8000_0000_0000UL, false)]
    [InlineData(0xFFFF_7FFF_FFFF_FFFFUL, false)]
    [InlineData(0x4000_0000_0000_0000UL, false)]
    [InlineData(0xFFFF_8000_0000_0000UL, false)] // The frame would lie in the hole.
    [InlineData(0x0000_0000_0000_7400UL, true)]
    public void InnerStackOf64Bits_NotCanonical_IsSs(ulong pointer, bool fits)
    {
        foreach (int interruptStack in (int[])[0, 2])
        {
            using TestCpu t = Open(longMode: true);
            t.Write(Tss + (interruptStack == 0 ? 4u : 44), 8, pointer);
            t.SetVector((int)Irq, Code0, Handler, dpl: 3, stack: interruptStack);
            Deliver(t, software: false);
            if (fits)
                Assert.Equal((Handler, pointer - 40), (t.S->Rip, t.Rsp));
            else
                Expect(t, $"{pointer:x}", Vector.StackFault, 1);
        }
    }

    /// <summary>
    /// SDM Vol. 3A, "Double Fault Exception (#DF)": while #DF is delivered any fault of the contributory class or page fault shuts down. The state stays as it was at the instruction.
    /// </summary>
    [Theory]
    [InlineData("no IDT", false)]
    [InlineData("the gate is not present", false)]
    [InlineData("the gate is of a wrong type", false)]
    [InlineData("the handler's code is data", false)]
    [InlineData("the handler is beyond its limit", false)]
    [InlineData("no stack segment", false)]
    [InlineData("no IDT", true)]
    [InlineData("the gate is not present", true)]
    [InlineData("the gate is of a wrong type", true)]
    [InlineData("the handler's code is data", true)]
    [InlineData("the handler is beyond its limit", true)]
    [InlineData("the stack is absent", true)]
    [InlineData("the stack is not canonical", true)]
    [InlineData("the TSS is too short", true)]
    public void FaultOfTheDoubleFault_ShutsDown(string what, bool longMode)
    {
        foreach (int cpl in (int[])[0, 3])
        {
            if (cpl == 0 && what == "no stack segment")
                continue;
            using TestCpu t = longMode ? Long(cpl) : Protected(cpl);
            t.SetVector(8, Code0, Handler, stack: longMode ? 1 : 0);
            t.Write(Tss + 36, 8, 0x7000);
            switch (what)
            {
                case "no IDT": t.S->Idtr.Limit = 0; break;
                case "the gate is not present": t.SetVector(8, Code0, Handler, present: false); break;
                case "the gate is of a wrong type": t.SetVector(8, Code0, Handler, SystemType.CallGate32); break;
                case "the handler's code is data": t.SetVector(8, Data0, Handler); break;
                case "the handler is beyond its limit" when longMode: t.SetVector(8, Code0, 0x8000_0000_0000); break;
                case "the handler is beyond its limit":
                    t.SetDescriptor(Free, Segment(CodeType, 0, limit: 0xFFF, large: false));
                    t.SetVector(8, Free, Handler);
                    break;
                case "no stack segment": t.Write(Tss + 8, 2, 0); break;
                case "the stack is absent":
                    t.Write(Tss + 36, 8, 0x20_1000);
                    t.Write(PteOf(0x20_0000), 8, 0);
                    break;
                case "the stack is not canonical": t.Write(Tss + 36, 8, 0x8000_0000_0000); break;
                default: t.S->Tr.Limit = 40; break;
            }
            ulong rsp = t.Rsp;
            ushort cs = t.S->Cs.Selector;
            // #GP, whose gate is empty: #NP, and so #DF.
            Access.Raise(t.S, Vector.GeneralProtection, 0x50);
            Assert.False(EventDelivery.DeliverFault(t.S));
            Assert.Equal((what, Activity.Shutdown, 0x6000UL, rsp, cs, cpl), (what, t.S->Activity, t.S->Rip, t.Rsp, t.S->Cs.Selector, t.S->Cpl));
        }
    }

    /// <summary>#DF pushes 0, the CS:RIP of the instruction, and comes on its own stack.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 3)]
    [InlineData(true, 0)]
    [InlineData(true, 3)]
    public void DoubleFault_PushesZero_AndTheInstruction(bool longMode, int cpl)
    {
        using TestCpu t = longMode ? Long(cpl) : Protected(cpl);
        t.SetVector(8, Code0, Handler, stack: longMode ? 1 : 0);
        t.Write(Tss + 36, 8, 0x7000);
        Access.Raise(t.S, Vector.GeneralProtection, 0x50);
        Assert.True(EventDelivery.DeliverFault(t.S));
        int size = longMode ? 8 : 4;
        Assert.Equal([0, 0x6000, cpl == 0 ? Code0 : (ulong)Code3], t.Words(t.Rsp, size, 3));
        Assert.Equal((Handler, 0), (t.S->Rip, t.S->Cpl));
        if (longMode)
            Assert.Equal(0x7000UL - 48, t.Rsp);
    }
}
