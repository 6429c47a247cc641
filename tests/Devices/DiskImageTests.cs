using Emu.Devices;
using Xunit;

namespace Emu.Tests.Devices;

public sealed class DiskImageTests : IDisposable
{
    private readonly DiskFiles _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public void CopyOnWrite_KeepsTheFileAndShowsWhatWasWritten()
    {
        string path = _files.Make(20);
        byte[] before = File.ReadAllBytes(path);
        DiskImage image = _files.Open(path);
        byte[] data = [.. Enumerable.Repeat((byte)0xEE, 3 * 512)];
        Assert.True(image.TryWrite(7, data));
        Assert.True(image.TryFlush());
        byte[] read = new byte[20 * 512];
        Assert.True(image.TryRead(0, read));
        byte[] expected = [.. before];
        data.CopyTo(expected, 7 * 512);
        Assert.Equal(expected, read);
        // The last block is not whole: 20 sectors are two and a half.
        Assert.True(image.TryWrite(19, DiskFiles.Sector(77)));
        Assert.True(image.TryRead(19, read.AsSpan(0, 512)));
        Assert.Equal(DiskFiles.Sector(77), read[..512]);
        Assert.Equal(before, File.ReadAllBytes(path));
    }

    [Fact]
    public void Writable_ChangesTheFile()
    {
        string path = _files.Make(4);
        DiskImage image = _files.Open(path, writable: true);
        Assert.True(image.TryWrite(2, DiskFiles.Sector(99)));
        Assert.True(image.TryFlush());
        image.Dispose();
        Assert.Equal(DiskFiles.Sector(99), File.ReadAllBytes(path)[1024..1536]);
    }

    [Theory]
    [InlineData(4, 512)]
    [InlineData(3, 1024)]
    [InlineData(ulong.MaxValue, 512)]
    [InlineData(0, 100)]
    public void Access_BeyondTheEndOrInParts_IsRefused(ulong sector, int bytes)
    {
        DiskImage image = _files.Open(_files.Make(4));
        Assert.False(image.TryRead(sector, new byte[bytes]));
        Assert.False(image.TryWrite(sector, new byte[bytes]));
    }

    [Fact]
    public void File_CutShortWhileOpen_IsAMediumError()
    {
        string path = _files.Make(16);
        DiskImage image = _files.Open(path);
        using (var other = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            other.SetLength(1000);
        Assert.True(image.TryRead(0, new byte[512]));
        Assert.False(image.TryRead(1, new byte[512]));
        Assert.False(image.TryWrite(9, new byte[512]));
        // A whole block needs nothing of the file.
        Assert.True(image.TryWrite(8, new byte[8 * 512]));
        Assert.True(image.TryRead(9, new byte[512]));
    }

    [Fact]
    public void Open_OfWhatIsNoImage_IsRefusedInOneLine()
    {
        Refused("there is no such file", _files.At("nothing"));
        File.WriteAllBytes(_files.At("odd"), new byte[513]);
        Refused("has 513 bytes", _files.At("odd"));
        File.WriteAllBytes(_files.At("empty"), []);
        Refused("has 0 bytes", _files.At("empty"));
        Directory.CreateDirectory(_files.At("folder"));
        Refused("cannot be opened", _files.At("folder"));
    }

    /// <summary>A file that nobody may write, not even root: the program that is running.</summary>
    [Fact]
    public void OpenWritable_OfWhatCannotBeWritten_IsRefusedWithItsRemedy()
    {
        string line = Assert.Throws<DiskException>(() => DiskImage.Open(Environment.ProcessPath!, writable: true)).Message;
        Assert.Contains("cannot be opened", line, StringComparison.Ordinal);
        Assert.Contains("leave \",write\" away", line, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', line);
    }

    [Fact]
    public void Snapshot_HoldsWhatWasWritten_AndKnowsItsImage()
    {
        string path = _files.Make(16);
        DiskImage image = _files.Open(path);
        image.TryWrite(3, DiskFiles.Sector(50));
        using var state = new MemoryStream();
        image.Save(new BinaryWriter(state));
        DiskImage again = _files.Open(path);
        state.Position = 0;
        again.Restore(new BinaryReader(state));
        byte[] read = new byte[512];
        Assert.True(again.TryRead(3, read));
        Assert.Equal(DiskFiles.Sector(50), read);

        DiskImage other = _files.Open(_files.Make(16, "other"));
        byte[] changed = File.ReadAllBytes(_files.At("other"));
        changed[5000] ^= 1;
        other.Dispose();
        File.WriteAllBytes(_files.At("other"), changed);
        state.Position = 0;
        Assert.Contains("is not the image", Assert.Throws<DiskException>(() => _files.Open(_files.At("other")).Restore(new BinaryReader(state))).Message);
        DiskImage writable = _files.Open(_files.Make(16, "writable"), writable: true);
        Assert.Contains("written to for good", Assert.Throws<DiskException>(() => writable.Save(new BinaryWriter(new MemoryStream()))).Message);
    }

    private void Refused(string why, string path)
    {
        string line = Assert.Throws<DiskException>(() => _files.Open(path)).Message;
        Assert.StartsWith(path, line);
        Assert.Contains(why, line);
        Assert.DoesNotContain('\n', line);
    }
}
