using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class PowerManagementTests : IDisposable
{
    private const int Status = 0x600;
    private const int Enable = 0x602;
    private const int Control = 0x604;
    private const int Timer = 0x608;
    private const uint TimerBit = 1;
    private const uint PowerButton = 0x100;

    private readonly DeviceFixture _f = new();
    private readonly List<string> _reports = [];
    private readonly PowerManagement _power;
    private int _off;

    public PowerManagementTests()
    {
        _power = new PowerManagement(_f.Time, _f.Irq, () => _off++, _reports.Add);
        _power.AttachTo(_f.Bus);
    }

    public void Dispose() => _f.Dispose();

    [Fact]
    public void Timer_Counts24BitsAt3579545Hertz()
    {
        Assert.Equal(0u, _f.In(Timer, 4));
        _f.Time.Now = DeviceFixture.Second;
        Assert.Equal(3_579_545u, _f.In(Timer, 4));
        Assert.Equal(3_579_545u >> 8 & 0xFF, _f.In(Timer + 1) & 0xFF);
        _f.Time.Now = 100 * DeviceFixture.Second;
        Assert.Equal(357_954_500u & 0xFF_FFFF, _f.In(Timer, 4));
        // Read-only.
        _f.Out(Timer, 0, 4);
        Assert.Equal(357_954_500u & 0xFF_FFFF, _f.In(Timer, 4));
    }

    [Fact]
    public void TimerStatus_EachChangeOfTheTopBit_RaisesTheSciUntilCleared()
    {
        _f.Out(Enable, TimerBit, 2);
        ulong change = (ulong)Math.Ceiling((1 << 23) * 1e9 / 3_579_545);
        Assert.Equal(change, _power.NextEvent);
        _f.Time.RunTo(change - 1, _power);
        Assert.Equal((0u, false), (_f.In(Status, 2), _f.Irq.Asserted));
        _f.Time.RunTo(change, _power);
        Assert.Equal((TimerBit, true), (_f.In(Status, 2), _f.Irq.Asserted));
        Assert.Equal(ulong.MaxValue, _power.NextEvent);
        // Writing 0 leaves it, writing 1 clears it.
        _f.Out(Status, 0, 2);
        Assert.True(_f.Irq.Asserted);
        _f.Out(Status, TimerBit, 2);
        Assert.Equal((0u, false), (_f.In(Status, 2), _f.Irq.Asserted));
        _f.Time.RunTo(2 * change, _power);
        Assert.Equal((TimerBit, true), (_f.In(Status, 2), _f.Irq.Asserted));
        Assert.Equal(2, _f.Irq.Rises);
    }

    [Fact]
    public void PowerButton_WithItsEnable_RaisesTheSci()
    {
        _power.PressPowerButton();
        Assert.Equal((PowerButton, false), (_f.In(Status, 2), _f.Irq.Asserted));
        _f.Out(Enable, PowerButton, 2);
        Assert.True(_f.Irq.Asserted);
        _f.Out(Status + 1, PowerButton >> 8);
        Assert.Equal((0u, false), (_f.In(Status, 2), _f.Irq.Asserted));
    }

    [Fact]
    public void Control_ShowsAcpiModeAndKeepsTheSleepType()
    {
        Assert.Equal(1u, _f.In(Control, 2));
        _f.Out(Control, 5 << 10, 2);
        Assert.Equal(1u | 5 << 10, _f.In(Control, 2));
        Assert.Equal((0, 0), (_off, _reports.Count));
    }

    [Theory]
    [InlineData(7u, 1, 0)]
    [InlineData(5u, 0, 1)]
    [InlineData(0u, 0, 1)]
    public void SleepEnable_SoftOff_SwitchesOffAndOthersAreReported(uint type, int off, int reports)
    {
        // As Linux does: the type first, then both.
        _f.Out(Control, type << 10, 2);
        _f.Out(Control, type << 10 | 1u << 13, 2);
        Assert.Equal((off, reports), (_off, _reports.Count));
        Assert.Equal(1u | type << 10, _f.In(Control, 2));
    }

    [Fact]
    public void EnableByBytes_IsTheSameRegister()
    {
        _f.Out(Enable + 1, 0x07);
        _f.Out(Enable, 0xFF);
        Assert.Equal(0x0721u, _f.In(Enable, 2));
        Assert.Equal(0x0721_0000u, _f.In(Status, 4));
    }
}
