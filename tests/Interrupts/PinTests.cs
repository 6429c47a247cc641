using Emu.Cpus;
using Emu.Interrupts;
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

    internal static Pic8259Pair Initialised(ApicFixture f)
    {
        Pic8259Pair pic = Pic8259Pair.ConnectedTo(f.Apics[0]);
        foreach ((ushort port, uint value) in new (ushort, uint)[] { (0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0xA0, 0x11), (0xA1, 0x28), (0xA1, 2), (0xA1, 1) })
            pic.Write(port, 1, value);
        return pic;
    }
}
