using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;
using Xunit;

namespace Emu.Tests.Interrupts;

/// <summary>ESR, both register interfaces, and the transitions between modes.</summary>
public sealed class LocalApicAccessTests
{
    private const ulong Page = ApicFixture.ApicPage;
    private const ulong En = ApicBase.Enable;
    private const ulong Extd = ApicBase.X2Apic;

    [Fact]
    public void Esr_ErrorIsLogged_ShowsOnlyAfterAWriteAndClearsWithTheNext()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        f.Send(0, 0x0F, destination: 1);
        Assert.Equal(0u, f.Read(0, ApicRegister.ErrorStatus));
        Assert.Equal(ApicErrors.SendIllegalVector, f.Errors(0));
        Assert.Equal((uint)ApicErrors.SendIllegalVector, f.Read(0, ApicRegister.ErrorStatus));
        Assert.Equal(ApicErrors.None, f.Errors(0));
        Assert.Equal(ApicErrors.None, f.Errors(1));
    }

    [Fact]
    public void ErrorInterrupt_ComesOnceUntilEsrIsWritten()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtError, 0xFE);
        f.Read(0, 0x40);
        Assert.Equal(0xFE, f.Apics[0].AcknowledgeInterrupt());
        f.Write(0, ApicRegister.Eoi, 0);
        f.Read(0, 0x40);
        Assert.False(f.Apics[0].HasInterrupt);
        Assert.Equal(ApicErrors.IllegalRegisterAddress, f.Errors(0));
        f.Write(0, 0x3F0, 0);
        Assert.Equal(0xFE, f.Apics[0].AcknowledgeInterrupt());
    }

    [Fact]
    public void IllegalVector_InTheErrorEntryItself_IsLoggedAndEndsThere()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtError, 0x03);
        f.Read(0, 0x00);
        Assert.False(f.Apics[0].HasInterrupt);
        Assert.Equal(ApicErrors.IllegalRegisterAddress | ApicErrors.ReceiveIllegalVector, f.Errors(0));
    }

    [Fact]
    public void IllegalVector_FromTheTimer_IsReceivedIllegal()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtTimer, 0x0E);
        f.Write(0, ApicRegister.InitialCount, 10);
        f.Time.RunTo(1000, f.Apics[0]);
        Assert.Equal(ApicErrors.ReceiveIllegalVector, f.Errors(0));
    }

    [Theory]
    [InlineData("pentium3", ApicErrors.SendAccept)]
    [InlineData("skylake", ApicErrors.None)]
    public void IpiToNobody_IsAnErrorOnTheApicBusOnly(string model, ApicErrors expected)
    {
        using ApicFixture f = new ApicFixture(2, model == "pentium3" ? CpuModels.Pentium3 : CpuModels.Skylake).Enable();
        f.Send(0, 0x40, destination: 9);
        Assert.Equal(expected, f.Errors(0));
    }

    [Fact]
    public void MmioReadOnlyRegisters_WhenWritten_StayAsTheyAre()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        foreach (int register in new[] { ApicRegister.Id, ApicRegister.Version, ApicRegister.ProcessorPriority, ApicRegister.InService, ApicRegister.InterruptRequest, ApicRegister.CurrentCount })
        {
            uint before = f.Read(1, register);
            f.Write(1, register, ~before);
            Assert.Equal(before, f.Read(1, register));
        }
        Assert.Equal(ApicErrors.None, f.Errors(1));
    }

    [Fact]
    public void ApicId_BeforeNehalem_IsWritableAndFound()
    {
        using ApicFixture f = new ApicFixture(2, CpuModels.Pentium3).Enable();
        f.Write(1, ApicRegister.Id, 0x0700_0000);
        f.Send(0, 0x33, destination: 7);
        Assert.Equal([1], f.Requested(0x33));
    }

    [Fact]
    public void MissingLvtEntry_IsAnIllegalAddress()
    {
        using ApicFixture f = new ApicFixture(1, CpuModels.Pentium3).Enable();
        f.Read(0, ApicRegister.LvtThermal);
        Assert.Equal(ApicErrors.IllegalRegisterAddress, f.Errors(0));
    }

    [Fact]
    public void Mmio_OtherSizes_ReadTheirBytesAndWriteNothingNarrow()
    {
        using ApicFixture f = new ApicFixture(3).Enable();
        var cpu = new CpuIndex(2);
        Assert.Equal(2UL, f.Bus.ReadMmio(cpu, Page + ApicRegister.Id + 3, 1));
        Assert.Equal(0x200UL, f.Bus.ReadMmio(cpu, Page + ApicRegister.Id + 2, 2));
        Assert.Equal(0x0200_0000UL, f.Bus.ReadMmio(cpu, Page + ApicRegister.Id, 8));
        f.Bus.WriteMmio(cpu, Page + ApicRegister.TaskPriority, 1, 0x55);
        Assert.Equal(0u, f.Read(2, ApicRegister.TaskPriority));
    }

    [Fact]
    public void X2Msrs_InXApicMode_FaultAndMmioInX2Mode_IsOpenBus()
    {
        using var f = new ApicFixture();
        Assert.False(f.Apics[0].TryReadMsr(0x802, out _));
        Assert.False(f.Apics[0].TryWriteMsr(0x808, 0));
        f.EnableX2();
        Assert.Equal(uint.MaxValue, f.Read(0, ApicRegister.Version));
        f.Write(0, ApicRegister.TaskPriority, 0x70);
        Assert.Equal(0UL, f.ReadMsr(0, ApicRegister.TaskPriority));
    }

    [Fact]
    public void X2Msrs_AllOfThem_AreThereAsTheTableSays()
    {
        using ApicFixture f = new ApicFixture().EnableX2();
        for (uint msr = 0x800; msr <= 0x8FF; msr++)
        {
            ApicRegisterLayout? register = ApicRegisters.At((int)(msr - 0x800) << 4);
            bool readable = register != null && (register.X2Apic & RegisterAccess.Read) != 0;
            Assert.Equal(readable, f.Apics[0].TryReadMsr(msr, out _));
            bool writable = register != null && (register.X2Apic & RegisterAccess.Write) != 0;
            Assert.Equal(writable, f.Apics[0].TryWriteMsr(msr, 0));
        }
        // SDM, "Local APIC Register Address Map Supported by x2APIC": these are not.
        foreach (uint absent in new uint[] { 0x809, 0x80C, 0x80E, 0x831 })
            Assert.False(f.Apics[0].TryReadMsr(absent, out _));
        foreach (uint readOnly in new uint[] { 0x802, 0x803, 0x80A, 0x80D, 0x810, 0x818, 0x827, 0x839 })
            Assert.False(f.Apics[0].TryWriteMsr(readOnly, 0));
        Assert.False(f.Apics[0].TryReadMsr(0x80B, out _));
    }

    [Theory]
    [InlineData(0x808, 0x100UL)]
    [InlineData(0x808, 0x1_0000_0000UL)]
    [InlineData(0x80B, 1UL)]
    [InlineData(0x80F, 0x400UL)]
    [InlineData(0x828, 1UL)]
    [InlineData(0x830, 0x2000UL)]
    [InlineData(0x830, 0x1_0000UL)]
    [InlineData(0x830, 0x10_0000UL)]
    [InlineData(0x832, 0x100UL)]
    [InlineData(0x832, 0x8_0000UL)]
    [InlineData(0x835, 0x2_0000UL)]
    [InlineData(0x837, 0x100UL)]
    [InlineData(0x838, 0x1_0000_0000UL)]
    [InlineData(0x83E, 4UL)]
    [InlineData(0x83F, 0x100UL)]
    public void X2Msrs_ReservedBits_Fault(uint msr, ulong value)
    {
        using ApicFixture f = new ApicFixture().EnableX2();
        f.Apics[0].TryReadMsr(msr, out ulong before);
        Assert.False(f.Apics[0].TryWriteMsr(msr, value));
        f.Apics[0].TryReadMsr(msr, out ulong after);
        Assert.Equal(before, after);
    }

    [Theory]
    // From, to, allowed (SDM, "x2APIC State Transitions").
    [InlineData(En, 0, true)]
    [InlineData(En, En, true)]
    [InlineData(En, En | Extd, true)]
    [InlineData(En, Extd, false)]
    [InlineData(0, En, true)]
    [InlineData(0, 0, true)]
    [InlineData(0, En | Extd, false)]
    [InlineData(0, Extd, false)]
    [InlineData(En | Extd, 0, true)]
    [InlineData(En | Extd, En | Extd, true)]
    [InlineData(En | Extd, En, false)]
    [InlineData(En | Extd, Extd, false)]
    public void ApicBase_Transition_IsAsTheManualDraws(ulong from, ulong to, bool allowed)
    {
        using var f = new ApicFixture();
        f.SetBase(0, from);
        ApicMode before = f.Apics[0].Mode;
        Assert.Equal(allowed, f.Apics[0].TryWriteApicBase(Page | ApicBase.Bsp | to));
        ApicMode expected = !allowed ? before : to == 0 ? ApicMode.Disabled : to == En ? ApicMode.XApic : ApicMode.X2Apic;
        Assert.Equal(expected, f.Apics[0].Mode);
    }

    [Theory]
    [InlineData("skylake", 0x1UL)]
    [InlineData("skylake", 0x200UL)]
    [InlineData("skylake", 1UL << 39)]
    [InlineData("k8", 0x400UL)]
    [InlineData("pentium3", 1UL << 36)]
    public void ApicBase_ReservedBits_Fault(string model, ulong bit)
    {
        CpuModel m = new[] { CpuModels.Pentium3, CpuModels.K8, CpuModels.Skylake }.Single(x => x.Name == model);
        using var f = new ApicFixture(1, m);
        Assert.False(f.Apics[0].TryWriteApicBase(Page | En | ApicBase.Bsp | bit));
    }

    [Fact]
    public void ApicBase_Relocated_AnswersThereForThatCpuOnly()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        Assert.True(f.Apics[1].TryWriteApicBase(0xFEB0_0000 | En));
        Assert.Equal(0x0106_0015UL, f.Bus.ReadMmio(new CpuIndex(1), 0xFEB0_0030, 4));
        Assert.Equal(uint.MaxValue, f.Bus.ReadMmio(new CpuIndex(0), 0xFEB0_0030, 4));
        Assert.Equal(uint.MaxValue, f.Read(1, ApicRegister.Version));
        Assert.Equal(0x0106_0015u, f.Read(0, ApicRegister.Version));
    }

    [Fact]
    public void ApicBase_OverRam_IsReportedInOneLine()
    {
        using var f = new ApicFixture();
        Assert.True(f.Apics[0].TryWriteApicBase(0x8000 | En | ApicBase.Bsp));
        Assert.Contains("over RAM", Assert.Single(f.Reports), StringComparison.Ordinal);
    }

    [Fact]
    public void XApicToX2Apic_KeepsStateAndFixesTheId()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        f.Write(1, ApicRegister.TaskPriority, 0x20);
        f.Send(0, 0x99, destination: 1);
        f.SetBase(1, En | Extd);
        Assert.Equal(0x20UL, f.ReadMsr(1, ApicRegister.TaskPriority));
        Assert.True(f.IsRequested(1, 0x99));
        Assert.Equal(1UL, f.ReadMsr(1, ApicRegister.Id));
        // Disabled and enabled again, it is as after power-up.
        f.SetBase(1, 0);
        f.SetBase(1, En);
        Assert.Equal(0u, f.Read(1, ApicRegister.TaskPriority));
        Assert.False(f.IsRequested(1, 0x99));
    }

    [Fact]
    public void Table_EveryRegister_HasFieldsThatDoNotOverlap()
    {
        foreach (ApicRegisterLayout register in ApicRegisters.All)
        {
            uint seen = 0;
            foreach (BitField field in register.Layout.Fields)
            {
                Assert.Equal(0u, seen & field.Mask);
                seen |= field.Mask;
            }
            Assert.Equal(seen, register.Layout.Defined);
        }
        Assert.Equal("LVT Timer = Vector 0x30, Delivery Status 0, Mask 1, Timer Mode 0x1", ApicRegisters.At(ApicRegister.LvtTimer)!.Layout.Describe(0x3_0030));
    }
}
