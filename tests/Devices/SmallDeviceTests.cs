using Emu.Devices;
using Emu.Memory;
using Emu.Tests.Interrupts;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class SmallDeviceTests : IDisposable
{
    private const ulong Second = 1_000_000_000;

    private readonly TestTimeline _time = new();
    private readonly Bus _bus = new();
    private readonly PhysicalMemory _memory = new(64UL << 20);

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void Rtc_AsTimePasses_ShowsTheStartDatePlusMachineTime()
    {
        Rtc();
        _time.Now = (2 * 86400 + 13 * 3600 + 59 * 60 + 58) * Second;
        Assert.Equal([0x58, 0x59, 0x13, 0x08, 0x10, 0x09, 0x20], new[] { 0, 2, 4, 7, 8, 9, 0x32 }.Select(Cmos));
        // 8 October 2009 was a Thursday: day 5 of a week that starts on Sunday.
        Assert.Equal(5, Cmos(6));
        _time.Now += 2 * Second;
        Assert.Equal([0x00, 0x00, 0x14], new[] { 0, 2, 4 }.Select(Cmos));
    }

    [Theory]
    [InlineData(0, 12, 0x12)]
    [InlineData(1, 1, 0x01)]
    [InlineData(12, 0x8C, 0x92)]
    [InlineData(23, 0x8B, 0x91)]
    public void Rtc_TwelveHourMode_HasThePmBit(int hour, int binary, int bcd)
    {
        Rtc();
        _time.Now = (ulong)hour * 3600 * Second;
        WriteCmos(0x0B, 0x04);
        Assert.Equal(binary, Cmos(4));
        WriteCmos(0x0B, 0x00);
        Assert.Equal(bcd, Cmos(4));
    }

    [Fact]
    public void Rtc_StatusRegisters_ShowWhatIsThereAndWhatIsNot()
    {
        Rtc();
        Assert.Equal(0x26, Cmos(0x0A));
        _time.Now = Second - 1;
        Assert.Equal(0xA6, Cmos(0x0A));
        _time.Now = Second;
        Assert.Equal(0x26, Cmos(0x0A));
        WriteCmos(0x0B, 0xFF);
        Assert.Equal(0x06, Cmos(0x0B));
        Assert.Equal(0, Cmos(0x0C));
        Assert.Equal(0x80, Cmos(0x0D));
        WriteCmos(0x00, 0x33);
        Assert.Equal(1, Cmos(0));
    }

    [Fact]
    public void Cmos_MemorySize_IsThatOfTheMachineAndTheRestIsMemory()
    {
        Rtc();
        Assert.Equal(640, Cmos(0x15) | (Cmos(0x16) << 8));
        Assert.Equal(63 * 1024, Cmos(0x30) | (Cmos(0x31) << 8));
        Assert.Equal((64 - 16) * 16, Cmos(0x34) | (Cmos(0x35) << 8));
        Assert.Equal(0, Cmos(0x5B));
        WriteCmos(0x40, 0x77);
        // Bit 7 of the index is the NMI mask.
        _bus.WritePort(0x70, 1, 0xC0);
        Assert.Equal(0x77u, _bus.ReadPort(0x71, 1));
    }

    [Fact]
    public void DebugExit_Write_StopsWithTheValue()
    {
        uint? stopped = null;
        var exit = new DebugExit(v => stopped = v);
        exit.AttachTo(_bus);
        Assert.Null(exit.Value);
        _bus.WritePort(0xF4, 4, 0x10);
        Assert.Equal(0x10u, stopped);
        Assert.Equal(0x10u, exit.Value);
    }

    [Fact]
    public void PostPort_Write_ReadsBack()
    {
        var post = new PostPort();
        post.AttachTo(_bus);
        _bus.WritePort(0x80, 1, 0xAB);
        Assert.Equal(0xABu, _bus.ReadPort(0x80, 1));
        Assert.Equal(0xAB, post.Code);
    }

    [Theory]
    [InlineData(0x64, 0xFE, "keyboard controller")]
    [InlineData(0x92, 0x03, "port 0x92")]
    [InlineData(0xCF9, 0x06, "port 0xCF9")]
    public void ResetControl_EachWay_AsksOnce(ushort port, uint value, string way)
    {
        var asked = new List<string>();
        new ResetControl(asked.Add).AttachTo(_bus);
        _bus.WritePort(0x64, 1, 0xD1);
        _bus.WritePort(0x60, 1, 0xDF);
        _bus.WritePort(0x92, 1, 0x02);
        _bus.WritePort(0xCF9, 1, 0x02);
        Assert.Empty(asked);
        Assert.Equal(0u, _bus.ReadPort(0x64, 1));
        Assert.Equal(0x02u, _bus.ReadPort(0x92, 1));
        _bus.WritePort(port, 1, value);
        Assert.Equal([way], asked);
    }

    private void Rtc() => new CmosRtc(_time, CmosRtc.DefaultStart, _memory).AttachTo(_bus);

    private int Cmos(int index)
    {
        _bus.WritePort(0x70, 1, (uint)index);
        return (int)_bus.ReadPort(0x71, 1);
    }

    private void WriteCmos(int index, uint value)
    {
        _bus.WritePort(0x70, 1, (uint)index);
        _bus.WritePort(0x71, 1, value);
    }
}
