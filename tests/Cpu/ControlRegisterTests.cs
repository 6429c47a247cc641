using Emu.Cpus;
using Emu.Memory;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

public sealed unsafe class ControlRegisterTests
{
    private const ulong Pe = ControlBits.Cr0Pe;
    private const ulong Pg = ControlBits.Cr0Pg;

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(7)]
    [InlineData(9)]
    public void ControlRegister_ThatDoesNotExist_IsUndefined(int number)
    {
        using TestCpu t = Long();
        Assert.False(ControlRegisters.Read(t.S, number, out _));
        Assert.Equal(Vector.InvalidOpcode, t.Fault.Vector);
        Assert.False(ControlRegisters.Write(t.S, number, 0));
        Assert.Equal(Vector.InvalidOpcode, t.Fault.Vector);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    public void ControlRegisters_AreForCpl0(int number)
    {
        using TestCpu t = Long(cpl: 3);
        Assert.False(ControlRegisters.Read(t.S, number, out _));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.False(ControlRegisters.Write(t.S, number, 0));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(4, 1)]
    [InlineData(8, 0)]
    public void Writes_Serialise_ButToCr8(int number, int times)
    {
        using TestCpu t = Long();
        Assert.True(ControlRegisters.Read(t.S, number, out ulong value));
        Assert.True(ControlRegisters.Write(t.S, number, value));
        Assert.Equal(times, t.TakeSerialised());
    }

    [Theory]
    [InlineData(Pg, "PG without PE")]
    [InlineData(Pe | ControlBits.Cr0Nw, "NW without CD")]
    [InlineData(Pe | 1UL << 32, "a bit above 31")]
    public void Cr0_OfAForbiddenValue_IsGp(ulong value, string why)
    {
        using TestCpu t = Protected();
        ulong before = t.S->Paging.Cr0;
        Assert.False(ControlRegisters.Write(t.S, 0, value), why);
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal(before, t.S->Paging.Cr0);
    }

    [Fact]
    public void Cr0_ReservedLowBits_AreIgnored_AndEtIsFixed()
    {
        using TestCpu t = Protected();
        Assert.True(ControlRegisters.Write(t.S, 0, Pe | 0x1FFA_FFC0));
        Assert.Equal(Pe | ControlBits.Cr0Et, t.S->Paging.Cr0);
    }

    [Fact]
    public void Cr0_Pe_MakesProtectedMode_AndBack()
    {
        using TestCpu t = new();
        Assert.Equal(ModeKey.Real, t.S->ModeKey & ModeKey.Real);
        Assert.True(ControlRegisters.Write(t.S, 0, Pe));
        Assert.Equal(0U, t.S->ModeKey & ModeKey.Real);
        Assert.True(ControlRegisters.Write(t.S, 0, 0));
        Assert.Equal(ModeKey.Real, t.S->ModeKey & ModeKey.Real);
    }

    [Fact]
    public void LongMode_IsActivatedByPaging_AndLeftFromCompatibilityModeOnly()
    {
        using TestCpu t = Protected();
        t.Write(PageTables, 8, (PageTables + 0x1000) | 7);
        t.Write(PageTables + 0x1000, 8, 0x87);
        Assert.True(ControlRegisters.Write(t.S, 3, PageTables));
        Assert.True(Msrs.TryWrite(t.S, 0xC000_0080, ControlBits.EferLme));
        Assert.False(t.S->LongModeActive);
        // Not without PAE.
        Assert.False(ControlRegisters.Write(t.S, 0, Pg | Pe));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
        Assert.True(ControlRegisters.Write(t.S, 4, ControlBits.Cr4Pae));
        Assert.True(ControlRegisters.Write(t.S, 0, Pg | Pe));
        Assert.True(t.S->LongModeActive);
        Assert.False(t.S->Is64Bit);

        // LME and PAE are fixed while paging is on.
        Assert.False(Msrs.TryWrite(t.S, 0xC000_0080, 0));
        Assert.False(ControlRegisters.Write(t.S, 4, 0));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);

        t.SetDescriptor(Free, Segment(CodeType, 0, big: false, isLong: true));
        Assert.True(FarTransfer.Jump(t.S, Free, 0x7000, 4));
        Assert.True(t.S->Is64Bit);
        Assert.False(ControlRegisters.Write(t.S, 0, Pe));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
        Assert.True(FarTransfer.Jump(t.S, Code0, 0x7000, 4));
        Assert.True(ControlRegisters.Write(t.S, 0, Pe));
        Assert.False(t.S->LongModeActive);
        Assert.True(Msrs.TryWrite(t.S, 0xC000_0080, 0));
    }

    [Fact]
    public void LongMode_IsNotActivatedWithA16BitTssOrCsL()
    {
        using TestCpu t = Protected();
        t.S->Paging.Efer = ControlBits.EferLme;
        t.S->Paging.Cr4 = ControlBits.Cr4Pae;
        t.S->Tr.Attributes = SegmentAttributes.Present | SystemType.BusyTss16;
        Assert.False(ControlRegisters.Write(t.S, 0, Pg | Pe));
        t.S->Tr.Attributes = SegmentAttributes.Present | SystemType.BusyTss32;
        t.S->Cs.Attributes |= SegmentAttributes.L;
        Assert.False(ControlRegisters.Write(t.S, 0, Pg | Pe));
        t.S->Cs.Attributes &= unchecked((ushort)~SegmentAttributes.L);
        Assert.True(ControlRegisters.Write(t.S, 0, Pg | Pe));
    }

    [Fact]
    public void Pae_LoadsThePdpteRegistersWithCr3_NotLater()
    {
        using TestCpu t = Protected();
        Assert.True(ControlRegisters.Write(t.S, 4, ControlBits.Cr4Pae));
        for (uint i = 0; i < 4; i++)
            t.Write(0x7000 + 8 * i, 8, (0x8000 + 0x1000 * i) | 1);
        Assert.True(ControlRegisters.Write(t.S, 3, 0x7000));
        Assert.Equal(0UL, t.S->Paging.Pdpte0);
        Assert.True(ControlRegisters.Write(t.S, 0, Pg | Pe));
        Assert.Equal((0x8001UL, 0xB001UL), (t.S->Paging.Pdpte0, t.S->Paging.Pdpte3));

        t.Write(0x7000, 8, 0xF001);
        Assert.Equal(0x8001UL, t.S->Paging.Pdpte0);
        Assert.True(ControlRegisters.Write(t.S, 3, 0x7000));
        Assert.Equal(0xF001UL, t.S->Paging.Pdpte0);
    }

    [Theory]
    [InlineData(0x02UL, true)]
    [InlineData(0x20UL, true)]
    [InlineData(0x100UL, true)]
    [InlineData(1UL << 39, true)]
    [InlineData(1UL << 63, true)]
    [InlineData(0x18UL, false)]
    [InlineData(0xE00UL, false)]
    public void Pae_PdpteWithAReservedBit_IsGpAtTheLoad(ulong bit, bool faults)
    {
        using TestCpu t = Protected();
        t.S->Paging.Cr4 = ControlBits.Cr4Pae;
        t.Write(0x7008, 8, bit | 1);
        Assert.True(ControlRegisters.Write(t.S, 3, 0x7000));
        Assert.Equal(!faults, ControlRegisters.Write(t.S, 0, Pg | Pe));
        if (!faults)
            return;
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.Equal(0UL, t.S->Paging.Cr0 & Pg);
        // Not when it is not present.
        t.Write(0x7008, 8, bit);
        Assert.True(ControlRegisters.Write(t.S, 0, Pg | Pe));
    }

    [Fact]
    public void Cr3_BeyondMaxPhyAddr_IsGp()
    {
        using TestCpu t = Long();
        Assert.False(ControlRegisters.Write(t.S, 3, 1UL << 39));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.True(ControlRegisters.Write(t.S, 3, 1UL << 38));
    }

    [Fact]
    public void Cr4_BitsOfFeaturesThatTheModelLacks_AreReserved()
    {
        using TestCpu old = Protected(model: CpuModels.Pentium3);
        Assert.False(ControlRegisters.Write(old.S, 4, ControlBits.Cr4Smep));
        Assert.Equal(Vector.GeneralProtection, old.Fault.Vector);
        Assert.True(ControlRegisters.Write(old.S, 4, ControlBits.Cr4Pge | ControlBits.Cr4Pse | ControlBits.Cr4OsFxsr));

        using TestCpu sky = Protected();
        Assert.True(ControlRegisters.Write(sky.S, 4, ControlBits.Cr4Smep | ControlBits.Cr4Smap | ControlBits.Cr4FsGsBase));
        Assert.False(ControlRegisters.Write(sky.S, 4, ControlBits.Cr4Umip));

        using TestCpu alder = Protected(model: CpuModels.AlderLake);
        Assert.True(ControlRegisters.Write(alder.S, 4, ControlBits.Cr4Umip | ControlBits.Cr4De));
    }

    [Fact]
    public void Cr8_IsTheTaskPriority()
    {
        using TestCpu t = Long();
        Assert.True(ControlRegisters.Write(t.S, 8, 9));
        Assert.Equal(9UL, t.Cpu.Apic.TaskPriority);
        Assert.True(ControlRegisters.Read(t.S, 8, out ulong value));
        Assert.Equal(9UL, value);
        Assert.False(ControlRegisters.Write(t.S, 8, 16));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
    }

    [Fact]
    public void Lmsw_SetsPeButDoesNotClearIt()
    {
        using TestCpu t = new();
        ulong before = t.S->Paging.Cr0;
        Assert.True(ControlRegisters.Lmsw(t.S, 0xFFFF));
        Assert.Equal(before | 0xF, t.S->Paging.Cr0);
        Assert.True(ControlRegisters.Lmsw(t.S, 0));
        Assert.Equal(before | Pe, t.S->Paging.Cr0);
        Assert.True(ControlRegisters.Write(t.S, 0, Pe | ControlBits.Cr0Ts));
        Assert.True(ControlRegisters.Clts(t.S));
        Assert.Equal(0UL, t.S->Paging.Cr0 & ControlBits.Cr0Ts);
        Assert.True(ControlRegisters.Smsw(t.S, out ulong smsw));
        Assert.Equal(t.S->Paging.Cr0, smsw);
    }

    [Fact]
    public void Privileged_AtCpl3_IsGp()
    {
        using TestCpu t = Protected(cpl: 3);
        Assert.False(ControlRegisters.Lmsw(t.S, 1));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
        Assert.False(ControlRegisters.Clts(t.S));
        Assert.False(ControlRegisters.Invlpg(t.S, 0));
        Assert.False(DebugRegisters.Read(t.S, 7, out _));
        Assert.False(Privilege.CheckCpl0(t.S));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Fact]
    public void DebugRegisters_KeepWhatIsWritable()
    {
        using TestCpu t = Long();
        Assert.True(DebugRegisters.Write(t.S, 0, 0xFFFF_8000_1234_5678));
        Assert.True(DebugRegisters.Write(t.S, 6, 0xFFFF_FFFF));
        Assert.True(DebugRegisters.Write(t.S, 7, 0xFFFF_DC00));
        Assert.Equal(3, t.TakeSerialised());
        Assert.Equal((0xFFFF_8000_1234_5678UL, 0xFFFF_EFFFUL, 0xFFFF_0400UL), (t.S->DebugAddress[0], t.S->Dr6, t.S->Dr7));
        // DR4 and DR5 are DR6 and DR7.
        Assert.True(DebugRegisters.Read(t.S, 5, out ulong dr5));
        Assert.Equal(t.S->Dr7, dr5);
        Assert.False(DebugRegisters.Write(t.S, 7, 1UL << 32));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Fact]
    public void DebugRegisters_UnderGeneralDetect_RaiseDb()
    {
        using TestCpu t = Long();
        Assert.True(DebugRegisters.Write(t.S, 7, DebugRegisters.Dr7GeneralDetect));
        Assert.False(DebugRegisters.Read(t.S, 0, out _));
        Assert.Equal(Vector.Debug, t.Fault.Vector);
        Assert.Equal(DebugRegisters.Dr6AccessDetected, t.S->Dr6 & DebugRegisters.Dr6AccessDetected);
    }

    [Fact]
    public void Pcid_IsOnlyEnabledInLongModeWithPcid0()
    {
        using TestCpu t = Long();
        ulong cr4 = t.S->Paging.Cr4;
        t.S->Paging.Cr3 = PageTables | 5;
        Assert.False(ControlRegisters.Write(t.S, 4, cr4 | ControlBits.Cr4Pcide));
        t.S->Paging.Cr3 = PageTables;
        // Bit 63 of CR3 is reserved until PCIDs are enabled, and never kept.
        Assert.False(ControlRegisters.Write(t.S, 3, PageTables | 1UL << 63));
        Assert.True(ControlRegisters.Write(t.S, 4, cr4 | ControlBits.Cr4Pcide));
        Assert.True(ControlRegisters.Write(t.S, 3, PageTables | 7 | 1UL << 63));
        Assert.Equal(PageTables | 7UL, t.S->Paging.Cr3);
        using TestCpu legacy = Protected();
        Assert.False(ControlRegisters.Write(legacy.S, 4, ControlBits.Cr4Pcide));
    }

    [Fact]
    public void MovToCr3_Bit63_KeepsTranslationsOfTheSamePcidOnly()
    {
        using TestCpu t = Long();
        Assert.True(ControlRegisters.Write(t.S, 4, t.S->Paging.Cr4 | ControlBits.Cr4Pcide));
        Assert.True(ControlRegisters.Write(t.S, 3, PageTables | 1));
        const ulong page = 0x30_0000;
        Touch(t, page);
        t.Write(PteOf(page), 8, 0);
        Assert.True(ControlRegisters.Write(t.S, 3, PageTables | 1 | 1UL << 63));
        Assert.True(Access.Load(t.S, page, 8, AccessKind.Read, out _), "kept");
        Assert.True(ControlRegisters.Write(t.S, 3, PageTables | 2 | 1UL << 63));
        Assert.False(Access.Load(t.S, page, 8, AccessKind.Read, out _), "another PCID");
        t.Write(PteOf(page), 8, page | 7);
        Touch(t, page);
        t.Write(PteOf(page), 8, 0);
        Assert.True(ControlRegisters.Write(t.S, 3, PageTables | 2));
        Assert.False(Access.Load(t.S, page, 8, AccessKind.Read, out _), "flushed");
    }

    [Theory]
    [InlineData(0UL, 0UL, 0UL, true)]
    [InlineData(1UL, 0UL, 0UL, true)]
    [InlineData(2UL, 0xFFFUL, 0UL, true)]
    [InlineData(3UL, 0UL, ulong.MaxValue, true)]
    [InlineData(4UL, 0UL, 0UL, false)]
    [InlineData(0UL, 0x1000UL, 0UL, false)]
    [InlineData(2UL, 0x1000UL, 0UL, false)]
    [InlineData(0UL, 0UL, 1UL << 47, false)]
    [InlineData(1UL, 0UL, 1UL << 47, true)]
    [InlineData(0UL, 5UL, 0UL, false)]
    [InlineData(1UL, 5UL, 0UL, false)]
    public void Invpcid_ChecksItsDescriptor(ulong type, ulong pcid, ulong linear, bool ok)
    {
        using TestCpu t = Long();
        Assert.Equal(ok, ControlRegisters.Invpcid(t.S, type, pcid, linear));
        if (!ok)
            Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Theory]
    [InlineData(0UL, 1UL, true, false)]
    [InlineData(0UL, 2UL, false, false)]
    [InlineData(1UL, 1UL, true, false)]
    [InlineData(2UL, 0UL, true, true)]
    [InlineData(3UL, 0UL, true, false)]
    public void Invpcid_DropsWhatItsTypeNames(ulong type, ulong pcid, bool dropsOwn, bool dropsGlobal)
    {
        using TestCpu t = Long();
        Assert.True(ControlRegisters.Write(t.S, 4, t.S->Paging.Cr4 | ControlBits.Cr4Pcide | ControlBits.Cr4Pge));
        Assert.True(ControlRegisters.Write(t.S, 3, PageTables | 1));
        const ulong own = 0x30_0000, global = 0x30_1000;
        t.Write(PteOf(global), 8, global | 0x107);
        Touch(t, own);
        Touch(t, global);
        t.Write(PteOf(own), 8, 0);
        t.Write(PteOf(global), 8, 0);
        Assert.True(ControlRegisters.Invpcid(t.S, type, pcid, own));
        Assert.Equal(!dropsOwn, Access.Load(t.S, own, 8, AccessKind.Read, out _));
        Assert.Equal(!dropsGlobal, Access.Load(t.S, global, 8, AccessKind.Read, out _));
    }

    private static void Touch(TestCpu t, ulong linear) => Assert.True(Access.Load(t.S, linear, 8, AccessKind.Read, out _));
}
