using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Emu.Memory;

/// <summary>
/// One cached translation of a 4 KiB page (a larger page is cached in 4 KiB pieces).
/// <see cref="ReadTag"/> and <see cref="WriteTag"/> equal the linear page address only when the access may go straight to
/// RAM at linear + <see cref="Addend"/>; otherwise <see cref="SlowBit"/> is set in them and the slow path decides by <see cref="PhysicalAndFlags"/>.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct TlbEntry
{
    /// <summary>In a tag: the entry is valid for this page, but not for direct access.</summary>
    public const ulong SlowBit = 1;

    /// <summary>A tag that equals no address.</summary>
    public const ulong Invalid = ulong.MaxValue;

    public ulong ReadTag;
    public ulong WriteTag;

    /// <summary>Host address minus linear address.</summary>
    public nint Addend;

    /// <summary>Physical page address, and <see cref="TlbFlags"/> in the low 12 bits.</summary>
    public ulong PhysicalAndFlags;
}

/// <summary>What the walk found out about a page; kept, so that a stale entry grants what the old tables granted.</summary>
[Flags]
public enum TlbFlags : ulong
{
    None = 0,
    Read = 1,

    /// <summary>Writable for this privilege, and the dirty bit is already set.</summary>
    Write = 2,
    Execute = 4,

    /// <summary>Survives a load of CR3 (CR4.PGE and the G bit).</summary>
    Global = 8,

    /// <summary>A piece of a page larger than 4 KiB.</summary>
    Large = 16,

    /// <summary>The physical page is RAM.</summary>
    Ram = 32,

    /// <summary>R/W is set at every level, whatever CR0.WP makes of it.</summary>
    PageWritable = 64,

    /// <summary>The dirty bit is set.</summary>
    PageDirty = 128,
}

/// <summary>
/// A CPU's translation cache for one privilege: <see cref="Size"/> entries, indexed by a hash of the page number, so that two
/// streams whose distance is a power of two do not evict each other. Blittable and copied whole by a snapshot.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct Tlb
{
    public const int Size = 1024;

    private fixed ulong _entries[Size * 4];
    private fixed ushort _used[Size];
    private int _usedCount;

    /// <summary>Number of 1 GiB..2 MiB pieces that were ever entered since the last flush: INVLPG must then look at all.</summary>
    private int _large;

    /// <summary>
    /// The slot in which a linear address is cached, if it is. Invariant: two consecutive pages never share a slot, for the fast path compares the tag
    /// in the slot of an access's first byte with the page of its last. (With an exclusive or in place of the sum they do, at every odd multiple of 2 GiB.)
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint IndexOf(ulong linear) => ((uint)(linear >> 12) + (uint)(linear >> 22)) & (Size - 1);

    /// <summary>First entry; the struct lives in native memory and does not move.</summary>
    public TlbEntry* Entries => (TlbEntry*)Unsafe.AsPointer(ref _entries[0]);

    /// <summary>The slot of an address, without the null check that an instance member costs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TlbEntry* Slot(Tlb* tlb, ulong linear) => (TlbEntry*)tlb + IndexOf(linear);

    /// <summary>Makes all entries invalid without looking at what is in use; for fresh memory.</summary>
    public void Initialise()
    {
        TlbEntry* e = Entries;
        for (int i = 0; i < Size; i++)
        {
            e[i].ReadTag = TlbEntry.Invalid;
            e[i].WriteTag = TlbEntry.Invalid;
        }
        _usedCount = 0;
        _large = 0;
    }

    /// <summary>The entry that translates this address, direct or slow; null when there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TlbEntry* Find(ulong linear)
    {
        TlbEntry* e = Entries + IndexOf(linear);
        return (e->ReadTag & ~TlbEntry.SlowBit) == (linear & Page.Mask) ? e : null;
    }

    /// <summary>Enters a translation.</summary>
    /// <param name="host">Host address of the page when RAM may be accessed directly; null forces the slow path.</param>
    /// <param name="directWrite">Whether stores may go directly as well (page dirty since the last snapshot, no code in it).</param>
    public TlbEntry* Fill(ulong linear, ulong physical, TlbFlags flags, byte* host, bool directWrite)
    {
        ulong page = linear & Page.Mask;
        uint i = IndexOf(linear);
        TlbEntry* e = Entries + i;
        if (e->ReadTag == TlbEntry.Invalid)
            _used[_usedCount++] = (ushort)i;
        bool direct = host != null && (flags & TlbFlags.Read) != 0;
        e->ReadTag = direct ? page : page | TlbEntry.SlowBit;
        e->WriteTag = direct && directWrite && (flags & TlbFlags.Write) != 0 ? page : page | TlbEntry.SlowBit;
        e->Addend = (nint)(host - page);
        e->PhysicalAndFlags = (physical & Page.Mask) | (ulong)flags;
        if ((flags & TlbFlags.Large) != 0)
            _large++;
        return e;
    }

    /// <summary>Drops everything, or everything but global pages (MOV to CR3).</summary>
    public void Flush(bool keepGlobal)
    {
        TlbEntry* e = Entries;
        int kept = 0;
        for (int n = 0; n < _usedCount; n++)
        {
            ushort i = _used[n];
            if (keepGlobal && ((TlbFlags)e[i].PhysicalAndFlags & TlbFlags.Global) != 0)
            {
                _used[kept++] = i;
                continue;
            }
            e[i].ReadTag = TlbEntry.Invalid;
            e[i].WriteTag = TlbEntry.Invalid;
        }
        _usedCount = kept;
        if (kept == 0)
            _large = 0;
    }

    /// <summary>INVLPG: drops the page of this address, global or not. A large page goes with all its pieces.</summary>
    public void FlushPage(ulong linear)
    {
        TlbEntry* e = Entries;
        int kept = 0;
        // Pieces of large pages do not know their siblings: any of them goes when one may be meant. More than asked for is allowed
        // (SDM, "Operations that Invalidate TLBs").
        TlbEntry* hit = Find(linear);
        if (_large == 0)
        {
            if (hit == null)
                return;
            uint index = (uint)(hit - e);
            hit->ReadTag = TlbEntry.Invalid;
            hit->WriteTag = TlbEntry.Invalid;
            for (int n = 0; n < _usedCount; n++)
                if (_used[n] != index)
                    _used[kept++] = _used[n];
            _usedCount = kept;
            return;
        }
        for (int n = 0; n < _usedCount; n++)
        {
            ushort i = _used[n];
            bool large = ((TlbFlags)e[i].PhysicalAndFlags & TlbFlags.Large) != 0;
            if (large || e + i == hit)
            {
                e[i].ReadTag = TlbEntry.Invalid;
                e[i].WriteTag = TlbEntry.Invalid;
                continue;
            }
            _used[kept++] = i;
        }
        _usedCount = kept;
        _large = 0;
    }

    /// <summary>
    /// CR0.WP changed: translations stay (SDM, "Operations that Invalidate TLBs", does not list it), but whether a supervisor may write is
    /// decided anew. Not for the user's translations, for which WP means nothing.
    /// </summary>
    public void SetWriteProtect(bool writeProtect)
    {
        TlbEntry* e = Entries;
        for (int n = 0; n < _usedCount; n++)
        {
            TlbEntry* entry = e + _used[n];
            TlbFlags flags = (TlbFlags)entry->PhysicalAndFlags;
            if ((flags & TlbFlags.PageWritable) != 0)
                continue;
            if (writeProtect)
            {
                entry->PhysicalAndFlags &= ~(ulong)TlbFlags.Write;
                entry->WriteTag |= TlbEntry.SlowBit;
            }
            else if ((flags & (TlbFlags.Read | TlbFlags.PageDirty)) == (TlbFlags.Read | TlbFlags.PageDirty))
            {
                entry->PhysicalAndFlags |= (ulong)TlbFlags.Write;
            }
        }
    }

    /// <summary>Adapts entries that were copied from a snapshot to the RAM of this machine; stores are not direct until a page is written again.</summary>
    public void Rebase(PhysicalMemory memory)
    {
        TlbEntry* e = Entries;
        for (int n = 0; n < _usedCount; n++)
        {
            ref TlbEntry entry = ref e[_used[n]];
            if (entry.ReadTag == TlbEntry.Invalid)
                continue;
            entry.WriteTag |= TlbEntry.SlowBit;
            byte* host = memory.Pointer(entry.PhysicalAndFlags & Page.Mask);
            entry.Addend = (nint)(host - (entry.ReadTag & Page.Mask));
        }
    }

    /// <summary>Removes what belongs to this host and this process: addresses, and which pages may be stored to directly. <see cref="Rebase"/> finds it anew.</summary>
    public void RemoveHostState()
    {
        TlbEntry* e = Entries;
        for (int i = 0; i < Size; i++)
        {
            e[i].Addend = 0;
            e[i].WriteTag |= TlbEntry.SlowBit;
            // What stands in entries that are not in use is left over from elsewhere.
            if (e[i].ReadTag == TlbEntry.Invalid)
                e[i].PhysicalAndFlags = 0;
            if (i >= _usedCount)
                _used[i] = 0;
        }
    }

    /// <summary>Takes back direct stores to every page (a snapshot was taken) or to one physical page (it now holds code).</summary>
    public void ForbidDirectWrites(ulong physicalPage = ulong.MaxValue)
    {
        TlbEntry* e = Entries;
        for (int n = 0; n < _usedCount; n++)
        {
            ushort i = _used[n];
            if (physicalPage == ulong.MaxValue || (e[i].PhysicalAndFlags & Page.Mask) == physicalPage)
                e[i].WriteTag |= TlbEntry.SlowBit;
        }
    }
}
