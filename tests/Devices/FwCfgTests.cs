using System.Buffers.Binary;
using System.Text;
using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class FwCfgTests : IDisposable
{
    private readonly DeviceFixture _f = new();
    private readonly FwCfg _fw = new(64UL << 20, 12);

    public FwCfgTests() => _fw.AttachTo(_f.Bus);

    public void Dispose() => _f.Dispose();

    [Fact]
    public void Items_OfTheTraditionalInterface_AreThereAndDmaIsNot()
    {
        Assert.Equal("QEMU"u8.ToArray(), Item(0x00, 4));
        Assert.Equal([1, 0, 0, 0], Item(0x01, 4));
        Assert.Equal(64UL << 20, BinaryPrimitives.ReadUInt64LittleEndian(Item(0x03, 8)));
        Assert.Equal([12, 0], Item(0x05, 2));
        Assert.Equal([12, 0], Item(0x0F, 2));
    }

    [Fact]
    public void Data_BehindTheEndOrOfNoItem_ReadsAsZeros()
    {
        Assert.Equal([(byte)'Q', (byte)'E', (byte)'M', (byte)'U', 0, 0], Item(0x00, 6));
        Assert.Equal([0, 0], Item(0x4711, 2));
        // Selecting starts again.
        Assert.Equal("QE"u8.ToArray(), Item(0x00, 2));
    }

    [Fact]
    public void Directory_NamesSizesAndSelectorsOfTheFiles()
    {
        Assert.Equal([0, 0, 0, 0], Item(0x19, 4));
        _fw.AddFile("opt/second", "hello"u8);
        _fw.AddFile("etc/first", [1, 2, 3]);
        byte[] directory = Item(0x19, 4 + 2 * 64);
        Assert.Equal(2u, BinaryPrimitives.ReadUInt32BigEndian(directory));
        Assert.Equal(("etc/first", 3u, "\u0001\u0002\u0003"), File(directory, 0));
        Assert.Equal(("opt/second", 5u, "hello"), File(directory, 1));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a-name-that-is-longer-than-the-55-characters-that-there-are")]
    [InlineData("ümlaut")]
    public void File_WithAnImpossibleName_IsRefused(string name) => Assert.Throws<ArgumentException>(() => _fw.AddFile(name, []));

    private (string Name, uint Size, string Content) File(byte[] directory, int index)
    {
        Span<byte> entry = directory.AsSpan(4 + 64 * index, 64);
        uint size = BinaryPrimitives.ReadUInt32BigEndian(entry);
        string name = Encoding.ASCII.GetString(entry[8..]).TrimEnd('\0');
        return (name, size, Encoding.ASCII.GetString(Item(BinaryPrimitives.ReadUInt16BigEndian(entry[4..]), (int)size)));
    }

    private byte[] Item(int selector, int length)
    {
        _f.Out(0x510, (uint)selector, 2);
        return [.. Enumerable.Range(0, length).Select(_ => (byte)_f.In(0x511))];
    }
}
