using System.Buffers.Binary;
using System.IO.Compression;
using System.Security.Cryptography;

namespace Emu.Machines;

/// <summary>
/// The file around a snapshot: named sections, each compressed by itself, and a checksum over all (README.md, "Snapshot files"). A file is written beside its
/// name and takes it in one step, so that a crash leaves an older file whole.
/// </summary>
internal static class SnapshotContainer
{
    /// <summary>Changes with every change of what the sections hold.</summary>
    public const uint Version = 2;

    private const int HeaderSize = 8 + 4 + 8;
    private const int ChecksumSize = SHA256.HashSizeInBytes;

    private static ReadOnlySpan<byte> Magic => "EMUSNAP\n"u8;

    /// <summary>A section before or after the file.</summary>
    public readonly record struct Section(string Name, byte[] Data);

    /// <summary>Writes a file.</summary>
    /// <param name="sections">Made, and compressed, on several threads; written in this order.</param>
    /// <exception cref="SnapshotException">The host objects.</exception>
    public static void Write(string path, IReadOnlyList<Func<Section>> sections)
    {
        var packed = new byte[sections.Count][];
        Parallel.For(0, sections.Count, i => packed[i] = Pack(sections[i]()));
        byte[] header = new byte[HeaderSize];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(12), (ulong)(HeaderSize + packed.Sum(p => (long)p.Length) + ChecksumSize));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        try
        {
            using (FileStream file = new(temporary, FileMode.Create, FileAccess.Write))
            {
                foreach (byte[] piece in (IEnumerable<byte[]>)[header, .. packed])
                {
                    hash.AppendData(piece);
                    file.Write(piece);
                }
                file.Write(hash.GetHashAndReset());
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            TryDelete(temporary);
            throw new SnapshotException(path, $"cannot be written: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}", "name a file in a folder that exists and has room");
        }
    }

    /// <summary>Reads and checks a file.</summary>
    /// <exception cref="SnapshotException">It is not there, not a snapshot, or damaged.</exception>
    public static List<Section> Read(string path)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : e.Message.ReplaceLineEndings(" ").TrimEnd('.');
            throw new SnapshotException(path, why, "name a file that emu boot --snapshot wrote");
        }
        ReadOnlySpan<byte> file = bytes;
        if (file.Length < HeaderSize || !file.StartsWith(Magic))
            throw new SnapshotException(path, "is not a snapshot of a machine", "name a file that emu boot --snapshot wrote");
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(file[8..]);
        if (version != Version)
            throw new SnapshotException(path, $"is a snapshot of format {version}, and this program reads format {Version}", "take it again with this program");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file[12..]);
        if (length != (ulong)file.Length || file.Length < HeaderSize + ChecksumSize)
            throw new SnapshotException(path, $"has {file.Length} bytes where {length} were written", "copy it again, or take the snapshot again");
        if (!SHA256.HashData(file[..^ChecksumSize]).AsSpan().SequenceEqual(file[^ChecksumSize..]))
            throw new SnapshotException(path, "was altered: its checksum is not that of its contents", "copy it again, or take the snapshot again");
        return Unpack(bytes);
    }

    /// <summary>Name, raw length, packed length, packed data.</summary>
    private static byte[] Pack(Section section)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(section.Name);
        writer.Write(section.Data.Length);
        long lengthAt = stream.Position;
        writer.Write(0);
        using (var packer = new ZLibStream(stream, CompressionLevel.Fastest, leaveOpen: true))
            packer.Write(section.Data);
        int packed = (int)(stream.Length - lengthAt - sizeof(int));
        stream.Position = lengthAt;
        writer.Write(packed);
        return stream.ToArray();
    }

    private static List<Section> Unpack(byte[] file)
    {
        var places = new List<(string Name, int Raw, int At, int Packed)>();
        using var stream = new MemoryStream(file, 0, file.Length - ChecksumSize);
        using var reader = new BinaryReader(stream);
        stream.Position = HeaderSize;
        while (stream.Position < stream.Length)
        {
            (string name, int raw, int packed) = (reader.ReadString(), reader.ReadInt32(), reader.ReadInt32());
            places.Add((name, raw, (int)stream.Position, packed));
            stream.Position += packed;
        }
        var sections = new Section[places.Count];
        Parallel.For(0, sections.Length, i =>
        {
            (string name, int raw, int at, int packed) = places[i];
            byte[] data = new byte[raw];
            using var unpacker = new ZLibStream(new MemoryStream(file, at, packed), CompressionMode.Decompress);
            unpacker.ReadExactly(data);
            sections[i] = new Section(name, data);
        });
        return [.. sections];
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What was wrong with it is being reported already.
        }
    }
}
