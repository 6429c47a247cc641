using Emu.Interrupts;
using Xunit;

namespace Emu.Tests.Interrupts;

/// <summary>Command sequences of the 8259A data sheet.</summary>
public sealed class Pic8259Tests
{
    private const ushort Master = 0x20;
    private const ushort Slave = 0xA0;

    private readonly Pic8259Pair _pic;
    private readonly List<string> _reports = [];
    private bool _intr;

    public Pic8259Tests()
    {
        _pic = new Pic8259Pair(asserted => _intr = asserted, _reports.Add);
        Initialise(icw4: 1);
    }

    [Fact]
    public void Irq_OfEachLine_HasItsVector()
    {
        foreach (int irq in Enumerable.Range(0, 16).Where(i => i != 2))
        {
            _pic.SetIrq(irq, true);
            Assert.True(_intr);
            Assert.Equal(irq < 8 ? 0x20 + irq : 0x28 + irq - 8, _pic.Acknowledge());
            Assert.False(_intr);
            _pic.SetIrq(irq, false);
            Eoi(irq);
        }
    }

    [Fact]
    public void Edge_HeldHigh_InterruptsOnce()
    {
        _pic.SetIrq(4, true);
        _pic.Acknowledge();
        Eoi(4);
        Assert.False(_intr);
        _pic.SetIrq(4, false);
        _pic.SetIrq(4, true);
        Assert.True(_intr);
    }

    [Fact]
    public void LevelByElcr_HeldHigh_InterruptsAgainAfterEoi()
    {
        _pic.Write(0x4D0, 1, 0xFF);
        Assert.Equal(0xF8u, _pic.Read(0x4D0, 1));
        _pic.SetIrq(5, true);
        Assert.Equal(0x25, _pic.Acknowledge());
        Eoi(5);
        Assert.True(_intr);
        _pic.SetIrq(5, false);
        Assert.False(_intr);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(11)]
    public void LevelThatNobodyReleases_IsReportedAsAStormOnce(int irq)
    {
        _pic.SetLevelTriggered(irq);
        _pic.SetIrq(irq, true);
        for (int i = 0; i < 25_000; i++)
        {
            _pic.Acknowledge();
            Eoi(irq);
        }
        Assert.Contains($"8259: interrupt storm: IRQ {irq} was acknowledged", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void LevelThatItsHandlerReleases_IsNoStorm()
    {
        _pic.SetLevelTriggered(5);
        for (int i = 0; i < 25_000; i++)
        {
            _pic.SetIrq(5, true);
            _pic.Acknowledge();
            _pic.SetIrq(5, false);
            Eoi(5);
        }
        Assert.Empty(_reports);
    }

    [Fact]
    public void Priority_LowerLinesWait_HigherLinesNest()
    {
        _pic.SetIrq(4, true);
        Assert.Equal(0x24, _pic.Acknowledge());
        _pic.SetIrq(6, true);
        Assert.False(_intr);
        _pic.SetIrq(1, true);
        Assert.True(_intr);
        Assert.Equal(0x21, _pic.Acknowledge());
        Eoi(1);
        Assert.False(_intr);
        Eoi(4);
        Assert.Equal(0x26, _pic.Acknowledge());
    }

    [Fact]
    public void Mask_HoldsBackAndRemembersEdges()
    {
        _pic.Write(Master + 1, 1, 0x10);
        _pic.SetIrq(4, true);
        Assert.False(_intr);
        Assert.Equal(0x10u, _pic.Read(Master, 1));
        Assert.Equal(0x10u, _pic.Read(Master + 1, 1));
        _pic.Write(Master + 1, 1, 0);
        Assert.True(_intr);
    }

    [Fact]
    public void SlaveSpurious_LeavesTheCascadeInService()
    {
        _pic.SetIrq(9, true);
        // The slave's request goes after the master has shown INTR, and the master still holds it.
        _pic.Write(Slave + 1, 1, 0xFF);
        Assert.False(_intr);
        _pic.Write(Slave + 1, 1, 0);
        Assert.True(_intr);
        Assert.Equal(0x29, _pic.Acknowledge());
        _pic.Write(Master, 1, 0x0B);
        Assert.Equal(4u, _pic.Read(Master, 1));
        _pic.Write(Slave, 1, 0x0B);
        Assert.Equal(2u, _pic.Read(Slave, 1));
    }

    [Fact]
    public void Slave_SecondRequestDuringService_ComesAfterEoi()
    {
        _pic.SetIrq(8, true);
        _pic.SetIrq(12, true);
        Assert.Equal(0x28, _pic.Acknowledge());
        Eoi(8);
        Assert.True(_intr);
        Assert.Equal(0x2C, _pic.Acknowledge());
    }

    [Fact]
    public void AutoEoi_LeavesNothingInService()
    {
        Initialise(icw4: 3);
        _pic.SetIrq(8, true);
        _pic.SetIrq(12, true);
        Assert.Equal(0x28, _pic.Acknowledge());
        Assert.True(_intr);
        Assert.Equal(0x2C, _pic.Acknowledge());
        _pic.Write(Master, 1, 0x0B);
        Assert.Equal(0u, _pic.Read(Master, 1));
    }

    [Fact]
    public void RotateOnEoi_MakesTheServedLineLowest()
    {
        _pic.SetIrq(0, true);
        _pic.SetIrq(1, true);
        Assert.Equal(0x20, _pic.Acknowledge());
        _pic.Write(Master, 1, 0xA0);
        _pic.SetIrq(0, false);
        _pic.SetIrq(0, true);
        Assert.Equal(0x21, _pic.Acknowledge());
        _pic.Write(Master, 1, 0x61);
        Assert.Equal(0x20, _pic.Acknowledge());
    }

    [Fact]
    public void SetPriority_ChoosesTheLowest()
    {
        _pic.Write(Master, 1, 0xC4);
        _pic.SetIrq(4, true);
        _pic.SetIrq(5, true);
        Assert.Equal(0x25, _pic.Acknowledge());
    }

    [Fact]
    public void SpecialMaskMode_LetsLowerLinesThrough()
    {
        _pic.SetIrq(1, true);
        Assert.Equal(0x21, _pic.Acknowledge());
        _pic.SetIrq(6, true);
        Assert.False(_intr);
        _pic.Write(Master + 1, 1, 0x02);
        _pic.Write(Master, 1, 0x68);
        Assert.True(_intr);
        Assert.Equal(0x26, _pic.Acknowledge());
    }

    [Fact]
    public void SpecialFullyNested_LetsTheSlaveNest()
    {
        Initialise(icw4: 0x11);
        _pic.SetIrq(12, true);
        Assert.Equal(0x2C, _pic.Acknowledge());
        _pic.SetIrq(8, true);
        Assert.True(_intr);
        Assert.Equal(0x28, _pic.Acknowledge());
    }

    [Fact]
    public void Poll_AcknowledgesAndNamesTheLine()
    {
        _pic.SetIrq(3, true);
        _pic.Write(Master, 1, 0x0C);
        Assert.Equal(0x83u, _pic.Read(Master, 1));
        Assert.False(_intr);
        _pic.Write(Master, 1, 0x0C);
        Assert.Equal(0u, _pic.Read(Master, 1));
    }

    [Fact]
    public void Initialisation_ClearsMasksAndService()
    {
        _pic.Write(Master + 1, 1, 0xFF);
        _pic.SetIrq(3, true);
        Initialise(icw4: 1);
        Assert.Equal(0u, _pic.Read(Master + 1, 1));
        // An edge-triggered line that is already high must fall first.
        Assert.False(_intr);
    }

    [Fact]
    public void Snapshot_Restored_ServesOn()
    {
        _pic.SetIrq(4, true);
        _pic.Acknowledge();
        _pic.SetIrq(9, true);
        var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        _pic.Save(w);
        bool intr = false;
        var other = new Pic8259Pair(asserted => intr = asserted);
        stream.Position = 0;
        using var r = new BinaryReader(stream);
        other.Restore(r);
        Assert.False(intr);
        Assert.Equal(0x29, other.Acknowledge());
    }

    private void Initialise(uint icw4)
    {
        _pic.Write(Master, 1, 0x11);
        _pic.Write(Master + 1, 1, 0x20);
        _pic.Write(Master + 1, 1, 0x04);
        _pic.Write(Master + 1, 1, icw4);
        _pic.Write(Slave, 1, 0x11);
        _pic.Write(Slave + 1, 1, 0x28);
        _pic.Write(Slave + 1, 1, 0x02);
        _pic.Write(Slave + 1, 1, icw4 & 3);
    }

    private void Eoi(int irq)
    {
        if (irq >= 8)
            _pic.Write(Slave, 1, 0x20);
        _pic.Write(Master, 1, 0x20);
    }
}
