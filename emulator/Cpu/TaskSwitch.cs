using Emu.Memory;

namespace Emu.Cpus;

/// <summary>What switches tasks: it decides on busy flags, NT and the link.</summary>
public enum TaskSwitchKind
{
    Jump,
    Call,

    /// <summary>An interrupt or exception through a task gate.</summary>
    Event,

    /// <summary>IRET with NT set: back to the task that the link names.</summary>
    Return,
}

/// <summary>
/// Hardware task switches, to and from TSSs of 16 and 32 bits (SDM, "Task Switching"). There are none in IA-32e mode. Everything that can fault in the
/// old task is checked first; from the commit on, faults are those of the new task (SDM, "Exception Conditions Checked During a Task Switch").
/// </summary>
public static unsafe class TaskSwitch
{
    /// <summary>Offsets in a TSS; <see cref="Width"/> is that of most fields.</summary>
    private readonly record struct Layout(int Width, uint Ip, uint Ldt, uint MinimumLimit, int SegmentCount)
    {
        public static Layout Of(int type) => (type & 8) != 0 ? new(4, 0x20, 0x60, 103, 6) : new(2, 0x0E, 0x2A, 43, 4);

        /// <summary>Instruction pointer, flags, eight registers, then the selectors.</summary>
        public uint Field(int n) => Ip + (uint)(n * Width);
    }

    private const uint Cr3At = 0x1C;
    private const uint TrapAt = 0x64;
    private const int Words = 2 + 8 + 6;

    /// <summary>Index of the first selector in an image.</summary>
    private const int Selectors = 10;

    /// <summary>
    /// A far JMP or CALL to a TSS descriptor or a task gate, whose descriptor was read and found present, and whose privilege was checked.
    /// True when the instruction is over, be it by a fault in the new task, which is delivered here.
    /// </summary>
    public static bool Transfer(CpuState* s, Selector selector, Descriptor d, ulong nextRip, bool call)
    {
        if (d.Type == SystemType.TaskGate)
        {
            selector = d.GateSelector;
            if (!TryReadTss(s, selector, Vector.GeneralProtection, out d))
                return false;
        }
        return Finish(s, Switch(s, selector, d, call ? TaskSwitchKind.Call : TaskSwitchKind.Jump, nextRip, Flags.Get(s), out bool committed), committed);
    }

    /// <summary>IRET with NT set; true when the instruction is over.</summary>
    public static bool Return(CpuState* s, ulong nextRip)
    {
        if (!Access.Load(s, DescriptorTables.Linear(s, s->Tr.Base), 2, AccessKind.Implicit, out ulong link))
            return false;
        Selector selector = new((ushort)link);
        // "IF TSS descriptor specifies that the TSS is not busy THEN #TS(TSS selector)."
        if (!TryReadTss(s, selector, Vector.InvalidTss, out Descriptor d))
            return false;
        return Finish(s, Switch(s, selector, d, TaskSwitchKind.Return, nextRip, Flags.Get(s) & ~Rflags.Nt, out bool committed), committed);
    }

    /// <summary>An event through a task gate. False with a fault recorded, which is the new task's where RIP has become its own.</summary>
    internal static bool TryDeliver(CpuState* s, in CpuEvent e, Descriptor gate)
    {
        Selector selector = gate.GateSelector;
        if (!TryReadTss(s, selector, Vector.GeneralProtection, out Descriptor d)
            || !Switch(s, selector, d, TaskSwitchKind.Event, e.ReturnRip, EventDelivery.PushedFlags(s, in e), out _))
            return false;
        if (e.ErrorCode is not { } error)
            return true;
        PendingStack stack = PendingStack.Present(s);
        if (!stack.TryPush(s, [error], Layout.Of(d.Type).Width))
            return false;
        stack.Commit(s);
        return true;
    }

    /// <summary>The instruction ends in the new task, also where that begins with a fault.</summary>
    private static bool Finish(CpuState* s, bool ok, bool committed)
    {
        if (ok || !committed)
            return ok;
        EventDelivery.DeliverFault(s);
        return true;
    }

    /// <summary>Reads the descriptor of a TSS in the GDT and checks that it is available, or busy for IRET, and present.</summary>
    private static bool TryReadTss(CpuState* s, Selector selector, Vector vector, out Descriptor d)
    {
        d = default;
        if (selector.IsLocal || selector.IsNull)
            return Access.Raise(s, vector, selector.ErrorCode);
        if (!DescriptorTables.TryRead(s, selector, vector, out d))
            return false;
        int busy = vector == Vector.InvalidTss ? SystemType.BusyBit : 0;
        if (!d.IsSystem || (d.Type & ~8) != (SystemType.AvailableTss16 | busy))
            return Access.Raise(s, vector, selector.ErrorCode);
        return d.IsPresent || Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);
    }

    private static bool Switch(CpuState* s, Selector selector, Descriptor d, TaskSwitchKind kind, ulong savedRip, ulong savedFlags, out bool committed)
    {
        committed = false;
        Layout from = Layout.Of(s->Tr.Attributes & SegmentAttributes.TypeMask), to = Layout.Of(d.Type);
        // "TSS segment limit greater than or equal to 103 (for 32-bit TSS) or 43 (for 16-bit TSS)": #TS.
        if (d.Limit < to.MinimumLimit)
            return Access.Raise(s, Vector.InvalidTss, selector.ErrorCode);
        if (s->Tr.Limit < from.MinimumLimit)
            return Access.Raise(s, Vector.InvalidTss, new Selector(s->Tr.Selector).ErrorCode);

        // All pages of both TSSs and the descriptors that change are looked at before anything does.
        Span<ulong> image = stackalloc ulong[Words];
        bool nests = kind is TaskSwitchKind.Call or TaskSwitchKind.Event;
        if (!TryReadImage(s, d.Base, to, image, out ulong ldt, out ulong cr3, out ulong trap)
            || !Probe(s, s->Tr.Base + from.Ip, (Selectors + from.SegmentCount) * from.Width)
            || (nests && !Probe(s, d.Base, 2)))
            return false;
        Selector old = new(s->Tr.Selector);
        var oldDescriptor = new Descriptor(0, DescriptorTables.Linear(s, s->Gdtr.Base + old.Offset));
        if ((!nests && !Probe(s, oldDescriptor.Linear, 8)) || (kind != TaskSwitchKind.Return && !Probe(s, d.Linear, 8)))
            return false;

        // JMP and IRET leave the old task; CALL and events nest.
        committed = true;
        SaveImage(s, from, savedRip, savedFlags);
        // Where IRET returns to the task that it leaves, what was saved is what is loaded.
        _ = TryReadImage(s, d.Base, to, image, out ldt, out cr3, out trap);
        if (!nests)
            _ = DescriptorTables.ClearBusy(s, ref oldDescriptor);
        if (nests)
            _ = Access.Store(s, DescriptorTables.Linear(s, d.Base), 2, AccessKind.Implicit, s->Tr.Selector);
        if (kind != TaskSwitchKind.Return)
            _ = DescriptorTables.SetBusy(s, ref d);
        s->Tr = d.ToRegister(selector.Value);
        s->Paging.Cr0 |= ControlBits.Cr0Ts;
        // "The processor clears the local enable flags on every task switch."
        s->Dr7 &= ~DebugRegisters.Dr7Local;
        DebugRegisters.Arm(s);
        LoadRegisters(s, to, image, nests);
        bool paging = (s->Paging.Cr0 & ControlBits.Cr0Pg) != 0 && to.Width == 4;
        if (paging && !ControlRegisters.TryLoadTaskCr3(s, cr3))
            return false;
        if (!LoadSegments(s, (ushort)ldt, image))
            return false;
        if ((trap & 1) != 0)
            s->PendingDebug |= DebugRegisters.Dr6TaskSwitch;
        return true;
    }

    private static bool Probe(CpuState* s, ulong at, int size) => Access.ProbeWrite(s, DescriptorTables.Linear(s, at), size, AccessKind.Implicit);

    private static bool TryReadImage(CpuState* s, ulong tss, Layout layout, Span<ulong> image, out ulong ldt, out ulong cr3, out ulong trap)
    {
        image.Clear();
        cr3 = trap = 0;
        bool ok = Load(layout.Ldt, 2, out ldt);
        if (layout.Width == 4)
            ok = ok && Load(Cr3At, 4, out cr3) && Load(TrapAt, 2, out trap);
        for (int i = 0; ok && i < Selectors + layout.SegmentCount; i++)
            ok = Load(layout.Field(i), i < Selectors ? layout.Width : 2, out image[i]);
        return ok;

        bool Load(uint offset, int size, out ulong value) =>
            Access.Load(s, DescriptorTables.Linear(s, tss + offset), size, AccessKind.Implicit, out value);
    }

    private static void SaveImage(CpuState* s, Layout layout, ulong rip, ulong flags)
    {
        Store(0, layout.Width, rip);
        Store(1, layout.Width, flags);
        for (int i = 0; i < 8; i++)
            Store(2 + i, layout.Width, s->Registers[i]);
        for (int i = 0; i < layout.SegmentCount; i++)
            Store(Selectors + i, 2, (&s->Es)[i].Selector);

        void Store(int n, int size, ulong value) => _ = Access.Store(s, DescriptorTables.Linear(s, s->Tr.Base + layout.Field(n)), size,
            AccessKind.Implicit, CodeSegment.Truncate(value, size));
    }

    /// <summary>Registers, flags, and selectors without their descriptors: whatever faults from here on does so in this state.</summary>
    private static void LoadRegisters(CpuState* s, Layout layout, Span<ulong> image, bool nests)
    {
        s->Rip = image[0];
        // A TSS of 16 bits says nothing of the upper halves; Bochs and QEMU have them set.
        ulong upper = layout.Width == 2 ? 0xFFFF_0000UL : 0;
        for (int i = 0; i < 8; i++)
            s->Registers[i] = image[2 + i] | upper;
        ulong flags = image[1] & Iret.Defined;
        if (s->DebugArmed == 0)
            flags &= ~Rflags.Rf;
        Flags.Set(s, flags | (nests ? Rflags.Nt : 0));
        bool virtual8086 = (flags & Rflags.Vm) != 0;
        for (int i = 0; i < 6; i++)
            (&s->Es)[i] = virtual8086 ? SegmentLoad.Virtual8086((ushort)image[Selectors + i]) : SegmentLoad.Null((ushort)image[Selectors + i]);
        s->Cpl = virtual8086 ? 3 : new Selector((ushort)image[Selectors + (int)SegmentIndex.Cs]).Rpl;
        CpuMode.Update(s);
    }

    private static bool LoadSegments(CpuState* s, ushort ldt, Span<ulong> image)
    {
        if (!TryLoadLdt(s, new Selector(ldt)))
            return false;
        if (!s->Virtual8086 && !(TryLoadCode(s, new Selector((ushort)image[Selectors + (int)SegmentIndex.Cs]))
            && SegmentLoad.TryPrepareStack(s, (ushort)image[Selectors + (int)SegmentIndex.Ss], s->Cpl, Vector.InvalidTss, allowNull: false, out s->Ss)))
        {
            CpuMode.Update(s);
            return false;
        }
        for (SegmentIndex i = SegmentIndex.Es; !s->Virtual8086 && i <= SegmentIndex.Gs; i++)
        {
            if (i is SegmentIndex.Cs or SegmentIndex.Ss)
                continue;
            if (!TryLoadData(s, i, new Selector((ushort)image[Selectors + (int)i])))
            {
                CpuMode.Update(s);
                return false;
            }
        }
        CpuMode.Update(s);
        // "If the EIP of the new task is not within the code segment limit: #GP(0)."
        return s->Rip <= s->Cs.Limit || Access.Raise(s, Vector.GeneralProtection);
    }

    /// <summary>"LDT segment selector of new task is valid", "LDT of new task is present": #TS(LDT selector).</summary>
    private static bool TryLoadLdt(CpuState* s, Selector selector)
    {
        s->Ldtr = SegmentLoad.Null(selector.Value);
        if (selector.IsNull)
            return true;
        if (selector.IsLocal)
            return Access.Raise(s, Vector.InvalidTss, selector.ErrorCode);
        if (!DescriptorTables.TryRead(s, selector, Vector.InvalidTss, out Descriptor d))
            return false;
        if (!d.IsSystem || d.Type != SystemType.Ldt || !d.IsPresent)
            return Access.Raise(s, Vector.InvalidTss, selector.ErrorCode);
        s->Ldtr = d.ToRegister(selector.Value);
        return true;
    }

    /// <summary>"Code segment DPL matches segment selector RPL", "code segment selector is valid": #TS; "present": #NP.</summary>
    private static bool TryLoadCode(CpuState* s, Selector selector)
    {
        if (selector.IsNull)
            return Access.Raise(s, Vector.InvalidTss, selector.ErrorCode);
        if (!DescriptorTables.TryRead(s, selector, Vector.InvalidTss, out Descriptor d))
            return false;
        if (!d.IsCode || (d.IsConforming ? d.Dpl > selector.Rpl : d.Dpl != selector.Rpl))
            return Access.Raise(s, Vector.InvalidTss, selector.ErrorCode);
        if (!d.IsPresent)
            return Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);
        if (!DescriptorTables.SetAccessed(s, ref d))
            return false;
        s->Cs = d.ToRegister(selector.Value);
        return true;
    }

    /// <summary>"DS, ES, FS, and GS segment selectors are valid", "readable", "DPL not below CPL unless conforming": #TS; "present": #NP.</summary>
    private static bool TryLoadData(CpuState* s, SegmentIndex segment, Selector selector)
    {
        if (selector.IsNull)
            return true;
        if (!DescriptorTables.TryRead(s, selector, Vector.InvalidTss, out Descriptor d))
            return false;
        if (!d.IsReadable || (!d.IsConforming && (selector.Rpl > d.Dpl || s->Cpl > d.Dpl)))
            return Access.Raise(s, Vector.InvalidTss, selector.ErrorCode);
        if (!d.IsPresent)
            return Access.Raise(s, Vector.SegmentNotPresent, selector.ErrorCode);
        if (!DescriptorTables.SetAccessed(s, ref d))
            return false;
        (&s->Es)[(int)segment] = d.ToRegister(selector.Value);
        return true;
    }
}
