using Emu.Cpus;
using Emu.Memory;
using Emu.Tests.Processors;
using Xunit;

namespace Emu.Tests.Paging;

/// <summary>
/// A translation stays what it was until the manual says that it goes (SDM, "Operations that Invalidate TLBs and Paging-Structure Caches"): a page is
/// mapped to one frame, its entry is changed to another, and what the CPU reads tells which translation it used.
/// </summary>
public sealed unsafe class StaleTranslationTests : IDisposable
{
    private const ulong Linear = 0x20_0000;
    private const ulong Old = 0x30_0000;
    private const ulong New = 0x30_1000;
    private const ulong All = 7;
    private const ulong Global = 0x100;

    private readonly TestCpu _t = TestCpu.Long();

    public StaleTranslationTests()
    {
        _t.Write(Old, 8, 0x01D);
        _t.Write(New, 8, 0x2E3);
    }

    [Fact]
    public void Entry_ChangedInMemoryAlone_IsNotSeen()
    {
        MapAndTouch(Old | All);
        Map(New | All);
        Assert.Equal(0x01DUL, Load());
    }

    [Fact]
    public void Invlpg_OfThePage_DropsTheTranslation()
    {
        MapAndTouch(Old | All | Global, pge: true);
        Map(New | All);
        Assert.True(ControlRegisters.Invlpg(_t.S, Linear + 0x123));
        Assert.Equal(0x2E3UL, Load());
    }

    [Fact]
    public void Invlpg_OfAnotherPage_LeavesIt()
    {
        MapAndTouch(Old | All);
        Map(New | All);
        Assert.True(ControlRegisters.Invlpg(_t.S, Linear + 0x1000));
        Assert.Equal(0x01DUL, Load());
    }

    [Fact]
    public void Invlpg_OfANonCanonicalAddress_DoesNothing()
    {
        MapAndTouch(Old | All);
        Map(New | All);
        Assert.True(ControlRegisters.Invlpg(_t.S, 0x8000_0000_0000 | Linear));
        Assert.Equal(0x01DUL, Load());
    }

    [Fact]
    public void MovToCr3_DropsTranslations_ButGlobalOnes()
    {
        MapAndTouch(Old | All, pge: true);
        Map(New | All);
        Assert.True(ControlRegisters.Write(_t.S, 3, _t.S->Paging.Cr3));
        Assert.Equal(0x2E3UL, Load());

        Map(Old | All | Global);
        Assert.True(ControlRegisters.Invlpg(_t.S, Linear));
        Assert.Equal(0x01DUL, Load());
        Map(New | All | Global);
        Assert.True(ControlRegisters.Write(_t.S, 3, _t.S->Paging.Cr3));
        Assert.Equal(0x01DUL, Load());
    }

    [Fact]
    public void MovToCr3_WithoutPge_DropsTranslationsOfGlobalPagesToo()
    {
        MapAndTouch(Old | All | Global);
        Map(New | All | Global);
        Assert.True(ControlRegisters.Write(_t.S, 3, _t.S->Paging.Cr3));
        Assert.Equal(0x2E3UL, Load());
    }

    [Fact]
    public void MovToCr4_ThatChangesPge_DropsGlobalOnesToo()
    {
        MapAndTouch(Old | All | Global, pge: true);
        Map(New | All | Global);
        Assert.True(ControlRegisters.Write(_t.S, 4, _t.S->Paging.Cr4 & ~ControlBits.Cr4Pge));
        Assert.Equal(0x2E3UL, Load());
    }

    [Fact]
    public void MovToCr4_ThatChangesNothingOfPaging_LeavesAll()
    {
        MapAndTouch(Old | All);
        Map(New | All);
        Assert.True(ControlRegisters.Write(_t.S, 4, _t.S->Paging.Cr4 | ControlBits.Cr4Tsd));
        Assert.Equal(0x01DUL, Load());
    }

    [Fact]
    public void MovToCr4_ThatSetsSmep_DropsThem()
    {
        MapAndTouch(Old | All);
        Map(New | All);
        Assert.True(ControlRegisters.Write(_t.S, 4, _t.S->Paging.Cr4 | ControlBits.Cr4Smep));
        Assert.Equal(0x2E3UL, Load());
    }

    [Fact]
    public void RightsTakenAway_AreStillGrantedUntilInvlpg()
    {
        MapAndTouch(Old | All);
        Assert.True(Access.Store(_t.S, Linear, 8, AccessKind.Read, 1));
        Map(Old | All & ~2UL);
        Assert.True(Access.Store(_t.S, Linear, 8, AccessKind.Read, 2));
        Assert.True(ControlRegisters.Invlpg(_t.S, Linear));
        Assert.False(Access.Store(_t.S, Linear, 8, AccessKind.Read, 3));
        Assert.Equal(Vector.PageFault, _t.Fault.Vector);
        Assert.Equal((uint)(PageFaultCode.Present | PageFaultCode.Write), _t.Fault.ErrorCode);
        Assert.Equal(Linear, _t.Fault.LinearAddress);
        Assert.Equal(2UL, _t.Read(Old, 8));
    }

    [Fact]
    public void RightsGranted_AreSeenWithoutInvlpg()
    {
        MapAndTouch(Old | All & ~2UL);
        Assert.False(Access.Store(_t.S, Linear, 8, AccessKind.Read, 1));
        Map(Old | All);
        Assert.True(Access.Store(_t.S, Linear, 8, AccessKind.Read, 1));
    }

    [Fact]
    public void WriteProtect_AppliesToWhatIsCached_AndKeepsTheTranslation()
    {
        // Read-only and dirty, written while WP is clear.
        Assert.True(ControlRegisters.Write(_t.S, 0, _t.S->Paging.Cr0 & ~ControlBits.Cr0Wp));
        MapAndTouch(Old | All & ~2UL);
        Assert.True(Access.Store(_t.S, Linear, 8, AccessKind.Read, 0xA));
        Map(New | All & ~2UL);

        Assert.True(ControlRegisters.Write(_t.S, 0, _t.S->Paging.Cr0 | ControlBits.Cr0Wp));
        Assert.Equal(0xAUL, Load());
        Assert.False(Access.Store(_t.S, Linear, 8, AccessKind.Read, 0xB));

        // The failed store looked the page up anew, as it may; a cached page becomes writable when WP is cleared.
        Map(Old | All & ~2UL | 0x60);
        Assert.True(ControlRegisters.Invlpg(_t.S, Linear));
        Assert.Equal(0xAUL, Load());
        Map(New | All & ~2UL | 0x60);
        Assert.True(ControlRegisters.Write(_t.S, 0, _t.S->Paging.Cr0 & ~ControlBits.Cr0Wp));
        Assert.True(Access.Store(_t.S, Linear, 8, AccessKind.Read, 0xC));
        Assert.Equal(0xCUL, _t.Read(Old, 8));
        Assert.Equal(0x2E3UL, _t.Read(New, 8));
    }

    [Fact]
    public void Invlpg_OfALargePage_DropsAllItsPieces()
    {
        // PDE 1 maps 2 to 4 MiB at once: first to itself, then 1 MiB is not enough, so back to 0.
        const uint pde = TestCpu.PageTables + 0x2008;
        _t.Write(pde, 8, 0x20_0000 | All | 0x80);
        Assert.True(ControlRegisters.Write(_t.S, 3, _t.S->Paging.Cr3));
        _t.Write(0x20_0000, 8, 0x11);
        _t.Write(0x20_5000, 8, 0x22);
        Assert.Equal(0x11UL, Load());
        Assert.Equal(0x22UL, Load(Linear + 0x5000));
        _t.Write(0x5000, 8, 0x33);
        _t.Write(pde, 8, 0x00_0000 | All | 0x80);
        Assert.Equal(0x22UL, Load(Linear + 0x5000));
        Assert.True(ControlRegisters.Invlpg(_t.S, Linear));
        Assert.Equal(0x33UL, Load(Linear + 0x5000));
    }

    [Fact]
    public void Smap_RestrainsSupervisorData_UnlessAcIsSet()
    {
        MapAndTouch(Old | All);
        Assert.True(ControlRegisters.Write(_t.S, 4, _t.S->Paging.Cr4 | ControlBits.Cr4Smap));
        Assert.False(Access.Load(_t.S, Linear, 8, AccessKind.Read, out _));
        Assert.Equal((uint)PageFaultCode.Present, _t.Fault.ErrorCode);

        Flags.Set(_t.S, Rflags.Ac);
        CpuMode.Update(_t.S);
        Assert.Equal(0x01DUL, Load());
        // Implicit accesses are never excused.
        Assert.False(Access.Load(_t.S, Linear, 8, AccessKind.Implicit, out _));
    }

    [Fact]
    public void AccessAcrossPages_ThatFaultsInTheSecond_ChangesNothing()
    {
        MapAndTouch(Old | All);
        _t.Write(TestCpu.PteOf(Linear + 0x1000), 8, 0);
        _t.Write(Old + 0xFFC, 4, 0x1234_5678);
        Assert.False(Access.Store(_t.S, Linear + 0xFFC, 8, AccessKind.Read, ulong.MaxValue));
        Assert.Equal(Linear + 0x1000, _t.Fault.LinearAddress);
        Assert.Equal(0x1234_5678UL, _t.Read(Old + 0xFFC, 4));
        Assert.False(Access.Load(_t.S, Linear + 0xFFC, 8, AccessKind.Read, out _));
        Assert.Equal(Linear + 0x1000, _t.Fault.LinearAddress);
    }

    [Fact]
    public void AccessAcrossPages_At2GiB_ReadsBoth()
    {
        // Linear 7FFFF000h and 80000000h, both touched before, so that both are cached.
        const uint pd = TestCpu.PageTables + 0x6000, below = pd + 0x1000, above = pd + 0x2000;
        _t.Write(TestCpu.PageTables + 0x1000 + 8, 8, pd | All);
        _t.Write(TestCpu.PageTables + 0x1000 + 16, 8, pd | All);
        _t.Write(pd + 8 * 511, 8, below | All);
        _t.Write(pd, 8, above | All);
        _t.Write(below + 8 * 511, 8, Old | All);
        _t.Write(above, 8, New | All);
        _t.Write(Old + 0xFFC, 4, 0x1111_2222);
        _t.Write(New, 4, 0x3333_4444);
        Assert.Equal(0x1111_2222UL, Load(0x7FFF_FFF8) >> 32);
        Assert.Equal(0x3333_4444UL, Load(0x8000_0000) & uint.MaxValue);
        Assert.Equal(0x3333_4444_1111_2222UL, Load(0x7FFF_FFFC));
    }

    [Fact]
    public void NonCanonicalAddress_IsGpOrSs_NotAPageFault()
    {
        Assert.False(Access.Load(_t.S, 0x8000_0000_0000, 8, AccessKind.Read, out _));
        Assert.Equal(Vector.GeneralProtection, _t.Fault.Vector);
        Assert.False(Access.Load(_t.S, 0x8000_0000_0000, 8, AccessKind.Stack, out _));
        Assert.Equal(Vector.StackFault, _t.Fault.Vector);
        Assert.Equal(0U, _t.Fault.ErrorCode);
    }

    private void Map(ulong pte) => _t.Write(TestCpu.PteOf(Linear), 8, pte);

    private void MapAndTouch(ulong pte, bool pge = false)
    {
        if (pge)
            Assert.True(ControlRegisters.Write(_t.S, 4, _t.S->Paging.Cr4 | ControlBits.Cr4Pge));
        Map(pte);
        Assert.Equal(0x01DUL, Load());
    }

    private ulong Load(ulong linear = Linear)
    {
        Assert.True(Access.Load(_t.S, linear, 8, AccessKind.Read, out ulong value));
        return value;
    }

    public void Dispose() => _t.Dispose();
}
