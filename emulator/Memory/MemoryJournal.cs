using System.Runtime.CompilerServices;

namespace Emu.Memory;

/// <summary>One store as it changed RAM.</summary>
/// <param name="Address">Physical address; the bytes lie in one page.</param>
/// <param name="Old">What they held before.</param>
/// <param name="Writer">Who stored.</param>
public readonly record struct JournalEntry(ulong Address, ulong Old, int Size, Writer Writer);

/// <summary>
/// Every change of RAM since it was attached, so that an explorer can take them back, tell states apart by an incremental hash, and see the versions that
/// a byte of code has had.
/// </summary>
public sealed unsafe class MemoryJournal
{
    private readonly PhysicalMemory _memory;
    private JournalEntry[] _entries = new JournalEntry[1024];
    private int[] _patches = new int[64];

    public MemoryJournal(PhysicalMemory memory) => _memory = memory;

    /// <summary>Number of changes so far: a mark to which <see cref="Undo"/> goes back.</summary>
    public int Count { get; private set; }

    /// <summary>Changes of pages with <see cref="PageFlags.Patched"/> so far.</summary>
    public int PatchCount { get; private set; }

    /// <summary>Equal for equal contents of RAM, whatever the way to them.</summary>
    public ulong Hash { get; private set; }

    /// <summary>Set when a change, or the taking back of one, touched a paging structure that a walk has read: cached translations may be wrong.</summary>
    public bool TablesChanged { get; set; }

    /// <summary>The change of code at a position, the oldest first.</summary>
    public ref readonly JournalEntry Patch(int position) => ref _entries[_patches[position]];

    /// <summary>Takes changes back, the youngest first.</summary>
    public void Undo(int count)
    {
        while (Count > count)
        {
            JournalEntry e = _entries[--Count];
            byte* place = _memory.Pointer(e.Address);
            if ((_memory.Flags[_memory.Offset(e.Address) >> Page.Shift] & PageFlags.Tables) != 0)
                TablesChanged = true;
            ulong before = HashAround(e.Address, place, e.Size);
            for (int i = 0; i < e.Size; i++)
                place[i] = (byte)(e.Old >> (8 * i));
            Hash ^= before ^ HashAround(e.Address, place, e.Size);
        }
        while (PatchCount > 0 && _patches[PatchCount - 1] >= Count)
            PatchCount--;
    }

    /// <summary>Writes a value and notes what it replaced.</summary>
    internal void Write(ulong address, byte* place, int size, ulong value, PageFlags flags)
    {
        ulong old = _memory.Read(address, size);
        if (size < 8)
            value &= (1UL << (8 * size)) - 1;
        // A store to code counts even where it changes nothing: its own CPU fetches anew behind it.
        if (old == value && (flags & PageFlags.Patched) == 0)
            return;
        if (Count == _entries.Length)
            Array.Resize(ref _entries, Count * 2);
        _entries[Count] = new JournalEntry(address, old, size, _memory.Writer);
        if ((flags & PageFlags.Patched) != 0)
        {
            if (PatchCount == _patches.Length)
                Array.Resize(ref _patches, PatchCount * 2);
            _patches[PatchCount++] = Count;
        }
        if ((flags & PageFlags.Tables) != 0)
            TablesChanged = true;
        Count++;
        ulong before = HashAround(address, place, size);
        for (int i = 0; i < size; i++)
            place[i] = (byte)(value >> (8 * i));
        Hash ^= before ^ HashAround(address, place, size);
    }

    /// <summary>Hash of the aligned words that contain these bytes; they lie in one page.</summary>
    private static ulong HashAround(ulong address, byte* place, int size)
    {
        int shift = (int)(address & 7);
        ulong word = address >> 3;
        ulong hash = Mix(word, Unsafe.ReadUnaligned<ulong>(place - shift));
        return shift + size > 8 ? hash ^ Mix(word + 1, Unsafe.ReadUnaligned<ulong>(place - shift + 8)) : hash;
    }

    private static ulong Mix(ulong word, ulong value)
    {
        ulong x = (value ^ (word * 0x9E37_79B9_7F4A_7C15)) * 0xBF58_476D_1CE4_E5B9;
        x = (x ^ (x >> 32) ^ word) * 0x94D0_49BB_1331_11EB;
        return x ^ (x >> 29);
    }
}
