using Emu.Cpus;
using Emu.Fetch;
using Emu.Interrupts;
using Emu.Memory;
using Xunit;

namespace Emu.Tests.Interrupts;

/// <summary>Every delivery mode, every kind of destination, every shorthand.</summary>
public sealed class IpiTests
{
    private const uint Logical = 0x800;
    private const uint LevelAssert = 0x4000;
    private const uint TriggerLevel = 0x8000;

    public static TheoryData<DeliveryMode, bool, bool, Shorthand> Everything()
    {
        var data = new TheoryData<DeliveryMode, bool, bool, Shorthand>();
        foreach (DeliveryMode mode in Enum.GetValues<DeliveryMode>())
            foreach (bool x2 in new[] { false, true })
                foreach (bool logical in new[] { false, true })
                    foreach (Shorthand shorthand in Enum.GetValues<Shorthand>())
                        data.Add(mode, x2, logical, shorthand);
        return data;
    }

    [Theory]
    [MemberData(nameof(Everything))]
    public void Icr_ModeDestinationShorthand_ReachesExactlyTheRightCpus(DeliveryMode mode, bool x2, bool logical, Shorthand shorthand)
    {
        const byte Vector = 0x9A;
        const int Sender = 1;
        using ApicFixture f = x2 ? new ApicFixture(4).EnableX2() : new ApicFixture(4).Enable();
        for (int i = 0; !x2 && i < 4; i++)
            f.Write(i, ApicRegister.LogicalDestination, 1u << (24 + i));
        // Without shorthand: physically CPU 2; logically CPUs 2 and 3.
        uint destination = logical ? 0b1100u : 2;
        uint command = Vector | ((uint)mode << 8) | (logical ? Logical : 0) | LevelAssert | ((uint)shorthand << 18);
        f.EmptyMailboxes();
        for (int i = 0; i < 4; i++)
            f.SetActivity(i, Activity.WaitForSipi);
        if (x2)
            f.WriteMsr(Sender, ApicRegister.IcrLow, command | ((ulong)destination << 32));
        else
            f.Send(Sender, command, (byte)destination);

        int[] addressed = shorthand switch
        {
            Shorthand.Self => [Sender],
            Shorthand.AllIncludingSelf => [0, 1, 2, 3],
            Shorthand.AllExcludingSelf => [0, 2, 3],
            _ => logical ? [2, 3] : [2],
        };
        // SDM, "Valid Combinations for the Pentium 4 and Intel Xeon Processors' Local xAPIC Interrupt Command Register".
        bool valid = mode != DeliveryMode.Reserved && (mode == DeliveryMode.Fixed || shorthand is Shorthand.None or Shorthand.AllExcludingSelf);
        if (!valid)
            addressed = [];
        Assert.Equal(mode == DeliveryMode.Fixed ? addressed : mode == DeliveryMode.LowestPriority ? [.. addressed.Take(1)] : [], f.Requested(Vector));
        Assert.Equal(mode == DeliveryMode.Nmi ? addressed : [], f.With(Mail.Nmi));
        Assert.Equal(mode == DeliveryMode.Init ? addressed : [], f.With(Mail.Init));
        Assert.Equal(mode == DeliveryMode.StartUp ? addressed : [], f.With(Mail.Sipi));
        if (mode == DeliveryMode.StartUp)
            Assert.All(addressed, i => Assert.Equal(Vector, f.Cpus[i].SipiVector));
        int reports = !valid ? 1 : mode is DeliveryMode.Smi or DeliveryMode.ExtInt ? addressed.Length : 0;
        Assert.Equal(reports, f.Reports.Count);
    }

    [Fact]
    public void Icr_ReadBack_ShowsTheCommandAndIdle()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        f.Fabric.Immediate = false;
        f.Send(0, 0x0004_48F3 | 0x1000, destination: 7);
        Assert.Equal(0x0004_48F3u, f.Read(0, ApicRegister.IcrLow));
        Assert.Equal(0x0700_0000u, f.Read(0, ApicRegister.IcrHigh));
    }

    [Fact]
    public void InitLevelDeassert_IsNoInit()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        f.Send(0, 0x500 | TriggerLevel, destination: 1);
        Assert.Empty(f.With(Mail.Init));
        f.Send(0, 0x500 | TriggerLevel | LevelAssert, destination: 1);
        Assert.Equal([1], f.With(Mail.Init));
    }

    [Fact]
    public void Sipi_WhenTheCpuRuns_IsLost()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        f.SetActivity(1, Activity.Active);
        f.Send(0, 0x608, destination: 1);
        Assert.Empty(f.With(Mail.Sipi));
    }

    [Fact]
    public void InitSipiSipi_BeforeTheCpuLooks_StartsOnceAtTheFirstVector()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        f.SetActivity(1, Activity.Active);
        f.Send(0, 0x500 | LevelAssert, destination: 1);
        f.Send(0, 0x608, destination: 1);
        f.Send(0, 0x609, destination: 1);
        Assert.Equal(Mail.Init | Mail.Sipi, f.Cpus[1].Mailbox);
        Assert.Equal(8, f.Cpus[1].SipiVector);
        // A further INIT starts over: the SIPI before it is void.
        f.Send(0, 0x500 | LevelAssert, destination: 1);
        Assert.Equal(Mail.Init, f.Cpus[1].Mailbox);
    }

    [Theory]
    [InlineData(0x01, new[] { 0 })]
    [InlineData(0x06, new[] { 1, 2 })]
    [InlineData(0x80, new int[0])]
    [InlineData(0xFF, new[] { 0, 1, 2, 3 })]
    public void LogicalFlat_Destination_MatchesAnyCommonBit(byte destination, int[] expected)
    {
        using ApicFixture f = new ApicFixture(4).Enable();
        for (int i = 0; i < 4; i++)
            f.Write(i, ApicRegister.LogicalDestination, 1u << (24 + i));
        f.Send(0, 0x55 | Logical, destination);
        Assert.Equal(expected, f.Requested(0x55));
    }

    [Theory]
    [InlineData(0x11, new[] { 0 })]
    [InlineData(0x13, new[] { 0, 1 })]
    [InlineData(0x23, new[] { 2, 3 })]
    [InlineData(0x33, new int[0])]
    [InlineData(0xFF, new[] { 0, 1, 2, 3 })]
    public void LogicalCluster_Destination_MatchesClusterAndBit(byte destination, int[] expected)
    {
        using ApicFixture f = new ApicFixture(4).Enable();
        for (int i = 0; i < 4; i++)
        {
            f.Write(i, ApicRegister.DestinationFormat, 0);
            Assert.Equal(0x0FFF_FFFFu, f.Read(i, ApicRegister.DestinationFormat));
            f.Write(i, ApicRegister.LogicalDestination, (uint)(((i / 2 + 1) << 4) | (1 << (i % 2))) << 24);
        }
        f.Send(0, 0x55 | Logical, destination);
        Assert.Equal(expected, f.Requested(0x55));
    }

    [Fact]
    public void X2Logical_Of64Cpus_IsDerivedFromTheIdAndAddressesClusters()
    {
        using ApicFixture f = new ApicFixture(64).EnableX2();
        for (int i = 0; i < 64; i++)
            Assert.Equal(((ulong)i >> 4 << 16) | (1UL << (i & 15)), f.ReadMsr(i, ApicRegister.LogicalDestination));
        f.WriteMsr(5, ApicRegister.IcrLow, 0x40 | Logical | (0x0002_8001UL << 32));
        Assert.Equal([32, 47], f.Requested(0x40));
        f.WriteMsr(5, ApicRegister.IcrLow, 0x41 | (63UL << 32));
        Assert.Equal([63], f.Requested(0x41));
        f.WriteMsr(5, ApicRegister.IcrLow, 0x42 | (0xFFFF_FFFFUL << 32));
        Assert.Equal(Enumerable.Range(0, 64), f.Requested(0x42));
        f.WriteMsr(5, ApicRegister.IcrLow, 0xC_0043);
        Assert.Equal(Enumerable.Range(0, 64).Where(i => i != 5), f.Requested(0x43));
    }

    [Fact]
    public void XApicPhysical_Of64Cpus_ReachesEachAndBroadcast()
    {
        using ApicFixture f = new ApicFixture(64).Enable();
        for (int i = 0; i < 64; i++)
        {
            f.Send(0, (uint)(0x20 + i), (byte)i);
            Assert.Equal([i], f.Requested((byte)(0x20 + i)));
        }
        f.Send(63, 0xF0, 0xFF);
        Assert.Equal(64, f.Requested(0xF0).Length);
    }

    [Fact]
    public void LowestPriority_GoesToTheLeastBusyAndAmongEqualsToTheFirst()
    {
        using ApicFixture f = new ApicFixture(4).Enable();
        for (int i = 0; i < 4; i++)
            f.Write(i, ApicRegister.LogicalDestination, 1u << (24 + i));
        f.Write(0, ApicRegister.TaskPriority, 0x40);
        f.Write(1, ApicRegister.TaskPriority, 0x20);
        f.Write(2, ApicRegister.TaskPriority, 0x10);
        f.Write(3, ApicRegister.TaskPriority, 0x10);
        f.Send(0, 0x61 | 0x100 | Logical, 0x0F);
        Assert.Equal([2], f.Requested(0x61));
        // Its request now weighs more than CPU 3's task.
        f.Send(0, 0x62 | 0x100 | Logical, 0x0F);
        Assert.Equal([3], f.Requested(0x62));
        f.Write(1, ApicRegister.SpuriousVector, 0xFF);
        f.Send(0, 0x63 | 0x100 | Logical, 0x02);
        Assert.Empty(f.Requested(0x63));
    }

    [Fact]
    public void SelfIpiMsr_SetsTheOwnIrr()
    {
        using ApicFixture f = new ApicFixture(2).EnableX2();
        f.WriteMsr(1, ApicRegister.SelfIpi, 0x80);
        Assert.Equal([1], f.Requested(0x80));
        Assert.False(f.Apics[1].TryReadMsr(ApicFixture.Msr(ApicRegister.SelfIpi), out _));
    }

    [Fact]
    public void GloballyDisabledApic_TakesNothing()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        f.SetBase(1, 0);
        f.Send(0, 0x44, destination: 0xFF);
        f.Send(0, 0x400, destination: 1);
        Assert.Equal(Mail.None, f.Cpus[1].Mailbox);
        Assert.False(f.Apics[1].HasInterrupt);
    }

    [Fact]
    public void Fabric_NotImmediate_HoldsMessagesUntilDelivered()
    {
        using ApicFixture f = new ApicFixture(3).Enable();
        f.Fabric.Immediate = false;
        f.Send(0, 0xC_0051);
        f.Send(1, 0x52, destination: 2);
        Assert.Equal([(0, 1, 0x51), (0, 2, 0x51), (1, 2, 0x52)], f.Fabric.Pending.Select(m => (m.Source.Value, m.Target.Value, (int)m.Vector)));
        Assert.Empty(f.Requested(0x51));

        Assert.True(f.Fabric.Deliver(f.Fabric.Pending[2]));
        Assert.Equal([2], f.Requested(0x52));
        Assert.True(f.Fabric.DeliverNext(new CpuIndex(2)));
        Assert.False(f.Fabric.DeliverNext(new CpuIndex(2)));
        Assert.Equal([2], f.Requested(0x51));
        f.Fabric.Immediate = true;
        Assert.Equal([1, 2], f.Requested(0x51));
        Assert.Empty(f.Fabric.Pending);
    }

    [Fact]
    public void Fabric_OneSenderAndTarget_StaysInOrder()
    {
        using ApicFixture f = new ApicFixture(3).Enable();
        f.Fabric.Immediate = false;
        f.Send(0, 0x51, destination: 1);
        f.Send(0, 0x52, destination: 1);
        f.Send(0, 0x53, destination: 2);
        InterruptMessage second = f.Fabric.Pending[1];
        Assert.False(f.Fabric.IsDeliverable(second));
        Assert.False(f.Fabric.Deliver(second));
        Assert.True(f.Fabric.IsDeliverable(f.Fabric.Pending[2]));
        Assert.True(f.Fabric.Deliver(f.Fabric.Pending[0]));
        Assert.True(f.Fabric.Deliver(second));
        Assert.False(f.Fabric.Deliver(second));
    }

    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public void X2ApicIcr_DrainsTheStoreBuffer_OnlyWhenTheProfileSaysSo(bool waits, int left)
    {
        FetchProfile profile = FetchProfiles.Coherent with { StoreBuffer = 4, X2apicIcrWaits = waits };
        using ApicFixture f = new ApicFixture(2, profile: profile).EnableX2();
        f.Cpus[0].StoreBuffer.Add(0x1000, 0x1000, 1, 0xCC);
        f.WriteMsr(0, ApicRegister.TaskPriority, 0);
        Assert.Equal(1, f.Cpus[0].StoreBuffer.Count);
        f.WriteMsr(0, ApicRegister.IcrLow, 0x40 | (1UL << 32));
        Assert.Equal(left, f.Cpus[0].StoreBuffer.Count);
        Assert.Equal([1], f.Requested(0x40));
    }
}
