using Emu.Fetch;
using Emu.Memory;

namespace Emu.Exploration;

/// <summary>
/// What a CPU's fetch agent may have in its queue. Fetch events are not interleaved one by one: a unit of code that is never patched has one version
/// whenever it is fetched, and of a patched one the version is chosen when it is first executed, among those that a fetch event could have read by
/// then. Nothing looks at the queue in between, so that the outcomes are the same; the witness says when the chosen fetch took place.
/// <para>Retention <c>queue</c>: the versions since the unit came within reach of the queue, not older than one chosen before it where fetch is in
/// order. Retention <c>window</c>: the versions since the CPU serialised, not older than its own last store.</para>
/// </summary>
internal sealed unsafe class LazyFetch
{
    private const int MaximumUnit = 64;

    private readonly FetchProfile _profile;
    private readonly MemoryJournal _journal;
    private readonly PhysicalMemory _memory;
    private readonly int _cpu;
    private readonly bool _byLinear;
    private readonly bool _inOrder;
    private readonly byte[] _versions;
    private readonly int[] _times;

    /// <summary>Units that were executed from and are still in the queue: linear address and content.</summary>
    private readonly ulong[] _bound;
    private readonly ulong[] _boundPhysical;
    private readonly byte[] _content;
    private int _boundCount;

    /// <summary>Patched units within reach: linear and physical address, and the point in the history of patches at which they came there.</summary>
    private readonly ulong[] _reach;
    private readonly ulong[] _reachPhysical;
    private readonly int[] _since;
    private int _reachCount;

    /// <summary>The earliest point at which the next unit in order can have been fetched.</summary>
    private int _floor;

    public LazyFetch(FetchProfile profile, int unit, int cpu, MemoryJournal journal, PhysicalMemory memory, bool forCopy = false)
    {
        _versions = forCopy ? [] : new byte[256 * MaximumUnit];
        _times = forCopy ? [] : new int[256];
        _profile = profile;
        Unit = unit;
        _cpu = cpu;
        _journal = journal;
        _memory = memory;
        _byLinear = profile.CompareBy == CompareBy.Linear;
        _inOrder = profile.Order == FetchOrder.InOrder;
        // Units that can be in the queue at once.
        int capacity = Math.Max(profile.Depth, 16) / unit + 3;
        _content = new byte[capacity * unit];
        _bound = new ulong[capacity];
        _boundPhysical = new ulong[capacity];
        _reach = new ulong[capacity];
        _reachPhysical = new ulong[capacity];
        _since = new int[capacity];
        IsWindow = profile.Retention == Retention.Window;
        // Where nothing is fetched ahead, everything is read when it is executed.
        IsAhead = profile.Depth != 0;
    }

    public int Unit { get; }

    /// <summary>Old versions outlive the queue.</summary>
    public bool IsWindow { get; }

    public bool IsAhead { get; }

    /// <summary>Linear address of the next instruction, as the queue knows it.</summary>
    public ulong Start { get; private set; }

    /// <summary>The queue has to be emptied before the next instruction.</summary>
    public bool Flushed { get; set; }

    /// <summary>The point in the history of patches at which the CPU last serialised.</summary>
    public int SerialisedAt { get; private set; }

    /// <summary>The bytes of the version that was taken last were read from memory at this point in the history of patches.</summary>
    public int TakenAt { get; private set; }

    public void Serialise()
    {
        Flushed = true;
        SerialisedAt = _journal.PatchCount;
    }

    /// <summary>Goes back to before an instruction that is not to have run.</summary>
    public void TakeBack(bool flushed, int serialisedAt, ulong start)
    {
        Flushed = flushed;
        SerialisedAt = serialisedAt;
        Start = start;
    }

    /// <summary>Follows the instruction pointer.</summary>
    public void Follow(ulong linear)
    {
        if (Flushed || (linear != Start && (_profile.BranchFlushes || linear - Start >= (ulong)_profile.Depth)))
        {
            _boundCount = 0;
            _reachCount = 0;
            _floor = _journal.PatchCount;
            Start = linear;
        }
        else if (linear != Start)
        {
            Advance(linear);
        }
        Flushed = false;
    }

    /// <summary>The instruction pointer went on, over bytes of the queue.</summary>
    public void Advance(ulong linear)
    {
        Start = linear;
        int kept = 0;
        for (int i = 0; i < _boundCount; i++)
        {
            if (_bound[i] + (ulong)Unit <= linear)
                continue;
            if (kept != i)
            {
                _bound[kept] = _bound[i];
                _boundPhysical[kept] = _boundPhysical[i];
                Array.Copy(_content, i * Unit, _content, kept * Unit, Unit);
            }
            kept++;
        }
        _boundCount = kept;
        kept = 0;
        for (int i = 0; i < _reachCount; i++)
        {
            if (_reach[i] + (ulong)Unit <= linear)
                continue;
            _reach[kept] = _reach[i];
            _reachPhysical[kept] = _reachPhysical[i];
            _since[kept++] = _since[i];
        }
        _reachCount = kept;
    }

    /// <summary>Notes which of a page's patched units have come within reach.</summary>
    /// <param name="linear">Some address of the page.</param>
    /// <param name="physical">Its physical address.</param>
    public void Reach(ulong linear, ulong physical, ulong[] units)
    {
        if (IsWindow || !IsAhead)
            return;
        ulong delta = (linear & Page.Mask) - (physical & Page.Mask);
        foreach (ulong unit in units)
        {
            ulong at = unit + delta;
            if (at + (ulong)Unit <= Start || at >= Start + (ulong)_profile.Depth || IndexOfReach(at) >= 0)
                continue;
            // In order of address, as in-order fetch takes them.
            int place = _reachCount++;
            for (; place > 0 && _reach[place - 1] > at; place--)
            {
                _reach[place] = _reach[place - 1];
                _reachPhysical[place] = _reachPhysical[place - 1];
                _since[place] = _since[place - 1];
            }
            _reach[place] = at;
            _reachPhysical[place] = unit;
            _since[place] = _journal.PatchCount;
        }
    }

    /// <summary>The CPU's own store reached bytes that it may have fetched: they are fetched again (SDM, "Self-Modifying Code").</summary>
    public void OwnStore(in PendingStore store)
    {
        ulong address = _byLinear ? store.Linear : store.Address;
        for (int i = 0; i < _boundCount; i++)
        {
            ulong unit = _byLinear ? _bound[i] : _boundPhysical[i];
            if (unit < address + (ulong)store.Size && address < unit + (ulong)Unit)
                Flushed = true;
        }
        for (int i = 0; i < _reachCount; i++)
        {
            ulong unit = _byLinear ? _reach[i] : _reachPhysical[i];
            if (unit >= address + (ulong)store.Size || address >= unit + (ulong)Unit)
                continue;
            // If it was in the queue, all of that goes; if not, then in order nothing behind it was either.
            _since[i] = _journal.PatchCount;
            for (int later = i + 1; _inOrder && later < _reachCount; later++)
                _since[later] = _journal.PatchCount;
        }
    }

    /// <summary>Bytes of a unit that are in the queue for certain, because some of them were executed; empty when none are.</summary>
    public ReadOnlySpan<byte> Bound(ulong unit)
    {
        for (int i = 0; i < _boundCount; i++)
            if (_bound[i] == unit)
                return new ReadOnlySpan<byte>(_content, i * Unit, Unit);
        return default;
    }

    /// <summary>Number of versions of a unit that may be in the queue, or may be fetched now.</summary>
    public int Versions(ulong unit, ulong physical)
    {
        int count = 0;
        Span<byte> now = stackalloc byte[Unit];
        byte* host = _memory.Pointer(physical);
        for (int i = 0; i < Unit; i++)
            now[i] = host[i];
        int oldest = IsWindow ? SerialisedAt : IsAhead ? Math.Max(SinceOf(unit), _inOrder ? _floor : 0) : int.MaxValue;
        for (int i = _journal.PatchCount; ; i--)
        {
            // Here `now` is what memory held between patches i - 1 and i.
            Keep(now, i, ref count);
            if (i - 1 < oldest)
                break;
            ref readonly JournalEntry e = ref _journal.Patch(i - 1);
            if (!Overlaps(e, physical))
                continue;
            if (IsWindow && IsOwn(e, unit, physical))
                break;
            for (int b = 0; b < e.Size; b++)
            {
                ulong at = e.Address + (ulong)b - physical;
                if (at < (ulong)Unit)
                    now[(int)at] = (byte)(e.Old >> (8 * b));
            }
        }
        return count;
    }

    /// <summary>Takes one of the versions that <see cref="Versions"/> has just counted into the queue.</summary>
    public ReadOnlySpan<byte> Take(ulong unit, ulong physical, int version)
    {
        int i = _boundCount++;
        _bound[i] = unit;
        _boundPhysical[i] = physical;
        Array.Copy(_versions, version * Unit, _content, i * Unit, Unit);
        TakenAt = _times[version];
        if (!IsWindow && _inOrder)
            _floor = Math.Max(_floor, _times[version]);
        return new ReadOnlySpan<byte>(_content, i * Unit, Unit);
    }

    /// <summary>Fetches again what is in the queue.</summary>
    public void Refetch() => _boundCount = 0;

    /// <summary>True when memory held these bytes together at one moment since the exploration began.</summary>
    public bool EverHeld(ulong physical, ReadOnlySpan<byte> bytes)
    {
        Span<byte> now = stackalloc byte[bytes.Length];
        for (int i = 0; i < now.Length; i++)
            now[i] = *_memory.Pointer(physical + (ulong)i);
        for (int i = _journal.PatchCount; ; i--)
        {
            if (bytes.SequenceEqual(now))
                return true;
            if (i == 0)
                return false;
            ref readonly JournalEntry e = ref _journal.Patch(i - 1);
            for (int b = 0; b < e.Size; b++)
            {
                ulong at = e.Address + (ulong)b - physical;
                if (at < (ulong)now.Length)
                    now[(int)at] = (byte)(e.Old >> (8 * b));
            }
        }
    }

    /// <summary>
    /// What these bytes have been since the CPU serialised, or since its own last store to them: the oldest first, the present last; null when nothing
    /// changed. What the rule of cross-modifying code looks at, whatever the queue can still hold.
    /// </summary>
    public List<CodeVersion>? Since(ulong linear, ulong physical, int length)
    {
        List<CodeVersion>? versions = null;
        for (int i = _journal.PatchCount - 1; i >= SerialisedAt; i--)
        {
            ref readonly JournalEntry e = ref _journal.Patch(i);
            if (e.Address >= physical + (ulong)length || physical >= e.Address + (ulong)e.Size)
                continue;
            if (IsOwn(e, linear, physical))
                break;
            versions ??= [new CodeVersion(new ReadOnlySpan<byte>(_memory.Pointer(physical), length).ToArray(), CodeVersion.Oldest)];
            byte[] newer = versions[0].Bytes;
            byte[] older = (byte[])newer.Clone();
            for (int b = 0; b < e.Size; b++)
            {
                ulong at = e.Address + (ulong)b - physical;
                if (at < (ulong)length)
                    older[at] = (byte)(e.Old >> (8 * b));
            }
            if (older.AsSpan().SequenceEqual(newer))
                continue;
            versions[0] = versions[0] with { MadeBy = i };
            versions.Insert(0, new CodeVersion(older, CodeVersion.Oldest));
        }
        return versions;
    }

    /// <summary>Equal where the same versions can be fetched from here on.</summary>
    /// <param name="units">All patched units.</param>
    /// <param name="check">And where the rule of cross-modifying code says the same, which looks back to the last serialisation whatever the queue holds.</param>
    public ulong Hash(List<ulong> units, bool check)
    {
        ulong hash = check && !IsWindow && _journal.PatchCount != SerialisedAt ? HashOfOrder(units) : 0;
        for (int i = 0; i < _boundCount; i++)
        {
            hash = StateMixer.Mix(hash, _bound[i] - Start);
            for (int b = 0; b < Unit; b++)
                hash = StateMixer.Mix(hash, _content[i * Unit + b]);
        }
        if (IsWindow)
            return _journal.PatchCount == SerialisedAt ? hash : StateMixer.Mix(hash, HashOfWindow(units));
        int oldest = int.MaxValue;
        for (int i = 0; i < _reachCount; i++)
            oldest = Math.Min(oldest, Math.Max(_since[i], _inOrder ? _floor : 0));
        // What was changed, and in which order, as far as this CPU may not have noticed yet.
        for (int p = _journal.PatchCount - 1; p >= oldest; p--)
        {
            ref readonly JournalEntry e = ref _journal.Patch(p);
            for (int i = 0; i < _reachCount; i++)
                if (p >= _since[i] && (!_inOrder || p >= _floor) && IndexOfBound(_reach[i]) < 0 && Overlaps(e, _reachPhysical[i]))
                    hash = StateMixer.Mix(hash, e.Address ^ e.Old << 20 ^ (ulong)e.Size << 60 ^ _reach[i] << 7);
        }
        return hash;
    }

    public void CopyFrom(LazyFetch other)
    {
        _boundCount = other._boundCount;
        _reachCount = other._reachCount;
        _floor = other._floor;
        Start = other.Start;
        Flushed = other.Flushed;
        SerialisedAt = other.SerialisedAt;
        if (_boundCount != 0)
        {
            Array.Copy(other._bound, _bound, _boundCount);
            Array.Copy(other._boundPhysical, _boundPhysical, _boundCount);
            Array.Copy(other._content, _content, _boundCount * Unit);
        }
        if (_reachCount != 0)
        {
            Array.Copy(other._reach, _reach, _reachCount);
            Array.Copy(other._reachPhysical, _reachPhysical, _reachCount);
            Array.Copy(other._since, _since, _reachCount);
        }
    }

    /// <summary>All changes of patched code since the CPU serialised, in order: the versions that <see cref="Since"/> gives of any instruction follow from them.</summary>
    private ulong HashOfOrder(List<ulong> units)
    {
        ulong hash = 0;
        byte[] now = new byte[units.Count * Unit];
        for (int u = 0; u < units.Count; u++)
            _memory.TryRead(units[u], now.AsSpan(u * Unit, Unit));
        for (int p = _journal.PatchCount - 1; p >= SerialisedAt; p--)
        {
            ref readonly JournalEntry e = ref _journal.Patch(p);
            for (int u = 0; u < units.Count; u++)
            {
                if (!Overlaps(e, units[u]))
                    continue;
                // Behind its own store a CPU fetches anew, whether or not that changed anything; another's which did not is as good as none.
                bool own = e.Writer.Cpu == _cpu;
                bool counts = own;
                for (int b = 0; b < e.Size; b++)
                {
                    ulong at = e.Address + (ulong)b - units[u];
                    byte old = (byte)(e.Old >> (8 * b));
                    if (at >= (ulong)Unit || (now[u * Unit + (int)at] == old && !own))
                        continue;
                    now[u * Unit + (int)at] = old;
                    hash = StateMixer.Mix(hash, (units[u] + at) << 8 ^ old);
                    counts = true;
                }
                if (counts)
                    hash = StateMixer.Mix(hash, own ? e.Writer.Linear : ulong.MaxValue);
            }
        }
        return hash;
    }

    private ulong HashOfWindow(List<ulong> units)
    {
        ulong hash = 0;
        foreach (ulong unit in units)
        {
            // Code is executed where it stands: that its linear address may differ matters to own stores only.
            int n = Versions(unit, unit);
            if (n == 1)
                continue;
            ulong set = 0;
            for (int v = 0; v < n; v++)
            {
                ulong one = unit;
                for (int b = 0; b < Unit; b++)
                    one = StateMixer.Mix(one, _versions[v * Unit + b]);
                set += StateMixer.Mix(one, unit);
            }
            hash = StateMixer.Mix(hash, set);
        }
        return hash;
    }

    /// <summary>Remembers a version unless an equal one is there already; of equal ones the earliest time counts, since it leaves most to those that follow.</summary>
    private void Keep(ReadOnlySpan<byte> content, int time, ref int count)
    {
        for (int v = 0; v < count; v++)
        {
            if (content.SequenceEqual(new ReadOnlySpan<byte>(_versions, v * Unit, Unit)))
            {
                _times[v] = time;
                return;
            }
        }
        if (count == _times.Length)
            return;
        content.CopyTo(new Span<byte>(_versions, count * Unit, Unit));
        _times[count++] = time;
    }

    private int SinceOf(ulong unit)
    {
        int i = IndexOfReach(unit);
        // Executed without having been ahead of the queue: read now.
        return i < 0 ? _journal.PatchCount : _since[i];
    }

    private int IndexOfReach(ulong unit)
    {
        for (int i = 0; i < _reachCount; i++)
            if (_reach[i] == unit)
                return i;
        return -1;
    }

    private int IndexOfBound(ulong unit)
    {
        for (int i = 0; i < _boundCount; i++)
            if (_bound[i] == unit)
                return i;
        return -1;
    }

    private bool Overlaps(in JournalEntry e, ulong physical) => e.Address < physical + (ulong)Unit && physical < e.Address + (ulong)e.Size;

    private bool IsOwn(in JournalEntry e, ulong unit, ulong physical) =>
        e.Writer.Cpu == _cpu && (!_byLinear || e.Writer.Linear - unit == e.Address - physical);
}

/// <summary>What the bytes of an instruction were at some time.</summary>
/// <param name="MadeBy">The store that made them: its position in the history of patches; <see cref="Oldest"/> for what was there before.</param>
internal readonly record struct CodeVersion(byte[] Bytes, int MadeBy)
{
    public const int Oldest = -1;
}
