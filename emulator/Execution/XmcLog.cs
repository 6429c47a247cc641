using System.Runtime.InteropServices;
using Emu.Memory;

namespace Emu.Execution;

/// <summary>One store to code: up to eight bytes, what they were, and who stored.</summary>
/// <param name="Number">1 for the first change of the machine, and so on.</param>
/// <param name="Time">Ticks, when it reached memory.</param>
public readonly record struct XmcStore(ulong Number, ulong Address, int Length, ulong Old, ulong New, Writer Writer, ulong Time)
{
    /// <summary>True when it changed a byte of [address, address + length).</summary>
    public bool Changes(ulong address, int length)
    {
        for (int i = 0; i < Length; i++)
            if (Address + (ulong)i - address < (ulong)length && (byte)(Old >> (8 * i)) != (byte)(New >> (8 * i)))
                return true;
        return false;
    }
}

/// <summary>The stores to code that some CPU may not have serialised behind, oldest first.</summary>
public sealed class XmcLog
{
    /// <summary>Beyond it the oldest are forgotten: a CPU that has not serialised for so long is no longer checked against them.</summary>
    private const int Capacity = 1 << 14;
    private const int RecentLines = 1 << 12;
    private const int LineShift = 6;

    private readonly List<XmcStore> _stores = [];

    /// <summary>Number of the last store to any of the lines that share a slot; what a check that finds nothing costs.</summary>
    private readonly ulong[] _recent = new ulong[RecentLines];

    /// <summary>Number of stores so far: what a CPU remembers when it serialises.</summary>
    public ulong Now { get; private set; }

    /// <summary>Stores that were forgotten although a CPU had not serialised behind them.</summary>
    public ulong Forgotten { get; private set; }

    public ReadOnlySpan<XmcStore> Stores => CollectionsMarshal.AsSpan(_stores);

    /// <summary>Adds a store; its number is the new <see cref="Now"/>.</summary>
    public void Add(ulong address, int length, ulong old, ulong value, Writer writer, ulong time)
    {
        if (_stores.Count == Capacity)
        {
            Forgotten += Capacity / 4;
            _stores.RemoveRange(0, Capacity / 4);
        }
        Now++;
        _stores.Add(new XmcStore(Now, address, length, old, value, writer, time));
        Mark(address, length);
    }

    /// <summary>False when no byte of [address, address + length) was stored to after <paramref name="since"/>; true when one may have been.</summary>
    public bool MayChange(ulong address, int length, ulong since) =>
        _recent[Slot(address)] > since || _recent[Slot(address + (ulong)length - 1)] > since;

    /// <summary>Position in <see cref="Stores"/> of the first store after <paramref name="since"/>.</summary>
    public int FirstAfter(ulong since) => _stores.Count == 0 || since < _stores[0].Number ? 0 : (int)Math.Min(since - _stores[0].Number + 1, (ulong)_stores.Count);

    /// <summary>Forgets what every CPU has serialised behind.</summary>
    public void Trim(ulong since) => _stores.RemoveRange(0, FirstAfter(since));

    /// <summary>A copy, for a snapshot.</summary>
    public (XmcStore[] Stores, ulong Now, ulong Forgotten) Save() => ([.. _stores], Now, Forgotten);

    /// <summary>Takes it back.</summary>
    public void Restore((XmcStore[] Stores, ulong Now, ulong Forgotten) saved)
    {
        _stores.Clear();
        _stores.AddRange(saved.Stores);
        (Now, Forgotten) = (saved.Now, saved.Forgotten);
        Array.Clear(_recent);
        foreach (XmcStore store in _stores)
            MarkAs(store.Address, store.Length, store.Number);
    }

    private void Mark(ulong address, int length) => MarkAs(address, length, Now);

    private void MarkAs(ulong address, int length, ulong number) => _recent[Slot(address)] = _recent[Slot(address + (ulong)length - 1)] = number;

    private static int Slot(ulong address) => (int)(address >> LineShift) & (RecentLines - 1);
}
