using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Emu.Memory;

namespace Emu.Fetch;

/// <summary>
/// The bytes that a CPU has fetched and not yet executed. They are a window that begins at the instruction pointer and reaches at most
/// <see cref="FetchProfile.Depth"/> bytes ahead, filled in units; each byte keeps the value that memory (or, with retention, an older version of
/// it) had when it was fetched.
/// </summary>
public sealed unsafe class PrefetchQueue : IDisposable
{
    /// <summary>The bytes stand in a buffer through which they slide: the first is at <see cref="_head"/>.</summary>
    private const int Size = 512;

    /// <summary>Behind this position the contents are moved to the front; depth and unit are far smaller.</summary>
    private const int Full = 256;

    private readonly byte* _bytes;

    /// <summary>Which bytes were fetched, where they need not be in order; null where they are.</summary>
    private readonly bool[]? _present;
    private readonly ulong[] _physicalPage = new ulong[2];
    private readonly int _depth;
    private ulong _start;
    private int _head;
    private int _ready;

    public PrefetchQueue(FetchProfile profile)
    {
        Profile = profile;
        Unit = profile.AtomicUnit > profile.Granule ? profile.AtomicUnit : Math.Min(profile.Granule, profile.AtomicUnit);
        // Coherent fetch still needs room for one instruction: it is filled at execution and emptied after it.
        _depth = Math.Max(profile.Depth, 16);
        _bytes = (byte*)NativeMemory.AllocZeroed(Size);
        _present = profile.Order == FetchOrder.Any ? new bool[Size] : null;
    }

    public FetchProfile Profile { get; }

    /// <summary>Bytes that one fetch event reads; aligned. The smaller of granule and atomic unit, so that what the profile lets tear can tear.</summary>
    public int Unit { get; }

    /// <summary>Linear address of the first byte: the instruction pointer.</summary>
    public ulong Start => _start;

    /// <summary>Bytes that follow each other without a gap from <see cref="Start"/>.</summary>
    public int Ready => _ready;

    /// <summary>The bytes from <see cref="Start"/>: 16 may be read, <see cref="Ready"/> of them count.</summary>
    public byte* Bytes => _bytes + _head;

    /// <summary>Empties the queue and points it at an address.</summary>
    public void Flush(ulong linear)
    {
        if (_present != null)
            Array.Clear(_present);
        _head = 0;
        _ready = 0;
        _start = linear;
    }

    /// <summary>The instruction pointer moved on by bytes that were in the queue.</summary>
    public void Advance(int length)
    {
        _head += length;
        _start += (ulong)length;
        _ready -= length;
        if (_head > Full)
            Compact();
    }

    /// <summary>The instruction pointer jumped; where the profile does not flush on branches, fetched bytes within reach of the target stay.</summary>
    public void Branch(ulong linear)
    {
        ulong distance = linear - _start;
        if (Profile.BranchFlushes || distance >= (ulong)(_present == null ? _ready : _depth))
        {
            Flush(linear);
            return;
        }
        Advance((int)distance);
        _ready = Math.Max(_ready, 0);
        CountReady();
    }

    /// <summary>Units that may be fetched now, by linear address; the first of them is the next in order.</summary>
    public int Candidates(Span<ulong> units)
    {
        int n = 0;
        // Beyond the depth only what the next instruction turns out to need is read.
        for (ulong at = (_start + (ulong)_ready) & ~(ulong)(Unit - 1); Ahead(at) < Profile.Depth && n < units.Length; at += (ulong)Unit)
        {
            if (IsPresent(From(at)))
                continue;
            units[n++] = at;
            if (_present == null)
                break;
        }
        return n;
    }

    /// <summary>The next unit in order; null when the queue is full.</summary>
    public ulong? NextInOrder() => _ready >= _depth ? null : (_start + (ulong)_ready) & ~(ulong)(Unit - 1);

    /// <summary>How far an address near the queue lies ahead of its start; below zero behind it. Addresses go on at 0 behind the last one.</summary>
    public long Ahead(ulong linear) => (long)(linear - _start);

    /// <summary>The first byte of a unit that is not behind the start.</summary>
    public ulong From(ulong unit) => Ahead(unit) < 0 ? _start : unit;

    /// <summary>A fetch event: takes in the bytes of a unit, as far as they lie ahead of the instruction pointer and were not fetched before.</summary>
    /// <param name="linear">Linear address of the unit, aligned to <see cref="Unit"/>.</param>
    /// <param name="physical">Its physical address.</param>
    /// <param name="bytes">Its <see cref="Unit"/> bytes.</param>
    public void Take(ulong linear, ulong physical, byte* bytes)
    {
        NotePage(linear, physical);
        for (int i = 0; i < Unit; i++)
        {
            ulong at = linear + (ulong)i;
            if (Ahead(at) < 0 || IsPresent(at))
                continue;
            _bytes[IndexOf(at)] = bytes[i];
            if (_present != null)
                _present[IndexOf(at)] = true;
            else
                _ready++;
        }
        CountReady();
    }

    /// <summary>Many fetch events in order at once: fills the queue from memory up to its depth or the end of the page.</summary>
    /// <param name="linear">The next byte in order.</param>
    /// <param name="physical">Its physical address.</param>
    /// <param name="host">Its host address.</param>
    public void Fill(ulong linear, ulong physical, byte* host)
    {
        NotePage(linear, physical);
        // Whole units only: the last one may reach beyond the depth.
        ulong end = (_start + (ulong)Profile.Depth + (ulong)Unit - 1) & ~(ulong)(Unit - 1);
        int n = (int)Math.Min(end - linear, Page.Size - (linear & Page.OffsetMask));
        int index = IndexOf(linear);
        if (_present == null)
        {
            Unsafe.CopyBlockUnaligned(_bytes + index, host, (uint)n);
            _ready += n;
            return;
        }
        for (int i = 0; i < n; i++)
        {
            if (_present[index + i])
                continue;
            _present[index + i] = true;
            _bytes[index + i] = host[i];
        }
        CountReady();
    }

    /// <summary>Physical address of a byte that was fetched.</summary>
    public ulong PhysicalOf(ulong linear)
    {
        int slot = (int)(linear >> Page.Shift) & 1;
        return _physicalPage[slot] | (linear & Page.OffsetMask);
    }

    /// <summary>True when a byte in the queue came from [address, address + length); by linear or by physical address.</summary>
    public bool Overlaps(ulong address, int length, bool linear)
    {
        if (linear && (Ahead(address) >= _depth + Unit || Ahead(address + (ulong)length) <= 0))
            return false;
        for (int i = 0; i < _depth + Unit; i++)
        {
            ulong at = _start + (ulong)i;
            if (IsPresent(at) && (linear ? at : PhysicalOf(at)) - address < (ulong)length)
                return true;
        }
        return false;
    }

    /// <summary>True when less than half of the depth is filled in order: time for a fetch unit to go on.</summary>
    public bool IsHalfEmpty => _ready <= _depth / 2;

    /// <summary>Every byte in the queue with its linear address, in order of address: for tables and hashes.</summary>
    public List<(ulong Linear, byte Value)> Contents()
    {
        var contents = new List<(ulong, byte)>();
        for (int i = 0; i < _depth + Unit; i++)
            if (IsPresent(_start + (ulong)i))
                contents.Add((_start + (ulong)i, _bytes[_head + i]));
        return contents;
    }

    /// <summary>Copies all state out, for a snapshot.</summary>
    public byte[] Save()
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        w.Write(_start);
        w.Write(_physicalPage[0]);
        w.Write(_physicalPage[1]);
        foreach ((ulong linear, byte value) in Contents())
        {
            w.Write((ushort)(linear - _start));
            w.Write(value);
        }
        return stream.ToArray();
    }

    /// <summary>Takes state back in.</summary>
    public void Restore(byte[] saved)
    {
        using var r = new BinaryReader(new MemoryStream(saved));
        Flush(r.ReadUInt64());
        _physicalPage[0] = r.ReadUInt64();
        _physicalPage[1] = r.ReadUInt64();
        for (int left = saved.Length - 24; left > 0; left -= 3)
        {
            int index = r.ReadUInt16();
            _bytes[index] = r.ReadByte();
            if (_present != null)
                _present[index] = true;
            else
                _ready++;
        }
        CountReady();
    }

    public void Dispose() => NativeMemory.Free(_bytes);

    private int IndexOf(ulong linear) => _head + (int)(linear - _start);

    private bool IsPresent(ulong linear) => _present == null ? linear - _start < (ulong)_ready : _present[IndexOf(linear)];

    private void NotePage(ulong linear, ulong physical) => _physicalPage[(int)(linear >> Page.Shift) & 1] = physical & Page.Mask;

    /// <summary>Moves what is in the queue to the front of the buffer.</summary>
    private void Compact()
    {
        int length = _depth + Unit;
        new ReadOnlySpan<byte>(_bytes + _head, length).CopyTo(new Span<byte>(_bytes, length));
        if (_present != null)
        {
            Array.Copy(_present, _head, _present, 0, length);
            Array.Clear(_present, length, Size - length);
        }
        _head = 0;
    }

    private void CountReady()
    {
        if (_present == null)
            return;
        int limit = _depth + Unit;
        while (_ready < limit && _present[_head + _ready])
            _ready++;
    }
}
