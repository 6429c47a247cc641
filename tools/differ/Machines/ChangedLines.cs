using System.Runtime.Intrinsics;
using Emu.Differ.Cases;

namespace Emu.Differ.Machines;

/// <summary>
/// What a case left in the data windows of its <see cref="Arena"/>, as the lines of 64 bytes that differ from the background. Lines are numbered
/// through all windows, and stand in order.
/// </summary>
public sealed unsafe class ChangedLines
{
    public const int LineBytes = 64;

    private ushort[] _lines = new ushort[16];
    private byte[] _bytes = new byte[16 * LineBytes];

    public int Count { get; private set; }

    /// <summary>Number of a line.</summary>
    public int this[int i] => _lines[i];

    /// <summary>What a line holds.</summary>
    public ReadOnlySpan<byte> Bytes(int i) => _bytes.AsSpan(i * LineBytes, LineBytes);

    public void Clear() => Count = 0;

    /// <summary>Adds a line; its number is above those added before.</summary>
    public void Add(int line, byte* bytes)
    {
        if (Count == _lines.Length)
        {
            Array.Resize(ref _lines, 2 * Count);
            Array.Resize(ref _bytes, 2 * Count * LineBytes);
        }
        _lines[Count] = (ushort)line;
        new ReadOnlySpan<byte>(bytes, LineBytes).CopyTo(_bytes.AsSpan(Count++ * LineBytes));
    }

    /// <summary>Finds what differs from the background in a machine's RAM, and brings the background back there.</summary>
    public void Take(Arena arena, byte* ram)
    {
        Count = 0;
        int first = 0;
        foreach (MemoryWindow w in arena.Windows)
        {
            byte* background = arena.Image + w.Start, present = ram + w.Start;
            for (int at = 0; at < w.Length; at += LineBytes)
            {
                Vector256<byte> changed = (Vector256.Load(present + at) ^ Vector256.Load(background + at))
                    | (Vector256.Load(present + at + 32) ^ Vector256.Load(background + at + 32));
                if (changed == Vector256<byte>.Zero)
                    continue;
                Add(first + at / LineBytes, present + at);
                Buffer.MemoryCopy(background + at, present + at, LineBytes, LineBytes);
            }
            first += w.Length / LineBytes;
        }
    }

    public bool SameAs(ChangedLines other) =>
        Count == other.Count && _lines.AsSpan(0, Count).SequenceEqual(other._lines.AsSpan(0, Count))
        && _bytes.AsSpan(0, Count * LineBytes).SequenceEqual(other._bytes.AsSpan(0, Count * LineBytes));

    /// <summary>The byte that the case left at a physical address of a window.</summary>
    public byte ByteAt(Arena arena, ulong physical)
    {
        int line = arena.LineOf(physical);
        int i = Array.BinarySearch(_lines, 0, Count, (ushort)line);
        return i < 0 ? arena.Image[physical] : _bytes[i * LineBytes + (int)(physical % LineBytes)];
    }
}
