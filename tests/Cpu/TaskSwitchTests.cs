using Emu.Cpus;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

/// <summary>Hardware task switches: what is saved, loaded and marked, and every check with its error code, in the task in which it is due.</summary>
public sealed unsafe class TaskSwitchTests
{
    private const ushort Task = Free, Gate = Free + 8, NewLdt = Free + 0x10, Scratch = Free + 0x18;
    private const uint NewTss = 0x5000, Entry = 0x7000, Next = 0x6005, NewStack = 0xC000;
    private const ulong Busy = 1UL << 41;

    /// <summary>A task at CPL 0 (or another code segment's) whose registers hold 11, 22, and so on; TSS of 32 or 16 bits.</summary>
    private static TestCpu WithTask(bool wide = true, ushort code = Code0, ushort data = Data0, int cpl = 0, int gateDpl = 0)
    {
        TestCpu t = Protected(cpl);
        t.SetDescriptor(Task, SystemSegment(wide ? SystemType.AvailableTss32 : SystemType.AvailableTss16, NewTss, wide ? 0x67U : 0x2B, gateDpl));
        t.SetDescriptor(Gate, TestCpu.Gate(Task, 0, SystemType.TaskGate, gateDpl));
        t.SetDescriptor(NewLdt, SystemSegment(SystemType.Ldt, Ldt, 0xFF));
        uint size = wide ? 4U : 2, at = NewTss + (wide ? 0x20U : 0x0E);
        t.Write(at, (int)size, Entry);
        t.Write(at + size, (int)size, 0x202);
        for (uint i = 0; i < 8; i++)
            t.Write(at + size * (2 + i), (int)size, i == 4 ? NewStack : 0x11 * (i + 1));
        ushort[] selectors = [data, code, data, data, 0, 0];
        for (uint i = 0; i < (wide ? 6 : 4); i++)
            t.Write(at + size * (10 + i), (int)size, selectors[i]);
        t.S->Registers[0] = 0xAAAA_5555;
        return t;
    }

    private static bool Jump(TestCpu t, ushort selector = Task) => FarTransfer.Jump(t.S, selector, 0, 4, Next);

    private static bool Call(TestCpu t, ushort selector = Task) => FarTransfer.Call(t.S, selector, 0, 4, Next);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Jump_SavesTheOldTask_LoadsTheNew_AndMovesTheBusyFlag(bool wide)
    {
        using TestCpu t = WithTask(wide);
        Flags.Set(t.S, Rflags.If | Rflags.Cf | 2);
        Assert.True(Jump(t));
        Assert.Equal((Entry, NewStack), (t.S->Rip, t.Rsp & 0xFFFF));
        ulong upper = wide ? 0 : 0xFFFF_0000UL;
        Assert.Equal((0x11UL | upper, 0x22UL | upper), (t.S->Registers[0], t.S->Registers[1]));
        Assert.Equal(0x202UL, Flags.Get(t.S));
        Assert.Equal((Code0, Data0, Task), (t.S->Cs.Selector, t.S->Ds.Selector, t.S->Tr.Selector));
        Assert.Equal((0, 1), (t.S->Fs.Usable, t.S->Ds.Usable));
        Assert.NotEqual(0UL, t.S->Paging.Cr0 & ControlBits.Cr0Ts);
        // The old TSS is of 32 bits: EIP, EFLAGS, EAX, ES.
        Assert.Equal((Next, 0x203UL, 0xAAAA_5555UL, (ulong)Data0), (t.Read(Tss + 0x20, 4), t.Read(Tss + 0x24, 4), t.Read(Tss + 0x28, 4), t.Read(Tss + 0x48, 2)));
        Assert.Equal((0UL, Busy), (t.GetDescriptor(TssSelector) & Busy, t.GetDescriptor(Task) & Busy));
        Assert.Equal(0UL, t.Read(NewTss, 2));
    }

    [Fact]
    public void CallAndIret_NestTasks()
    {
        using TestCpu t = WithTask();
        Assert.True(Call(t, Gate));
        Assert.Equal(TssSelector, t.Read(NewTss, 2));
        Assert.NotEqual(0UL, t.S->SystemFlags & Rflags.Nt);
        Assert.Equal((Busy, Busy), (t.GetDescriptor(TssSelector) & Busy, t.GetDescriptor(Task) & Busy));
        t.S->Registers[0] = 77;
        Assert.True(Iret.Execute(t.S, 4, 0x7001));
        Assert.Equal((Next, 0xAAAA_5555UL), (t.S->Rip, t.S->Registers[0]));
        Assert.Equal(TssSelector, t.S->Tr.Selector);
        Assert.Equal((Busy, 0UL), (t.GetDescriptor(TssSelector) & Busy, t.GetDescriptor(Task) & Busy));
        // What was left goes on behind its IRET, with NT clear.
        Assert.Equal((0x7001UL, 0x202UL, 77UL), (t.Read(NewTss + 0x20, 4), t.Read(NewTss + 0x24, 4), t.Read(NewTss + 0x28, 4)));
    }

    [Fact]
    public void Event_ThroughATaskGate_PushesItsErrorCodeOnTheNewStack()
    {
        using TestCpu t = WithTask();
        t.SetVector(13, Task, 0, SystemType.TaskGate);
        Assert.True(EventDelivery.Deliver(t.S, Vector.GeneralProtection, EventKind.Fault, 0x1234));
        Assert.Equal((Entry, NewStack - 4, 0x1234UL), (t.S->Rip, t.Rsp, t.Read(NewStack - 4, 4)));
        Assert.Equal(TssSelector, t.Read(NewTss, 2));
        // A fault: EIP of the instruction, RF in the image.
        Assert.Equal((0x6000UL, Rflags.Rf | 2), (t.Read(Tss + 0x20, 4), t.Read(Tss + 0x24, 4)));
    }

    [Fact]
    public void NewTask_AtAnotherPrivilege_OrInVirtual8086Mode_WithItsOwnLdt()
    {
        using TestCpu t = WithTask(code: Code3, data: Data3);
        t.Write(NewTss + 0x60, 2, NewLdt);
        Assert.True(Jump(t));
        Assert.Equal((3, NewLdt, 0xFFU), (t.S->Cpl, t.S->Ldtr.Selector, t.S->Ldtr.Limit));

        using TestCpu v = WithTask(code: 0x1234);
        v.Write(NewTss + 0x24, 4, 0x2_0202);
        Assert.True(Jump(v));
        Assert.True(v.S->Virtual8086);
        Assert.Equal((3, 0x12340UL, 0xFFFFU), (v.S->Cpl, v.S->Cs.Base, v.S->Cs.Limit));
    }

    [Fact]
    public void TFlag_TrapsBeforeTheFirstInstruction_AndLocalBreakpointsGo()
    {
        using TestCpu t = WithTask();
        t.Write(NewTss + 0x64, 2, 1);
        t.S->Dr7 |= 3;
        DebugRegisters.Arm(t.S);
        Assert.True(Jump(t));
        Assert.Equal(2UL, t.S->Dr7 & 0xFF);
        Assert.Equal(DebugRegisters.Dr6TaskSwitch, t.S->PendingDebug);
        t.SetVector(1, Code0, 0x8000);
        Assert.True(DebugRegisters.BreaksBefore(t.S, t.S->Rip));
        Assert.Equal((0x8000UL, (ulong)Entry), (t.S->Rip, t.Read(t.Rsp, 4)));
        Assert.NotEqual(0UL, t.S->Dr6 & DebugRegisters.Dr6TaskSwitch);
    }

    public static TheoryData<string, int, int> OldTaskFaults => new()
    {
        { "busy", (int)Vector.GeneralProtection, Task },
        { "privilege", (int)Vector.GeneralProtection, Task },
        { "not present", (int)Vector.SegmentNotPresent, Task },
        { "limit", (int)Vector.InvalidTss, Task },
        { "old limit", (int)Vector.InvalidTss, TssSelector },
        { "gate not present", (int)Vector.SegmentNotPresent, Gate },
        { "gate to a local TSS", (int)Vector.GeneralProtection, Task | 4 },
        { "gate to no TSS", (int)Vector.GeneralProtection, Data0 },
        { "gate beyond the GDT", (int)Vector.GeneralProtection, 0x200 },
    };

    /// <summary>What is wrong before the switch is a fault of the old task, and nothing has changed.</summary>
    [Theory]
    [MemberData(nameof(OldTaskFaults))]
    public void WrongTarget_FaultsInTheOldTask(string what, int vector, int code)
    {
        using TestCpu t = WithTask(cpl: what == "privilege" ? 3 : 0);
        ushort target = Task;
        switch (what)
        {
            case "busy":
                t.SetDescriptor(Task, t.GetDescriptor(Task) | Busy);
                break;
            case "not present":
                t.SetDescriptor(Task, t.GetDescriptor(Task) & ~(1UL << 47));
                break;
            case "limit":
                t.SetDescriptor(Task, SystemSegment(SystemType.AvailableTss32, NewTss, 0x66));
                break;
            case "old limit":
                t.S->Tr.Limit = 0x66;
                break;
            case "gate not present":
                t.SetDescriptor(target = Gate, TestCpu.Gate(Task, 0, SystemType.TaskGate, 0, present: false));
                break;
            case "gate to a local TSS":
                t.SetDescriptor(target = Gate, TestCpu.Gate(Task | 4, 0, SystemType.TaskGate, 0));
                break;
            case "gate to no TSS":
                t.SetDescriptor(target = Gate, TestCpu.Gate(Data0, 0, SystemType.TaskGate, 0));
                break;
            case "gate beyond the GDT":
                t.SetDescriptor(target = Gate, TestCpu.Gate(0x200, 0, SystemType.TaskGate, 0));
                break;
        }
        byte[] memory = new byte[0x8000];
        Assert.True(t.Memory.TryRead(0, memory));
        Assert.False(what == "busy" ? Call(t, target) : Jump(t, target));
        Assert.Equal(((Vector)vector, (uint)code), (t.Fault.Vector, t.Fault.ErrorCode));
        byte[] after = new byte[0x8000];
        Assert.True(t.Memory.TryRead(0, after));
        Assert.Equal(memory, after);
        Assert.Equal((0x6000UL, TssSelector), (t.S->Rip, t.S->Tr.Selector));
    }

    public static TheoryData<string, int, int> NewTaskFaults => new()
    {
        { "LDT no LDT", (int)Vector.InvalidTss, Data0 },
        { "LDT not present", (int)Vector.InvalidTss, NewLdt },
        { "LDT local", (int)Vector.InvalidTss, NewLdt | 4 },
        { "CS null", (int)Vector.InvalidTss, 0 },
        { "CS no code", (int)Vector.InvalidTss, Data0 },
        { "CS DPL", (int)Vector.InvalidTss, Code3 & ~3 },
        { "CS not present", (int)Vector.SegmentNotPresent, Scratch },
        { "SS null", (int)Vector.InvalidTss, 0 },
        { "SS read-only", (int)Vector.InvalidTss, Scratch },
        { "SS DPL", (int)Vector.InvalidTss, Data3 & ~3 },
        { "SS not present", (int)Vector.StackFault, Scratch },
        { "DS beyond the GDT", (int)Vector.InvalidTss, 0x200 },
        { "DS execute-only", (int)Vector.InvalidTss, Scratch },
        { "DS not present", (int)Vector.SegmentNotPresent, Scratch },
        { "EIP", (int)Vector.GeneralProtection, 0 },
    };

    /// <summary>What is wrong in the new task's image is a fault of the new task: the handler sees its EIP, and TR is its TSS.</summary>
    [Theory]
    [MemberData(nameof(NewTaskFaults))]
    public void WrongImage_FaultsInTheNewTask(string what, int vector, int code)
    {
        using TestCpu t = WithTask();
        string part = what.Split(' ')[0];
        uint field = NewTss + part switch { "LDT" => 0x60U, "CS" => 0x4C, "SS" => 0x50, "DS" => 0x54, _ => 0x20 };
        ulong segment = what switch
        {
            "CS not present" => Segment(CodeType, 0, present: false),
            "SS read-only" => Segment(ReadOnlyType, 0),
            "SS not present" or "DS not present" => Segment(DataType, 0, present: false),
            _ => Segment(ExecuteOnlyType, 0),
        };
        t.SetDescriptor(Scratch, segment);
        if (what == "LDT not present")
            t.SetDescriptor(NewLdt, SystemSegment(SystemType.Ldt, Ldt, 0xFF, present: false));
        t.Write(field, 2, what == "CS DPL" ? Code3 & ~3UL : (ulong)code);
        if (what == "EIP")
        {
            t.SetDescriptor(Scratch, Segment(CodeType, 0, limit: 0x6FFF, large: false));
            t.Write(NewTss + 0x4C, 2, Scratch);
            t.Write(field, 4, Entry);
        }
        // The handler is a task of its own, for the new one's stack may be what is wrong.
        const ushort handler = Free + 0x20;
        const uint handlerTss = 0x5800;
        t.SetDescriptor(handler, SystemSegment(SystemType.AvailableTss32, handlerTss, 0x67));
        t.Write(handlerTss + 0x20, 4, 0x8000);
        t.Write(handlerTss + 0x38, 4, 0xD000);
        t.Write(handlerTss + 0x4C, 2, Code0);
        t.Write(handlerTss + 0x50, 2, Data0);
        t.SetVector(vector, handler, 0, SystemType.TaskGate);
        Assert.True(Jump(t));
        Assert.Equal((0x8000UL, handler), (t.S->Rip, t.S->Tr.Selector));
        Assert.Equal((uint)code, t.Read(0xD000 - 4, 4));
        Assert.Equal(Task, t.Read(handlerTss, 2));
        Assert.Equal(Entry, t.Read(NewTss + 0x20, 4));
        Assert.Equal(0UL, t.GetDescriptor(TssSelector) & Busy);
    }

    [Theory]
    [InlineData("available", Task)]
    [InlineData("local", Task | 4)]
    [InlineData("beyond the GDT", 0x200)]
    public void Iret_ToAWrongLink_IsInvalidTss(string what, int link)
    {
        using TestCpu t = WithTask();
        t.Write(Tss, 2, (ulong)link);
        Flags.Set(t.S, Rflags.Nt | 2);
        Assert.False(Iret.Execute(t.S, 4, Next), what);
        Assert.Equal((Vector.InvalidTss, (uint)link), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.NotEqual(0UL, t.S->SystemFlags & Rflags.Nt);
    }

    [Fact]
    public void DoubleFault_ThroughATaskGate_SavesAnotherDoubleFault()
    {
        using TestCpu t = WithTask();
        // #GP cannot be delivered, the task of #DF can.
        t.S->Idtr.Limit = 8 * 8 + 7;
        t.SetVector(8, Task, 0, SystemType.TaskGate);
        Assert.True(EventDelivery.Deliver(t.S, Vector.GeneralProtection, EventKind.Fault, 0));
        Assert.Equal((Entry, NewStack - 4, 0UL), (t.S->Rip, t.Rsp, t.Read(NewStack - 4, 4)));
    }
}
