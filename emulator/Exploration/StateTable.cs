namespace Emu.Exploration;

/// <summary>
/// The states that were seen, by their hashes: open addressing in 64 parts with a lock each, so that workers seldom meet. Two different states with
/// equal hashes would be taken for one; with 64 bits and a hundred million states that has a probability below one in three thousand.
/// </summary>
internal sealed class StateTable
{
    private const int Parts = 64;

    private sealed class Part
    {
        public readonly Lock Lock = new();
        public ulong[] Keys = new ulong[1 << 10];
        public int[] Values = new int[1 << 10];
        public int Count;
    }

    private readonly Part[] _parts = new Part[Parts];
    private int _count;

    public StateTable()
    {
        for (int i = 0; i < Parts; i++)
            _parts[i] = new Part();
    }

    public int Count => _count;

    /// <summary>Bytes that the table occupies.</summary>
    public long Bytes => _parts.Sum(p => (long)p.Keys.Length * (sizeof(ulong) + sizeof(int)));

    /// <summary>Enters a state. False when it is there already.</summary>
    /// <param name="id">Its number in either case, from 0.</param>
    public bool TryAdd(ulong hash, out int id)
    {
        Part part = _parts[hash >> 58];
        lock (part.Lock)
        {
            int i = Find(part.Keys, hash);
            if (part.Keys[i] == hash)
            {
                id = part.Values[i];
                return false;
            }
            if (part.Count * 4 >= part.Keys.Length * 3)
            {
                Grow(part);
                i = Find(part.Keys, hash);
            }
            id = Interlocked.Increment(ref _count) - 1;
            part.Keys[i] = hash;
            part.Values[i] = id;
            part.Count++;
            return true;
        }
    }

    /// <summary>All states with their numbers; nobody adds any meanwhile.</summary>
    public IEnumerable<(ulong Hash, int Id)> All()
    {
        foreach (Part part in _parts)
            for (int i = 0; i < part.Keys.Length; i++)
                if (part.Keys[i] != 0)
                    yield return (part.Keys[i], part.Values[i]);
    }

    /// <summary>Enters a state with the number that it had.</summary>
    public void Restore(ulong hash, int id)
    {
        Part part = _parts[hash >> 58];
        if (part.Count * 4 >= part.Keys.Length * 3)
            Grow(part);
        int i = Find(part.Keys, hash);
        part.Keys[i] = hash;
        part.Values[i] = id;
        part.Count++;
        _count++;
    }

    /// <summary>Enters a state with a cost, or lowers the cost of one that is there. False when it was reached at this cost, or a lower one, before.</summary>
    public bool TryImprove(ulong hash, int cost)
    {
        Part part = _parts[hash >> 58];
        lock (part.Lock)
        {
            int i = Find(part.Keys, hash);
            if (part.Keys[i] == hash)
            {
                if (part.Values[i] <= cost)
                    return false;
                part.Values[i] = cost;
                return true;
            }
            if (part.Count * 4 >= part.Keys.Length * 3)
            {
                Grow(part);
                i = Find(part.Keys, hash);
            }
            Interlocked.Increment(ref _count);
            part.Keys[i] = hash;
            part.Values[i] = cost;
            part.Count++;
            return true;
        }
    }

    private static int Find(ulong[] keys, ulong hash)
    {
        int mask = keys.Length - 1;
        int i = (int)(hash & (ulong)mask);
        while (keys[i] != 0 && keys[i] != hash)
            i = (i + 1) & mask;
        return i;
    }

    private static void Grow(Part part)
    {
        ulong[] keys = new ulong[part.Keys.Length * 2];
        int[] values = new int[keys.Length];
        for (int i = 0; i < part.Keys.Length; i++)
        {
            if (part.Keys[i] == 0)
                continue;
            int to = Find(keys, part.Keys[i]);
            keys[to] = part.Keys[i];
            values[to] = part.Values[i];
        }
        part.Keys = keys;
        part.Values = values;
    }
}
