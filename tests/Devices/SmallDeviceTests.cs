using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class SmallDeviceTests : IDisposable
{
    private readonly DeviceFixture _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void DebugExit_Write_StopsWithTheValue()
    {
        uint? stopped = null;
        new DebugExit(v => stopped = v).AttachTo(_f.Bus);
        Assert.Equal(0u, _f.In(0xF4, 4));
        _f.Out(0xF4, 0x10, 4);
        Assert.Equal(0x10u, stopped);
    }

    [Fact]
    public void PostPort_Write_ReadsBack()
    {
        var post = new PostPort();
        post.AttachTo(_f.Bus);
        _f.Out(0x80, 0xAB);
        Assert.Equal(0xABu, _f.In(0x80));
        Assert.Equal(0xAB, post.Code);
    }

    [Theory]
    [InlineData(0x92, 0x03, "port 0x92")]
    [InlineData(0xCF9, 0x06, "port 0xCF9")]
    public void ResetControl_EachWay_AsksOnce(int port, uint value, string way)
    {
        var asked = new List<string>();
        new ResetControl(asked.Add, new A20Gate(_f.Memory, () => { })).AttachTo(_f.Bus);
        _f.Out(0x92, 0x02);
        _f.Out(0xCF9, 0x02);
        Assert.Empty(asked);
        Assert.Equal(0x02u, _f.In(0x92));
        _f.Out(port, value);
        _f.Out(port, value);
        Assert.Equal([way], asked);
    }

    [Fact]
    public void ResetControl_Port92_MovesTheA20Gate()
    {
        int moves = 0;
        var gate = new A20Gate(_f.Memory, () => moves++);
        new ResetControl(_ => { }, gate).AttachTo(_f.Bus);
        _f.Out(0x92, 0x00);
        Assert.Equal(0x00u, _f.In(0x92));
        Assert.False(gate.IsOpen);
        Assert.Equal(~(1UL << 20), _f.Memory.A20Mask);
        _f.Out(0x92, 0x02);
        _f.Out(0x92, 0x02);
        Assert.Equal(2, moves);
        Assert.Equal(ulong.MaxValue, _f.Memory.A20Mask);
    }

    [Fact]
    public void DebugConsole_BothPorts_PassBytesOnAndShowThatTheyAreThere()
    {
        var text = new List<byte>();
        new DebugConsole(text.Add).AttachTo(_f.Bus);
        Assert.Equal((0xE9u, 0xE9u), (_f.In(0xE9), _f.In(0x402)));
        _f.Out(0xE9, 'h');
        _f.Out(0x402, 'i');
        // REP OUTSB and wider stores are bytes one after the other: the second goes to the next port, where nothing is.
        _f.Out(0x402, 0x4121, 2);
        Assert.Equal("hi!"u8.ToArray(), text);
    }
}
