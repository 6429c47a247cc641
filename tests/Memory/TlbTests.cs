using System.Runtime.InteropServices;
using Emu.Memory;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Emu.Tests.Paging;

public sealed unsafe class TlbTests : IDisposable
{
    private const TlbFlags Rights = TlbFlags.Read | TlbFlags.Write | TlbFlags.Execute | TlbFlags.PageWritable | TlbFlags.PageDirty;

    private readonly Tlb* _tlb = (Tlb*)NativeMemory.AlignedAlloc((nuint)sizeof(Tlb), 64);
    private readonly byte* _page = (byte*)NativeMemory.AlignedAlloc(4096, 4096);

    public TlbTests() => _tlb->Initialise();

    [Fact]
    public void Fill_OfRam_IsDirectAndFound()
    {
        TlbEntry* e = _tlb->Fill(0x1234_5678, 0x9000, Rights | TlbFlags.Ram, _page, directWrite: true);
        Assert.True(e == _tlb->Find(0x1234_5FFF));
        Assert.Equal(0x1234_5000UL, e->ReadTag);
        Assert.Equal(0x1234_5000UL, e->WriteTag);
        Assert.True((byte*)(nint)(0x1234_5678 + e->Addend) == _page + 0x678);
        Assert.True(_tlb->Find(0x1234_6000) == null);
    }

    [Fact]
    public void Fill_WithoutTheRightToWrite_KeepsStoresSlow()
    {
        TlbEntry* e = _tlb->Fill(0x1000, 0x9000, Rights & ~TlbFlags.Write, _page, directWrite: true);
        Assert.Equal(0x1000UL, e->ReadTag);
        Assert.NotEqual(0x1000UL, e->WriteTag);
    }

    /// <summary>Whatever was filled and flushed, an entry that is found is the last one filled for its page and not flushed since.</summary>
    [Fact]
    public void Tlb_NeverShowsWhatWasDropped()
    {
        Prop.ForAll<int[]>(script =>
        {
            _tlb->Initialise();
            Dictionary<ulong, (ulong Physical, bool Global)> model = [];
            foreach (int step in script)
            {
                uint n = (uint)step * 0x9E37_79B1U >> 8;
                // Few pages, some of which share a slot.
                ulong page = (ulong)(n & 7) << 12 | (ulong)(n >> 3 & 3) << 22;
                switch (n >> 5 & 7)
                {
                    case 0:
                        _tlb->Flush(keepGlobal: true);
                        model = model.Where(m => m.Value.Global).ToDictionary();
                        break;
                    case 1:
                        _tlb->Flush(keepGlobal: false);
                        model.Clear();
                        break;
                    case 2 or 3:
                        _tlb->FlushPage(page);
                        model.Remove(page);
                        break;
                    default:
                        bool global = (n & 0x100) != 0, large = (n & 0x600) == 0;
                        ulong physical = (ulong)(n >> 9) << 12;
                        _tlb->Fill(page, physical, Rights | (global ? TlbFlags.Global : 0) | (large ? TlbFlags.Large : 0), _page, true);
                        model[page] = (physical, global);
                        break;
                }
                for (ulong i = 0; i < 32; i++)
                {
                    ulong at = (i & 7) << 12 | i >> 3 << 22;
                    TlbEntry* e = _tlb->Find(at);
                    if (e != null && (!model.TryGetValue(at, out (ulong Physical, bool Global) m) || (e->PhysicalAndFlags & Page.Mask) != m.Physical))
                        return false;
                }
            }
            return true;
        }).QuickCheckThrowOnFailure();
    }

    /// <summary>The invariant on which the fast path relies: else an access across the two would reach host memory outside of both.</summary>
    [Fact]
    public void ConsecutivePages_NeverShareASlot()
    {
        for (ulong page = 0; page < 1 << 22; page++)
            Assert.True(Tlb.IndexOf(page << 12) != Tlb.IndexOf((page + 1) << 12), $"0x{page << 12:x}");
        Prop.ForAll<ulong>(page => Tlb.IndexOf(page << 12) != Tlb.IndexOf((page + 1) << 12)).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void ForbidDirectWrites_OfOnePage_LeavesTheOthers()
    {
        TlbEntry* one = _tlb->Fill(0x1000, 0x9000, Rights, _page, true);
        TlbEntry* other = _tlb->Fill(0x2000, 0xA000, Rights, _page, true);
        _tlb->ForbidDirectWrites(0x9000);
        Assert.NotEqual(0x1000UL, one->WriteTag);
        Assert.Equal(0x1000UL, one->ReadTag);
        Assert.Equal(0x2000UL, other->WriteTag);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_tlb);
        NativeMemory.AlignedFree(_page);
    }
}
