using Emu.Memory;

namespace Emu.Tests.Paging;

/// <summary>How linear addresses are translated, and by pages of what size.</summary>
public enum PagingFormat
{
    FourLevel4K,
    FourLevel2M,
    FourLevel1G,
    Pae4K,
    Pae2M,
    Legacy4K,
    Legacy4M,
}

/// <summary>Paging structures that map one page, in 4 MiB of RAM, with every entry at hand.</summary>
internal sealed class PageTableBuilder : IDisposable
{
    public const ulong Present = 1;
    public const ulong Writable = 2;
    public const ulong User = 4;
    public const ulong Accessed = 0x20;
    public const ulong Dirty = 0x40;
    public const ulong Large = 0x80;
    public const ulong Global = 0x100;
    public const ulong NoExecute = 1UL << 63;
    public const ulong All = Present | Writable | User;

    /// <summary>Tables lie at 0x100000, 0x101000 and so on, the top one first.</summary>
    private const ulong Tables = 0x10_0000;

    public PagingRegisters Registers;

    private readonly ulong[] _entries;

    public PageTableBuilder(PagingFormat format, ulong linear, ulong frame, ulong leafBits = All, ulong upperBits = All)
    {
        Format = format;
        Linear = linear;
        Registers = new PagingRegisters
        {
            Cr0 = PagingBits.Cr0Pg | 1,
            Cr3 = Tables,
            PhysicalAddressBits = 39,
            HasGigabytePages = 1,
        };
        // Shifts of the indices, top level first; the leaf is the last.
        int[] shifts = format switch
        {
            PagingFormat.FourLevel4K => [39, 30, 21, 12],
            PagingFormat.FourLevel2M => [39, 30, 21],
            PagingFormat.FourLevel1G => [39, 30],
            PagingFormat.Pae4K => [21, 12],
            PagingFormat.Pae2M => [21],
            PagingFormat.Legacy4K => [22, 12],
            _ => [22],
        };
        PageShift = shifts[^1];
        switch (format)
        {
            case <= PagingFormat.FourLevel1G:
                Registers.Efer = PagingBits.EferLme | PagingBits.EferLma;
                Registers.Cr4 = PagingBits.Cr4Pae;
                break;
            case <= PagingFormat.Pae2M:
                Registers.Cr4 = PagingBits.Cr4Pae;
                Registers.Pdpte0 = Registers.Pdpte1 = Registers.Pdpte2 = Registers.Pdpte3 = Tables | Present;
                break;
            default:
                Registers.Cr4 = PagingBits.Cr4Pse;
                break;
        }
        EntrySize = format >= PagingFormat.Legacy4K ? 4 : 8;
        ulong indexMask = EntrySize == 4 ? 0x3FFUL : 0x1FF;
        _entries = [.. shifts.Select((shift, level) => Tables + (ulong)level * 0x1000 + ((linear >> shift) & indexMask) * (ulong)EntrySize)];
        for (int level = 0; level < Levels - 1; level++)
            SetEntry(level, (Tables + (ulong)(level + 1) * 0x1000) | upperBits);
        SetEntry(Levels - 1, frame | leafBits | (IsLargePage ? Large : 0));
    }

    public PhysicalMemory Memory { get; } = new(4 << 20);
    public PagingFormat Format { get; }
    public ulong Linear { get; }
    public int EntrySize { get; }
    public int PageShift { get; }
    public int Levels => _entries.Length;
    public bool IsLargePage => PageShift > 12;
    public bool IsLongMode => Format <= PagingFormat.FourLevel1G;

    public ulong EntryAddress(int level) => _entries[level];

    public ulong Entry(int level) => Memory.Read(_entries[level], EntrySize);

    public void SetEntry(int level, ulong value) => Memory.Write(_entries[level], EntrySize, value);

    public bool Translate(AccessKind kind, out Translation result, bool user = false, bool smap = false, ulong offset = 0, StoreBuffer? pending = null) =>
        PageWalk.TryTranslate(Memory, ref Registers, Linear + offset, kind, user, smap, out result, pending);

    public PageFaultCode Fault(AccessKind kind, bool user = false, bool smap = false)
    {
        Xunit.Assert.False(Translate(kind, out Translation result, user, smap));
        return result.Error;
    }

    public void Dispose() => Memory.Dispose();
}
