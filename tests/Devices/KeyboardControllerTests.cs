using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class KeyboardControllerTests : IDisposable
{
    private readonly DeviceFixture _f = new();
    private readonly RecordingLine _irq12 = new();
    private readonly List<string> _resets = [];
    private readonly A20Gate _gate;

    public KeyboardControllerTests()
    {
        _gate = new A20Gate(_f.Memory, () => { });
        new KeyboardController(_f.Irq, _irq12, _resets.Add, _gate).AttachTo(_f.Bus);
    }

    public void Dispose() => _f.Dispose();

    [Fact]
    public void SelfTests_Pass()
    {
        Assert.Equal(0x14u, _f.In(0x64));
        Assert.Equal([0x55], Command(0xAA));
        Assert.Equal([0x00], Command(0xAB));
        Assert.Equal([0x00], Command(0xA9));
    }

    [Fact]
    public void ConfigurationByte_ReadsBackWithoutItsReservedBits()
    {
        Assert.Equal([0x65], Command(0x20));
        Command(0x60, 0xFF);
        Assert.Equal([0x77], Command(0x20));
        Command(0xA8);
        Command(0xAE);
        Assert.Equal([0x47], Command(0x20));
        Command(0xA7);
        Command(0xAD);
        Assert.Equal([0x77], Command(0x20));
        // The rest of the controller's memory.
        Command(0x65, 0xAB);
        Assert.Equal([0xAB], Command(0x25));
    }

    [Fact]
    public void Answers_WithTheirInterruptEnabled_RaiseItOnePerByte()
    {
        Command(0x60, 0x01);
        _f.Out(0x60, 0xFF);
        Assert.Equal(1, _f.Irq.Rises);
        Assert.Equal(0xFAu, _f.In(0x60));
        // The next byte is there at once, with an edge of its own.
        Assert.Equal((2, true), (_f.Irq.Rises, _f.Irq.Asserted));
        Assert.Equal(0xAAu, _f.In(0x60));
        Assert.False(_f.Irq.Asserted);
        Assert.Equal(0u, _f.In(0x64) & 1);
        Command(0x60, 0x00);
        _f.Out(0x60, 0xEE);
        Assert.Equal(2, _f.Irq.Rises);
        Assert.Equal(0xEEu, _f.In(0x60));
    }

    [Fact]
    public void Keyboard_Commands_AreAcknowledged()
    {
        Assert.Equal([0xFA, 0xAB, 0x41], Keyboard(0xF2));
        Command(0x60, 0x00);
        Assert.Equal([0xFA, 0xAB, 0x83], Keyboard(0xF2));
        Assert.Equal([0xFA], Keyboard(0xED));
        Assert.Equal([0xFA], Keyboard(0x07));
        Assert.Equal([0xFA], Keyboard(0xF0));
        Assert.Equal([0xFA, 0x02], Keyboard(0x00));
        Assert.Equal([0xFA], Keyboard(0xF0));
        Assert.Equal([0xFA], Keyboard(0x01));
        Assert.Equal([0xFA], Keyboard(0xF0));
        Assert.Equal([0xFA, 0x01], Keyboard(0x00));
        Assert.Equal([0xFA], Keyboard(0xF4));
        Assert.Equal([0xFE], Keyboard(0x01));
    }

    [Fact]
    public void AuxiliaryPort_IsThereWithNothingPluggedIn()
    {
        Command(0x60, 0x03);
        // As Linux looks for the port: a byte in a loop comes back marked.
        _f.Out(0x64, 0xD3);
        _f.Out(0x60, 0x5A);
        Assert.Equal(0x21u, _f.In(0x64) & 0x21);
        Assert.Equal((1, 0), (_irq12.Rises, _f.Irq.Rises));
        Assert.Equal(0x5Au, _f.In(0x60));
        // A command to the device times out.
        _f.Out(0x64, 0xD4);
        _f.Out(0x60, 0xF2);
        Assert.Equal(0x61u, _f.In(0x64) & 0x61);
        Assert.Equal(0xFEu, _f.In(0x60));
        Assert.Equal(0u, _f.In(0x64) & 0x61);
    }

    [Theory]
    [InlineData(0xFE, true)]
    [InlineData(0xF0, true)]
    [InlineData(0xFF, false)]
    [InlineData(0xFD, false)]
    public void Pulse_OfLineZero_Resets(uint command, bool resets)
    {
        Command(command);
        Assert.Equal(resets ? ["keyboard controller"] : [], _resets);
    }

    [Fact]
    public void OutputPort_HoldsResetAndA20()
    {
        Assert.Equal([0x03], Command(0xD0));
        Command(0xD1, 0x01);
        Assert.False(_gate.IsOpen);
        Assert.Equal([0x01], Command(0xD0));
        Command(0xDF);
        Assert.True(_gate.IsOpen);
        Command(0xDD);
        Assert.False(_gate.IsOpen);
        Command(0xD1, 0xDF);
        Assert.True(_gate.IsOpen);
        Assert.Empty(_resets);
        Command(0xD1, 0x02);
        Assert.Equal(["keyboard controller"], _resets);
    }

    private List<int> Command(uint command, uint? data = null)
    {
        _f.Out(0x64, command);
        if (data != null)
            _f.Out(0x60, data.Value);
        return Answers();
    }

    private List<int> Keyboard(uint value)
    {
        _f.Out(0x60, value);
        return Answers();
    }

    private List<int> Answers()
    {
        var answers = new List<int>();
        while ((_f.In(0x64) & 1) != 0)
            answers.Add((int)_f.In(0x60));
        return answers;
    }
}
