using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Machine;

/// <summary>
/// A whole machine whose CPUs stand in 64-bit mode with everything below 1 GiB, and the local APICs, mapped to itself, and one page twice; code is
/// assembled where a test wants it.
/// </summary>
internal sealed unsafe class SmallMachine : IDisposable
{
    public const ulong CodeAt = 0x10_0000;
    public const ulong DataAt = 0x20_0000;
    public const ulong IdtAt = 0x8000;
    public const ulong GdtAt = 0x7000;

    /// <summary>Linear address at which the 2 MiB that begin at <see cref="AliasedAt"/> can be seen a second time.</summary>
    public const ulong AliasAt = 1UL << 30;
    public const ulong AliasedAt = 0;

    private const ulong Tables = 0x1000;
    /// <summary>Present, writable, accessed and dirty: no walk has to set a bit.</summary>
    private const ulong Present = 0x63;
    private const ulong LargePage = 0x80;

    public SmallMachine(FetchProfile profile, int cpus = 2, ScheduleKind schedule = ScheduleKind.RoundRobin, ulong seed = 1, int quantum = 64, ulong memory = 8 << 20, int depth = 1, ulong steps = 1)
    {
        Machine = new Machines.Machine(new MachineOptions { CpuCount = cpus, Model = CpuModels.AlderLake, Profile = profile, MemorySize = memory, Schedule = schedule, Seed = seed, Quantum = quantum, PctDepth = depth, PctSteps = steps });
        Write64(Tables, (Tables + 0x1000) | Present);
        Write64(Tables + 0x1000, (Tables + 0x2000) | Present);
        Write64(Tables + 0x1008, (Tables + 0x3000) | Present);
        Write64(Tables + 0x1018, (Tables + 0x4000) | Present);
        for (ulong i = 0; i < 512; i++)
            Write64(Tables + 0x2000 + 8 * i, (i << 21) | Present | LargePage);
        Write64(Tables + 0x3000, AliasedAt | Present | LargePage);
        Write64(Tables + 0x4000 + 8 * ((0xFEE0_0000UL - 0xC000_0000) >> 21), 0xFEE0_0000 | Present | LargePage);
        Write64(GdtAt + 8, 0x00AF_9B00_0000_FFFF);
        Write64(GdtAt + 16, 0x00CF_9300_0000_FFFF);
        foreach (Cpu cpu in Machine.Cpus)
            EnterLongMode(cpu);
    }

    public Machines.Machine Machine { get; }

    public CpuState* this[int cpu] => Machine.Cpus[cpu].State;

    public ModelledCpu Agent(int cpu) => Machine.Agents[cpu];

    /// <summary>Assembles code and returns its length.</summary>
    public int Assemble(ulong at, Action<Assembler> code)
    {
        var assembler = new Assembler(64);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        Write(at, stream.ToArray());
        return (int)stream.Length;
    }

    /// <summary>Points an IDT vector at code: an interrupt gate.</summary>
    public void SetVector(byte vector, ulong handler)
    {
        Write64(IdtAt + 16UL * vector, (handler & 0xFFFF) | (8UL << 16) | (0x8E00UL << 32) | ((handler >> 16 & 0xFFFF) << 48));
        Write64(IdtAt + 16UL * vector + 8, handler >> 32);
    }

    public void Write(ulong address, params byte[] bytes) => Assert.True(Machine.Memory.TryWrite(address, bytes));

    public void Write64(ulong address, ulong value) => Write(address, BitConverter.GetBytes(value));

    public byte[] Read(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.True(Machine.Memory.TryRead(address, bytes));
        return bytes;
    }

    public ulong Read64(ulong address) => BitConverter.ToUInt64(Read(address, 8));

    /// <summary>Executes until a CPU has retired so many instructions; each must execute.</summary>
    public void Step(int cpu, int count = 1)
    {
        for (int i = 0; i < count; i++)
            Assert.True(Machine.Step(new CpuIndex(cpu)));
    }

    public void Dispose() => Machine.Dispose();

    private static void EnterLongMode(Cpu cpu)
    {
        CpuState* s = cpu.State;
        const ushort data = SegmentAttributes.RealModeData | SegmentAttributes.D | SegmentAttributes.G;
        SegmentRegister flat = new() { Limit = uint.MaxValue, Attributes = data, Selector = 0x10, Usable = 1 };
        s->Es = s->Ss = s->Ds = s->Fs = s->Gs = flat;
        s->Cs = flat with { Selector = 8, Attributes = (ushort)((data | SegmentAttributes.Code | SegmentAttributes.L) & ~SegmentAttributes.D) };
        s->Gdtr.Base = GdtAt;
        s->Gdtr.Limit = 0xFFF;
        s->Idtr.Base = IdtAt;
        s->Idtr.Limit = 0xFFF;
        s->Paging.Cr0 = 0x8001_0011;
        s->Paging.Cr4 = PagingBits.Cr4Pae;
        s->Paging.Cr3 = Tables;
        s->Paging.Efer = PagingBits.EferLma | PagingBits.EferLme;
        s->Activity = Activity.Active;
        s->Rip = CodeAt;
        s->Registers[4] = DataAt + 0x8_0000 + 0x1000 * (ulong)cpu.Index.Value;
        CpuMode.Update(s);
        CpuMode.FlushTlb(s, keepGlobal: false);
        // The local APIC answers in its page, enabled.
        cpu.Bus.WriteMmio(cpu.Index, 0xFEE0_00F0, 4, 0x1FF);
    }
}
