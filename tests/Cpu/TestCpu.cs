using Emu.Cpus;
using Emu.Fetch;
using Emu.Memory;

namespace Emu.Tests.Processors;

/// <summary>
/// A CPU by itself with 4 MiB of RAM, descriptor tables and a TSS at fixed places. The GDT: 08 code 0, 10 data 0, 1B code 3, 23 data 3,
/// 28 TSS (30 its upper half in long mode); the rest is each test's.
/// </summary>
internal sealed unsafe class TestCpu : IDisposable
{
    public const uint Gdt = 0x1000;
    public const uint Idt = 0x2000;
    public const uint Ldt = 0x3000;
    public const uint Tss = 0x4000;
    public const uint Stack0 = 0x9000;
    public const uint Stack3 = 0xA000;
    public const uint PageTables = 0x10000;

    public const ushort Code0 = 0x08;
    public const ushort Data0 = 0x10;
    public const ushort Code3 = 0x1B;
    public const ushort Data3 = 0x23;
    public const ushort TssSelector = 0x28;

    /// <summary>First selector of the GDT that a test may fill as it likes.</summary>
    public const ushort Free = 0x40;

    public const int CodeType = 0xB;
    public const int ConformingType = 0xF;
    public const int ExecuteOnlyType = 0x9;
    public const int DataType = 0x3;
    public const int ReadOnlyType = 0x1;

    private int _serialised;

    public TestCpu(CpuModel? model = null, FetchProfile? profile = null, int storeBuffer = 0)
    {
        Memory = new PhysicalMemory(4 << 20);
        Cpu = new Cpu(new CpuIndex(0), model ?? CpuModels.Skylake, Memory, new Bus(), profile ?? FetchProfiles.Coherent, storeBuffer)
        {
            OnSerialise = () => _serialised++,
        };
    }

    public PhysicalMemory Memory { get; }
    public Cpu Cpu { get; }
    public CpuState* S => Cpu.State;
    public ref FaultInfo Fault => ref S->Fault;
    public ulong Rsp => S->Registers[4];

    /// <summary>How often the CPU serialised since this was last asked.</summary>
    public int TakeSerialised()
    {
        int n = _serialised;
        _serialised = 0;
        return n;
    }

    /// <summary>32-bit protected mode at CPL 0 or 3, flat, paging off, IDT of 256 entries.</summary>
    public static TestCpu Protected(int cpl = 0, CpuModel? model = null, FetchProfile? profile = null)
    {
        TestCpu t = new(model, profile);
        t.FillGdt(longMode: false);
        CpuState* s = t.S;
        s->Paging.Cr0 = ControlBits.Cr0Pe | ControlBits.Cr0Et;
        s->Idtr = new TableRegister { Base = Idt, Limit = 256 * 8 - 1 };
        t.Write(Tss + 4, 4, Stack0);
        t.Write(Tss + 8, 2, Data0);
        t.SetLevel(cpl, longMode: false);
        return t;
    }

    /// <summary>64-bit mode at CPL 0 or 3; the low 4 MiB are mapped to themselves, for all, by pages of 4 KiB.</summary>
    public static TestCpu Long(int cpl = 0, CpuModel? model = null, FetchProfile? profile = null, int storeBuffer = 0)
    {
        TestCpu t = new(model, profile, storeBuffer);
        t.FillGdt(longMode: true);
        CpuState* s = t.S;
        s->Paging.Cr4 = ControlBits.Cr4Pae;
        s->Paging.Cr3 = PageTables;
        s->Paging.Efer = ControlBits.EferLme | ControlBits.EferLma | ControlBits.EferNxe | ControlBits.EferSce;
        s->Paging.Cr0 = ControlBits.Cr0Pg | ControlBits.Cr0Pe | ControlBits.Cr0Et | ControlBits.Cr0Wp;
        t.Write(PageTables, 8, (PageTables + 0x1000) | 7);
        t.Write(PageTables + 0x1000, 8, (PageTables + 0x2000) | 7);
        for (uint i = 0; i < 2; i++)
            t.Write(PageTables + 0x2000 + 8 * i, 8, (PageTables + 0x3000 + 0x1000 * i) | 7);
        for (uint i = 0; i < 1024; i++)
            t.Write(PageTables + 0x3000 + 8 * i, 8, (i << 12) | 7);
        s->Idtr = new TableRegister { Base = Idt, Limit = 256 * 16 - 1 };
        t.Write(Tss + 4, 8, Stack0);
        t.SetLevel(cpl, longMode: true);
        return t;
    }

    /// <summary>Virtual-8086 mode with IOPL 0, over the tables of <see cref="Protected"/>.</summary>
    public static TestCpu Virtual8086()
    {
        TestCpu t = Protected(3);
        CpuState* s = t.S;
        s->Cs = SegmentLoad.Virtual8086(0x0100);
        s->Ss = SegmentLoad.Virtual8086(0x0900);
        s->Ds = SegmentLoad.Virtual8086(0x0D00);
        s->Es = SegmentLoad.Virtual8086(0x0E00);
        s->Fs = SegmentLoad.Virtual8086(0x0F00);
        s->Gs = SegmentLoad.Virtual8086(0x0A00);
        s->Registers[4] = 0x800;
        Flags.Set(s, Rflags.Vm | Rflags.If | 2);
        CpuMode.Update(s);
        return t;
    }

    /// <summary>Address of the page-table entry of a page below 4 MiB in <see cref="Long"/>.</summary>
    public static uint PteOf(ulong linear) => PageTables + 0x3000 + 8 * (uint)(linear >> 12);

    public void Write(ulong address, int size, ulong value) => Memory.Write(address, size, value);

    public ulong Read(ulong address, int size) => Memory.Read(address, size);

    /// <summary>The values at an address and behind it.</summary>
    public ulong[] Words(ulong address, int size, int count) =>
        [.. Enumerable.Range(0, count).Select(i => Memory.Read(address + (ulong)(i * size), size))];

    public void SetDescriptor(ushort selector, ulong raw) => Write(((selector & 4) != 0 ? Ldt : Gdt) + (selector & 0xFFF8U), 8, raw);

    public ulong GetDescriptor(ushort selector) => Read(Gdt + (selector & 0xFFF8U), 8);

    /// <summary>A gate of the IDT; in long mode of 16 bytes.</summary>
    public void SetVector(int vector, ushort selector, ulong offset, int type = SystemType.InterruptGate32, int dpl = 0, bool present = true, int stack = 0)
    {
        ulong raw = Gate(selector, (uint)offset, type, dpl, stack, present);
        if (S->LongModeActive)
        {
            Write(Idt + 16 * (uint)vector, 8, raw);
            Write(Idt + 16 * (uint)vector + 8, 8, offset >> 32);
        }
        else
        {
            Write(Idt + 8 * (uint)vector, 8, raw);
        }
    }

    /// <summary>A code or data descriptor.</summary>
    public static ulong Segment(int type, int dpl, uint @base = 0, uint limit = 0xFFFFF, bool present = true, bool big = true, bool large = true, bool isLong = false) =>
        limit & 0xFFFF | (ulong)(@base & 0xFF_FFFF) << 16 | (ulong)type << 40 | 1UL << 44 | (ulong)dpl << 45 | (present ? 1UL << 47 : 0)
        | (ulong)(limit >> 16 & 0xF) << 48 | (isLong ? 1UL << 53 : 0) | (big ? 1UL << 54 : 0) | (large ? 1UL << 55 : 0)
        | (ulong)(@base >> 24) << 56;

    /// <summary>A system descriptor with base and limit.</summary>
    public static ulong SystemSegment(int type, uint @base, uint limit, int dpl = 0, bool present = true) =>
        Segment(type, dpl, @base, limit, present, big: false, large: false) & ~(1UL << 44);

    /// <summary>A gate; <paramref name="count"/> is a parameter count or an index into the interrupt stack table.</summary>
    public static ulong Gate(ushort selector, uint offset, int type, int dpl, int count = 0, bool present = true) =>
        offset & 0xFFFF | (ulong)selector << 16 | (ulong)count << 32 | (ulong)type << 40 | (ulong)dpl << 45 | (present ? 1UL << 47 : 0)
        | (ulong)(offset >> 16) << 48;

    public void SetLevel(int cpl, bool longMode)
    {
        CpuState* s = S;
        ushort code = cpl == 0 ? Code0 : Code3, data = cpl == 0 ? Data0 : Data3;
        s->Cpl = 0;
        s->Cs = Descriptor(code).ToRegister(code);
        SegmentRegister stack = Descriptor(data).ToRegister(data);
        s->Ss = s->Ds = s->Es = s->Fs = s->Gs = stack;
        s->Tr = Descriptor(TssSelector).ToRegister(TssSelector) with
        {
            Attributes = SegmentAttributes.Present | SystemType.BusyTss32,
        };
        s->Cpl = cpl;
        s->Registers[4] = cpl == 0 ? Stack0 : Stack3;
        s->Rip = 0x6000;
        CpuMode.Update(s);
    }

    private Descriptor Descriptor(ushort selector) => new(GetDescriptor(selector), 0);

    private void FillGdt(bool longMode)
    {
        S->Gdtr = new TableRegister { Base = Gdt, Limit = 0xFF };
        S->Ldtr = new SegmentRegister { Base = Ldt, Limit = 0xFF, Selector = 0x38, Usable = 1, Attributes = SegmentAttributes.Present | SystemType.Ldt };
        SetDescriptor(Code0, Segment(CodeType, 0, big: !longMode, isLong: longMode));
        SetDescriptor(Data0, Segment(DataType, 0));
        SetDescriptor(Code3, Segment(CodeType, 3, big: !longMode, isLong: longMode));
        SetDescriptor(Data3, Segment(DataType, 3));
        SetDescriptor(TssSelector, SystemSegment(SystemType.BusyTss32, Tss, 0x67));
    }

    public void Dispose()
    {
        Cpu.Dispose();
        Memory.Dispose();
    }
}
