using Emu.Cpus;
using Emu.Memory;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

public sealed unsafe class SegmentLoadTests
{
    private const ushort Target = Free;

    [Fact]
    public void Load_InProtectedMode_FillsTheHiddenPartAndMarksItAccessed()
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Target, Segment(type: 2, dpl: 0, @base: 0xAB12_3400, limit: 0x1_2345, large: false));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Fs, Target));
        Assert.Equal(0xAB12_3400UL, t.S->Fs.Base);
        Assert.Equal(0x1_2345U, t.S->Fs.Limit);
        Assert.Equal(Target, t.S->Fs.Selector);
        Assert.Equal(1, t.S->Fs.Usable);
        Assert.Equal(Segment(type: 3, dpl: 0, @base: 0xAB12_3400, limit: 0x1_2345, large: false), t.GetDescriptor(Target));
        Assert.Equal(SegmentAttributes.Accessed, t.S->Fs.Attributes & SegmentAttributes.Accessed);
    }

    [Fact]
    public void Load_WithGranularity_CountsTheLimitInPages()
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Target, Segment(DataType, 0, limit: 0x12));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, Target));
        Assert.Equal(0x1_2FFFU, t.S->Ds.Limit);
    }

    [Fact]
    public void Load_FromTheLdt_UsesTheOtherTable()
    {
        using TestCpu t = Protected();
        t.SetDescriptor(0x14, Segment(DataType, 0, @base: 0x7777));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Es, 0x14));
        Assert.Equal(0x7777UL, t.S->Es.Base);
        t.S->Ldtr = SegmentLoad.Null(0);
        AssertFault(t, SegmentIndex.Es, 0x14, Vector.GeneralProtection, 0x14);
    }

    /// <summary>SDM, "MOV": data segment registers. CPL, selector's RPL, type, DPL, present, and what comes of it.</summary>
    [Theory]
    [InlineData(0, 0, DataType, 0, true, null)]
    [InlineData(0, 0, DataType, 3, true, null)]
    [InlineData(0, 3, DataType, 0, true, Vector.GeneralProtection)]
    [InlineData(3, 3, DataType, 3, true, null)]
    [InlineData(3, 0, DataType, 3, true, null)]
    [InlineData(3, 0, DataType, 0, true, Vector.GeneralProtection)]
    [InlineData(3, 0, DataType, 2, true, Vector.GeneralProtection)]
    [InlineData(3, 3, ReadOnlyType, 3, true, null)]
    [InlineData(3, 3, CodeType, 3, true, null)]
    [InlineData(3, 3, CodeType, 0, true, Vector.GeneralProtection)]
    [InlineData(3, 3, ConformingType, 0, true, null)]
    [InlineData(0, 0, ExecuteOnlyType, 0, true, Vector.GeneralProtection)]
    [InlineData(0, 0, DataType, 0, false, Vector.SegmentNotPresent)]
    public void Load_OfADataSegment_ChecksTypeAndPrivilege(int cpl, int rpl, int type, int dpl, bool present, Vector? fault)
    {
        using TestCpu t = Protected(cpl);
        t.SetDescriptor(Target, Segment(type, dpl, present: present));
        ushort selector = (ushort)(Target | rpl);
        if (fault is { } vector)
            AssertFault(t, SegmentIndex.Ds, selector, vector, Target);
        else
            Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, selector));
    }

    [Theory]
    [InlineData(0, 0, DataType, 0, true, null)]
    [InlineData(3, 3, DataType, 3, true, null)]
    [InlineData(0, 3, DataType, 0, true, Vector.GeneralProtection)]
    [InlineData(0, 0, DataType, 3, true, Vector.GeneralProtection)]
    [InlineData(3, 3, DataType, 0, true, Vector.GeneralProtection)]
    [InlineData(0, 0, ReadOnlyType, 0, true, Vector.GeneralProtection)]
    [InlineData(0, 0, CodeType, 0, true, Vector.GeneralProtection)]
    [InlineData(0, 0, DataType, 0, false, Vector.StackFault)]
    public void Load_OfSs_WantsAWritableSegmentOfTheVeryPrivilege(int cpl, int rpl, int type, int dpl, bool present, Vector? fault)
    {
        using TestCpu t = Protected(cpl);
        t.SetDescriptor(Target, Segment(type, dpl, present: present));
        ushort selector = (ushort)(Target | rpl);
        if (fault is { } vector)
            AssertFault(t, SegmentIndex.Ss, selector, vector, Target);
        else
            Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ss, selector));
    }

    [Fact]
    public void Load_BeyondTheTable_IsGpWithTheSelector()
    {
        using TestCpu t = Protected();
        t.S->Gdtr.Limit = Target + 6;
        t.SetDescriptor(Target, Segment(DataType, 0));
        AssertFault(t, SegmentIndex.Ds, Target, Vector.GeneralProtection, Target);
        t.S->Gdtr.Limit = Target + 7;
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, Target));
    }

    [Fact]
    public void Load_OfASystemDescriptor_IsGp()
    {
        using TestCpu t = Protected();
        AssertFault(t, SegmentIndex.Ds, TssSelector, Vector.GeneralProtection, TssSelector);
    }

    [Fact]
    public void NullSelector_InADataRegister_FaultsOnUseOnly()
    {
        using TestCpu t = Protected();
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, 3));
        Assert.Equal(3, t.S->Ds.Selector);
        Assert.False(Segmentation.TryLinear(t.S, SegmentIndex.Ds, 0, 1, AccessKind.Read, out _));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
        Assert.Equal(0U, t.S->ModeKey & ModeKey.FlatData);
    }

    [Theory]
    [InlineData(false, 0, 0, false)]
    [InlineData(true, 0, 0, true)]
    [InlineData(true, 0, 3, false)]
    [InlineData(true, 3, 3, false)]
    public void NullSelector_InSs_IsForKernelsIn64BitMode(bool longMode, int cpl, ushort selector, bool allowed)
    {
        using TestCpu t = longMode ? Long(cpl) : Protected(cpl);
        if (allowed)
            Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ss, selector));
        else
            AssertFault(t, SegmentIndex.Ss, selector, Vector.GeneralProtection, 0);
    }

    [Fact]
    public void NullSelector_InGs_ClearsTheBaseOnIntel_AndKeepsItOnAmd()
    {
        using TestCpu intel = Long();
        intel.S->Gs.Base = 0x1234;
        Assert.True(SegmentLoad.Load(intel.S, SegmentIndex.Gs, 0));
        Assert.Equal(0UL, intel.S->Gs.Base);

        using TestCpu amd = Long(model: CpuModels.K8);
        amd.S->Gs.Base = 0x1234;
        Assert.True(SegmentLoad.Load(amd.S, SegmentIndex.Gs, 0));
        Assert.Equal(0x1234UL, amd.S->Gs.Base);
    }

    [Fact]
    public void Load_InRealMode_MovesTheBaseAndKeepsTheLimit()
    {
        using TestCpu t = new();
        t.S->Ds.Limit = 0xFFFF_FFFF;
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, 0x1234));
        Assert.Equal(0x1_2340UL, t.S->Ds.Base);
        Assert.Equal(0xFFFF_FFFFU, t.S->Ds.Limit);
    }

    [Fact]
    public void Load_InVirtual8086Mode_Is64KBytesWithDpl3()
    {
        using TestCpu t = Virtual8086();
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, 0x1234));
        Assert.Equal(0x1_2340UL, t.S->Ds.Base);
        Assert.Equal(0xFFFFU, t.S->Ds.Limit);
        Assert.Equal(0xF3, t.S->Ds.Attributes);
    }

    [Fact]
    public void Load_WhoseDescriptorCannotBeMarkedAccessed_ChangesNothing()
    {
        using TestCpu t = Long();
        t.SetDescriptor(Target, Segment(type: 2, dpl: 0));
        t.Write(PteOf(Gdt), 8, Gdt | 5);
        SegmentRegister before = t.S->Ds;
        Assert.False(SegmentLoad.Load(t.S, SegmentIndex.Ds, Target));
        Assert.Equal(Vector.PageFault, t.Fault.Vector);
        Assert.Equal((uint)(PageFaultCode.Present | PageFaultCode.Write), t.Fault.ErrorCode);
        Assert.Equal(before, t.S->Ds);
    }

    [Fact]
    public void Load_FromUserMode_ReadsTheTableAsSupervisor()
    {
        using TestCpu t = Long(cpl: 3);
        t.SetDescriptor(Target, Segment(DataType, 3));
        t.Write(PteOf(Gdt), 8, Gdt | 3);
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, Target | 3));
    }

    /// <summary>SDM, "Limit Checking": first and last byte inside, one outside.</summary>
    [Theory]
    [InlineData(false, 0x1000U, 0UL, 4, true)]
    [InlineData(false, 0x1000U, 0xFFDUL, 4, true)]
    [InlineData(false, 0x1000U, 0xFFEUL, 4, false)]
    [InlineData(false, 0xFFFFU, 0xFFFFUL, 2, false)]
    [InlineData(true, 0x1000U, 0x1000UL, 1, false)]
    [InlineData(true, 0x1000U, 0x1001UL, 4, true)]
    [InlineData(true, 0x1000U, 0xFFFF_FFFCUL, 4, true)]
    [InlineData(true, 0x1000U, 0xFFFF_FFFDUL, 4, false)]
    public void Limit_OfASegment_IsTheLastValidOffset(bool expandDown, uint limit, ulong offset, int size, bool ok)
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Target, Segment(expandDown ? 7 : 3, 0, limit: limit, large: false));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, Target));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ss, Target));
        Assert.Equal(ok, Segmentation.TryLinear(t.S, SegmentIndex.Ds, offset, size, AccessKind.Write, out _));
        if (ok)
            return;
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
        Assert.False(Segmentation.TryLinear(t.S, SegmentIndex.Ss, offset, size, AccessKind.Write, out _));
        Assert.Equal(Vector.StackFault, t.Fault.Vector);
    }

    [Theory]
    [InlineData(ReadOnlyType, AccessKind.Write, false)]
    [InlineData(ReadOnlyType, AccessKind.Read, true)]
    [InlineData(CodeType, AccessKind.Write, false)]
    [InlineData(CodeType, AccessKind.Read, true)]
    public void Type_OfASegment_LimitsItsUse(int type, AccessKind kind, bool ok)
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Target, Segment(type, 0));
        Assert.True(SegmentLoad.Load(t.S, SegmentIndex.Ds, Target));
        Assert.Equal(ok, Segmentation.TryLinear(t.S, SegmentIndex.Ds, 0, 4, kind, out _));
    }

    private static void AssertFault(TestCpu t, SegmentIndex segment, ushort selector, Vector vector, uint errorCode)
    {
        SegmentRegister before = (&t.S->Es)[(int)segment];
        Assert.False(SegmentLoad.Load(t.S, segment, selector));
        Assert.Equal(vector, t.Fault.Vector);
        Assert.Equal(errorCode, t.Fault.ErrorCode);
        Assert.Equal(before, (&t.S->Es)[(int)segment]);
    }
}
