using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class TextScreenTests : IDisposable
{
    private readonly DeviceFixture _f = new();
    private readonly TextScreen _screen;

    public TextScreenTests()
    {
        _screen = new TextScreen(_f.Time, _f.Memory);
        _screen.AttachTo(_f.Bus);
    }

    public void Dispose() => _f.Dispose();

    [Fact]
    public void Registers_ReadBack_AndTheFirstEightCanBeProtected()
    {
        Assert.Equal(0x4Fu, Crtc(0x01));
        SetCrtc(0x01, 0x11);
        Assert.Equal(0x4Fu, Crtc(0x01));
        SetCrtc(0x11, 0x0E);
        SetCrtc(0x01, 0x11);
        Assert.Equal(0x11u, Crtc(0x01));
        SetCrtc(0x0F, 0xAB);
        Assert.Equal(0xABu, Crtc(0x0F));
        Assert.Equal(0u, Crtc(0x1E));
        _f.Out(0x3C2, 0x63);
        Assert.Equal(0x63u, _f.In(0x3CC));
    }

    [Fact]
    public void Lines_ShowTextMemory_FromTheStartAddress()
    {
        Print(0, "Hello,");
        Print(160, "world \x01\xB3\xDB");
        string[] lines = _screen.Lines();
        Assert.Equal(25, lines.Length);
        Assert.Equal(("Hello,", "world ☺│█", ""), (lines[0], lines[1], lines[2]));
        // As a console scrolls: the start address, in one access of index and value.
        _f.Out(0x3D4, 0x500D, 2);
        SetCrtc(0x0E, 0);
        SetCrtc(0x0F, 80 + 6);
        Assert.Equal("world ☺│█", _screen.Lines()[0]);
        Assert.Equal((0, 6), _screen.Cursor);
    }

    [Fact]
    public void Lines_WithTheStartNearTheEnd_Wrap()
    {
        SetCrtc(0x0C, 0x3F);
        SetCrtc(0x0D, 0xFE);
        Print(0x7FFC, "ab");
        Print(0, "cd");
        Assert.Equal("abcd", _screen.Lines()[0]);
    }

    [Fact]
    public void Retrace_ComesAndGoes()
    {
        var seen = new HashSet<uint>();
        for (ulong t = 0; t < 30_000_000; t += 1000)
        {
            _f.Time.Now = t;
            seen.Add(_f.In(0x3DA));
        }
        Assert.Equal([0, 1, 9], seen.Order().Select(v => (int)v));
    }

    private void Print(ulong at, string text)
    {
        foreach (char c in text)
        {
            Assert.True(_f.Memory.TryWrite(TextScreen.TextMemory + at, [(byte)c, 0x07]));
            at += 2;
        }
    }

    private uint Crtc(uint index)
    {
        _f.Out(0x3D4, index);
        return _f.In(0x3D5);
    }

    private void SetCrtc(uint index, uint value)
    {
        _f.Out(0x3D4, index);
        _f.Out(0x3D5, value);
    }
}
