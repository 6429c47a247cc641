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
    /// <summary>Ring of bytes, written twice so that any 16 in a row can be read at once.</summary>
    private const int Ring = 256;

    private readonly byte* _ring;
    private readonly bool[] _present = new bool[Ring];
    private readonly ulong[] _page = new ulong[2];
    private readonly ulong[] _physicalPage = new ulong[2];
    private readonly int _depth;
    private ulong _start;
    private int _ready;

    public PrefetchQueue(FetchProfile profile)
    {
        Profile = profile;
        Unit = Math.Max(1, Math.Min(profile.Granule, profile.AtomicUnit));
        if (profile.AtomicUnit > profile.Granule)
            Unit = profile.AtomicUnit;
        // Coherent fetch still needs room for one instruction: it is filled at execution and emptied after it.
        _depth = Math.Max(profile.Depth, 16);
        _ring = (byte*)NativeMemory.AllocZeroed(2 * Ring + 16);
    }

    public FetchProfile Profile { get; }

    /// <summary>Bytes that one fetch event reads; aligned. The smaller of granule and atomic unit, so that what the profile lets tear can tear.</summary>
    public int Unit { get; }

    /// <summary>Linear address of the first byte: the instruction pointer.</summary>
    public ulong Start => _start;

    /// <summary>Bytes that follow each other without a gap from <see cref="Start"/>.</summary>
    public int Ready => _ready;

    /// <summary>The bytes from <see cref="Start"/>: 16 may be read, <see cref="Ready"/> of them count.</summary>
    public byte* Bytes => _ring + (int)(_start & (Ring - 1));

    /// <summary>Empties the queue and points it at an address.</summary>
    public void Flush(ulong linear)
    {
        if (Profile.Order == FetchOrder.Any || _ready != 0)
            Array.Clear(_present);
        _ready = 0;
        _start = linear;
    }

    /// <summary>The instruction pointer moved on by an instruction that was in the queue.</summary>
    public void Advance(int length)
    {
        for (int i = 0; i < length; i++)
            _present[(int)((_start + (ulong)i) & (Ring - 1))] = false;
        _start += (ulong)length;
        _ready -= length;
    }

    /// <summary>The instruction pointer jumped; where the profile does not flush on branches, fetched bytes within reach of the target stay.</summary>
    public void Branch(ulong linear)
    {
        if (Profile.BranchFlushes || linear - _start >= (ulong)_depth)
        {
            Flush(linear);
            return;
        }
        for (ulong at = _start; at < linear; at++)
            _present[(int)(at & (Ring - 1))] = false;
        _start = linear;
        _ready = 0;
        CountReady();
    }

    /// <summary>Units that may be fetched now, by linear address; the first of them is the next in order.</summary>
    public int Candidates(Span<ulong> units)
    {
        int n = 0;
        ulong mask = ~(ulong)(Unit - 1);
        ulong end = _start + (ulong)_depth;
        for (ulong at = (_start + (ulong)_ready) & mask; at < end && n < units.Length; at += (ulong)Unit)
        {
            ulong first = Math.Max(at, _start);
            if (_present[(int)(first & (Ring - 1))])
                continue;
            units[n++] = at;
            if (Profile.Order == FetchOrder.InOrder)
                break;
        }
        return n;
    }

    /// <summary>The next unit in order, or ulong.MaxValue when the queue is full.</summary>
    public ulong NextInOrder()
    {
        ulong at = (_start + (ulong)_ready) & ~(ulong)(Unit - 1);
        return _ready >= _depth ? ulong.MaxValue : at;
    }

    /// <summary>A fetch event: takes in the bytes of a unit, as far as they lie ahead of the instruction pointer.</summary>
    /// <param name="linear">Linear address of the unit, aligned to <see cref="Unit"/>.</param>
    /// <param name="physical">Its physical address.</param>
    /// <param name="bytes">Its <see cref="Unit"/> bytes.</param>
    public void Take(ulong linear, ulong physical, byte* bytes)
    {
        NotePage(linear, physical);
        for (int i = 0; i < Unit; i++)
            Put(linear + (ulong)i, bytes[i]);
        CountReady();
    }

    /// <summary>Many fetch events in order at once: fills the queue from memory up to its depth or the end of the page.</summary>
    /// <param name="linear">The next byte in order.</param>
    /// <param name="physical">Its physical address.</param>
    /// <param name="host">Its host address.</param>
    public void Fill(ulong linear, ulong physical, byte* host)
    {
        NotePage(linear, physical);
        int n = _depth - _ready;
        // Whole units only: the last one may reach beyond the depth.
        ulong end = (linear + (ulong)n + (ulong)Unit - 1) & ~(ulong)(Unit - 1);
        n = (int)Math.Min(end - linear, Page.Size - (linear & Page.OffsetMask));
        for (int i = 0; i < n; i++)
        {
            int at = (int)((linear + (ulong)i) & (Ring - 1));
            if (_present[at])
                continue;
            _present[at] = true;
            _ring[at] = host[i];
            _ring[at + Ring] = host[i];
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
        for (ulong at = _start; at < _start + (ulong)_depth + (ulong)Unit; at++)
        {
            if (!_present[(int)(at & (Ring - 1))])
                continue;
            ulong key = linear ? at : PhysicalOf(at);
            if (key - address < (ulong)length)
                return true;
        }
        return false;
    }

    /// <summary>Every byte in the queue with its linear address, in order of address: for tables and hashes.</summary>
    public IEnumerable<(ulong Linear, byte Value)> Contents()
    {
        for (ulong at = _start; at < _start + (ulong)_depth + (ulong)Unit; at++)
            if (_present[(int)(at & (Ring - 1))])
                yield return (at, ByteAt(at));
    }

    /// <summary>Copies all state out, for a snapshot.</summary>
    public byte[] Save()
    {
        using var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        w.Write(_start);
        w.Write(_ready);
        for (int i = 0; i < 2; i++)
        {
            w.Write(_page[i]);
            w.Write(_physicalPage[i]);
        }
        for (int i = 0; i < Ring; i++)
        {
            w.Write(_present[i]);
            w.Write(_present[i] ? _ring[i] : (byte)0);
        }
        return stream.ToArray();
    }

    /// <summary>Takes state back in.</summary>
    public void Restore(byte[] saved)
    {
        using var r = new BinaryReader(new MemoryStream(saved));
        _start = r.ReadUInt64();
        _ready = r.ReadInt32();
        for (int i = 0; i < 2; i++)
        {
            _page[i] = r.ReadUInt64();
            _physicalPage[i] = r.ReadUInt64();
        }
        for (int i = 0; i < Ring; i++)
        {
            _present[i] = r.ReadBoolean();
            _ring[i] = _ring[i + Ring] = r.ReadByte();
        }
    }

    public void Dispose() => NativeMemory.Free(_ring);

    private byte ByteAt(ulong linear) => _ring[(int)(linear & (Ring - 1))];

    private void Put(ulong linear, byte value)
    {
        if (linear < _start)
            return;
        int at = (int)(linear & (Ring - 1));
        if (_present[at])
            return;
        _present[at] = true;
        _ring[at] = value;
        _ring[at + Ring] = value;
    }

    private void NotePage(ulong linear, ulong physical)
    {
        int slot = (int)(linear >> Page.Shift) & 1;
        _page[slot] = linear & Page.Mask;
        _physicalPage[slot] = physical & Page.Mask;
    }

    private void CountReady()
    {
        int limit = _depth + Unit;
        while (_ready < limit && _present[(int)((_start + (ulong)_ready) & (Ring - 1))])
            _ready++;
    }
}
