using Emu.Memory;
using FsCheck;
using FsCheck.Fluent;
using Xunit;
using static Emu.Tests.Paging.PageTableBuilder;

namespace Emu.Tests.Paging;

public sealed class PageWalkTests
{
    public static TheoryData<PagingFormat> Formats => [.. Enum.GetValues<PagingFormat>()];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Walk_OfAMappedPage_GivesFrameAndOffset(PagingFormat format)
    {
        Prop.ForAll<uint, uint, uint>((l, f, o) =>
        {
            ulong linear = format <= PagingFormat.FourLevel1G ? Canonical((ulong)l << 20 ^ (ulong)f << 12) : l * 0x9E37_79B1U;
            using PageTableBuilder probe = new(format, linear, 0);
            ulong pageMask = (1UL << probe.PageShift) - 1;
            // PSE-36 puts address bits above 31 elsewhere: a test of its own.
            int physicalBits = probe.EntrySize == 4 ? 32 : 39;
            ulong frame = f * 0x9E37_79B9_7F4A_7C15 & ((1UL << physicalBits) - 1) & ~pageMask;
            ulong offset = o * 0x9E37_79B9_7F4A_7C15 & pageMask;
            linear &= ~pageMask;
            using PageTableBuilder t = new(format, linear, frame);
            return t.Translate(AccessKind.Read, out Translation r, offset: offset) && r.Physical == frame + offset
                && (r.Flags & TlbFlags.Large) != 0 == t.IsLargePage;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Walk_WithPagingOff_IsTheIdentityWithAllRights()
    {
        using PhysicalMemory memory = new(1 << 20);
        PagingRegisters r = new() { PhysicalAddressBits = 36 };
        Assert.True(PageWalk.TryTranslate(memory, ref r, 0xFFFF_FFF0, AccessKind.Write, user: true, smapRestrained: false, out Translation t));
        Assert.Equal(0xFFFF_FFF0UL, t.Physical);
        Assert.Equal(TlbFlags.Read | TlbFlags.Write | TlbFlags.Execute, t.Flags & (TlbFlags.Read | TlbFlags.Write | TlbFlags.Execute));
    }

    [Fact]
    public void Walk_OfAPse36Page_TakesAddressBits39To32FromBits20To13()
    {
        // 0xAB of bits 39:32; MAXPHYADDR 40 leaves only bit 21 reserved.
        using PageTableBuilder t = new(PagingFormat.Legacy4M, 0x0040_0000, 0x1000_0000 | 0xABUL << 13);
        t.Registers.PhysicalAddressBits = 40;
        Assert.True(t.Translate(AccessKind.Read, out Translation r, offset: 0x1234));
        Assert.Equal(0xAB_1000_1234UL, r.Physical);
        t.Registers.PhysicalAddressBits = 36;
        Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved, t.Fault(AccessKind.Read));
    }

    [Fact]
    public void Walk_WithoutPse_TreatsBit7OfAPdeAsATable()
    {
        using PageTableBuilder t = new(PagingFormat.Legacy4K, 0x0040_3000, 0x7000);
        t.SetEntry(0, t.Entry(0) | Large);
        t.Registers.Cr4 = 0;
        Assert.True(t.Translate(AccessKind.Read, out Translation r));
        Assert.Equal(0x7000UL, r.Physical);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Walk_ThroughAnEntryNotPresent_FaultsWithoutP(PagingFormat format)
    {
        for (int level = 0; ; level++)
        {
            using PageTableBuilder t = new(format, 0x0060_0000, 0);
            if (level == t.Levels)
                return;
            // All other bits set: reserved bits of an entry that is not present do not matter.
            t.SetEntry(level, ulong.MaxValue & ~Present);
            Assert.Equal(PageFaultCode.None, t.Fault(AccessKind.Read));
            Assert.Equal(PageFaultCode.Write, t.Fault(AccessKind.Write));
            Assert.Equal(PageFaultCode.Write | PageFaultCode.User, t.Fault(AccessKind.Write, user: true));
            Assert.Equal(PageFaultCode.User, t.Fault(AccessKind.Read, user: true));
        }
    }

    [Fact]
    public void Walk_ThroughAPdpteRegisterNotPresent_FaultsWithoutP()
    {
        using PageTableBuilder t = new(PagingFormat.Pae4K, 0x4000_0000, 0);
        t.Registers.Pdpte1 = 0;
        Assert.Equal(PageFaultCode.None, t.Fault(AccessKind.Read));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Rights_AreThoseThatEveryLevelGrants(PagingFormat format)
    {
        for (int level = 0; ; level++)
        {
            using PageTableBuilder t = new(format, 0x0060_0000, 0);
            if (level == t.Levels)
                return;
            t.Registers.Cr0 |= PagingBits.Cr0Wp;
            Assert.True(t.Translate(AccessKind.Write, out _, user: true));

            ulong entry = t.Entry(level);
            t.SetEntry(level, entry & ~Writable);
            Assert.Equal(PageFaultCode.Present | PageFaultCode.Write, t.Fault(AccessKind.Write));
            Assert.True(t.Translate(AccessKind.Read, out _, user: true));

            t.SetEntry(level, entry & ~User);
            Assert.Equal(PageFaultCode.Present | PageFaultCode.User, t.Fault(AccessKind.Read, user: true));
            Assert.True(t.Translate(AccessKind.Write, out _));

            if (t.EntrySize == 4)
                continue;
            t.Registers.Efer |= PagingBits.EferNxe;
            t.SetEntry(level, entry | NoExecute);
            Assert.Equal(PageFaultCode.Present | PageFaultCode.Fetch, t.Fault(AccessKind.Execute));
            Assert.True(t.Translate(AccessKind.Write, out _, user: true));
        }
    }

    /// <summary>SDM, "Determination of Access Rights", for all 2^9 combinations: what is granted, the error code, and the flags to be cached.</summary>
    [Theory]
    [InlineData(PagingFormat.FourLevel4K)]
    [InlineData(PagingFormat.Pae2M)]
    [InlineData(PagingFormat.Legacy4K)]
    public void Rights_OfEveryCombination_AreThoseOfTheManual(PagingFormat format)
    {
        for (int n = 0; n < 512; n++)
        {
            bool userPage = (n & 1) != 0, writable = (n & 2) != 0, xd = (n & 4) != 0, user = (n & 8) != 0, wp = (n & 16) != 0;
            bool smep = (n & 32) != 0, smap = (n & 64) != 0, nxe = (n & 128) != 0, dirty = (n & 256) != 0;
            bool hasXd = format != PagingFormat.Legacy4K;
            if ((xd && !(hasXd && nxe)) || (user && smap))
                continue;
            ulong leaf = Present | (userPage ? User : 0) | (writable ? Writable : 0) | (xd ? NoExecute : 0) | (dirty ? Dirty : 0);
            using PageTableBuilder t = new(format, 0x0060_0000, 0, leaf);
            t.Registers.Cr0 |= wp ? PagingBits.Cr0Wp : 0;
            t.Registers.Cr4 |= (smep ? PagingBits.Cr4Smep : 0) | (smap ? PagingBits.Cr4Smap : 0);
            t.Registers.Efer |= nxe ? PagingBits.EferNxe : 0;

            bool read = user ? userPage : !(userPage && smap);
            bool write = read && (writable || (!user && !wp));
            bool execute = !xd && (user ? userPage : !(userPage && smep));
            PageFaultCode fetch = smep || (hasXd && nxe) ? PageFaultCode.Fetch : 0;
            Check(AccessKind.Read, read, PageFaultCode.None);
            Check(AccessKind.Execute, execute, fetch);
            Check(AccessKind.Write, write, PageFaultCode.Write);

            void Check(AccessKind kind, bool granted, PageFaultCode bits)
            {
                string what = $"{format} {kind} userPage={userPage} writable={writable} xd={xd} user={user} wp={wp} smep={smep} smap={smap} nxe={nxe} dirty={dirty}";
                Assert.True(granted == t.Translate(kind, out Translation r, user, smap), what);
                if (!granted)
                {
                    Assert.True((bits | PageFaultCode.Present | (user ? PageFaultCode.User : 0)) == r.Error, $"{what}: {r.Error}");
                    return;
                }
                bool dirtyNow = dirty || kind == AccessKind.Write;
                TlbFlags expected = (read ? TlbFlags.Read : 0) | (write && dirtyNow ? TlbFlags.Write : 0) | (execute ? TlbFlags.Execute : 0);
                Assert.True(expected == (r.Flags & (TlbFlags.Read | TlbFlags.Write | TlbFlags.Execute)), $"{what}: {r.Flags}");
            }
        }
    }

    /// <summary>Every bit of every entry that may be reserved, against the manual's figures "Formats of ... Paging-Structure Entries".</summary>
    [Theory]
    [InlineData(PagingFormat.FourLevel4K, 0, "7 39-51")]
    [InlineData(PagingFormat.FourLevel4K, 1, "39-51")]
    [InlineData(PagingFormat.FourLevel4K, 2, "39-51")]
    [InlineData(PagingFormat.FourLevel4K, 3, "39-51")]
    [InlineData(PagingFormat.FourLevel2M, 2, "13-20 39-51")]
    [InlineData(PagingFormat.FourLevel1G, 1, "13-29 39-51")]
    [InlineData(PagingFormat.Pae4K, 0, "39-62")]
    [InlineData(PagingFormat.Pae4K, 1, "39-62")]
    [InlineData(PagingFormat.Pae2M, 0, "13-20 39-62")]
    [InlineData(PagingFormat.Legacy4K, 0, "")]
    [InlineData(PagingFormat.Legacy4K, 1, "")]
    [InlineData(PagingFormat.Legacy4M, 0, "20-21")]
    public void ReservedBits_OfEveryEntry_AreThoseOfTheManual(PagingFormat format, int level, string reserved)
    {
        HashSet<int> bits = Bits(reserved);
        using PageTableBuilder t = new(format, 0x0060_0000, 0);
        ulong good = t.Entry(level);
        bool leaf = level == t.Levels - 1;
        for (int bit = 7; bit < 8 * t.EntrySize; bit++)
        {
            if ((bit == 7 && !bits.Contains(7)) || bit == 63)
                continue;
            t.SetEntry(level, good | 1UL << bit);
            bool ok = t.Translate(AccessKind.Read, out Translation r);
            // In an upper entry a bit of the frame leads into the void, which reads as all ones: reserved bits there, but not of this entry.
            bool frameBit = !leaf && bit >= 12 && bit < (t.EntrySize == 4 ? 32 : 39);
            if (frameBit)
                continue;
            Assert.True(ok != bits.Contains(bit), $"bit {bit}: {r.Error}");
            if (!ok)
                Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved, r.Error);
        }
    }

    [Theory]
    [InlineData(PagingFormat.FourLevel4K)]
    [InlineData(PagingFormat.FourLevel1G)]
    [InlineData(PagingFormat.Pae4K)]
    public void XdBit_WithoutNxe_IsReserved(PagingFormat format)
    {
        for (int level = 0; ; level++)
        {
            using PageTableBuilder t = new(format, 0x0060_0000, 0);
            if (level == t.Levels)
                return;
            t.SetEntry(level, t.Entry(level) | NoExecute);
            Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved | PageFaultCode.Write | PageFaultCode.User, t.Fault(AccessKind.Write, user: true));
            t.Registers.Efer |= PagingBits.EferNxe;
            Assert.True(t.Translate(AccessKind.Read, out _));
        }
    }

    /// <summary>Also where the address in the entry would suit a page of 512 GBytes.</summary>
    [Fact]
    public void PageSize_InAPml4Entry_IsReserved()
    {
        using PageTableBuilder t = new(PagingFormat.FourLevel4K, 0x0060_0000, 0);
        t.SetEntry(0, PageTableBuilder.All | PageTableBuilder.Large);
        Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved, t.Fault(AccessKind.Read));
    }

    [Fact]
    public void GigabytePage_OnACpuWithout_IsReserved()
    {
        using PageTableBuilder t = new(PagingFormat.FourLevel1G, 0x4000_0000, 0);
        Assert.True(t.Translate(AccessKind.Read, out _));
        t.Registers.HasGigabytePages = 0;
        Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved, t.Fault(AccessKind.Read));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void AccessedAndDirty_AreSetByTheAccess(PagingFormat format)
    {
        using PageTableBuilder t = new(format, 0x0060_0000, 0);
        Assert.True(t.Translate(AccessKind.Read, out Translation read));
        for (int level = 0; level < t.Levels; level++)
            Assert.Equal(Accessed, t.Entry(level) & (Accessed | Dirty));
        Assert.Equal(TlbFlags.Read, read.Flags & (TlbFlags.Read | TlbFlags.Write | TlbFlags.PageDirty));

        Assert.True(t.Translate(AccessKind.Write, out Translation write));
        for (int level = 0; level < t.Levels; level++)
            Assert.Equal(level == t.Levels - 1 ? Accessed | Dirty : Accessed, t.Entry(level) & (Accessed | Dirty));
        Assert.Equal(TlbFlags.Write | TlbFlags.PageDirty, write.Flags & (TlbFlags.Write | TlbFlags.PageDirty));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void AccessedAndDirty_OfAWalkThatFaults_StayClear(PagingFormat format)
    {
        using PageTableBuilder t = new(format, 0x0060_0000, 0, leafBits: Present | User);
        Assert.Equal(PageFaultCode.Present | PageFaultCode.User | PageFaultCode.Write, t.Fault(AccessKind.Write, user: true));
        for (int level = 0; level < t.Levels; level++)
            Assert.Equal(0UL, t.Entry(level) & (Accessed | Dirty));
    }

    [Fact]
    public void GlobalBit_CountsInALeafUnderPge()
    {
        using PageTableBuilder t = new(PagingFormat.FourLevel4K, 0x0060_0000, 0, leafBits: All | Global);
        Assert.True(t.Translate(AccessKind.Read, out Translation without));
        Assert.Equal(TlbFlags.None, without.Flags & TlbFlags.Global);
        t.Registers.Cr4 |= PagingBits.Cr4Pge;
        Assert.True(t.Translate(AccessKind.Read, out Translation with));
        Assert.Equal(TlbFlags.Global, with.Flags & TlbFlags.Global);
    }

    [Fact]
    public void EntriesOutsideRam_ReadAsAllOnes()
    {
        using PageTableBuilder four = new(PagingFormat.FourLevel4K, 0, 0);
        four.Registers.Cr3 = 0x8000_0000;
        Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved, four.Fault(AccessKind.Read));

        // All ones are a valid entry of 32-bit paging without PSE: the last frame of 4 GiB, dirty and for all.
        using PageTableBuilder legacy = new(PagingFormat.Legacy4K, 0, 0);
        legacy.Registers.Cr3 = 0x8000_0000;
        legacy.Registers.Cr4 = 0;
        Assert.True(legacy.Translate(AccessKind.Write, out Translation r, user: true));
        Assert.Equal(0xFFFF_F000UL, r.Physical);
    }

    [Fact]
    public void Walk_SeesTheCpusOwnWaitingStores_AndDrainsThemBeforeItSetsBits()
    {
        using PageTableBuilder t = new(PagingFormat.FourLevel4K, 0x0060_0000, 0);
        ulong address = t.EntryAddress(3);
        StoreBuffer stores = new(new CpuIndex(0), t.Memory, 4);
        t.SetEntry(3, 0);
        stores.Add(address, 0, 8, 0x5000 | All);
        Assert.Equal(PageFaultCode.None, t.Fault(AccessKind.Read));

        Assert.True(t.Translate(AccessKind.Read, out Translation r, pending: stores));
        Assert.Equal(0x5000UL, r.Physical);
        Assert.Equal(0, stores.Count);
        Assert.Equal(0x5000 | All | Accessed, t.Entry(3));
    }

    private static ulong Canonical(ulong linear) => (ulong)((long)(linear << 16) >> 16);

    private static HashSet<int> Bits(string ranges)
    {
        HashSet<int> bits = [];
        foreach (string range in ranges.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] ends = range.Split('-');
            for (int bit = int.Parse(ends[0]); bit <= int.Parse(ends[^1]); bit++)
                bits.Add(bit);
        }
        return bits;
    }
}
