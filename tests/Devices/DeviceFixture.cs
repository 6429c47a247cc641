using Emu.Interrupts;
using Emu.Memory;
using Emu.Tests.Interrupts;

namespace Emu.Tests.Devices;

/// <summary>An interrupt line that remembers.</summary>
internal sealed class RecordingLine : IIrqLine
{
    public bool Asserted { get; private set; }

    /// <summary>Rising edges.</summary>
    public int Rises { get; private set; }

    public void Set(bool asserted)
    {
        if (asserted && !Asserted)
            Rises++;
        Asserted = asserted;
    }
}

/// <summary>A bus, RAM and time for devices, without CPUs.</summary>
internal sealed class DeviceFixture : IDisposable
{
    public const ulong Second = 1_000_000_000;

    public TestTimeline Time { get; } = new();
    public Bus Bus { get; } = new();
    public PhysicalMemory Memory { get; } = new(64UL << 20);
    public RecordingLine Irq { get; } = new();

    public void Out(int port, uint value, int size = 1) => Bus.WritePort((ushort)port, size, value);

    public uint In(int port, int size = 1) => Bus.ReadPort((ushort)port, size);

    public ulong Read(ulong address, int size = 4) => Bus.ReadMmio(new CpuIndex(0), address, size);

    public void Write(ulong address, ulong value, int size = 4) => Bus.WriteMmio(new CpuIndex(0), address, size, value);

    public void Dispose() => Memory.Dispose();
}
