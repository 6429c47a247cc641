using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;
using Xunit;

namespace Emu.Tests.Interrupts;

/// <summary>LINT0 and LINT1, and the 8259s behind LINT0.</summary>
public sealed class PinTests
{
    [Fact]
    public void Lint1_AsNmi_PostsOneForEachEdge()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Apics[0].EnterVirtualWireMode();
        f.Apics[0].SetPin(1, true);
        Assert.True(f.Cpus[0].Take(Mail.Nmi));
        f.Apics[0].SetPin(1, true);
        Assert.False(f.Cpus[0].Take(Mail.Nmi));
        f.Apics[0].SetPin(1, false);
        f.Apics[0].SetPin(1, true);
        Assert.True(f.Cpus[0].Take(Mail.Nmi));
    }

    [Fact]
    public void Lint0_FixedLevel_ComesAgainAfterEoiWhileAsserted()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtLint0, 0x8060);
        f.Apics[0].SetPin(0, true);
        Assert.Equal(0xC060u, f.Read(0, ApicRegister.LvtLint0));
        Assert.True(f.IsLevel(0, 0x60));
        Assert.Equal(0x60, f.Apics[0].AcknowledgeInterrupt());
        Assert.False(f.IsRequested(0, 0x60));
        f.Write(0, ApicRegister.Eoi, 0);
        Assert.Equal(0x60, f.Apics[0].AcknowledgeInterrupt());
        f.Apics[0].SetPin(0, false);
        f.Write(0, ApicRegister.Eoi, 0);
        Assert.False(f.Apics[0].HasInterrupt);
        Assert.Equal(0x8060u, f.Read(0, ApicRegister.LvtLint0));
    }

    [Fact]
    public void Lint_InitAndSmi_PostAndReport()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtLint1, 0x500);
        f.Apics[0].SetPin(1, true);
        Assert.Equal(Mail.Init, f.Cpus[0].Mailbox);
        f.Write(0, ApicRegister.LvtLint0, 0x200);
        f.Apics[0].SetPin(0, true);
        Assert.Contains("LVT LINT0", Assert.Single(f.Reports), StringComparison.Ordinal);
    }

    [Fact]
    public void ExtInt_ThroughLint0_TakesTheVectorFromThe8259WithoutIsr()
    {
        using ApicFixture f = new ApicFixture().Enable();
        Pic8259Pair pic = Initialised(f);
        pic.SetIrq(3, true);
        // Masked at reset.
        Assert.False(f.Apics[0].HasInterrupt);
        f.Apics[0].EnterVirtualWireMode();
        Assert.True(f.Apics[0].HasInterrupt);
        // Not subject to TPR.
        f.Write(0, ApicRegister.TaskPriority, 0xFF);
        Assert.True(f.Apics[0].HasInterrupt);
        Assert.Equal(0x23, f.Apics[0].AcknowledgeInterrupt());
        Assert.False(f.IsInService(0, 0x23));
        Assert.False(f.Apics[0].HasInterrupt);
    }

    [Fact]
    public void ExtInt_WithTheApicGloballyOff_GoesStraightToTheCpu()
    {
        using ApicFixture f = new ApicFixture().Enable();
        Pic8259Pair pic = Initialised(f);
        f.SetBase(0, 0);
        pic.SetIrq(1, true);
        Assert.True(f.Apics[0].HasInterrupt);
        Assert.Equal(0x21, f.Apics[0].AcknowledgeInterrupt());
        f.Apics[0].SetPin(1, true);
        Assert.Equal(Mail.Nmi, f.Cpus[0].Mailbox);
    }

    [Fact]
    public void ExtInt_RequestGone_GivesThe8259sSpuriousVector()
    {
        using ApicFixture f = new ApicFixture().Enable();
        Pic8259Pair pic = Initialised(f);
        f.Apics[0].EnterVirtualWireMode();
        pic.SetIrq(3, true);
        Assert.True(f.Apics[0].HasInterrupt);
        pic.SetIrq(3, false);
        Assert.False(f.Apics[0].HasInterrupt);
        Assert.Equal(0x27, pic.Acknowledge());
        pic.Write(0x20, 1, 0x0B);
        Assert.Equal(0u, pic.Read(0x20, 1));
    }

    [Fact]
    public void ExtInt_ThroughTheIoApic_ReachesTheCpuThatItsEntryNames()
    {
        using ApicFixture f = new ApicFixture(cpus: 2).Enable();
        var ioApic = new IoApic(f.Fabric);
        Pic8259Pair pic = Initialised(f, ioApic);
        // Input 0: ExtINT, physical, to APIC ID 1. LINT0 of CPU 0 stays masked.
        Entry(ioApic, 0, (uint)DeliveryMode.ExtInt << 8, 1u << 24);
        pic.SetIrq(5, true);
        Assert.Equal((false, true), (f.Apics[0].HasInterrupt, f.Apics[1].HasInterrupt));
        Assert.Equal(0x25, f.Apics[1].AcknowledgeInterrupt());
        Assert.False(f.Apics[1].HasInterrupt);
        Assert.False(f.IsInService(1, 0x25));
        // A second request raises INTR again, and the edge is a message again.
        pic.Write(0x20, 1, 0x20);
        pic.SetIrq(3, true);
        Assert.Equal(0x23, f.Apics[1].AcknowledgeInterrupt());
        Assert.Empty(f.Reports);
    }

    [Fact]
    public void Level_ThatNobodyReleases_IsReportedAsAStormOnce()
    {
        using ApicFixture f = new ApicFixture().Enable();
        var ioApic = new IoApic(f.Fabric);
        Entry(ioApic, 9, 0x8041, 0);
        ioApic.SetPin(9, true);
        for (int i = 0; i < 25_000; i++)
        {
            Assert.Equal(0x41, f.Apics[0].AcknowledgeInterrupt());
            f.Write(0, ApicRegister.Eoi, 0);
        }
        Assert.Contains("I/O APIC input 9: interrupt storm: vector 0x41", Assert.Single(f.Reports));
    }

    [Fact]
    public void Level_ThatItsHandlerReleases_IsNoStorm()
    {
        using ApicFixture f = new ApicFixture().Enable();
        var ioApic = new IoApic(f.Fabric);
        Entry(ioApic, 9, 0x8041, 0);
        for (int i = 0; i < 25_000; i++)
        {
            ioApic.SetPin(9, true);
            f.Apics[0].AcknowledgeInterrupt();
            ioApic.SetPin(9, false);
            f.Write(0, ApicRegister.Eoi, 0);
        }
        Assert.Empty(f.Reports);
    }

    [Fact]
    public void DeliveryStatus_OfALevelThatNobodyTakes_IsPending()
    {
        using var f = new ApicFixture();
        var ioApic = new IoApic(f.Fabric);
        Entry(ioApic, 9, 0x8041, 0);
        ioApic.SetPin(9, true);
        Assert.Equal(0x9041UL, Low(ioApic, 9));
        f.Enable();
        Assert.Equal(0xC041UL, Low(ioApic, 9));
    }

    private static void Entry(IoApic ioApic, int pin, uint low, uint high)
    {
        var cpu = new CpuIndex(0);
        ioApic.Write(cpu, 0, 4, (uint)(0x11 + 2 * pin));
        ioApic.Write(cpu, 0x10, 4, high);
        ioApic.Write(cpu, 0, 4, (uint)(0x10 + 2 * pin));
        ioApic.Write(cpu, 0x10, 4, low);
    }

    private static ulong Low(IoApic ioApic, int pin)
    {
        ioApic.Write(new CpuIndex(0), 0, 4, (uint)(0x10 + 2 * pin));
        return ioApic.Read(new CpuIndex(0), 0x10, 4);
    }

    internal static Pic8259Pair Initialised(ApicFixture f, IoApic? ioApic = null)
    {
        Pic8259Pair pic = Pic8259Pair.ConnectedTo(f.Apics, ioApic);
        foreach ((ushort port, uint value) in new (ushort, uint)[] { (0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0xA0, 0x11), (0xA1, 0x28), (0xA1, 2), (0xA1, 1) })
            pic.Write(port, 1, value);
        return pic;
    }
}
