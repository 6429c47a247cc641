using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;
using Xunit;

namespace Emu.Tests.Interrupts;

public sealed class IoApicTests : IDisposable
{
    private const uint Level = 0x8000;
    private const uint Masked = 0x1_0000;
    private const uint RemoteIrr = 0x4000;

    private readonly ApicFixture _f = new ApicFixture(4).Enable();
    private readonly IoApic _io;

    public IoApicTests()
    {
        _io = new IoApic(_f.Fabric);
        _f.Bus.AttachMmio(IoApic.DefaultAddress, IoApic.Length, _io);
        for (int i = 0; i < 4; i++)
            _f.Write(i, ApicRegister.LogicalDestination, 1u << (24 + i));
    }

    public void Dispose() => _f.Dispose();

    [Fact]
    public void Reset_Registers_HoldWhatTheDataSheetSays()
    {
        Assert.Equal(0x0017_0020u, Read(1));
        for (uint pin = 0; pin < 24; pin++)
            Assert.Equal(Masked, Read(0x10 + 2 * pin));
        Write(0, uint.MaxValue);
        Assert.Equal(0x0F00_0000u, Read(0));
        Assert.Equal(0x0F00_0000u, Read(2));
        Assert.Equal(0u, Read(0x40));
        Write(0x40, 5);
    }

    [Fact]
    public void Redirection_ReadOnlyBits_KeepTheirValue()
    {
        Write(0x12, 0x1_7FFF & ~Masked | Masked);
        Assert.Equal(0x1_2FFFu, Read(0x12));
        Write(0x13, uint.MaxValue);
        Assert.Equal(0xFF00_0000u, Read(0x13));
    }

    [Fact]
    public void Edge_Unmasked_GoesToItsPhysicalTarget()
    {
        Route(5, 0x45, destination: 2);
        _io.SetPin(5, true);
        Assert.Equal([2], _f.Requested(0x45));
        Assert.False(_f.IsLevel(2, 0x45));
        Assert.Equal(0u, Read(0x1A) & RemoteIrr);
        _f.Apics[2].AcknowledgeInterrupt();
        _io.SetPin(5, true);
        Assert.Empty(_f.Requested(0x45));
    }

    [Fact]
    public void Edge_WhileMasked_IsLost()
    {
        Route(5, 0x45 | Masked, destination: 2);
        _io.SetPin(5, true);
        Route(5, 0x45, destination: 2);
        Assert.Empty(_f.Requested(0x45));
    }

    [Fact]
    public void Logical_Destination_ReachesAllItsBits()
    {
        Route(9, 0x48 | 0x800, destination: 0b1010);
        _io.SetPin(9, true);
        Assert.Equal([1, 3], _f.Requested(0x48));
    }

    [Fact]
    public void LowestPriority_ReachesOne()
    {
        _f.Write(0, ApicRegister.TaskPriority, 0x50);
        Route(9, 0x48 | 0x900, destination: 0b1011);
        _io.SetPin(9, true);
        Assert.Equal([1], _f.Requested(0x48));
    }

    [Fact]
    public void Level_UntilEoi_IsSentOnceAndAgainWhileAsserted()
    {
        Route(10, 0x50 | Level, destination: 1);
        _io.SetPin(10, true);
        Assert.Equal(RemoteIrr, Read(0x24) & RemoteIrr);
        Assert.True(_f.IsLevel(1, 0x50));
        Assert.Equal(0x50, _f.Apics[1].AcknowledgeInterrupt());
        _io.SetPin(10, true);
        Assert.Empty(_f.Requested(0x50));
        _f.Write(1, ApicRegister.Eoi, 0);
        Assert.Equal([1], _f.Requested(0x50));
        _f.Apics[1].AcknowledgeInterrupt();
        _io.SetPin(10, false);
        _f.Write(1, ApicRegister.Eoi, 0);
        Assert.Empty(_f.Requested(0x50));
        Assert.Equal(0u, Read(0x24) & RemoteIrr);
    }

    [Fact]
    public void Level_AssertedWhileMasked_ComesWithTheUnmask()
    {
        Route(10, 0x50 | Level | Masked, destination: 1);
        _io.SetPin(10, true);
        Assert.Empty(_f.Requested(0x50));
        Route(10, 0x50 | Level, destination: 1);
        Assert.Equal([1], _f.Requested(0x50));
    }

    [Fact]
    public void EoiSuppression_LeavesRemoteIrrToTheEoiRegister()
    {
        _f.Write(1, ApicRegister.SpuriousVector, 0x11FF);
        Route(10, 0x50 | Level, destination: 1);
        _io.SetPin(10, true);
        _f.Apics[1].AcknowledgeInterrupt();
        _io.SetPin(10, false);
        _f.Write(1, ApicRegister.Eoi, 0);
        Assert.Equal(RemoteIrr, Read(0x24) & RemoteIrr);
        _f.Bus.WriteMmio(new CpuIndex(0), IoApic.DefaultAddress + 0x40, 4, 0x50);
        Assert.Equal(0u, Read(0x24) & RemoteIrr);
    }

    [Fact]
    public void SwitchToEdge_ClearsRemoteIrr()
    {
        Route(10, 0x50 | Level, destination: 1);
        _io.SetPin(10, true);
        _io.SetPin(10, false);
        Route(10, 0x50 | Masked, destination: 1);
        Route(10, 0x50 | Level | Masked, destination: 1);
        Assert.Equal(0u, Read(0x24) & RemoteIrr);
    }

    [Fact]
    public void Level_WithoutATaker_IsRetriedWhenOneIsEnabled()
    {
        _f.Write(1, ApicRegister.SpuriousVector, 0xFF);
        Route(10, 0x50 | Level, destination: 1);
        _io.SetPin(10, true);
        Assert.Equal(0u, Read(0x24) & RemoteIrr);
        _f.Write(1, ApicRegister.SpuriousVector, 0x1FF);
        Assert.Equal([1], _f.Requested(0x50));
    }

    [Fact]
    public void Level_TargetDisabledOnTheWay_IsNotStuck()
    {
        _f.Fabric.Immediate = false;
        Route(10, 0x50 | Level, destination: 1);
        _io.SetPin(10, true);
        _f.Write(1, ApicRegister.SpuriousVector, 0xFF);
        Assert.True(_f.Fabric.DeliverNext(new CpuIndex(1)));
        Assert.Empty(_f.Fabric.Pending);
        Assert.Equal(0u, Read(0x24) & RemoteIrr);
        _f.Write(1, ApicRegister.SpuriousVector, 0x1FF);
        Assert.Single(_f.Fabric.Pending);
    }

    [Fact]
    public void IllegalVector_IsAnErrorAtTheReceiver()
    {
        Route(5, 0x05, destination: 2);
        _io.SetPin(5, true);
        Assert.Equal(ApicErrors.ReceiveIllegalVector, _f.Errors(2));
    }

    [Theory]
    [InlineData(2u, 1)]
    [InlineData(3u, 1)]
    [InlineData(4u, 0)]
    [InlineData(5u, 0)]
    [InlineData(6u, 1)]
    [InlineData(7u, 1)]
    public void OtherModes_PostOrAreReported(uint mode, int reports)
    {
        Route(5, mode << 8, destination: 2);
        _io.SetPin(5, true);
        Assert.Equal(mode == 4 ? Mail.Nmi : mode == 5 ? Mail.Init : Mail.None, _f.Cpus[2].Mailbox);
        Assert.Equal(reports, _f.Reports.Count);
    }

    [Fact]
    public void IsaIrqs_EachLine_ReachesBothControllers()
    {
        Pic8259Pair pic = PinTests.Initialised(_f);
        var irqs = new IsaIrqs(pic, _io);
        Route(2, 0x70, destination: 1);
        Route(4, 0x74, destination: 1);
        irqs.Line(0).Set(true);
        irqs.Line(4).Set(true);
        Assert.Equal([1], _f.Requested(0x70));
        Assert.Equal([1], _f.Requested(0x74));
        Assert.Equal(0x20, pic.Acknowledge());
    }

    private uint Read(uint index)
    {
        _f.Bus.WriteMmio(new CpuIndex(0), IoApic.DefaultAddress, 4, index);
        return (uint)_f.Bus.ReadMmio(new CpuIndex(0), IoApic.DefaultAddress + 0x10, 4);
    }

    private void Write(uint index, uint value)
    {
        _f.Bus.WriteMmio(new CpuIndex(0), IoApic.DefaultAddress, 4, index);
        _f.Bus.WriteMmio(new CpuIndex(0), IoApic.DefaultAddress + 0x10, 4, value);
    }

    private void Route(uint pin, uint low, uint destination)
    {
        Write(0x11 + 2 * pin, destination << 24);
        Write(0x10 + 2 * pin, low);
    }
}
