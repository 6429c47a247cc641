using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Memory;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Instructions;

/// <summary>
/// One CPU with 4 MiB of RAM, in flat 64-bit or 32-bit code with paging, or in real mode; it assembles, and steps one instruction at a time.
/// Linear addresses are physical but for the marked ones below.
/// </summary>
internal sealed unsafe class TestCpu : IDisposable
{
    public const ulong CodeAt = 0x1_0000;

    /// <summary>Two writable pages; the one behind them is not present.</summary>
    public const ulong DataAt = 0x4_0000;
    public const ulong NotPresent = DataAt + 0x2000;
    public const ulong ReadOnly = DataAt + 0x3000;

    /// <summary>A second mapping of <see cref="DataAt"/>.</summary>
    public const ulong Alias = DataAt + 0x4000;
    public const ulong StackAt = 0x5_0000;

    private const ulong Tables = 0x1000;
    private readonly PhysicalMemory _memory = new(4UL << 20);
    private readonly Stepper _stepper;

    public TestCpu(int bits = 64, CpuModel? model = null, int storeBuffer = 0, FetchProfile? profile = null)
    {
        Bits = bits;
        Model = model ?? CpuModels.AlderLake;
        Cpu = new Cpu(new CpuIndex(0), Model, _memory, Bus, profile ?? FetchProfiles.Coherent, storeBuffer);
        S = Cpu.State;
        _stepper = new Stepper(new InstructionDecoder(Model));
        S->Registers[4] = StackAt;
        if (bits == 16)
        {
            S->Cs = S->Ds;
            CpuMode.Update(S);
            S->Registers[4] = 0x8000;
            return;
        }
        const ushort data = SegmentAttributes.RealModeData | SegmentAttributes.D | SegmentAttributes.G;
        SegmentRegister flat = new() { Limit = uint.MaxValue, Attributes = data, Selector = 0x10, Usable = 1 };
        S->Es = S->Ss = S->Ds = S->Fs = S->Gs = flat;
        ushort code = data | SegmentAttributes.Code;
        S->Cs = flat with { Selector = 8, Attributes = bits == 64 ? (ushort)((code & ~SegmentAttributes.D) | SegmentAttributes.L) : code };
        S->Paging.Cr0 = 0x8001_0011;
        S->Paging.Cr4 = PagingBits.Cr4Pae;
        S->Paging.Cr3 = Tables;
        MapTables(bits == 64);
        if (bits == 64)
            S->Paging.Efer = PagingBits.EferLma | PagingBits.EferLme;
        CpuMode.Update(S);
        CpuMode.FlushTlb(S, keepGlobal: false);
    }

    public int Bits { get; }
    public CpuModel Model { get; }
    public Cpu Cpu { get; }
    public Bus Bus { get; } = new();
    public CpuState* S { get; }
    public PhysicalMemory Memory => _memory;
    public FaultInfo Fault => S->Fault;

    /// <summary>RAX to R15 by number.</summary>
    public ulong this[int register]
    {
        get => S->Registers[register];
        set => S->Registers[register] = value;
    }

    public ulong Rflags
    {
        get => Flags.Get(S);
        set
        {
            Flags.Set(S, value);
            CpuMode.Update(S);
        }
    }

    /// <summary>Of RFLAGS, the six arithmetic flags.</summary>
    public ulong Arithmetic => Rflags & Emu.Cpus.Rflags.Arithmetic;

    /// <summary>Puts code at <see cref="CodeAt"/> and RIP at its start.</summary>
    public void Load(Action<Assembler> code)
    {
        var assembler = new Assembler(Bits);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), CodeAt & (Bits == 16 ? 0xFFFFUL : ulong.MaxValue));
        Load(stream.ToArray());
    }

    public void Load(params byte[] code)
    {
        Assert.True(_memory.TryWrite(CodeBase, code));
        S->Rip = CodeBase;
    }

    /// <summary>In real mode code lies at 0x1000, within its segment.</summary>
    public ulong CodeBase => Bits == 16 ? 0x1000 : CodeAt;

    /// <summary>Executes the instruction at RIP: its vector when it faulted, null when it retired, and false in <see cref="Retired"/> when it was interrupted.</summary>
    public Vector? Step()
    {
        S->Exit = ExitReason.None;
        S->Budget = 0;
        if (!_stepper.StepCoherent(Cpu, out bool retired))
            return S->Fault.Vector;
        Retired = retired;
        return S->Exit == ExitReason.Fault ? S->Fault.Vector : null;
    }

    public bool Retired { get; private set; }

    /// <summary>Assembles and executes one instruction.</summary>
    public Vector? Run(Action<Assembler> code)
    {
        Load(code);
        return Step();
    }

    /// <summary>Executes the loaded instruction again.</summary>
    public Vector? Again()
    {
        S->Rip = CodeBase;
        return Step();
    }

    public void Write(ulong address, params byte[] bytes) => Assert.True(_memory.TryWrite(address, bytes));

    public void Write64(ulong address, ulong value) => Write(address, BitConverter.GetBytes(value));

    public byte[] Read(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.True(_memory.TryRead(address, bytes));
        return bytes;
    }

    public ulong Read64(ulong address) => BitConverter.ToUInt64(Read(address, 8));

    /// <summary>Registers, flags, RIP: what a faulting instruction must leave alone.</summary>
    public string Image() => string.Join(' ', Enumerable.Range(0, 16).Select(i => this[i].ToString("x"))) + $" {Rflags:x} {S->Rip:x} {S->InterruptShadow}";

    /// <summary>Makes the CPU a user program.</summary>
    public void EnterUserMode()
    {
        S->Cpl = 3;
        CpuMode.Update(S);
    }

    public void Dispose()
    {
        _stepper.Dispose();
        Cpu.Dispose();
        _memory.Dispose();
    }

    /// <summary>PAE paging in both widths: identity for the first 2 MiB in pages of 4 KiB, all for users too.</summary>
    private void MapTables(bool four)
    {
        const ulong flags = 7;
        ulong pdpt = Tables + 0x1000, pd = Tables + 0x2000, pt = Tables + 0x3000;
        Write64(Tables, pdpt | flags);
        Write64(pdpt, pd | (four ? flags : 1));
        Write64(pd, pt | flags);
        for (ulong page = 0; page < 512; page++)
            Write64(pt + 8 * page, (page << 12) | flags);
        Write64(pt + 8 * (NotPresent >> 12), 0);
        Write64(pt + 8 * (ReadOnly >> 12), ReadOnly | 5);
        Write64(pt + 8 * (Alias >> 12), DataAt | flags);
        Write64(pt + 8 * ((Alias >> 12) + 1), (DataAt + 0x1000) | flags);
        if (!four)
        {
            S->Paging.Cr3 = pdpt;
            S->Paging.Pdpte0 = pd | 1;
        }
    }
}
