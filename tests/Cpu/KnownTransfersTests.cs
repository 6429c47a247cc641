using Emu.Cpus;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

/// <summary>
/// A CPU that has gone through a gate and back before is compared with one that has not: whatever changes in between, both must do the same.
/// </summary>
public sealed unsafe class KnownTransfersTests
{
    private const ulong Handler = 0x0012_3456;
    private const Vector Irq = (Vector)0x41;
    private const uint Page = 0x1000;

    [Fact]
    public void Event_ThroughTheSameGateAgain_IsKnown()
    {
        using TestCpu t = Primed();
        Assert.True(t.Cpu.Known->TryDeliver(t.S, new CpuEvent(Irq, EventKind.ExternalInterrupt, null, 0x6000)));
        Assert.Equal((Handler, Stack0 - 40UL), (t.S->Rip, t.Rsp));
        Assert.True(t.Cpu.Known->TryReturn(t.S, Rflags.If));
        Assert.Equal((0x6000UL, (ulong)Stack0), (t.S->Rip, t.Rsp));
    }

    [Fact]
    public void Event_OfACpuThatKnowsNothing_IsNotKnown()
    {
        using TestCpu t = Long();
        // Tables of zeros, as the memory of a CPU that has noted nothing.
        t.Write(Idt + 16 * 0x41, 8, 0);
        Assert.True(Access.Load(t.S, Idt + 16 * 0x41, 8, Emu.Memory.AccessKind.Implicit, out _) && Access.Load(t.S, Gdt, 8, Emu.Memory.AccessKind.Implicit, out _)
            && Access.Store(t.S, Stack0 - 48, 8, Emu.Memory.AccessKind.Stack, 0));
        Assert.False(t.Cpu.Known->TryDeliver(t.S, new CpuEvent(Irq, EventKind.ExternalInterrupt, null, 0x6000)));
        t.S->Registers[4] = Stack0 - 48;
        Assert.False(t.Cpu.Known->TryReturn(t.S, Rflags.If));
    }

    /// <summary>The change comes between the first time and the second, and stays what it is for both CPUs.</summary>
    [Theory]
    [MemberData(nameof(Changes))]
    public void Transfer_AfterAChange_IsThatOfACpuThatKnowsNothing(string change)
    {
        Compare(t => s_changes[change](t), deliver: true);
        Compare(t => s_changes[change](t), deliver: false);
    }

    [Theory]
    [InlineData(Idt + 16 * 0x41)]
    [InlineData(Idt + 16 * 0x41 + 8)]
    [InlineData(Gdt + Code0)]
    [InlineData(Gdt + Data0)]
    [InlineData(Stack0 - 40)]
    [InlineData(Stack0 - 32)]
    [InlineData(Stack0 - 24)]
    [InlineData(Stack0 - 16)]
    [InlineData(Stack0 - 8)]
    public void Transfer_AfterAnyBitOfADescriptorOrOfTheFrameChanged_IsThatOfACpuThatKnowsNothing(uint at)
    {
        for (int bit = 0; bit < 64; bit++)
        {
            Compare(t => t.Write(at, 8, t.Read(at, 8) ^ 1UL << bit), deliver: true);
            Compare(t => t.Write(at, 8, t.Read(at, 8) ^ 1UL << bit), deliver: false);
        }
    }

    private static readonly Dictionary<string, Action<TestCpu>> s_changes = new()
    {
        ["nothing"] = _ => { },
        ["another handler"] = t => t.SetVector(0x41, Code0, 0x7777),
        ["trap gate"] = t => t.SetVector(0x41, Code0, Handler, SystemType.TrapGate32),
        ["gate not present"] = t => t.SetVector(0x41, Code0, Handler, present: false),
        ["gate with a stack of its own"] = t => t.SetVector(0x41, Code0, Handler, stack: 1),
        ["handler not canonical"] = t => t.SetVector(0x41, Code0, 0x8000_0000_0000),
        ["code not present"] = t => t.SetDescriptor(Code0, Segment(CodeType, 0, present: false, big: false, isLong: true)),
        ["code of level 3"] = t => t.SetDescriptor(Code0, Segment(CodeType, 3, big: false, isLong: true)),
        ["code of 32 bits"] = t => t.SetDescriptor(Code0, Segment(CodeType, 0)),
        ["code not accessed"] = t => t.SetDescriptor(Code0, Segment(CodeType & ~1, 0, big: false, isLong: true)),
        ["stack read-only"] = t => t.SetDescriptor(Data0, Segment(ReadOnlyType, 0)),
        ["IDT too short"] = t => t.S->Idtr.Limit = 16 * 0x41 + 14,
        ["IDT elsewhere"] = t => t.S->Idtr.Base = 0x5000,
        ["GDT too short"] = t => t.S->Gdtr.Limit = Code0 + 6,
        ["GDT without the stack"] = t => t.S->Gdtr.Limit = Data0 + 6,
        ["GDT elsewhere"] = t => t.S->Gdtr.Base = 0x5000,
        ["at level 1"] = t => t.S->Cpl = 1,
        ["at level 3"] = t => t.SetLevel(3, longMode: true),
        ["stack odd"] = t => t.S->Registers[4] -= 3,
        ["stack across pages"] = t => t.S->Registers[4] = Stack0 - Page + 16,
        ["stack not canonical"] = t => t.S->Registers[4] = 0x8000_0000_0000,
        ["stack page not present"] = t => Remap(t, Stack0 - Page, 0),
        ["stack page read-only"] = t => Remap(t, Stack0 - Page, 5),
        ["IDT page not present"] = t => Remap(t, Idt, 0),
        ["GDT page not present"] = t => Remap(t, Gdt, 0),
        ["NT"] = t => t.S->SystemFlags |= Rflags.Nt,
        ["AC with SMAP"] = t =>
        {
            t.S->Paging.Cr4 |= ControlBits.Cr4Smap;
            CpuMode.Update(t.S);
        },
        ["popped RIP not canonical"] = t => t.Write(Stack0 - 40, 8, 0x8000_0000_0000),
        ["popped CS null"] = t => t.Write(Stack0 - 32, 8, 0),
        ["popped CS of level 3"] = t => t.Write(Stack0 - 32, 8, Code3),
        ["popped SS null"] = t => t.Write(Stack0 - 8, 8, 0),
        ["popped SS of level 3"] = t => t.Write(Stack0 - 8, 8, Data3),
    };

    public static TheoryData<string> Changes => [.. s_changes.Keys];

    /// <summary>A CPU that has been through the gate and back, twice.</summary>
    private static TestCpu Primed()
    {
        TestCpu t = Ready();
        for (int i = 0; i < 2; i++)
        {
            Assert.True(EventDelivery.Deliver(t.S, Irq, EventKind.ExternalInterrupt));
            Assert.True(Iret.Execute(t.S, 8));
        }
        return t;
    }

    private static TestCpu Ready()
    {
        TestCpu t = Long();
        t.SetVector(0x41, Code0, Handler);
        // No other gate is present: a fault on the way ends in shutdown, and the last one is compared.
        Flags.Set(t.S, Rflags.If | Rflags.Ac | Rflags.Cf);
        return t;
    }

    private static void Compare(Action<TestCpu> change, bool deliver)
    {
        using TestCpu known = Primed(), fresh = Ready();
        foreach (TestCpu t in (TestCpu[])[known, fresh])
        {
            // The same frame for both, and the same flags; what is waiting to be done lies where the first event put it.
            ulong[] frame = [0x6000, Code0, Rflags.If | Rflags.Zf | Rflags.Of, Stack0, Data0];
            for (int i = 0; i < 5; i++)
                t.Write(Stack0 - 40 + 8 * (ulong)i, 8, frame[i]);
            Flags.Set(t.S, Rflags.If | Rflags.Ac | Rflags.Cf);
            t.S->Registers[4] = deliver ? Stack0 : Stack0 - 40;
            t.S->Rip = 0x6000;
            t.SetDescriptor(0, 0);
            change(t);
            t.TakeSerialised();
        }
        Assert.Equal(Outcome(fresh, deliver), Outcome(known, deliver));
    }

    private static string Outcome(TestCpu t, bool deliver)
    {
        CpuState* s = t.S;
        s->Fault = default;
        bool done = deliver ? EventDelivery.Deliver(s, Irq, EventKind.ExternalInterrupt, null, 0x6001) : Iret.Execute(s, 8);
        string frame = string.Join(' ', t.Words(Stack0 - 56, 8, 7).Concat(t.Words(Stack0 - Page - 40, 8, 10)).Select(w => $"{w:x}"));
        return $"{done} {s->Fault.Vector} {s->Fault.ErrorCode:x} {s->Fault.LinearAddress:x} {s->Activity} rip {s->Rip:x} rsp {t.Rsp:x} flags {Flags.Get(s):x} "
            + $"cs {Describe(s->Cs)} ss {Describe(s->Ss)} ds {Describe(s->Ds)} cpl {s->Cpl} mode {s->ModeKey:x} tlb {s->Tlb - s->Tlbs} cr2 {s->Paging.Cr2:x} "
            + $"gdt {t.GetDescriptor(Code0):x} {t.GetDescriptor(Data0):x} serialised {t.TakeSerialised()} frame {frame}";
    }

    private static string Describe(SegmentRegister r) => $"{r.Selector:x}:{r.Base:x}:{r.Limit:x}:{r.Attributes:x}:{r.Usable}";

    private static void Remap(TestCpu t, uint linear, uint flags)
    {
        t.Write(PteOf(linear), 8, linear | flags);
        CpuMode.FlushTlb(t.S, keepGlobal: false);
    }
}
