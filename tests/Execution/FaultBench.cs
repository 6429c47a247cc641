using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Execution;

/// <summary>Where code runs. Real, virtual-8086 and 16-bit protected mode have the same segments of 64 KiB; the others are flat.</summary>
public enum CodeMode
{
    Real,
    Virtual8086,
    Protected16,
    Protected32,
    Compatibility,
    Long,
}

/// <summary>What executes: blocks of the coherent machine, that machine one instruction at a time, or prefetch queue and store buffer.</summary>
public enum Engine
{
    Blocks,
    Steps,
    Modelled,
}

/// <summary>
/// A machine of one CPU in one of the modes, with a handler for each vector that halts. A test puts bytes somewhere, and is told which exception was
/// delivered, with all that was pushed; that it was a fault that left registers, flags and instruction pointer alone is checked every time.
/// Paging maps 4 MiB to themselves, for users too, except in real mode.
/// </summary>
internal sealed unsafe class FaultBench : IDisposable
{
    /// <summary>Linear addresses of the code, DS, ES and SS; in flat modes code and stack pointer are there, and RSI and RDI point to the data.</summary>
    public const uint Code = 0x2_0000, Data = 0x3_0000, Extra = 0x4_0000, StackBase = 0x5_0000;

    /// <summary>The page behind <see cref="Code"/>'s first 4 KiB, which tests unmap; data pages the like.</summary>
    public const ushort StackTop = 0x8000;

    public const uint Idt = 0x1000, Gdt = 0x2000, Tss = 0x3000, Handlers = 0x8000, Stack0 = 0x7800;
    public const ushort Code0 = 0x08, Data0 = 0x10, Code3 = 0x1B, Data3 = 0x23, TssSelector = 0x28, Code16 = 0x40, Data16 = 0x48, Code32 = 0x50, Free = 0x60;
    private const uint Pdpt = 0x1_0000, Directory = 0x1_1000, Table = 0x1_2000, Pml4 = 0x1_4000;

    /// <summary>All arithmetic flags but PF and ZF, so that changes show.</summary>
    private const ulong InitialFlags = Rflags.Cf | Rflags.Af | Rflags.Sf | Rflags.Of | 2;
    private const byte Hlt = 0xF4;

    private readonly ulong[] _before = new ulong[16];
    private ulong _at;
    private (SegmentRegister Cs, SegmentRegister Ss, SegmentRegister Ds, SegmentRegister Es, SegmentRegister Fs, SegmentRegister Gs, ulong Flags) _initial;

    public FaultBench(CodeMode mode, Engine engine, int cpl = 0, FetchProfile? profile = null)
    {
        Mode = mode;
        Engine = engine;
        Cpl = mode == CodeMode.Virtual8086 ? 3 : cpl;
        Machine = new Machines.Machine(new MachineOptions
        {
            CpuCount = 1,
            Model = CpuModels.AlderLake,
            Profile = engine == Engine.Modelled ? profile ?? FetchProfiles.P6 : FetchProfiles.Coherent,
            MemorySize = 4 << 20,
        });
        S = Machine.Cpus[0].State;
        S->Activity = Activity.Active;
        for (uint v = 0; v < 32; v++)
            Machine.Memory.Write(Handlers + 16 * v, 1, Hlt);
        if (mode == CodeMode.Real)
            EnterReal();
        else
            EnterProtected();
        for (int i = 0; i < 16; i++)
            if (i != 4)
                S->Registers[i] = Is64 || i < 8 ? 0x1111_1111u * (uint)i : 0;
        (S->Registers[6], S->Registers[7]) = IsSegmented ? (0x100u, 0x100u) : (Data + 0x100, Extra + 0x100);
        S->Registers[4] = IsSegmented ? StackTop : StackBase + StackTop;
        S->Floating.Control = FloatingState.ControlAfterInit;
        Flags.Set(S, InitialFlags | (mode == CodeMode.Virtual8086 ? Rflags.Vm : 0));
        CpuMode.Update(S);
        CpuMode.FlushTlb(S, keepGlobal: false);
    }

    public CodeMode Mode { get; }
    public Engine Engine { get; }
    public int Cpl { get; }
    public Machines.Machine Machine { get; }
    public CpuState* S { get; }

    public bool Is64 => Mode == CodeMode.Long;
    public bool IsSegmented => Mode is CodeMode.Real or CodeMode.Virtual8086 or CodeMode.Protected16;
    public bool LongMode => Mode is CodeMode.Compatibility or CodeMode.Long;

    /// <summary>Base of the code's segment.</summary>
    public ulong Base => IsSegmented ? Code : 0;

    /// <summary>RIP of the first byte at <see cref="Code"/>.</summary>
    public ulong Start => Code - Base;

    public string Name => $"{Mode}, {Engine}, {Machine.Options.Profile.Name}";

    // What the last run came to.
    public Vector? Vector { get; private set; }
    public ulong? Error { get; private set; }
    public ulong PushedIp { get; private set; }
    public ulong PushedCs { get; private set; }
    public ulong PushedFlags { get; private set; }

    /// <summary>The stack pointer before the event.</summary>
    public ulong PushedSp { get; private set; }

    /// <summary>Does the same for every engine.</summary>
    public static void Each(CodeMode mode, Action<FaultBench> test, int cpl = 0)
    {
        foreach (Engine engine in Enum.GetValues<Engine>())
        {
            using var bench = new FaultBench(mode, engine, cpl);
            test(bench);
        }
    }

    /// <summary>Assembles code at <see cref="Code"/> plus an offset, for the mode.</summary>
    public int Assemble(uint offset, Action<Assembler> code)
    {
        var assembler = new Assembler(Is64 ? 64 : IsSegmented ? 16 : 32);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), Start + offset);
        Write(Code + offset, stream.ToArray());
        return (int)stream.Length;
    }

    public void Write(ulong address, params byte[] bytes) => Assert.True(Machine.Memory.TryWrite(address, bytes));

    public void Store(ulong address, int size, ulong value) => Machine.Memory.Write(address, size, value);

    public ulong Read(ulong address, int size)
    {
        Machine.Cpus[0].StoreBuffer.DrainAll();
        return Machine.Memory.Read(address, size);
    }

    public byte[] Bytes(ulong address, int length)
    {
        Machine.Cpus[0].StoreBuffer.DrainAll();
        byte[] bytes = new byte[length];
        Assert.True(Machine.Memory.TryRead(address, bytes));
        return bytes;
    }

    /// <summary>Behind a run that came to a handler: segments, CPL, flags and stack pointer are again as before that run.</summary>
    private void Restore()
    {
        (S->Cs, S->Ss, S->Ds, S->Es, S->Fs, S->Gs, _) = _initial;
        S->Registers[4] = _before[4];
        S->Cpl = Cpl;
        Flags.Set(S, _initial.Flags);
        CpuMode.Update(S);
    }

    /// <summary>Makes the entry of a page what the flags say: 0 is not present.</summary>
    public void Map(ulong linear, ulong flags, ulong? physical = null)
    {
        Machine.Memory.Write(Table + 8 * (linear >> 12), 8, flags == 0 ? 0 : (physical ?? linear & ~0xFFFUL) | flags);
        CpuMode.FlushTlb(S, keepGlobal: false);
    }

    /// <summary>
    /// Executes an instruction at <see cref="Code"/> plus an offset, up to the HLT that is put behind it or the handler of an exception.
    /// </summary>
    public FaultBench Run(byte[] code, uint offset = 0, bool halt = true)
    {
        ulong at = Code + offset;
        Machine.Cpus[0].StoreBuffer.DrainAll();
        // A HLT behind the instruction, where there is room.
        byte[] all = halt ? [.. code, Hlt] : code;
        Write(at, all);
        return RunAt(at - Base, code.Length);
    }

    /// <summary>Executes what lies at an instruction pointer: an instruction of a length, behind which HLT stands.</summary>
    public FaultBench RunAt(ulong ip, int length)
    {
        _initial = (S->Cs, S->Ss, S->Ds, S->Es, S->Fs, S->Gs, Flags.Get(S));
        S->Rip = ip;
        _at = Math.Min((ip + Base) & 0x3F_FFFF, 0x3F_FFF0);
        S->Activity = Activity.Active;
        for (int i = 0; i < 16; i++)
            _before[i] = S->Registers[i];
        RunResult? result = null;
        if (Engine == Engine.Steps)
        {
            // An exception delivered is no instruction, but no end either.
            for (int i = 0; i < 400 && S->Activity == Activity.Active; i++)
                Machine.Step(new CpuIndex(0));
            result = S->Activity == Activity.Shutdown ? Machine.Run(1) : null;
        }
        else
        {
            result = Machine.Run(400);
        }
        if (S->Activity == Activity.Shutdown)
        {
            (Vector, Error, Shutdown) = (null, null, result?.Message ?? "");
            return this;
        }
        Assert.True(S->Activity == Activity.Halted, $"{Name}: {S->Activity} at {S->Rip:x}, not halted: {result?.Message}");
        Shutdown = null;
        ulong linear = S->Rip - 1 + S->Cs.Base;
        if (linear is < Handlers or >= Handlers + 32 * 16)
        {
            (Vector, Error, PushedIp) = (null, null, S->Rip - 1);
            PushedSp = S->Registers[4];
            return this;
        }
        ReadFrame((Vector)((linear - Handlers) / 16));
        HandlerSp = S->Registers[4];
        bool retired = Cpl == 3 && Vector == Cpus.Vector.GeneralProtection && PushedIp == ip + (ulong)length && Machine.Memory.Read(PushedIp + Base, 1) == Hlt;
        Restore();
        if (retired)
            // It was the HLT, at CPL 3.
            (Vector, Error, S->Registers[4]) = (null, null, PushedSp);
        return this;
    }

    /// <summary>The stack pointer of the handler.</summary>
    public ulong HandlerSp { get; private set; }

    /// <summary>What the machine said when it shut down, which it has done for good; or null.</summary>
    public string? Shutdown { get; private set; }

    /// <summary>Expects a fault at the instruction: vector, error code, instruction pointer, CS and RFLAGS on the stack, and registers as they were.</summary>
    public void ExpectFault(Vector vector, uint? error = null, ulong? ip = null, bool unchanged = true)
    {
        Assert.True(Shutdown == null, $"{Name}: {Shutdown}");
        bool hasCode = Mode != CodeMode.Real && EventDelivery.HasErrorCode(vector);
        Assert.Equal(($"{Name}: {Convert.ToHexString(Bytes(_at, 8))}", (Vector?)vector, hasCode ? (ulong?)(error ?? 0) : null), ($"{Name}: {Convert.ToHexString(Bytes(_at, 8))}", Vector, Error));
        Assert.Equal((Name, ip ?? Start), (Name, PushedIp));
        ulong cs = Mode switch { CodeMode.Real or CodeMode.Virtual8086 => Code >> 4, CodeMode.Protected16 => Code16, CodeMode.Compatibility => Cpl == 3 ? Code32 | 3u : Code32, _ => Cpl == 3 ? Code3 : (ulong)Code0 };
        Assert.Equal((Name, cs), (Name, PushedCs));
        // "the flag image that is pushed has RF set" for every fault; a 16-bit image has no RF.
        ulong flags = Mode == CodeMode.Real ? _initial.Flags & 0xFFFF : _initial.Flags | Rflags.Rf;
        if (!unchanged)
            return;
        Assert.Equal((Name, flags.ToString("x")), (Name, PushedFlags.ToString("x")));
        for (int i = 0; i < 16; i++)
            Assert.Equal((Name, i, _before[i].ToString("x")), (Name, i, (i == 4 ? PushedSp : S->Registers[i]).ToString("x")));
    }

    /// <summary>Expects a page fault: error code, and CR2.</summary>
    public void ExpectPageFault(uint error, ulong address, ulong? ip = null, bool unchanged = true)
    {
        ExpectFault(Cpus.Vector.PageFault, error, ip, unchanged);
        Assert.Equal((Name, address.ToString("x")), (Name, S->Paging.Cr2.ToString("x")));
    }

    /// <summary>Expects that the instruction retired, and the next one was at an instruction pointer.</summary>
    public void ExpectNext(ulong ip) => Assert.Equal((Name, null, ip), (Name, Vector, PushedIp));

    /// <summary>Expects that HLT was reached at an instruction pointer, whatever went before; a program's HLT is #GP.</summary>
    public void ExpectStop(ulong ip)
    {
        Assert.Equal((Name, ip.ToString("x")), (Name, PushedIp.ToString("x")));
        Assert.True(Vector == null || (Vector == Cpus.Vector.GeneralProtection && Cpl == 3 && Read(ip + Base, 1) == Hlt), $"{Name}: {Vector}");
    }

    private void ReadFrame(Vector vector)
    {
        Vector = vector;
        int size = LongMode ? 8 : Mode == CodeMode.Real ? 2 : 4;
        ulong mask = LongMode ? ulong.MaxValue : (S->Ss.Attributes & SegmentAttributes.D) != 0 ? uint.MaxValue : 0xFFFFu;
        int words = 0;
        Error = null;
        if (Mode != CodeMode.Real && EventDelivery.HasErrorCode(vector))
            Error = Word();
        PushedIp = Word();
        PushedCs = Word();
        PushedFlags = Word();
        PushedSp = LongMode || Cpl == 3 ? Word() : (S->Registers[4] & ~mask) | ((S->Registers[4] + (ulong)(size * words)) & mask);

        ulong Word() => Read(S->Ss.Base + ((S->Registers[4] + (ulong)(size * words++)) & mask), size);
    }

    private void EnterReal()
    {
        for (uint v = 0; v < 32; v++)
        {
            Machine.Memory.Write(4 * v, 2, 16 * v);
            Machine.Memory.Write(4 * v + 2, 2, Handlers >> 4);
        }
        S->Idtr = new TableRegister { Base = 0, Limit = 0x3FF };
        S->Paging.Cr4 = ControlBits.Cr4OsFxsr;
        S->Cs = RealSegment(Code);
        S->Ds = S->Fs = S->Gs = RealSegment(Data);
        S->Es = RealSegment(Extra);
        S->Ss = RealSegment(StackBase);
    }

    private static SegmentRegister RealSegment(uint @base) =>
        new() { Base = @base, Limit = 0xFFFF, Selector = (ushort)(@base >> 4), Attributes = SegmentAttributes.RealModeData, Usable = 1 };

    private void EnterProtected()
    {
        MapAll();
        ulong wide = LongMode ? 0x0020_0000_0000_0000UL : 0x0040_0000_0000_0000UL;
        Machine.Memory.Write(Gdt + Code0, 8, 0x008F_9B00_0000_FFFF | wide);
        Machine.Memory.Write(Gdt + Data0, 8, 0x00CF_9300_0000_FFFF);
        Machine.Memory.Write(Gdt + (Code3 & ~3u), 8, 0x008F_FB00_0000_FFFF | wide);
        Machine.Memory.Write(Gdt + (Data3 & ~3u), 8, 0x00CF_F300_0000_FFFF);
        Machine.Memory.Write(Gdt + TssSelector, 8, 0x67 | (ulong)Tss << 16 | 0x8BUL << 40);
        Machine.Memory.Write(Gdt + Code16, 8, 0x0000_9B02_0000_FFFF);
        Machine.Memory.Write(Gdt + Data16, 8, 0x0000_9303_0000_FFFF);
        Machine.Memory.Write(Gdt + Code32, 8, Cpl == 3 ? 0x00CF_FB00_0000_FFFFUL : 0x00CF_9B00_0000_FFFFUL);
        S->Gdtr = new TableRegister { Base = Gdt, Limit = 0xFF };
        S->Tr = new SegmentRegister { Base = Tss, Limit = 0x67, Selector = TssSelector, Usable = 1, Attributes = SegmentAttributes.Present | SystemType.BusyTss32 };
        int gate = LongMode ? 16 : 8;
        S->Idtr = new TableRegister { Base = Idt, Limit = (uint)(32 * gate - 1) };
        for (uint v = 0; v < 32; v++)
            SetGate((int)v, Handlers + 16 * v);
        Machine.Memory.Write(Tss + 4, LongMode ? 8 : 4, Stack0);
        if (!LongMode)
            Machine.Memory.Write(Tss + 8, 2, Data0);
        const ushort data = SegmentAttributes.RealModeData | SegmentAttributes.D | SegmentAttributes.G;
        ushort privilege = (ushort)(Cpl << SegmentAttributes.DplShift);
        var flat = new SegmentRegister { Limit = uint.MaxValue, Attributes = (ushort)(data | privilege), Selector = Cpl == 3 ? Data3 : Data0, Usable = 1 };
        S->Es = S->Ss = S->Ds = S->Fs = S->Gs = flat;
        S->Cs = flat with { Attributes = (ushort)(flat.Attributes | SegmentAttributes.Code), Selector = Cpl == 3 ? Code3 : Code0 };
        switch (Mode)
        {
            case CodeMode.Compatibility:
                S->Cs.Selector = (ushort)(Code32 | Cpl);
                break;
            case CodeMode.Long:
                S->Cs.Attributes = (ushort)((S->Cs.Attributes & ~SegmentAttributes.D) | SegmentAttributes.L);
                break;
            case CodeMode.Protected16:
                S->Cs = RealSegment(Code) with { Selector = Code16, Attributes = SegmentAttributes.RealModeData | SegmentAttributes.Code };
                S->Ds = S->Fs = S->Gs = RealSegment(Data) with { Selector = Data16 };
                S->Es = RealSegment(Extra) with { Selector = Data16 };
                S->Ss = RealSegment(StackBase) with { Selector = Data16 };
                break;
            case CodeMode.Virtual8086:
                S->Cs = SegmentLoad.Virtual8086((ushort)(Code >> 4));
                S->Ds = S->Fs = S->Gs = SegmentLoad.Virtual8086((ushort)(Data >> 4));
                S->Es = SegmentLoad.Virtual8086((ushort)(Extra >> 4));
                S->Ss = SegmentLoad.Virtual8086((ushort)(StackBase >> 4));
                break;
        }
        S->Cpl = Cpl;
    }

    /// <summary>A gate of the IDT to code at CPL 0: interrupt gate unless told otherwise.</summary>
    public void SetGate(int vector, ulong handler, int ist = 0, ushort selector = Code0, byte type = 0x8E)
    {
        uint gate = LongMode ? 16u : 8;
        ulong at = Idt + gate * (uint)vector;
        Machine.Memory.Write(at, 8, (handler & 0xFFFF) | (ulong)selector << 16 | (ulong)(uint)ist << 32 | (ulong)type << 40 | (handler >> 16 & 0xFFFF) << 48);
        if (LongMode)
            Machine.Memory.Write(at + 8, 8, handler >> 32);
    }

    /// <summary>
    /// PAE paging in every mode. In long mode the last page of each half of the address space is the page at 1 MiB, and the first of the upper half the page 0.
    /// </summary>
    private void MapAll()
    {
        const ulong flags = 7;
        PhysicalMemory m = Machine.Memory;
        for (ulong page = 0; page < 1024; page++)
            m.Write(Table + 8 * page, 8, (page << 12) | flags);
        m.Write(Directory, 8, Table | flags);
        m.Write(Directory + 8, 8, (Table + 0x1000) | flags);
        m.Write(Pdpt, 8, Directory | (LongMode ? flags : 1));
        S->Paging.Cr0 = ControlBits.Cr0Pg | ControlBits.Cr0Pe | ControlBits.Cr0Et | ControlBits.Cr0Wp | ControlBits.Cr0Ne;
        S->Paging.Cr4 = ControlBits.Cr4Pae | ControlBits.Cr4OsFxsr;
        S->Paging.Efer = ControlBits.EferNxe;
        S->Paging.Cr3 = Pdpt;
        S->Paging.Pdpte0 = Directory | 1;
        if (!LongMode)
            return;
        const ulong top = 0x10_0000;
        ulong pdpt = Pml4 + 0x1000, directory = Pml4 + 0x2000, table = Pml4 + 0x3000;
        m.Write(Pml4, 8, Pdpt | flags);
        m.Write(Pml4 + 8 * 256, 8, Pdpt | flags);
        m.Write(Pml4 + 8 * 255, 8, pdpt | flags);
        m.Write(Pml4 + 8 * 511, 8, pdpt | flags);
        m.Write(pdpt + 8 * 511, 8, directory | flags);
        m.Write(directory + 8 * 511, 8, table | flags);
        m.Write(table + 8 * 511, 8, top | flags);
        S->Paging.Cr3 = Pml4;
        S->Paging.Efer |= ControlBits.EferLme | ControlBits.EferLma;
    }

    public void Dispose() => Machine.Dispose();
}
