using System.Numerics;
using System.Runtime.CompilerServices;

namespace Emu.Memory;

/// <summary>One store that has retired and is not yet in memory.</summary>
/// <param name="Address">Physical address.</param>
/// <param name="Linear">The linear address that the program used.</param>
/// <param name="Rip">RIP of the instruction, as far as its CPU knew it: exact where stores wait.</param>
public readonly record struct PendingStore(ulong Address, ulong Linear, ulong Value, int Size, ulong Rip = 0);

/// <summary>Decides which stores wait in a buffer, and sees those that leave it; for an explorer, to whom only bytes that others look at are worth a choice.</summary>
public abstract class StorePolicy
{
    /// <summary>True when a store has to wait; false when it may go to memory past those that wait.</summary>
    public abstract bool Waits(ulong address, ulong linear, int size);

    /// <summary>A store that waited is about to reach memory.</summary>
    public abstract void Draining();
}

/// <summary>
/// A CPU's store buffer (x86-TSO: Sewell et al., CACM 2010): first in, first out; loads of the same CPU see it, others do not.
/// With capacity 0 stores go to memory at once. Addresses are physical and an entry never crosses a page.
/// </summary>
public sealed class StoreBuffer
{
    private readonly CpuIndex _owner;
    private readonly PhysicalMemory _memory;

    /// <summary>As long as a power of two, so that positions wrap by a mask.</summary>
    private readonly PendingStore[] _ring;
    private int _head;

    public StoreBuffer(CpuIndex owner, PhysicalMemory memory, int capacity)
    {
        _owner = owner;
        _memory = memory;
        Capacity = capacity;
        _ring = new PendingStore[BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, capacity))];
    }

    /// <summary>Entries that fit; a store into a full buffer drains the oldest first.</summary>
    public int Capacity { get; }

    /// <summary>Entries that wait.</summary>
    public int Count { get; private set; }

    /// <summary>The entry at a position, 0 being the oldest.</summary>
    public ref readonly PendingStore this[int position] => ref _ring[(_head + position) & (_ring.Length - 1)];

    /// <summary>Told of every store when it has reached memory.</summary>
    public Action<PendingStore>? OnDrain { get; set; }

    /// <summary>Who decides which stores wait; null lets all of them wait.</summary>
    public StorePolicy? Policy { get; set; }

    /// <summary>Puts a store in.</summary>
    public void Add(ulong address, ulong linear, int size, ulong value, ulong rip = 0)
    {
        if ((Policy != null && !Policy.Waits(address, linear, size)) || Capacity == 0)
        {
            Commit(new PendingStore(address, linear, value, size, rip));
            return;
        }
        if (Count == Capacity)
            DrainOne();
        _ring[(_head + Count) & (_ring.Length - 1)] = new PendingStore(address, linear, value, size, rip);
        Count++;
    }

    /// <summary>The drain event: the oldest store reaches memory. False when there is none.</summary>
    public bool DrainOne()
    {
        if (Count == 0)
            return false;
        Policy?.Draining();
        PendingStore oldest = _ring[_head];
        _head = (_head + 1) & (_ring.Length - 1);
        Count--;
        Commit(oldest);
        return true;
    }

    /// <summary>Drains in order until nothing waits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void DrainAll()
    {
        while (Count != 0)
            DrainOne();
    }

    /// <summary>What this CPU sees at an address: memory overlaid, byte by byte, with its own waiting stores, oldest first.</summary>
    public ulong Load(ulong address, int size)
    {
        ulong value = _memory.Read(address, size);
        for (int i = 0; i < Count; i++)
            value = Overlay(value, address, size, in this[i]);
        return value;
    }

    /// <summary>True when a waiting store overlaps [address, address + length), by physical or by linear address.</summary>
    public bool Overlaps(ulong address, int length, bool linear)
    {
        for (int i = 0; i < Count; i++)
        {
            ref readonly PendingStore store = ref this[i];
            ulong at = linear ? store.Linear : store.Address;
            if (at < address + (ulong)length && address < at + (ulong)store.Size)
                return true;
        }
        return false;
    }

    /// <summary>Copies the entries out, oldest first.</summary>
    public void CopyTo(Span<PendingStore> entries)
    {
        for (int i = 0; i < Count; i++)
            entries[i] = this[i];
    }

    /// <summary>Drops everything and takes over the given entries (restoring a snapshot).</summary>
    public void Restore(ReadOnlySpan<PendingStore> entries)
    {
        _head = 0;
        Count = entries.Length;
        entries.CopyTo(_ring);
    }

    private void Commit(in PendingStore store)
    {
        _memory.Writer = new Writer(_owner.Value, store.Linear, store.Rip);
        _memory.Write(store.Address, store.Size, store.Value);
        _memory.Writer = Writer.Nobody;
        OnDrain?.Invoke(store);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Overlay(ulong value, ulong address, int size, in PendingStore store)
    {
        if (store.Address >= address + (ulong)size || address >= store.Address + (ulong)store.Size)
            return value;
        for (int b = 0; b < store.Size; b++)
        {
            ulong at = store.Address + (ulong)b - address;
            if (at < (ulong)size)
                value = (value & ~(0xFFUL << (8 * (int)at))) | (((store.Value >> (8 * b)) & 0xFF) << (8 * (int)at));
        }
        return value;
    }
}
