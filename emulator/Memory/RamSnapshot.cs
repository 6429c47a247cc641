namespace Emu.Memory;

/// <summary>The contents of RAM at one moment. Pages that did not change between two snapshots are shared by them.</summary>
public sealed class RamSnapshot
{
    /// <summary>One entry per page; null for a page of zeros that was never written.</summary>
    internal readonly byte[]?[] Pages;

    internal RamSnapshot(byte[]?[] pages) => Pages = pages;

    /// <summary>Pages of the machine that it was taken of.</summary>
    public int PageCount => Pages.Length;
}

/// <summary>Takes and restores snapshots of RAM, copying only the pages that changed in between.</summary>
public sealed unsafe class RamSnapshots
{
    private readonly PhysicalMemory _memory;

    /// <summary>What clean pages hold.</summary>
    private byte[]?[] _baseline;

    public RamSnapshots(PhysicalMemory memory)
    {
        _memory = memory;
        _baseline = new byte[]?[memory.PageCount];
    }

    /// <summary>Keeps the present contents. The caller takes back direct stores from all TLBs, so that later changes are noticed.</summary>
    public RamSnapshot Take()
    {
        byte[]?[] pages = (byte[]?[])_baseline.Clone();
        for (int i = 0; i < pages.Length; i++)
        {
            if ((_memory.Flags[i] & PageFlags.Dirty) == 0)
                continue;
            byte[] copy = GC.AllocateUninitializedArray<byte>(Page.Size);
            new ReadOnlySpan<byte>(_memory.Base + ((long)i << Page.Shift), Page.Size).CopyTo(copy);
            pages[i] = copy;
            _memory.Flags[i] &= ~PageFlags.Dirty;
        }
        _baseline = pages;
        return new RamSnapshot(pages);
    }

    /// <summary>Brings the contents of a snapshot of a machine of the same size back. Observers of code see what changes.</summary>
    public void Restore(RamSnapshot snapshot)
    {
        for (int i = 0; i < _baseline.Length; i++)
        {
            bool dirty = (_memory.Flags[i] & PageFlags.Dirty) != 0;
            if (!dirty && ReferenceEquals(_baseline[i], snapshot.Pages[i]))
                continue;
            _memory.TryWrite(_memory.AddressOf((ulong)i << Page.Shift), snapshot.Pages[i] ?? s_zeros);
            _memory.Flags[i] &= ~PageFlags.Dirty;
        }
        _baseline = snapshot.Pages;
    }

    /// <summary>Pages of ROM, and pages that were ever written, that do not hold zeros alone; in order.</summary>
    public List<int> PagesInUse()
    {
        var pages = new List<int>();
        for (int i = 0; i < _baseline.Length; i++)
        {
            if (_baseline[i] == null && (_memory.Flags[i] & (PageFlags.Dirty | PageFlags.Rom)) == 0)
                continue;
            if (new ReadOnlySpan<ulong>(_memory.Base + ((long)i << Page.Shift), Page.Size / 8).ContainsAnyExcept(0UL))
                pages.Add(i);
        }
        return pages;
    }

    private static readonly byte[] s_zeros = new byte[Page.Size];
}
