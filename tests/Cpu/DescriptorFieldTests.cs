using Emu.Cpus;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

/// <summary>
/// Bad input: descriptors with every value of type, S, DPL, P, and of L with D, selectors with every RPL, tables that end in each byte of a descriptor. What must come of it
/// is written down here once more, from the manual's pseudocode; a fault leaves registers and tables alone. tools/differ/Privileged has the like on Bochs and QEMU.
/// </summary>
public sealed unsafe class DescriptorFieldTests
{
    private const ushort Target = Free;
    private const int Code = 8, ConformingOrDown = 4, Flag = 2;

    private static TestCpu Open(bool longMode, int cpl) => longMode ? Long(cpl) : Protected(cpl);

    /// <summary>All descriptors of code and data, and of the system, by the fields that are checked.</summary>
    private static IEnumerable<(bool System, int Type, int Dpl, bool Present)> Fields()
    {
        foreach (bool system in (bool[])[false, true])
            for (int type = 0; type < 16; type++)
                for (int dpl = 0; dpl < 4; dpl++)
                    foreach (bool present in (bool[])[true, false])
                        yield return (system, type, dpl, present);
    }

    private static ulong Make(bool system, int type, int dpl, bool present, bool isLong = false, bool big = false) =>
        Segment(type, dpl, 0x5000, 0xFFF, present, big, large: false, isLong) & ~(system ? 1UL << 44 : 0);

    /// <summary>Segment registers, stack pointer, RIP, CPL and the GDT.</summary>
    private static string Image(TestCpu t)
    {
        SegmentRegister* r = &t.S->Es;
        var parts = new List<string> { $"{t.S->Rip:x} {t.Rsp:x} {t.S->Cpl} {t.S->ModeKey:x} {Flags.Get(t.S):x}" };
        for (int i = 0; i < 8; i++)
            parts.Add($"{r[i].Selector:x} {r[i].Base:x} {r[i].Limit:x} {r[i].Attributes:x} {r[i].Usable}");
        parts.AddRange(t.Words(Gdt, 8, 32).Select(w => w.ToString("x")));
        return string.Join(' ', parts);
    }

    private static void Expect(TestCpu t, string name, bool ok, string before, (Vector Vector, uint Code)? fault)
    {
        Assert.Equal((name, fault == null), (name, ok));
        if (fault is not { } f)
            return;
        Assert.Equal((name, f.Vector, f.Code), (name, t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal(before, Image(t));
    }

    /// <summary>SDM, "MOV - Move", the loading of segment registers.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 3)]
    [InlineData(true, 0)]
    [InlineData(true, 3)]
    public void SegmentRegister_AnyDescriptor_IsCheckedAsTheManualSays(bool longMode, int cpl)
    {
        using TestCpu t = Open(longMode, cpl);
        int refused = 0;
        foreach ((bool system, int type, int dpl, bool present) in Fields())
            for (ushort rpl = 0; rpl < 4; rpl++)
                foreach (SegmentIndex segment in (SegmentIndex[])[SegmentIndex.Es, SegmentIndex.Ss, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs])
                {
                    t.SetLevel(cpl, longMode);
                    t.SetDescriptor(Target, Make(system, type, dpl, present));
                    (Vector, uint)? fault;
                    if (segment == SegmentIndex.Ss)
                    {
                        // "IF segment selector's RPL != CPL or segment is not a writable data segment or DPL != CPL THEN #GP(selector)"; "not present: #SS(selector)".
                        bool writable = !system && (type & Code) == 0 && (type & Flag) != 0;
                        fault = rpl != cpl || !writable || dpl != cpl ? (Vector.GeneralProtection, Target) : present ? null : (Vector.StackFault, Target);
                    }
                    else
                    {
                        // "IF segment is not a data or readable code segment or ((segment is a data or nonconforming code segment) and ((RPL > DPL) or (CPL > DPL))) THEN #GP(selector)".
                        bool readable = !system && ((type & Code) == 0 || (type & Flag) != 0);
                        bool conforming = (type & Code) != 0 && (type & ConformingOrDown) != 0;
                        fault = !readable || (!conforming && (rpl > dpl || cpl > dpl)) ? (Vector.GeneralProtection, Target) : present ? null : (Vector.SegmentNotPresent, Target);
                    }
                    string before = Image(t);
                    bool ok = SegmentLoad.Load(t.S, segment, (ushort)(Target | rpl));
                    refused += ok ? 0 : 1;
                    Expect(t, $"{segment} system={system} type={type:x} dpl={dpl} p={present} rpl={rpl}", ok, before, fault);
                    if (ok)
                        Assert.Equal((0x5000UL, 0xFFFU, 1UL), ((&t.S->Es)[(int)segment].Base, (&t.S->Es)[(int)segment].Limit, t.GetDescriptor(Target) >> 40 & 1));
                }
        Assert.InRange(refused, 1000, 5100);
    }

    /// <summary>SDM, "JMP", far jumps to code segments, and "CALL" to them: with L and D, limit, RPL, CPL.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 3)]
    [InlineData(true, 0)]
    [InlineData(true, 3)]
    public void FarJumpAndCall_AnyDescriptor_AreCheckedAsTheManualSays(bool longMode, int cpl)
    {
        using TestCpu t = Open(longMode, cpl);
        int[] gatesAndTasks = longMode ? [SystemType.CallGate32] : [SystemType.CallGate32, 4, 5, SystemType.AvailableTss16, SystemType.AvailableTss32];
        foreach ((bool system, int type, int dpl, bool present) in Fields())
            for (ushort rpl = 0; rpl < 4; rpl++)
                foreach ((bool isLong, bool big) in ((bool, bool)[])[(false, false), (true, false), (false, true), (true, true)])
                    foreach (uint offset in (uint[])[0xFFF, 0x1000])
                        foreach (bool call in (bool[])[false, true])
                        {
                            if (system && gatesAndTasks.Contains(type))
                                continue;
                            t.SetLevel(cpl, longMode);
                            t.SetDescriptor(Target, Make(system, type, dpl, present, isLong, big));
                            bool conforming = (type & ConformingOrDown) != 0;
                            (Vector, uint)? fault =
                                system || (type & Code) == 0 || (longMode && isLong && big) || (conforming ? dpl > cpl : rpl > cpl || dpl != cpl) ? (Vector.GeneralProtection, Target)
                                : !present ? (Vector.SegmentNotPresent, Target)
                                : offset > 0xFFF && !(longMode && isLong) ? (Vector.GeneralProtection, 0)
                                : null;
                            string before = Image(t);
                            bool ok = call ? FarTransfer.Call(t.S, (ushort)(Target | rpl), offset, 4, 0x6007) : FarTransfer.Jump(t.S, (ushort)(Target | rpl), offset, 4);
                            Expect(t, $"call={call} system={system} type={type:x} dpl={dpl} p={present} rpl={rpl} l={isLong} d={big} {offset:x}", ok, before, fault);
                            if (ok)
                                Assert.Equal((Target | cpl, cpl, (ulong)offset), (t.S->Cs.Selector, t.S->Cpl, t.S->Rip));
                        }
    }

    /// <summary>SDM, "RET", far returns, to the same level and to CPL 3.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 3)]
    [InlineData(true, 0)]
    [InlineData(true, 3)]
    public void FarReturn_AnyDescriptor_IsCheckedAsTheManualSays(bool longMode, int cpl)
    {
        using TestCpu t = Open(longMode, cpl);
        foreach ((bool system, int type, int dpl, bool present) in Fields())
            for (ushort rpl = 0; rpl < 4; rpl++)
                foreach ((bool isLong, bool big) in ((bool, bool)[])[(false, true), (true, false), (true, true)])
                {
                    // The stacks of CPL 1 and 2 are no part of this.
                    t.SetLevel(cpl, longMode);
                    t.SetDescriptor(Target, Make(system, type, dpl, present, isLong, big));
                    t.S->Registers[4] = 0x9000;
                    foreach ((int i, uint value) in ((int, uint)[])[(0, 0x123), (1, (uint)Target | rpl), (2, Stack3), (3, Data3)])
                        t.Write(0x9000 + 4 * (uint)i, 4, value);
                    bool conforming = (type & ConformingOrDown) != 0;
                    (Vector, uint)? fault =
                        system || (type & Code) == 0 || rpl < cpl || (longMode && isLong && big) || (conforming ? dpl > rpl : dpl != rpl) ? (Vector.GeneralProtection, Target)
                        : !present ? (Vector.SegmentNotPresent, Target)
                        : null;
                    if (fault == null && rpl != cpl && rpl != 3)
                        continue;
                    string before = Image(t);
                    bool ok = FarReturn.Execute(t.S, 4, 0);
                    Expect(t, $"system={system} type={type:x} dpl={dpl} p={present} rpl={rpl} l={isLong} d={big}", ok, before, fault);
                    if (ok)
                        Assert.Equal((Target | rpl, (int)rpl, 0x123UL), (t.S->Cs.Selector, t.S->Cpl, t.S->Rip));
                }
    }

    /// <summary>SDM, "LLDT", "LTR": only a present descriptor of the very type; in long mode it has 16 bytes, whose upper half has type 0, and a canonical base.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LldtAndLtr_AnyDescriptor_AreCheckedAsTheManualSays(bool longMode)
    {
        ulong[] uppers = longMode ? [0, 0xFFFF_FFFF, 0x7FFF, 0x8000, 0xFFFF_8000, 0xFFFF_7FFF, 1UL << 40, 1UL << 44, 0xFUL << 40] : [0, ulong.MaxValue];
        using TestCpu t = Open(longMode, 0);
        foreach ((bool system, int type, int dpl, bool present) in Fields())
            foreach (ulong high in uppers)
                foreach (bool task in (bool[])[false, true])
                    for (ushort rpl = 0; rpl < 4; rpl += 3)
                    {
                        t.SetLevel(0, longMode);
                        t.SetDescriptor(Target, Make(system, type, dpl, present));
                        t.Write(Gdt + Target + 8, 8, high);
                        bool canonical = !longMode || (long)(high << 32 | 0x5000) << 16 >> 16 == (long)(high << 32 | 0x5000);
                        bool upper = !longMode || (high >> 40 & 0x1F) == 0;
                        bool right = system && (task ? type == SystemType.AvailableTss32 || (type == SystemType.AvailableTss16 && !longMode) : type == SystemType.Ldt);
                        (Vector, uint)? fault = !right || !upper || !canonical ? (Vector.GeneralProtection, Target) : present ? null : (Vector.SegmentNotPresent, Target);
                        string before = Image(t);
                        bool done = task ? SystemTables.Ltr(t.S, (ushort)(Target | rpl)) : SystemTables.Lldt(t.S, (ushort)(Target | rpl));
                        Expect(t, $"task={task} system={system} type={type:x} dpl={dpl} p={present} upper={high:x}", done, before, fault);
                        if (done)
                            Assert.Equal(0x5000 | high << 32 & (longMode ? ulong.MaxValue : 0), (task ? t.S->Tr : t.S->Ldtr).Base);
                    }
    }

    /// <summary>The GDT or LDT ends in each byte of the descriptor: one that is not there whole is #GP(selector), with TI.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TableThatEndsWithinTheDescriptor_IsGp(bool longMode)
    {
        for (int last = -1; last <= 16; last++)
        {
            foreach (bool local in (bool[])[false, true])
            {
                using TestCpu t = Open(longMode, 0);
                ushort selector = (ushort)(local ? Target | 4 : Target);
                uint limit = (uint)(Target + last);
                (Vector, uint)? Fault(int bytes) => last >= bytes - 1 ? null : (Vector.GeneralProtection, selector);
                void Check(string what, int bytes, ulong descriptor, Func<bool> act)
                {
                    t.SetLevel(0, longMode);
                    t.S->Gdtr.Limit = 0xFF;
                    t.S->Ldtr = t.S->Ldtr with { Base = Ldt, Limit = 0xFF, Usable = 1 };
                    t.SetDescriptor(selector, descriptor);
                    t.Write((local ? Ldt : Gdt) + Target + 8u, 8, 0);
                    if (local)
                        t.S->Ldtr.Limit = limit;
                    else
                        t.S->Gdtr.Limit = limit;
                    string before = Image(t);
                    Expect(t, $"{what}, {last + 1} bytes, local={local}", act(), before, Fault(bytes));
                }

                Check("MOV DS", 8, Segment(DataType, 0), () => SegmentLoad.Load(t.S, SegmentIndex.Ds, selector));
                Check("MOV SS", 8, Segment(DataType, 0), () => SegmentLoad.Load(t.S, SegmentIndex.Ss, selector));
                Check("JMP far", 8, Segment(CodeType, 0, big: !longMode, isLong: longMode), () => FarTransfer.Jump(t.S, selector, 0x100, 4));
                Check("CALL by a gate", longMode ? 16 : 8, Gate(Code0, 0x100, SystemType.CallGate32, 0), () => FarTransfer.Call(t.S, selector, 0, 4, 0x6007));
                if (local)
                    continue;
                Check("LLDT", longMode ? 16 : 8, SystemSegment(SystemType.Ldt, 0x5000, 0xFF), () => SystemTables.Lldt(t.S, selector));
                Check("LTR", longMode ? 16 : 8, SystemSegment(SystemType.AvailableTss32, 0x5000, 0xFF), () => SystemTables.Ltr(t.S, selector));
            }
        }
    }

    /// <summary>Null selectors, with each RPL; an LDT that is not there; LLDT and LTR of a selector of the LDT.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NullSelectorAndAbsentLdt_FaultAsTheManualSays(bool longMode)
    {
        using TestCpu t = Open(longMode, 0);
        for (ushort rpl = 0; rpl < 4; rpl++)
        {
            string before = Image(t);
            Expect(t, "JMP", FarTransfer.Jump(t.S, rpl, 0x100, 4), before, (Vector.GeneralProtection, 0));
            Expect(t, "CALL", FarTransfer.Call(t.S, rpl, 0x100, 4, 0x6007), before, (Vector.GeneralProtection, 0));
            Expect(t, "LTR", SystemTables.Ltr(t.S, rpl), before, (Vector.GeneralProtection, 0));
            t.Write(t.Rsp, 4, 0x100);
            t.Write(t.Rsp + 4, 4, rpl);
            Expect(t, "RET", FarReturn.Execute(t.S, 4, 0), before, (Vector.GeneralProtection, 0));
            // "If a NULL selector is loaded into SS": but in 64-bit mode at the CPL that it names.
            t.SetLevel(0, longMode);
            before = Image(t);
            Expect(t, "MOV SS", SegmentLoad.Load(t.S, SegmentIndex.Ss, rpl), before, longMode && rpl == 0 ? null : (Vector.GeneralProtection, 0));
            t.SetLevel(0, longMode);
        }
        t.S->Ldtr.Usable = 0;
        foreach (ushort selector in (ushort[])[4, 7, 0x44])
        {
            string before = Image(t);
            uint code = selector & 0xFFFCu;
            Expect(t, "MOV DS", SegmentLoad.Load(t.S, SegmentIndex.Ds, selector), before, (Vector.GeneralProtection, code));
            Expect(t, "MOV SS", SegmentLoad.Load(t.S, SegmentIndex.Ss, (ushort)(selector & ~3)), before, (Vector.GeneralProtection, code));
            Expect(t, "JMP", FarTransfer.Jump(t.S, selector, 0x100, 4), before, (Vector.GeneralProtection, code));
            Expect(t, "LLDT", SystemTables.Lldt(t.S, selector), before, (Vector.GeneralProtection, code));
            Expect(t, "LTR", SystemTables.Ltr(t.S, selector), before, (Vector.GeneralProtection, code));
        }
    }

    /// <summary>Interrupt gates: every type, DPL and P, for INT n and for an event from outside, with EXT; the target code's type, DPL, P, and L with D.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 3)]
    [InlineData(true, 0)]
    [InlineData(true, 3)]
    public void GateAndItsTarget_OfAnyKind_AreCheckedAsTheManualSays(bool longMode, int cpl)
    {
        const ulong handler = 0x500, second = 0x700;
        using TestCpu t = Open(longMode, cpl);
        foreach (Vector v in (Vector[])[Vector.InvalidTss, Vector.SegmentNotPresent, Vector.StackFault, Vector.GeneralProtection])
            t.SetVector((int)v, Code0, second + (ulong)v);
        t.S->Idtr.Limit = longMode ? 0xFFFU : 0x7FFU;
        foreach (bool software in (bool[])[true, false])
        {
            uint ext = software ? 0u : 1;
            // The gate.
            foreach ((bool system, int type, int dpl, bool present) in Fields())
            {
                if (!longMode && system && type == 5)
                    continue;
                Deliver(software, t =>
                {
                    t.SetVector(0x41, Code0, handler, type, dpl, present);
                    if (!system)
                        t.Write(GateAt() + 5, 1, t.Read(GateAt() + 5, 1) | 0x10);
                });
                bool right = system && (longMode ? type is 14 or 15 : type is 6 or 7 or 14 or 15);
                (Vector, uint)? fault = !right || (software && dpl < cpl) ? (Vector.GeneralProtection, 0x41 * 8 + 2 + ext) : present ? null : (Vector.SegmentNotPresent, 0x41 * 8 + 2 + ext);
                Check($"gate software={software} system={system} type={type:x} dpl={dpl} p={present}", fault, handler);
            }
            // Its code.
            foreach ((bool system, int type, int dpl, bool present) in Fields())
                foreach ((bool isLong, bool big) in ((bool, bool)[])[(false, true), (true, false), (true, true), (false, false)])
                {
                    bool right = !system && (type & Code) != 0 && dpl <= cpl && !(longMode && (!isLong || big));
                    (Vector, uint)? fault = !right ? (Vector.GeneralProtection, Target + ext) : present ? null : (Vector.SegmentNotPresent, Target + ext);
                    // Stacks of CPL 1 and 2 are not there.
                    if (fault == null && (type & ConformingOrDown) == 0 && dpl is 1 or 2)
                        continue;
                    Deliver(software, t =>
                    {
                        t.SetVector(0x41, Target, handler, SystemType.InterruptGate32, dpl: 3);
                        t.SetDescriptor(Target, Make(system, type, dpl, present, isLong, big));
                    });
                    Check($"code software={software} system={system} type={type:x} dpl={dpl} p={present} l={isLong} d={big}", fault, handler);
                }
        }

        uint GateAt() => Idt + (longMode ? 16u : 8) * 0x41;

        void Deliver(bool software, Action<TestCpu> prepare)
        {
            t.SetLevel(cpl, longMode);
            Flags.Set(t.S, 2);
            prepare(t);
            Assert.True(EventDelivery.Deliver(t.S, (Vector)0x41, software ? EventKind.SoftwareInterrupt : EventKind.ExternalInterrupt, returnRip: software ? 0x6002 : null));
        }

        void Check(string name, (Vector Vector, uint Code)? fault, ulong to)
        {
            int size = longMode ? 8 : 4;
            if (fault is { } f)
            {
                Assert.Equal((name, second + (ulong)f.Vector, (ulong)f.Code), (name, t.S->Rip, t.Read(t.Rsp, size)));
                // The fault is at the instruction.
                Assert.Equal((name, 0x6000UL), (name, t.Read(t.Rsp + (ulong)size, size)));
            }
            else
            {
                Assert.Equal((name, to), (name, t.S->Rip));
            }
        }
    }
}
