using Emu.Cpus;
using Xunit;
using static Emu.Tests.Processors.TestCpu;

namespace Emu.Tests.Processors;

public sealed unsafe class SystemTablesTests
{
    [Theory]
    [InlineData(2, 0x00AB_CDEFUL)]
    [InlineData(4, 0x12AB_CDEFUL)]
    public void Lgdt_TakesABaseOfTheOperandsWidth(int operandSize, ulong expected)
    {
        using TestCpu t = Protected();
        t.Write(0x7000, 2, 0x1FF);
        t.Write(0x7002, 4, 0x12AB_CDEF);
        Assert.True(SystemTables.Lgdt(t.S, SegmentIndex.Ds, 0x7000, operandSize));
        Assert.Equal(expected, t.S->Gdtr.Base);
        Assert.Equal(0x1FFU, t.S->Gdtr.Limit);
        Assert.Equal(1, t.TakeSerialised());
    }

    [Fact]
    public void Lidt_In64BitMode_TakesEightBytesAndWantsThemCanonical()
    {
        using TestCpu t = Long();
        t.Write(0x7000, 2, 0xFFF);
        t.Write(0x7002, 8, 0xFFFF_8000_1234_0000);
        Assert.True(SystemTables.Lidt(t.S, SegmentIndex.Ds, 0x7000, 4));
        Assert.Equal(0xFFFF_8000_1234_0000UL, t.S->Idtr.Base);
        t.Write(0x7002, 8, 0x8000_0000_0000);
        Assert.False(SystemTables.Lidt(t.S, SegmentIndex.Ds, 0x7000, 4));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
        Assert.Equal(0xFFFF_8000_1234_0000UL, t.S->Idtr.Base);
    }

    [Fact]
    public void Sgdt_WritesSixBytesOrTen()
    {
        using TestCpu t = Protected();
        t.Write(0x7000, 8, ulong.MaxValue);
        Assert.True(SystemTables.Sgdt(t.S, SegmentIndex.Ds, 0x7000));
        Assert.Equal(0xFFFF_0000_1000_00FFUL, t.Read(0x7000, 8));

        using TestCpu l = Long();
        l.S->Idtr.Base = 0xFFFF_FFFF_8000_2000;
        Assert.True(SystemTables.Sidt(l.S, SegmentIndex.Ds, 0x7000));
        Assert.Equal(0xFFFUL, l.Read(0x7000, 2));
        Assert.Equal(0xFFFF_FFFF_8000_2000UL, l.Read(0x7002, 8));
    }

    [Fact]
    public void LoadsOfTables_AboveCpl0_AreGp()
    {
        using TestCpu t = Protected(cpl: 3);
        Assert.False(SystemTables.Lgdt(t.S, SegmentIndex.Ds, 0x7000, 4));
        Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Assert.False(SystemTables.Ltr(t.S, TssSelector));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
    }

    [Fact]
    public void Umip_KeepsTablesFromUsers()
    {
        using TestCpu t = Protected(cpl: 3, CpuModels.AlderLake);
        Assert.True(SystemTables.Sgdt(t.S, SegmentIndex.Ds, 0x7000));
        Assert.True(SystemTables.Str(t.S, out ushort selector));
        Assert.Equal(TssSelector, selector);
        t.S->Paging.Cr4 |= ControlBits.Cr4Umip;
        Assert.False(SystemTables.Sgdt(t.S, SegmentIndex.Ds, 0x7000));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
        Assert.False(SystemTables.Sldt(t.S, out _));
        Assert.False(ControlRegisters.Smsw(t.S, out _));
    }

    [Fact]
    public void Ltr_MarksTheTssBusy_AndRefusesABusyOne()
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Free, SystemSegment(SystemType.AvailableTss32, 0x5000, 0x67));
        Assert.True(SystemTables.Ltr(t.S, Free));
        Assert.Equal(SystemSegment(SystemType.BusyTss32, 0x5000, 0x67), t.GetDescriptor(Free));
        Assert.Equal(0x5000UL, t.S->Tr.Base);
        Assert.Equal(SystemType.BusyTss32, t.S->Tr.Attributes & SegmentAttributes.TypeMask);
        Assert.Equal(1, t.TakeSerialised());

        Assert.False(SystemTables.Ltr(t.S, Free));
        Assert.Equal((Vector.GeneralProtection, (uint)Free), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Theory]
    [InlineData((ushort)0, SystemType.AvailableTss32, true, Vector.GeneralProtection, 0U)]
    [InlineData((ushort)0x44, SystemType.AvailableTss32, true, Vector.GeneralProtection, 0x44U)]
    [InlineData(Free, SystemType.Ldt, true, Vector.GeneralProtection, (uint)Free)]
    [InlineData(Free, SystemType.AvailableTss32, false, Vector.SegmentNotPresent, (uint)Free)]
    public void Ltr_OfWhatIsNoAvailableTss_Faults(ushort selector, int type, bool present, Vector vector, uint code)
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Free, SystemSegment(type, 0x5000, 0x67, present: present));
        Assert.False(SystemTables.Ltr(t.S, selector));
        Assert.Equal((vector, code), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Fact]
    public void Ltr_InLongMode_ReadsSixteenBytes()
    {
        using TestCpu t = Long();
        t.SetDescriptor(Free, SystemSegment(SystemType.AvailableTss32, 0x8000_5000, 0x67));
        t.Write(Gdt + Free + 8, 8, 0xFFFF_FFFF);
        Assert.True(SystemTables.Ltr(t.S, Free));
        Assert.Equal(0xFFFF_FFFF_8000_5000UL, t.S->Tr.Base);

        // A non-canonical base, and a type in the upper half.
        t.SetDescriptor(Free, SystemSegment(SystemType.AvailableTss32, 0x8000_5000, 0x67));
        t.Write(Gdt + Free + 8, 8, 0x0001_0000);
        Assert.False(SystemTables.Ltr(t.S, Free));
        Assert.Equal((Vector.GeneralProtection, (uint)Free), (t.Fault.Vector, t.Fault.ErrorCode));
        t.Write(Gdt + Free + 8, 8, 0xFFFF_FFFF | 1UL << 40);
        Assert.False(SystemTables.Ltr(t.S, Free));
        Assert.Equal((Vector.GeneralProtection, (uint)Free), (t.Fault.Vector, t.Fault.ErrorCode));
        // Only half of it within the limit.
        t.Write(Gdt + Free + 8, 8, 0xFFFF_FFFF);
        t.S->Gdtr.Limit = Free + 14;
        Assert.False(SystemTables.Ltr(t.S, Free));
    }

    [Fact]
    public void Lldt_LoadsAnLdt_OrNone()
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Free, SystemSegment(SystemType.Ldt, 0x5000, 0x1F));
        Assert.True(SystemTables.Lldt(t.S, Free));
        Assert.Equal((0x5000UL, 0x1FU, 1), (t.S->Ldtr.Base, t.S->Ldtr.Limit, t.S->Ldtr.Usable));
        Assert.True(SystemTables.Lldt(t.S, 0));
        Assert.Equal(0, t.S->Ldtr.Usable);
        Assert.False(SystemTables.Lldt(t.S, TssSelector));
        Assert.Equal((Vector.GeneralProtection, (uint)TssSelector), (t.Fault.Vector, t.Fault.ErrorCode));
    }

    [Fact]
    public void SystemRegisters_InRealMode_AreUndefined()
    {
        using TestCpu t = new();
        Assert.False(SystemTables.Lldt(t.S, 0));
        Assert.Equal(Vector.InvalidOpcode, t.Fault.Vector);
        Assert.False(SystemTables.Str(t.S, out _));
        Assert.Equal(Vector.InvalidOpcode, t.Fault.Vector);
    }

    [Fact]
    public void Lar_GivesRights_WhereTheyAreVisible()
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Segment(DataType, 3));
        Assert.True(SegmentQueries.Lar(t.S, Free | 3, out bool granted, out uint rights));
        Assert.True(granted);
        Assert.Equal(0x00C0_F300U, rights);
        Assert.True(Flags.Zero(t.S));

        Assert.True(SegmentQueries.Lar(t.S, Data0, out granted, out _));
        Assert.False(granted);
        Assert.False(Flags.Zero(t.S));
        Assert.True(SegmentQueries.Lar(t.S, 0, out granted, out _));
        Assert.False(granted);
        Assert.True(SegmentQueries.Lar(t.S, 0x1003, out granted, out _));
        Assert.False(granted);
    }

    [Theory]
    [InlineData(SystemType.CallGate32, true, false)]
    [InlineData(SystemType.BusyTss32, true, true)]
    [InlineData(SystemType.TaskGate, true, false)]
    [InlineData(SystemType.InterruptGate32, false, false)]
    public void LarAndLsl_OfSystemDescriptors_DependOnTheType(int type, bool lar, bool lsl)
    {
        using TestCpu t = Protected();
        t.SetDescriptor(Free, SystemSegment(type, 0x5000, 0x123));
        Assert.True(SegmentQueries.Lar(t.S, Free, out bool granted, out _));
        Assert.Equal(lar, granted);
        Assert.True(SegmentQueries.Lsl(t.S, Free, out granted, out uint limit));
        Assert.Equal(lsl, granted);
        Assert.Equal(lsl ? 0x123U : 0, limit);
    }

    [Theory]
    [InlineData(DataType, true, true)]
    [InlineData(ReadOnlyType, true, false)]
    [InlineData(CodeType, true, false)]
    [InlineData(ExecuteOnlyType, false, false)]
    public void VerrAndVerw_TellWhatTheTypeAllows(int type, bool readable, bool writable)
    {
        using TestCpu t = Protected(cpl: 3);
        t.SetDescriptor(Free, Segment(type, 3));
        Assert.True(SegmentQueries.Verr(t.S, Free | 3));
        Assert.Equal(readable, Flags.Zero(t.S));
        Assert.True(SegmentQueries.Verw(t.S, Free | 3));
        Assert.Equal(writable, Flags.Zero(t.S));
    }

    [Theory]
    [InlineData(0x10, 0x23, true, 0x13)]
    [InlineData(0x13, 0x20, false, 0x13)]
    [InlineData(0x11, 0x21, false, 0x11)]
    public void Arpl_RaisesRpl(int destination, int source, bool adjusted, int result)
    {
        using TestCpu t = Protected();
        Flags.Set(t.S, Rflags.Cf | Rflags.Of);
        Assert.True(SegmentQueries.Arpl(t.S, (ushort)destination, (ushort)source, out bool did, out ushort value));
        Assert.Equal((adjusted, (ushort)result), (did, value));
        Assert.Equal(adjusted, Flags.Zero(t.S));
        Assert.True(Flags.Carry(t.S) && Flags.Overflow(t.S));
    }

    /// <summary>SDM, "I/O Permission Bit Map".</summary>
    [Theory]
    [InlineData(0x21, 1, true)]
    [InlineData(0x20, 1, false)]
    [InlineData(0x1F, 1, true)]
    [InlineData(0x1F, 2, false)]
    [InlineData(0x37, 1, true)]
    [InlineData(0x37, 2, false)]
    public void Ports_AboveIopl_AreThoseOfTheBitmap(int port, int size, bool allowed)
    {
        using TestCpu t = Protected(cpl: 3);
        t.S->Tr.Limit = 0x68 + 7;
        t.Write(Tss + 102, 2, 0x68);
        // Port 20h is closed; bytes 6 and 7 (ports 30h to 3Fh) lie at the end: 38h up are closed.
        t.Write(Tss + 0x68 + 4, 1, 1);
        t.Write(Tss + 0x68 + 7, 1, 0xFF);
        Assert.Equal(allowed, Privilege.CheckPort(t.S, (ushort)port, size));
        if (!allowed)
            Assert.Equal((Vector.GeneralProtection, 0U), (t.Fault.Vector, t.Fault.ErrorCode));
        Flags.Set(t.S, Rflags.IoplMask);
        Assert.True(Privilege.CheckPort(t.S, (ushort)port, size));
    }

    [Fact]
    public void Ports_BeyondTheBitmap_AreClosed()
    {
        using TestCpu t = Protected(cpl: 3);
        t.S->Tr.Limit = 0x68 + 7;
        t.Write(Tss + 102, 2, 0x68);
        // The byte that follows is read as well, and lies beyond the limit.
        Assert.True(Privilege.CheckPort(t.S, 0x37, 1));
        Assert.False(Privilege.CheckPort(t.S, 0x38, 1));
        Assert.Equal(Vector.GeneralProtection, t.Fault.Vector);
    }
}
