using System.Security.Cryptography;
using Emu.Interrupts;

namespace Emu.Devices;

/// <summary>A disk image that cannot be used. The message is one line: which file, what is wrong, and how to mend it.</summary>
public sealed class DiskException(string file, string what, string remedy) : Exception($"{file}: {what}; {remedy}");

/// <summary>
/// A raw image of a disk, in sectors of 512 bytes. Unless it was opened for writing the file never changes: what the guest writes is kept in memory, and is
/// part of the machine's snapshots. What becomes of the file while the machine runs (it is cut short, the host's disk fails) is a medium error to the guest.
/// </summary>
public sealed class DiskImage : ISnapshotted, IDisposable
{
    public const int SectorSize = 512;

    /// <summary>What was written is kept in pieces of this many sectors.</summary>
    private const int BlockSectors = 8;
    private const int FingerprintHead = 1 << 20;
    private const int FingerprintTail = 1 << 16;

    private readonly FileStream _file;
    private readonly string _path;

    /// <summary>Blocks that differ from the file, by number.</summary>
    private readonly SortedDictionary<ulong, byte[]> _written = [];

    private DiskImage(FileStream file, string path, bool writable)
    {
        _file = file;
        _path = path;
        IsWritable = writable;
        SectorCount = (ulong)file.Length / SectorSize;
    }

    /// <summary>Writes go to the file.</summary>
    public bool IsWritable { get; }

    public ulong SectorCount { get; }

    /// <summary>Sectors that are kept in memory because the guest wrote them or their neighbours.</summary>
    public int WrittenSectors => _written.Count * BlockSectors;

    /// <summary>Opens an image.</summary>
    /// <param name="writable">The guest's writes go to the file.</param>
    /// <exception cref="DiskException">There is no such file, it may not be written, or it is not made of sectors.</exception>
    public static DiskImage Open(string path, bool writable)
    {
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.Open, writable ? FileAccess.ReadWrite : FileAccess.Read, FileShare.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            if (e is FileNotFoundException or DirectoryNotFoundException)
                throw new DiskException(path, "there is no such file", "name a raw image, or make one: truncate -s 64M FILE");
            throw new DiskException(path, $"cannot be opened: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}",
                writable ? "make it writable, or leave \",write\" away: the guest's writes are then kept in memory" : "make it readable");
        }
        if (file.Length == 0 || file.Length % SectorSize != 0)
        {
            long length = file.Length;
            file.Dispose();
            throw new DiskException(path, $"has {length} bytes, and a disk is made of sectors of {SectorSize}", $"name a raw image, or extend it: truncate -s %{SectorSize} FILE");
        }
        return new DiskImage(file, path, writable);
    }

    /// <summary>Reads whole sectors; false when they cannot be had.</summary>
    public bool TryRead(ulong sector, Span<byte> data)
    {
        if (!Contains(sector, data.Length))
            return false;
        while (!data.IsEmpty)
        {
            int n = PieceAt(sector, data.Length, out ulong block, out int offset);
            if (_written.TryGetValue(block, out byte[]? kept))
                kept.AsSpan(offset, n).CopyTo(data);
            else if (!TryReadFile(sector, data[..n]))
                return false;
            sector += (ulong)(n / SectorSize);
            data = data[n..];
        }
        return true;
    }

    /// <summary>Writes whole sectors; false when they cannot be had or the host objects.</summary>
    public bool TryWrite(ulong sector, ReadOnlySpan<byte> data)
    {
        if (!Contains(sector, data.Length))
            return false;
        if (IsWritable)
            return TryWriteFile(sector, data);
        while (!data.IsEmpty)
        {
            int n = PieceAt(sector, data.Length, out ulong block, out int offset);
            if (!_written.TryGetValue(block, out byte[]? kept))
            {
                kept = new byte[BlockSectors * SectorSize];
                ulong first = block * BlockSectors;
                int there = (int)Math.Min(BlockSectors, SectorCount - first) * SectorSize;
                if (n != there && !TryReadFile(first, kept.AsSpan(0, there)))
                    return false;
                _written[block] = kept;
            }
            data[..n].CopyTo(kept.AsSpan(offset));
            sector += (ulong)(n / SectorSize);
            data = data[n..];
        }
        return true;
    }

    /// <summary>Makes what was written last on the host, where it goes to the file; false when the host objects.</summary>
    public bool TryFlush()
    {
        try
        {
            if (IsWritable)
                _file.Flush(flushToDisk: true);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <exception cref="DiskException">The guest's writes went to the file, which a snapshot does not hold.</exception>
    public void Save(BinaryWriter writer)
    {
        if (IsWritable)
            throw new DiskException(_path, "is written to for good, and a snapshot could not bring it back", "leave \",write\" away");
        writer.Write(SectorCount);
        writer.Write(Fingerprint());
        writer.Write(_written.Count);
        foreach ((ulong block, byte[] data) in _written)
        {
            writer.Write(block);
            writer.Write(data);
        }
    }

    /// <exception cref="DiskException">It is another image than when the snapshot was taken.</exception>
    public void Restore(BinaryReader reader)
    {
        ulong sectors = reader.ReadUInt64();
        ulong fingerprint = reader.ReadUInt64();
        if (sectors != SectorCount || fingerprint != Fingerprint())
            throw new DiskException(_path, "is not the image that the machine had when its snapshot was taken", "bring that image back, or name where it is with --disk");
        _written.Clear();
        for (int n = reader.ReadInt32(); n > 0; n--)
            _written[reader.ReadUInt64()] = reader.ReadBytes(BlockSectors * SectorSize);
    }

    public void Dispose() => _file.Dispose();

    private bool Contains(ulong sector, int bytes) =>
        bytes % SectorSize == 0 && sector <= SectorCount && (ulong)(bytes / SectorSize) <= SectorCount - sector;

    /// <summary>How many bytes of an access lie in one block, and where.</summary>
    private static int PieceAt(ulong sector, int bytes, out ulong block, out int offset)
    {
        block = sector / BlockSectors;
        offset = (int)(sector % BlockSectors) * SectorSize;
        return Math.Min(bytes, BlockSectors * SectorSize - offset);
    }

    private bool TryReadFile(ulong sector, Span<byte> data)
    {
        try
        {
            return RandomAccess.Read(_file.SafeFileHandle, data, (long)sector * SectorSize) == data.Length;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            return false;
        }
    }

    private bool TryWriteFile(ulong sector, ReadOnlySpan<byte> data)
    {
        try
        {
            RandomAccess.Write(_file.SafeFileHandle, data, (long)sector * SectorSize);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Of the beginning and the end: enough to tell images apart, and quick for large ones.</summary>
    private ulong Fingerprint()
    {
        byte[] bytes = new byte[Math.Min(_file.Length, FingerprintHead) + Math.Min(_file.Length, FingerprintTail)];
        int head = (int)Math.Min(_file.Length, FingerprintHead);
        int tail = bytes.Length - head;
        // What cannot be read counts as zeros: the image is then not the same.
        _ = TryReadFile(0, bytes.AsSpan(0, head));
        _ = TryReadFile(SectorCount - (ulong)(tail / SectorSize), bytes.AsSpan(head));
        return BitConverter.ToUInt64(SHA256.HashData(bytes));
    }
}
