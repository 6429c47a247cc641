using System.Globalization;
using System.Text;

namespace Emu.Cli;

/// <summary>
/// Writes a cpio archive in the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst), which the kernel unpacks into its first file
/// system. The same calls make the same bytes: there are no times, and everything belongs to root.
/// </summary>
internal sealed class CpioArchive
{
    private const uint TypeDirectory = 0x4000;
    private const uint TypeCharacterDevice = 0x2000;
    private const uint TypeFile = 0x8000;
    private const uint TypeLink = 0xA000;

    private readonly List<byte> _bytes = [];
    private uint _inode;

    public void Directory(string path) => Add(path, TypeDirectory | 0x1ED, [], 0, 0);

    /// <param name="executable">Mode 0755 rather than 0644.</param>
    public void File(string path, ReadOnlySpan<byte> data, bool executable = false) => Add(path, TypeFile | (executable ? 0x1EDu : 0x1A4u), data, 0, 0);

    public void Link(string path, string target) => Add(path, TypeLink | 0x1FF, Encoding.UTF8.GetBytes(target), 0, 0);

    public void CharacterDevice(string path, uint major, uint minor) => Add(path, TypeCharacterDevice | 0x180, [], major, minor);

    /// <summary>The archive, with its trailer.</summary>
    public byte[] Build()
    {
        Add("TRAILER!!!", 0, [], 0, 0);
        return [.. _bytes];
    }

    /// <summary>Thirteen numbers of eight hexadecimal digits behind the magic, the name, and the data; each filled up to a multiple of four.</summary>
    private void Add(string path, uint mode, ReadOnlySpan<byte> data, uint major, uint minor)
    {
        byte[] name = [.. Encoding.UTF8.GetBytes(path), 0];
        uint inode = mode == 0 ? 0 : ++_inode;
        uint[] fields = [inode, mode, 0, 0, 1, 0, (uint)data.Length, 0, 0, major, minor, (uint)name.Length, 0];
        _bytes.AddRange("070701"u8);
        foreach (uint field in fields)
            _bytes.AddRange(Encoding.ASCII.GetBytes(field.ToString("X8", CultureInfo.InvariantCulture)));
        _bytes.AddRange(name);
        Fill();
        _bytes.AddRange(data);
        Fill();
    }

    private void Fill()
    {
        while (_bytes.Count % 4 != 0)
            _bytes.Add(0);
    }
}
