using System.Text;
using Emu.Boot;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Interrupts;
using Emu.Memory;
using Emu.Tests.Interrupts;
using Xunit;

namespace Emu.Tests.Boot;

/// <summary>RAM and a boot CPU to load images into.</summary>
internal sealed unsafe class BootFixture : IDisposable
{
    public BootFixture(ulong memory = 16UL << 20, CpuModel? model = null)
    {
        Memory = new PhysicalMemory(memory);
        Cpu = new Cpu(new CpuIndex(0), model ?? CpuModels.Skylake, Memory, Bus, FetchProfiles.Coherent, 0);
        Apic = new LocalApic(Cpu, new InterruptFabric(), new TestTimeline());
        Cpu.Apic = Apic;
    }

    public PhysicalMemory Memory { get; }
    public Bus Bus { get; } = new();
    public Cpu Cpu { get; }
    public LocalApic Apic { get; }

    public ref CpuState State => ref *Cpu.State;

    public ulong Register(int index) => Cpu.State->Registers[index];

    public byte[] Bytes(ulong address, int length)
    {
        var bytes = new byte[length];
        Assert.True(Memory.TryRead(address, bytes));
        return bytes;
    }

    public uint Word(ulong address) => BitConverter.ToUInt32(Bytes(address, 4));

    public ulong Quad(ulong address) => BitConverter.ToUInt64(Bytes(address, 8));

    public string Text(ulong address)
    {
        var bytes = new List<byte>();
        for (byte b; (b = Bytes(address++, 1)[0]) != 0;)
            bytes.Add(b);
        return Encoding.UTF8.GetString([.. bytes]);
    }

    /// <summary>The memory map of a multiboot information structure.</summary>
    public List<(ulong Start, ulong Length, uint Type)> MemoryMap(uint info)
    {
        var map = new List<(ulong, ulong, uint)>();
        uint at = Word(info + 48);
        for (uint end = at + Word(info + 44); at < end; at += Word(at) + 4)
            map.Add((Quad(at + 4), Quad(at + 12), Word(at + 20)));
        return map;
    }

    /// <summary>What the user would read; one line, always.</summary>
    public static string Refusal(Action open)
    {
        string message = Assert.Throws<BootException>(open).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    public void Dispose()
    {
        Cpu.Dispose();
        Memory.Dispose();
    }
}
