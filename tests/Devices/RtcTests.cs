using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class RtcTests : IDisposable
{
    private const ulong Second = DeviceFixture.Second;

    private const int Periodic = 0x40;
    private const int Alarm = 0x20;
    private const int Update = 0x10;
    private const int Request = 0x80;

    private readonly DeviceFixture _f = new();
    private readonly CmosRtc _rtc;

    public RtcTests()
    {
        _rtc = new CmosRtc(_f.Time, _f.Irq, CmosRtc.DefaultStart, _f.Memory);
        _rtc.AttachTo(_f.Bus);
    }

    public void Dispose() => _f.Dispose();

    [Fact]
    public void Registers_AsTimePasses_ShowTheStartDatePlusMachineTime()
    {
        _f.Time.Now = (2 * 86400 + 13 * 3600 + 59 * 60 + 58) * Second;
        Assert.Equal([0x58, 0x59, 0x13, 0x08, 0x10, 0x09, 0x20], new[] { 0, 2, 4, 7, 8, 9, 0x32 }.Select(Cmos));
        // 8 October 2009 was a Thursday: day 5 of a week that starts on Sunday.
        Assert.Equal(5, Cmos(6));
        _f.Time.Now += 2 * Second;
        Assert.Equal([0x00, 0x00, 0x14], new[] { 0, 2, 4 }.Select(Cmos));
    }

    [Theory]
    [InlineData(0, 12, 0x12)]
    [InlineData(1, 1, 0x01)]
    [InlineData(12, 0x8C, 0x92)]
    [InlineData(23, 0x8B, 0x91)]
    public void TwelveHourMode_HasThePmBit(int hour, int binary, int bcd)
    {
        _f.Time.Now = (ulong)hour * 3600 * Second;
        WriteCmos(0x0B, 0x04);
        Assert.Equal(binary, Cmos(4));
        WriteCmos(0x0B, 0x00);
        Assert.Equal(bcd, Cmos(4));
        // What was read can be written back.
        WriteCmos(4, (uint)bcd);
        WriteCmos(0x0B, 0x06);
        Assert.Equal(hour, Cmos(4));
    }

    [Fact]
    public void UpdateInProgress_IsSetBeforeTheSecondTurns()
    {
        Assert.Equal(0x26, Cmos(0x0A));
        _f.Time.Now = Second - 244_001;
        Assert.Equal(0x26, Cmos(0x0A));
        _f.Time.Now = Second - 244_000;
        Assert.Equal(0xA6, Cmos(0x0A));
        _f.Time.Now = Second;
        Assert.Equal(0x26, Cmos(0x0A));
        Assert.Equal(0x80, Cmos(0x0D));
    }

    [Fact]
    public void Set_HoldsTheClockWhileItIsWritten_AndKeepsThePhase()
    {
        _f.Time.Now = 300_000_000;
        WriteCmos(0x0B, 0x82);
        (int Index, uint Value)[] values = [(0, 0x58), (2, 0x59), (4, 0x23), (7, 0x31), (8, 0x12), (9, 0x99), (0x32, 0x19), (6, 0x06)];
        foreach ((int index, uint value) in values)
            WriteCmos(index, value);
        _f.Time.Now += 10 * Second;
        Assert.Equal(0x58, Cmos(0));
        Assert.Equal(0x26, Cmos(0x0A));
        WriteCmos(0x0B, 0x02);
        Assert.Equal(0x58, Cmos(0));
        // The divider ran on under SET: the second turns where it always did.
        _f.Time.Now += 700_000_000 - 1;
        Assert.Equal(0x58, Cmos(0));
        _f.Time.Now += 1;
        Assert.Equal(0x59, Cmos(0));
        _f.Time.Now += Second;
        Assert.Equal([0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x20, 0x07], new[] { 0, 2, 4, 7, 8, 9, 0x32, 6 }.Select(Cmos));
    }

    [Fact]
    public void DividerReset_Released_UpdatesAfterHalfASecond()
    {
        _f.Time.Now = 123_456_789;
        WriteCmos(0x0A, 0x76);
        _f.Time.Now += 5 * Second;
        Assert.Equal(0, Cmos(0));
        WriteCmos(0x0A, 0x26);
        _f.Time.Now += Second / 2 - 1;
        Assert.Equal(0, Cmos(0));
        _f.Time.Now += 1;
        Assert.Equal(1, Cmos(0));
    }

    [Fact]
    public void WrittenDate_ThatNoCalendarHas_BecomesTheNearest()
    {
        WriteCmos(8, 0x02);
        Assert.Equal(0x06, Cmos(7));
        WriteCmos(7, 0x31);
        Assert.Equal(0x28, Cmos(7));
        WriteCmos(8, 0x99);
        Assert.Equal(0x12, Cmos(8));
        WriteCmos(8, 0x00);
        WriteCmos(7, 0x00);
        Assert.Equal([0x01, 0x01], new[] { 7, 8 }.Select(Cmos));
    }

    [Theory]
    [InlineData(3, 8192)]
    [InlineData(6, 1024)]
    [InlineData(15, 2)]
    [InlineData(1, 256)]
    [InlineData(2, 128)]
    public void PeriodicInterrupt_ComesAtTheRate(int rate, int perSecond)
    {
        WriteCmos(0x0A, (uint)(0x20 | rate));
        WriteCmos(0x0B, 0x02 | Periodic);
        int interrupts = 0;
        while (_rtc.NextEvent <= Second)
        {
            _f.Time.RunTo(_rtc.NextEvent, _rtc);
            if (!_f.Irq.Asserted)
                continue;
            interrupts++;
            Assert.Equal(Request | Periodic, Cmos(0x0C) & ~Update);
            Assert.False(_f.Irq.Asserted);
        }
        Assert.Equal(perSecond, interrupts);
    }

    [Fact]
    public void PeriodicInterrupt_NotAcknowledged_HoldsTheLineAndAsksForNoEvents()
    {
        WriteCmos(0x0B, 0x02 | Periodic);
        _f.Time.RunTo(Second, _rtc);
        Assert.Equal(1, _f.Irq.Rises);
        Assert.True(_f.Irq.Asserted);
        Assert.Equal(ulong.MaxValue, _rtc.NextEvent);
        Cmos(0x0C);
        Assert.False(_f.Irq.Asserted);
        Assert.Equal(0, Cmos(0x0C));
    }

    [Fact]
    public void UpdateInterrupt_ComesWithEverySecond()
    {
        WriteCmos(0x0B, 0x02 | Update);
        _f.Time.RunTo(Second - 1, _rtc);
        Assert.False(_f.Irq.Asserted);
        _f.Time.RunTo(Second, _rtc);
        Assert.True(_f.Irq.Asserted);
        Assert.Equal(Request | Update, Cmos(0x0C) & ~Periodic);
        Assert.Equal(2 * Second, _rtc.NextEvent);
        // SET going high clears UIE.
        WriteCmos(0x0B, 0x82 | Update);
        Assert.Equal(0x82, Cmos(0x0B));
        Assert.Equal(ulong.MaxValue, _rtc.NextEvent);
    }

    [Theory]
    [InlineData(0x05, 0x01, 0x00, 65)]
    [InlineData(0x05, 0xC0, 0xFF, 5)]
    [InlineData(0xC0, 0x02, 0x00, 120)]
    [InlineData(0x00, 0x00, 0x13, 13 * 3600)]
    [InlineData(0x00, 0x00, 0x00, 86400)]
    public void Alarm_Matches_WhereItsBytesSay(uint second, uint minute, uint hour, int expected)
    {
        WriteCmos(1, second);
        WriteCmos(3, minute);
        WriteCmos(5, hour);
        WriteCmos(0x0B, 0x02 | Alarm);
        Assert.Equal((ulong)expected * Second, _rtc.NextEvent);
        _f.Time.RunTo((ulong)expected * Second - 1, _rtc);
        Assert.False(_f.Irq.Asserted);
        _f.Time.RunTo((ulong)expected * Second, _rtc);
        Assert.True(_f.Irq.Asserted);
        Assert.Equal(Request | Alarm, Cmos(0x0C) & (Request | Alarm));
    }

    [Fact]
    public void Alarm_OfNoTime_NeverComes()
    {
        WriteCmos(1, 0x61);
        WriteCmos(0x0B, 0x02 | Alarm);
        Assert.Equal(ulong.MaxValue, _rtc.NextEvent);
    }

    [Fact]
    public void Flags_WithoutTheirEnables_RiseWithoutARequest()
    {
        _f.Time.Now = 86400 * Second;
        Assert.Equal(Periodic | Alarm | Update, Cmos(0x0C));
        Assert.Equal(0, _f.Irq.Rises);
    }

    [Fact]
    public void Memory_SizeBytes_AreThoseOfTheMachineAndTheRestIsMemory()
    {
        Assert.Equal(640, Cmos(0x15) | (Cmos(0x16) << 8));
        Assert.Equal(63 * 1024, Cmos(0x30) | (Cmos(0x31) << 8));
        Assert.Equal((64 - 16) * 16, Cmos(0x34) | (Cmos(0x35) << 8));
        Assert.Equal(0, Cmos(0x5B));
        // As software likes to: index and data in one access.
        _f.Out(0x70, 0x7740, 2);
        // Bit 7 of the index is the NMI mask.
        _f.Out(0x70, 0xC0);
        Assert.Equal(0x77u, _f.In(0x71));
    }

    private int Cmos(int index)
    {
        _f.Out(0x70, (uint)index);
        return (int)_f.In(0x71);
    }

    private void WriteCmos(int index, uint value)
    {
        _f.Out(0x70, (uint)index);
        _f.Out(0x71, value);
    }
}
