using Emu.Memory;

namespace Emu.Fetch;

/// <summary>
/// Every change of a byte of code, so that a fetch with <see cref="Retention.Window"/> can return any version that a unit has had since the CPU
/// last serialised. A page is observed from the first time that any CPU fetches from it, once <see cref="PhysicalMemory.Observe"/> was told of this.
/// </summary>
public sealed unsafe class CodeHistory : ICodeObserver
{
    /// <summary>Changes that are kept at most; beyond it the oldest versions are no longer offered.</summary>
    private const int Capacity = 1 << 14;

    private readonly record struct Change(ulong Address, int Length, ulong Old, Writer Writer);

    private readonly PhysicalMemory _memory;
    private Change[] _changes = new Change[256];
    private int _count;
    private ulong _dropped;
    private readonly ulong[] _lastChange;

    public CodeHistory(PhysicalMemory memory)
    {
        _memory = memory;
        _lastChange = new ulong[memory.PageCount];
    }

    /// <summary>Number of changes so far: the point in time that a CPU remembers when it serialises.</summary>
    public ulong Now => _dropped + (ulong)_count;

    /// <summary>Number of versions of a unit that a CPU which serialised at <paramref name="since"/> may still fetch; at least 1, the present one.</summary>
    /// <param name="own">The CPU: its own stores are never missed by its own fetches (SDM, "Handling Self- and Cross-Modifying Code": store, then jump).</param>
    /// <param name="linear">Linear address by which it fetches, where the profile compares by linear address; else null.</param>
    public int Versions(ulong physical, int length, ulong since, int own, ulong? linear)
    {
        int n = 1;
        for (int i = _count - 1; i >= First(physical, since); i--)
        {
            if (!Overlaps(_changes[i], physical, length))
                continue;
            if (IsOwn(_changes[i], physical, own, linear))
                break;
            n++;
        }
        return n;
    }

    /// <summary>Writes the bytes of a version of a unit: 0 is the present one, higher numbers are older.</summary>
    public void Read(ulong physical, int length, int version, byte* bytes)
    {
        byte* host = _memory.Pointer(physical);
        for (int i = 0; i < length; i++)
            bytes[i] = host[i];
        for (int i = _count - 1; i >= 0 && version > 0; i--)
        {
            Change c = _changes[i];
            if (!Overlaps(c, physical, length))
                continue;
            for (int b = 0; b < c.Length; b++)
            {
                ulong at = c.Address + (ulong)b - physical;
                if (at < (ulong)length)
                    bytes[at] = (byte)(c.Old >> (8 * b));
            }
            version--;
        }
    }

    /// <summary>Who last changed one of these bytes, and the linear address at which it did.</summary>
    public Writer LastWriter(ulong physical, int length)
    {
        for (int i = _count - 1; i >= 0; i--)
            if (Overlaps(_changes[i], physical, length))
                return _changes[i].Writer;
        return Writer.Nobody;
    }

    /// <summary>Equal where the same changes were made, by the same CPUs, since a point in time.</summary>
    public ulong HashSince(ulong since)
    {
        ulong hash = 0;
        for (int i = since > _dropped ? (int)(since - _dropped) : 0; i < _count; i++)
        {
            Change c = _changes[i];
            foreach (ulong word in (ReadOnlySpan<ulong>)[c.Address, (ulong)c.Length, c.Old, (ulong)c.Writer.Cpu, c.Writer.Linear])
                hash = (hash ^ word) * 0x9E37_79B9_7F4A_7C15 ^ (hash >> 29);
        }
        return hash;
    }

    /// <summary>Forgets changes before the point that no CPU can look behind any more.</summary>
    public void Trim(ulong oldest)
    {
        int n = (int)Math.Min((ulong)_count, oldest > _dropped ? oldest - _dropped : 0);
        if (n == 0)
            return;
        Array.Copy(_changes, n, _changes, 0, _count - n);
        _count -= n;
        _dropped += (ulong)n;
    }

    /// <summary>A copy of what is remembered, for a snapshot.</summary>
    public object Save() => (_changes[.._count], _dropped);

    /// <summary>Takes it back, after RAM was restored.</summary>
    public void Restore(object saved)
    {
        (Change[] changes, ulong dropped) = ((Change[], ulong))saved;
        Array.Clear(_lastChange);
        _dropped = dropped;
        _count = 0;
        foreach (Change change in changes)
            Add(change);
    }

    /// <summary>Writes what <see cref="Save"/> gave.</summary>
    public static void Write(object saved, BinaryWriter writer)
    {
        (Change[] changes, ulong dropped) = ((Change[], ulong))saved;
        writer.Write(dropped);
        writer.Write(changes.Length);
        foreach (Change c in changes)
        {
            writer.Write(c.Address);
            writer.Write(c.Length);
            writer.Write(c.Old);
            writer.Write(c.Writer.Cpu);
            writer.Write(c.Writer.Linear);
            writer.Write(c.Writer.Rip);
        }
    }

    /// <summary>Reads it back, for <see cref="Restore"/>.</summary>
    public static object Read(BinaryReader reader)
    {
        ulong dropped = reader.ReadUInt64();
        var changes = new Change[reader.ReadInt32()];
        for (int i = 0; i < changes.Length; i++)
            changes[i] = new Change(reader.ReadUInt64(), reader.ReadInt32(), reader.ReadUInt64(), new Writer(reader.ReadInt32(), reader.ReadUInt64(), reader.ReadUInt64()));
        return (changes, dropped);
    }

    void ICodeObserver.BeforeCodeWrite(ulong address, int length)
    {
        for (int done = 0; done < length; done += 8)
        {
            int n = Math.Min(8, length - done);
            Add(new Change(address + (ulong)done, n, _memory.Read(address + (ulong)done, n), _memory.Writer));
        }
    }

    void ICodeObserver.AfterCodeWrite(ulong address, int length)
    {
    }

    private void Add(Change change)
    {
        if (_count == Capacity)
            Trim(_dropped + Capacity / 4);
        if (_count == _changes.Length)
            Array.Resize(ref _changes, _changes.Length * 2);
        _changes[_count++] = change;
        _lastChange[_memory.Offset(change.Address) >> Page.Shift] = Now;
    }

    private int First(ulong physical, ulong since)
    {
        if (_lastChange[_memory.Offset(physical) >> Page.Shift] <= since)
            return _count;
        return since > _dropped ? (int)(since - _dropped) : 0;
    }

    private static bool Overlaps(Change c, ulong physical, int length) => c.Address < physical + (ulong)length && physical < c.Address + (ulong)c.Length;

    private static bool IsOwn(Change c, ulong physical, int own, ulong? linear) =>
        c.Writer.Cpu == own && (linear == null || c.Writer.Linear - linear.Value == c.Address - physical);
}
