using Emu.Devices;
using Emu.Memory;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class PciTests : IDisposable
{
    private readonly DeviceFixture _f = new();
    private readonly PciHost _host;
    private readonly Registers _function;

    public PciTests()
    {
        _host = new PciHost(_f.Bus, _f.Irq);
        _host.AttachTo();
        _function = new Registers();
        _host.Add(3, _function);
    }

    public void Dispose() => _f.Dispose();

    [Fact]
    public void Enumeration_AsSoftwareDoesIt_FindsWhatIsThereAndNothingElse()
    {
        // Mechanism 1 is there: the address reads back.
        _f.Out(0xCF8, 0x8000_0000, 4);
        Assert.Equal(0x8000_0000u, _f.In(0xCF8, 4));
        var found = new List<(int, uint, uint)>();
        for (int bus = 0; bus < 2; bus++)
            for (int device = 0; device < 32; device++)
                for (int function = 0; function < 8; function++)
                    if (Config(device, 0, bus, function) is not uint.MaxValue and uint id)
                        found.Add((device, id, Config(device, 8, bus, function) >> 8));
        Assert.Equal([(0, 0x1237_8086u, PciClass.HostBridge), (3, 0x1234_ABCDu, PciClass.OtherStorage)], found);
    }

    [Fact]
    public void Mechanism1_TakesDoublewordsOnly_AndPassesBytesOn()
    {
        _f.Out(0xCF8, 0x8000_1800, 4);
        _f.Out(0xCF8, 0xFF);
        _f.Out(0xCF8, 0xFFFF, 2);
        Assert.Equal(0x8000_1800u, _f.In(0xCF8, 4));
        // Disabled: no configuration space.
        _f.Out(0xCF8, 0x0000_1800, 4);
        Assert.Equal(uint.MaxValue, _f.In(0xCFC, 4));
        // Parts of the data register.
        _f.Out(0xCF8, 0x8000_1800, 4);
        Assert.Equal((0xABCDu, 0x1234u, 0x34u, 0x12u), (_f.In(0xCFC, 2), _f.In(0xCFE, 2), _f.In(0xCFE), _f.In(0xCFF)));
    }

    [Fact]
    public void Bar_SizedAndMoved_AnswersWhereItIs()
    {
        // As firmware leaves it.
        Assert.Equal(0xFEB0_0000u, Config(3, 0x14));
        Assert.Equal(0x010Bu, Config(3, 0x3C));
        SetConfig(3, 0x14, uint.MaxValue);
        Assert.Equal(0xFFFF_F000u, Config(3, 0x14));
        SetConfig(3, 0x10, uint.MaxValue);
        Assert.Equal(0u, Config(3, 0x10));
        SetConfig(3, 0x14, 0xE000_0000);
        Assert.Equal(0x008UL, _f.Read(0xE000_0008));
        _f.Write(0xE000_0FFC, 0x55);
        Assert.Equal((0xFFCUL, 0x55UL), _function.Written);
        Assert.Equal(uint.MaxValue, _f.Read(0xFEB0_0008));
        // Memory space disabled: open bus.
        SetConfig(3, 0x04, 0);
        Assert.Equal(uint.MaxValue, _f.Read(0xE000_0008));
    }

    [Fact]
    public void ReadOnlyRegisters_WhenWritten_StayAsTheyAre()
    {
        for (int register = 0; register < 256; register += 4)
            SetConfig(0, register, uint.MaxValue);
        Assert.Equal(0x1237_8086u, Config(0, 0));
        // I/O space, parity, SERR#, interrupt disable.
        Assert.Equal(0x0000_0541u, Config(0, 4));
        Assert.Equal(0x0600_0002u, Config(0, 8));
        Assert.Equal(0x0000_F8FFu, Config(0, 0x0C));
        for (int register = 0x10; register < 256; register += 4)
            Assert.Equal(0u, Config(0, register));
    }

    [Fact]
    public void Interrupt_GoesToItsLine_UnlessDisabled()
    {
        _function.Interrupt(true);
        Assert.True(_f.Irq.Asserted);
        Assert.Equal(8u << 16, Config(3, 4) & (8u << 16));
        SetConfig(3, 4, 0x400);
        Assert.False(_f.Irq.Asserted);
        SetConfig(3, 4, 0x000);
        Assert.True(_f.Irq.Asserted);
        // The line is shared.
        var other = new Registers();
        _host.Add(4, other);
        other.Interrupt(true);
        _function.Interrupt(false);
        Assert.Equal((true, 2), (_f.Irq.Asserted, _f.Irq.Rises));
        other.Interrupt(false);
        Assert.False(_f.Irq.Asserted);
        Assert.Equal((0xFEB0_0000u, 0xFEB0_1000u), (Config(3, 0x14), Config(4, 0x14)));
    }

    [Fact]
    public void Window_WithADeviceInsideIt_LeavesThatAlone()
    {
        var other = new Registers();
        _f.Bus.AttachMmio(0xE100_0000, 0x1000, other);
        Assert.Equal(0x10UL, _f.Read(0xE100_0010));
        Assert.Equal(uint.MaxValue, _f.Read(0xE200_0010));
    }

    [Fact]
    public void AbsentAccesses_AreShownToWhoeverAsks()
    {
        var seen = new List<AbsentAccess>();
        _f.Bus.OnAbsent = seen.Add;
        _f.In(0x2E8);
        _f.Out(0x278, 0x1234, 2);
        _f.Read(0xE200_0010);
        _f.Write(0xFED4_0000, 1);
        Assert.Equal(
        [
            new(true, 0x2E8, 1, false, 0xFF), new(true, 0x278, 1, true, 0x34), new(true, 0x279, 1, true, 0x12),
            new(false, 0xE200_0010, 4, false, uint.MaxValue), new(false, 0xFED4_0000, 4, true, 1),
        ], seen);
    }

    private uint Config(int device, int register, int bus = 0, int function = 0)
    {
        _f.Out(0xCF8, 0x8000_0000 | (uint)bus << 16 | (uint)device << 11 | (uint)function << 8 | (uint)register, 4);
        return _f.In(0xCFC, 4);
    }

    private void SetConfig(int device, int register, uint value)
    {
        _f.Out(0xCF8, 0x8000_0000 | (uint)device << 11 | (uint)register, 4);
        _f.Out(0xCFC, value, 4);
    }

    /// <summary>4 KiB of registers, each of which reads as its offset.</summary>
    private sealed class Registers() : PciFunction(new PciIdentity(0xABCD, 0x1234, 1, PciClass.OtherStorage), bar: 1, length: 0x1000, interrupts: true), IMmioDevice
    {
        public (ulong, ulong) Written { get; private set; }

        public void Interrupt(bool pending) => SetInterrupt(pending);

        public override ulong ReadMemory(ulong offset, int size) => offset;

        public override void WriteMemory(ulong offset, int size, ulong value) => Written = (offset, value);

        ulong IMmioDevice.Read(CpuIndex cpu, ulong offset, int size) => offset;

        void IMmioDevice.Write(CpuIndex cpu, ulong offset, int size, ulong value) => Written = (offset, value);
    }
}
