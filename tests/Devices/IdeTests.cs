using System.Buffers.Binary;
using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

/// <summary>The sequences of ATA-6's PIO protocols, register by register.</summary>
public sealed class IdeTests : IDisposable
{
    private const int Ready = 0x50;
    private const int DataRequest = 0x58;
    private const int Error = 0x51;
    private const int Sectors = 3000;

    private readonly DeviceFixture _f = new();
    private readonly DiskFiles _files = new();
    private readonly DiskImage _image;

    public IdeTests()
    {
        _image = _files.Open(_files.Make(Sectors));
        new IdeChannel(_f.Irq, _image).AttachTo(_f.Bus);
    }

    public void Dispose()
    {
        _files.Dispose();
        _f.Dispose();
    }

    [Fact]
    public void Reset_LeavesTheSignatureOfADisk()
    {
        Assert.Equal(Ready, Status());
        Assert.Equal([1, 1, 1, 0, 0], Registers());
        // A second disk is not there: its status is 0.
        _f.Out(0x1F6, 0xB0);
        Assert.Equal(0, Status());
        _f.Out(0x1F7, 0xEC);
        Assert.Equal((0, 0), (Status(), _f.Irq.Rises));
        _f.Out(0x3F6, 0x04);
        _f.Out(0x3F6, 0x00);
        Assert.Equal((Ready, 0xA0u), (Status(), _f.In(0x1F6)));
    }

    [Fact]
    public void Identify_TellsSizeGeometryAndChecksum()
    {
        Command(0xEC, 0, 0);
        Assert.True(_f.Irq.Asserted);
        Assert.Equal(DataRequest, Status());
        Assert.False(_f.Irq.Asserted);
        byte[] data = ReadSector();
        Assert.Equal(Ready, Status());
        int Word(int n) => BinaryPrimitives.ReadUInt16LittleEndian(data.AsSpan(2 * n));
        Assert.Equal((2, 16, 63), (Word(1), Word(3), Word(6)));
        Assert.Equal(Sectors, Word(60) | (Word(61) << 16));
        Assert.Equal(Sectors, Word(100) | (Word(101) << 16));
        Assert.Equal("Emu disk", string.Concat(Enumerable.Range(27, 4).Select(w => $"{(char)(Word(w) >> 8)}{(char)(Word(w) & 0xFF)}")));
        Assert.Equal(0, data.Sum(b => b) & 0xFF);
    }

    [Theory]
    [InlineData(0x20)]
    [InlineData(0x21)]
    public void ReadSectors_Interrupts_ForEverySector(uint command)
    {
        Command(command, 5, 3);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal((i + 1, true), (_f.Irq.Rises, _f.Irq.Asserted));
            // The alternate status does not acknowledge.
            Assert.Equal(DataRequest, (int)_f.In(0x3F6));
            Assert.True(_f.Irq.Asserted);
            Assert.Equal(DataRequest, Status());
            Assert.Equal(DiskFiles.Sector(5 + i), ReadSector(i == 1 ? 4 : 2));
        }
        Assert.Equal((Ready, 3), (Status(), _f.Irq.Rises));
        Assert.Equal(0xFFFFu, _f.In(0x1F0, 2));
    }

    [Fact]
    public void WriteSectors_TakesTheFirstWithoutAnInterrupt()
    {
        Command(0x30, 9, 2);
        Assert.Equal((DataRequest, 0), (Status(), _f.Irq.Rises));
        WriteSector(DiskFiles.Sector(200));
        Assert.Equal((1, DataRequest), (_f.Irq.Rises, Status()));
        WriteSector(DiskFiles.Sector(201));
        Assert.Equal((2, Ready), (_f.Irq.Rises, Status()));
        byte[] written = new byte[1024];
        Assert.True(_image.TryRead(9, written));
        Assert.Equal([.. DiskFiles.Sector(200), .. DiskFiles.Sector(201)], written);
    }

    [Fact]
    public void Multiple_MovesBlocks_AfterItWasSet()
    {
        Command(0xC4, 0, 4);
        Assert.Equal((Error, 0x04), (Status(), (int)_f.In(0x1F1)));
        Command(0xC6, 0, 3);
        Assert.Equal(Error, Status());
        Command(0xC6, 0, 4);
        Assert.Equal(Ready, Status());
        int before = _f.Irq.Rises;
        Command(0xC4, 20, 6);
        for (int i = 0; i < 6; i++)
            Assert.Equal(DiskFiles.Sector(20 + i), ReadSector());
        // Four and two: two interrupts.
        Assert.Equal((Ready, before + 1 + (_f.Irq.Asserted ? 0 : 1)), (Status(), _f.Irq.Rises));
        Command(0xC5, 40, 5);
        for (int i = 0; i < 5; i++)
            WriteSector(DiskFiles.Sector(100 + i));
        Assert.Equal(Ready, Status());
        byte[] written = new byte[5 * 512];
        Assert.True(_image.TryRead(40, written));
        Assert.Equal([.. Enumerable.Range(100, 5).SelectMany(DiskFiles.Sector)], written);
    }

    [Fact]
    public void Extended_Commands_TakeBothHalvesOfTheRegisters()
    {
        _f.Out(0x1F6, 0xE0);
        foreach ((int register, int value) in ((int, int)[])[(2, 0), (3, 0), (4, 0), (5, 0), (2, 2), (3, 0x34), (4, 0x02), (5, 0)])
            _f.Out(0x1F0 + register, (uint)value);
        _f.Out(0x1F7, 0x24);
        Assert.Equal(DiskFiles.Sector(0x234), ReadSector());
        Assert.Equal(DiskFiles.Sector(0x235), ReadSector());
        // HOB shows what was written before.
        foreach (int value in (int[])[0x11, 0x22])
            _f.Out(0x1F3, (uint)value);
        Assert.Equal(0x22u, _f.In(0x1F3));
        _f.Out(0x3F6, 0x80);
        Assert.Equal(0x11u, _f.In(0x1F3));
        _f.Out(0x1F2, 0);
        Assert.Equal(0x22u, _f.In(0x1F3));
    }

    [Fact]
    public void CylinderHeadSector_CountsAsTheGeometrySays()
    {
        _f.Out(0x1F6, 0xA0 | 2);
        foreach ((int register, int value) in ((int, int)[])[(2, 1), (3, 5), (4, 1), (5, 0)])
            _f.Out(0x1F0 + register, (uint)value);
        _f.Out(0x1F7, 0x20);
        Assert.Equal(DiskFiles.Sector((1 * 16 + 2) * 63 + 4), ReadSector());
    }

    [Theory]
    [InlineData(0x20, Sectors, 1, 0x10)]
    [InlineData(0x30, Sectors - 1, 2, 0x10)]
    [InlineData(0x40, Sectors, 1, 0x10)]
    [InlineData(0xA1, 0, 0, 0x04)]
    [InlineData(0xC8, 0, 1, 0x04)]
    [InlineData(0x00, 0, 0, 0x04)]
    public void Errors_AreShownWithAnInterrupt(uint command, int sector, int count, int error)
    {
        Command(command, sector, count);
        Assert.Equal(1, _f.Irq.Rises);
        Assert.Equal((Error, error), (Status(), (int)_f.In(0x1F1)));
        // The next command clears it.
        Command(0xE7, 0, 0);
        Assert.Equal((Ready, 0), (Status(), (int)_f.In(0x1F1)));
    }

    [Fact]
    public void MediumError_InTheMiddle_EndsTheCommand()
    {
        using (var other = new FileStream(_files.At("disk.img"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            other.SetLength(11 * 512);
        Command(0x20, 10, 2);
        Assert.Equal(DiskFiles.Sector(10), ReadSector());
        Assert.Equal((Error, 0x40), (Status(), (int)_f.In(0x1F1)));
    }

    [Fact]
    public void InterruptDisabled_WaitsAtTheDevice()
    {
        _f.Out(0x3F6, 0x02);
        Command(0x20, 0, 1);
        Assert.False(_f.Irq.Asserted);
        _f.Out(0x3F6, 0x00);
        Assert.True(_f.Irq.Asserted);
    }

    [Fact]
    public void SmallCommands_Answer()
    {
        Command(0xE5, 0, 0);
        Assert.Equal(0xFFu, _f.In(0x1F2));
        Command(0xF8, 0, 0);
        Assert.Equal(Sectors - 1, (int)(_f.In(0x1F3) | (_f.In(0x1F4) << 8) | (_f.In(0x1F5) << 16)));
        Command(0x90, 0, 0);
        Assert.Equal((Ready, 1u), (Status(), _f.In(0x1F1)));
        // PIO modes are accepted, DMA modes are not.
        _f.Out(0x1F1, 3);
        Command(0xEF, 0, 0x0C);
        Assert.Equal(Ready, Status());
        _f.Out(0x1F1, 3);
        Command(0xEF, 0, 0x22);
        Assert.Equal(Error, Status());
        foreach (uint command in (uint[])[0x10, 0x70, 0x91, 0xE0, 0xE1, 0xE7, 0xEA, 0x40])
        {
            Command(command, 0, 1);
            Assert.Equal(Ready, Status());
        }
    }

    private int Status() => (int)_f.In(0x1F7);

    private int[] Registers() => [.. Enumerable.Range(1, 5).Select(i => (int)_f.In(0x1F0 + i))];

    private void Command(uint command, int sector, int count)
    {
        _f.Out(0x1F6, 0xE0 | (uint)(sector >> 24));
        _f.Out(0x1F2, (uint)count);
        for (int i = 0; i < 3; i++)
            _f.Out(0x1F3 + i, (uint)(sector >> (8 * i)) & 0xFF);
        _f.Out(0x1F7, command);
    }

    private byte[] ReadSector(int width = 2)
    {
        byte[] data = new byte[512];
        for (int i = 0; i < 512; i += width)
        {
            uint value = _f.In(0x1F0, width);
            for (int b = 0; b < width; b++)
                data[i + b] = (byte)(value >> (8 * b));
        }
        return data;
    }

    private void WriteSector(byte[] data)
    {
        for (int i = 0; i < 512; i += 2)
            _f.Out(0x1F0, BinaryPrimitives.ReadUInt16LittleEndian(data.AsSpan(i)), 2);
    }
}
