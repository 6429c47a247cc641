using System.Buffers.Binary;
using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

/// <summary>A small driver, written from the specification, against the device.</summary>
public sealed class VirtioBlockTests : IDisposable
{
    private const ulong Descriptors = 0x10000;
    private const ulong Available = 0x11000;
    private const ulong Used = 0x12000;
    private const ulong Buffers = 0x20000;
    private const ushort Next = 1;
    private const ushort Writes = 2;
    private const int Sectors = 64;

    private readonly DeviceFixture _f = new();
    private readonly DiskFiles _files = new();
    private readonly List<string> _reports = [];
    private readonly DiskImage _image;
    private readonly Dictionary<int, ulong> _structures = [];
    private ushort _available;

    public VirtioBlockTests()
    {
        _image = _files.Open(_files.Make(Sectors));
        var host = new PciHost(_f.Bus, _f.Irq);
        host.AttachTo();
        host.Add(4, new VirtioBlock(_image, _f.Memory, _reports.Add));
        FindStructures();
    }

    public void Dispose()
    {
        _files.Dispose();
        _f.Dispose();
    }

    [Fact]
    public void Capabilities_NameEveryStructure()
    {
        Assert.Equal(0x1042_1AF4u, Config(0));
        Assert.Equal([1, 2, 3, 4, 5], _structures.Keys.Order());
        Assert.Equal((1UL, 128UL, 0xFFFFUL), (Common(0x12, 2), Common(0x18, 2), Common(0x1A, 2)));
        Common(0x16, 2, 1);
        Assert.Equal(0UL, Common(0x18, 2));
        Assert.Equal((ulong)Sectors, _f.Read(_structures[4], 8));
        Assert.Equal((ulong)Sectors, _f.Read(_structures[4]));
        Assert.Equal(512UL, _f.Read(_structures[4] + 20));
    }

    [Fact]
    public void ConfigurationWindow_ReachesTheSameRegisters()
    {
        SetConfig(0x84 + 8, 0x12);
        SetConfig(0x84 + 12, 2);
        Assert.Equal(1u, Config(0x84 + 16));
        SetConfig(0x84 + 8, 0x14);
        SetConfig(0x84 + 12, 1);
        SetConfig(0x84 + 16, 3);
        Assert.Equal(3UL, Common(0x14, 1));
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(0, false)]
    [InlineData(3, false)]
    public void Features_AreAccepted_OnlyWithVersion1AndWhatIsOffered(uint high, bool accepted)
    {
        Common(0x14, 1, 3);
        Common(0x00, 4, 0);
        Assert.Equal(0x244UL, Common(0x04, 4));
        Common(0x00, 4, 1);
        Assert.Equal(1UL, Common(0x04, 4));
        Common(0x08, 4, 1);
        Common(0x0C, 4, high);
        Common(0x14, 1, 0x0B);
        Assert.Equal(accepted ? 0x0BUL : 0x03UL, Common(0x14, 1));
    }

    [Fact]
    public void Read_AcrossSeveralBuffers_FillsThemAndInterrupts()
    {
        Start();
        Request(0, sector: 5, [(Buffers + 0x1000, 700, true), (Buffers + 0x2000, 324, true)]);
        Assert.Equal(0, Status());
        Assert.Equal((1, 1025u), UsedEntry());
        Assert.Equal([.. DiskFiles.Sector(5), .. DiskFiles.Sector(6)], (byte[])[.. Bytes(Buffers + 0x1000, 700), .. Bytes(Buffers + 0x2000, 324)]);
        Assert.True(_f.Irq.Asserted);
        // Reading the ISR status acknowledges.
        Assert.Equal(1UL, _f.Read(_structures[3], 1));
        Assert.False(_f.Irq.Asserted);
        Assert.Equal(0UL, _f.Read(_structures[3], 1));
    }

    [Fact]
    public void Write_ReachesTheDisk_AndFlushAndIdAnswer()
    {
        Start();
        _f.Memory.TryWrite(Buffers + 0x1000, DiskFiles.Sector(123));
        Request(1, sector: 63, [(Buffers + 0x1000, 512, false)]);
        Assert.Equal((0, (1, 1u)), (Status(), UsedEntry()));
        byte[] written = new byte[512];
        Assert.True(_image.TryRead(63, written));
        Assert.Equal(DiskFiles.Sector(123), written);
        Request(4, 0, []);
        Assert.Equal((0, (2, 1u)), (Status(), UsedEntry()));
        Request(8, 0, [(Buffers + 0x1000, 20, true)]);
        Assert.Equal((0, (3, 21u)), (Status(), UsedEntry()));
        Assert.Equal("EMU00001"u8.ToArray(), Bytes(Buffers + 0x1000, 8));
    }

    [Theory]
    [InlineData(0, 64, 512, 1)]
    [InlineData(0, 63, 1024, 1)]
    [InlineData(0, 0, 100, 1)]
    [InlineData(1, 64, 512, 1)]
    [InlineData(0x99, 0, 512, 2)]
    public void Request_ThatCannotBe_IsAnsweredWithAnError(int type, ulong sector, uint length, int status)
    {
        Start();
        Request(type, sector, [(Buffers + 0x1000, length, type != 1)]);
        Assert.Equal((status, (1, 1u)), (Status(), UsedEntry()));
        Assert.Empty(_reports);
    }

    [Fact]
    public void Ring_OfSeveralRequests_IsServedInOrder_AndNoInterruptIsHeeded()
    {
        Start(queueSize: 8);
        _f.Memory.TryWrite(Available, [1, 0]);
        for (int i = 0; i < 20; i++)
        {
            Request(0, (ulong)i, [(Buffers + 0x1000, 512, true)]);
            Assert.Equal(DiskFiles.Sector(i), Bytes(Buffers + 0x1000, 512));
            Assert.Equal(i + 1, UsedEntry().Index);
        }
        Assert.Equal(0, _f.Irq.Rises);
    }

    [Fact]
    public void BeforeDriverOk_NothingIsServed()
    {
        Start(driverOk: false);
        Request(0, 0, [(Buffers + 0x1000, 512, true)]);
        Assert.Equal(0, UsedEntry().Index);
    }

    [Theory]
    [InlineData("loop")]
    [InlineData("outside")]
    [InlineData("indirect")]
    [InlineData("no room")]
    [InlineData("not ram")]
    [InlineData("flood")]
    public void BrokenQueue_NeedsAReset_AndIsReported(string how)
    {
        Start();
        Describe(0, Buffers, 16, Next, 1);
        switch (how)
        {
            case "loop":
                Describe(1, Buffers, 16, Next, 0);
                break;
            case "outside":
                Describe(1, Buffers, 16, Next, 500);
                break;
            case "indirect":
                Describe(1, Buffers, 16, 4, 0);
                break;
            case "no room":
                Describe(1, Buffers, 16, 0, 0);
                break;
            case "not ram":
                Describe(1, 0x1_0000_0000, 16, Writes, 0);
                break;
        }
        Notify(0, how == "flood" ? 200 : 1);
        Assert.Equal(0x40UL, Common(0x14, 1) & 0x40);
        Assert.Single(_reports);
        Assert.Equal(2UL, _f.Read(_structures[3], 1) & 2);
        // It serves nothing more until it was reset.
        Common(0x14, 1, 0);
        Assert.Equal(0UL, Common(0x14, 1));
        _available = 0;
        _f.Memory.TryWrite(Used, new byte[4]);
        Start();
        Request(0, 1, [(Buffers + 0x1000, 512, true)]);
        Assert.Equal(DiskFiles.Sector(1), Bytes(Buffers + 0x1000, 512));
    }

    private void Start(ushort queueSize = 128, bool driverOk = true)
    {
        Common(0x14, 1, 3);
        Common(0x08, 4, 0);
        Common(0x0C, 4, 0x244);
        Common(0x08, 4, 1);
        Common(0x0C, 4, 1);
        Common(0x14, 1, 0x0B);
        Common(0x16, 2, 0);
        Common(0x18, 2, queueSize);
        Common(0x20, 4, Descriptors);
        Common(0x24, 4, 0);
        Common(0x28, 8, Available);
        Common(0x30, 8, Used);
        Common(0x1C, 2, 1);
        _f.Memory.TryWrite(Available, new byte[4]);
        if (driverOk)
            Common(0x14, 1, 0x0F);
        _queueSize = queueSize;
    }

    private ushort _queueSize;

    private void Request(int type, ulong sector, (ulong Address, uint Length, bool Writes)[] data)
    {
        byte[] header = new byte[16];
        BinaryPrimitives.WriteInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), sector);
        _f.Memory.TryWrite(Buffers, header);
        _f.Memory.TryWrite(Buffers + 0x100, [0xFF]);
        Describe(0, Buffers, 16, Next, 1);
        for (int i = 0; i < data.Length; i++)
            Describe(i + 1, data[i].Address, data[i].Length, (ushort)(Next | (data[i].Writes ? Writes : 0)), (ushort)(i + 2));
        Describe(data.Length + 1, Buffers + 0x100, 1, Writes, 0);
        Notify(0, 1);
    }

    private void Describe(int index, ulong address, uint length, ushort flags, ushort next)
    {
        byte[] descriptor = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor, address);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor.AsSpan(8), length);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(12), flags);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(14), next);
        _f.Memory.TryWrite(Descriptors + 16 * (ulong)index, descriptor);
    }

    private void Notify(ushort head, int count)
    {
        _f.Memory.TryWrite(Available + 4 + 2 * (ulong)(_available % Math.Max((int)_queueSize, 1)), BitConverter.GetBytes(head));
        _available += (ushort)count;
        _f.Memory.TryWrite(Available + 2, BitConverter.GetBytes(_available));
        _f.Write(_structures[2], 0, 2);
    }

    private int Status() => Bytes(Buffers + 0x100, 1)[0];

    private (int Index, uint Written) UsedEntry()
    {
        int index = BitConverter.ToUInt16(Bytes(Used + 2, 2));
        return (index, index == 0 ? 0 : BitConverter.ToUInt32(Bytes(Used + 4 + 8 * (ulong)((index - 1) % _queueSize) + 4, 4)));
    }

    private byte[] Bytes(ulong address, int length)
    {
        byte[] bytes = new byte[length];
        Assert.True(_f.Memory.TryRead(address, bytes));
        return bytes;
    }

    private ulong Common(int offset, int size) => _f.Read(_structures[1] + (ulong)offset, size);

    private void Common(int offset, int size, ulong value) => _f.Write(_structures[1] + (ulong)offset, value, size);

    private void FindStructures()
    {
        ulong bar = Config(0x10) & ~0xFu;
        for (uint at = Config(0x34) & 0xFF; at != 0; at = Config((int)at) >> 8 & 0xFF)
        {
            Assert.Equal(9u, Config((int)at) & 0xFF);
            _structures[(int)(Config((int)at) >> 24)] = bar + Config((int)at + 8);
        }
    }

    private uint Config(int register)
    {
        _f.Out(0xCF8, 0x8000_2000 | (uint)register, 4);
        return _f.In(0xCFC, 4);
    }

    private void SetConfig(int register, uint value)
    {
        _f.Out(0xCF8, 0x8000_2000 | (uint)register, 4);
        _f.Out(0xCFC, value, 4);
    }
}
