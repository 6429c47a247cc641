using Emu.Cpus;
using Emu.Interrupts;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Emu.Tests.Interrupts;

public sealed class LocalApicPriorityTests
{
    private const uint SelfFixed = 0x4_0000;

    [Fact]
    public void Reset_Registers_HoldWhatTheManualSays()
    {
        using var f = new ApicFixture(2);
        Assert.Equal(0u, f.Read(0, ApicRegister.TaskPriority));
        Assert.Equal(uint.MaxValue, f.Read(0, ApicRegister.DestinationFormat));
        Assert.Equal(0u, f.Read(0, ApicRegister.LogicalDestination));
        Assert.Equal(0xFFu, f.Read(0, ApicRegister.SpuriousVector));
        foreach (int lvt in new[] { ApicRegister.LvtTimer, ApicRegister.LvtLint0, ApicRegister.LvtLint1, ApicRegister.LvtError, ApicRegister.LvtPerformance, ApicRegister.LvtThermal, ApicRegister.LvtCmci })
            Assert.Equal(0x1_0000u, f.Read(0, lvt));
        Assert.Equal(1u << 24, f.Read(1, ApicRegister.Id));
    }

    [Theory]
    [InlineData("pentium3", 0x0004_0011u)]
    [InlineData("k8", 0x0005_0010u)]
    [InlineData("skylake", 0x0106_0015u)]
    [InlineData("alderlake", 0x0106_0015u)]
    public void Version_OfModel_IsItsGeneration(string model, uint expected)
    {
        CpuModel m = new[] { CpuModels.Pentium3, CpuModels.K8, CpuModels.Skylake, CpuModels.AlderLake }.Single(x => x.Name == model);
        using var f = new ApicFixture(1, m);
        Assert.Equal(expected, f.Read(0, ApicRegister.Version));
    }

    [Fact]
    public void Fixed_WhenAccepted_GoesFromIrrToIsrAndEndsWithEoi()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.TakeExitRequest(0);
        f.Send(0, SelfFixed | 0x41);
        Assert.True(f.TakeExitRequest(0));
        Assert.True(f.IsRequested(0, 0x41));
        Assert.True(f.Apics[0].HasInterrupt);
        Assert.Equal(0x41, f.Apics[0].AcknowledgeInterrupt());
        Assert.False(f.IsRequested(0, 0x41));
        Assert.True(f.IsInService(0, 0x41));
        Assert.Equal(0x40u, f.Read(0, ApicRegister.ProcessorPriority));
        f.Write(0, ApicRegister.Eoi, 0);
        Assert.False(f.IsInService(0, 0x41));
        Assert.Equal(0u, f.Read(0, ApicRegister.ProcessorPriority));
    }

    [Fact]
    public void Acknowledge_SeveralRequests_TakesTheHighestFirst()
    {
        using ApicFixture f = new ApicFixture().Enable();
        foreach (uint vector in new uint[] { 0x31, 0xEF, 0x80 })
            f.Send(0, SelfFixed | vector);
        Assert.Equal(0xEF, f.Apics[0].AcknowledgeInterrupt());
        Assert.False(f.Apics[0].HasInterrupt);
        f.Write(0, ApicRegister.Eoi, 0);
        Assert.Equal(0x80, f.Apics[0].AcknowledgeInterrupt());
        f.Send(0, SelfFixed | 0x91);
        Assert.True(f.Apics[0].HasInterrupt);
        Assert.Equal(0x91, f.Apics[0].AcknowledgeInterrupt());
        f.Write(0, ApicRegister.Eoi, 0);
        Assert.True(f.IsInService(0, 0x80));
        Assert.False(f.IsInService(0, 0x91));
    }

    [Fact]
    public void Request_OfTheClassInService_Waits()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Send(0, SelfFixed | 0x50);
        f.Apics[0].AcknowledgeInterrupt();
        f.Send(0, SelfFixed | 0x5F);
        Assert.False(f.Apics[0].HasInterrupt);
        f.Write(0, ApicRegister.Eoi, 0);
        Assert.True(f.Apics[0].HasInterrupt);
    }

    [Fact]
    public void Acknowledge_WhenTheRequestIsMaskedMeanwhile_GivesTheSpuriousVector()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.SpuriousVector, 0x1E7);
        f.Send(0, SelfFixed | 0x41);
        f.Write(0, ApicRegister.TaskPriority, 0x50);
        Assert.False(f.Apics[0].HasInterrupt);
        Assert.Equal(0xE7, f.Apics[0].AcknowledgeInterrupt());
        Assert.False(f.IsInService(0, 0xE7));
        Assert.True(f.IsRequested(0, 0x41));
    }

    [Fact]
    public void Cr8_AndTpr_AreOneRegister()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Apics[0].TaskPriority = 9;
        Assert.Equal(0x90u, f.Read(0, ApicRegister.TaskPriority));
        f.Write(0, ApicRegister.TaskPriority, 0xA7);
        Assert.Equal(0xAUL, f.Apics[0].TaskPriority);
        Assert.Equal(0xA7u, f.Read(0, ApicRegister.ProcessorPriority));
    }

    [Fact]
    public void Tpr_WhenLowered_MakesTheCpuLook()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.TaskPriority, 0x40);
        f.Send(0, SelfFixed | 0x4F);
        f.TakeExitRequest(0);
        Assert.False(f.Apics[0].HasInterrupt);
        f.Write(0, ApicRegister.TaskPriority, 0x3F);
        Assert.True(f.Apics[0].HasInterrupt);
        Assert.True(f.TakeExitRequest(0));
    }

    [Fact]
    public void Priorities_ForAnyRegisters_FollowTheManual() =>
        Prop.ForAll<byte, byte, byte>((tpr, serviced, requested) =>
        {
            using ApicFixture f = new ApicFixture().Enable();
            if (serviced >= 16)
            {
                f.Send(0, SelfFixed | serviced);
                f.Apics[0].AcknowledgeInterrupt();
            }
            f.Write(0, ApicRegister.TaskPriority, tpr);
            if (requested >= 16)
                f.Send(0, SelfFixed | requested);
            int isrv = serviced >= 16 ? serviced >> 4 : 0;
            int irrv = requested >= 16 ? requested >> 4 : 0;
            int ppr = tpr >> 4 >= isrv ? tpr : isrv << 4;
            int apr = tpr >> 4 >= irrv && tpr >> 4 > isrv ? tpr : Math.Max((tpr >> 4) & isrv, irrv) << 4;
            return f.Read(0, ApicRegister.ProcessorPriority) == ppr
                && f.Read(0, ApicRegister.ArbitrationPriority) == apr
                && f.Apics[0].HasInterrupt == (requested >= 16 && irrv > ppr >> 4);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void SoftwareDisable_MasksTheLvtAndRefusesFixedOnly()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        f.Send(0, 0x41, destination: 1);
        f.Write(1, ApicRegister.LvtError, 0x33);
        f.Write(1, ApicRegister.SpuriousVector, 0xFF);
        Assert.Equal(0x1_0033u, f.Read(1, ApicRegister.LvtError));
        f.Write(1, ApicRegister.LvtError, 0x34);
        Assert.Equal(0x1_0034u, f.Read(1, ApicRegister.LvtError));

        f.Send(0, 0x42, destination: 1);
        Assert.False(f.IsRequested(1, 0x42));
        // What was accepted before stays, and is delivered.
        Assert.True(f.Apics[1].HasInterrupt);
        f.Send(0, 0x400, destination: 1);
        Assert.Equal(Mail.Nmi, f.Cpus[1].Mailbox);
    }

    [Fact]
    public void SpuriousVector_OnP6_EndsInOnes()
    {
        using var f = new ApicFixture(1, CpuModels.Pentium3);
        f.Write(0, ApicRegister.SpuriousVector, 0x120);
        Assert.Equal(0x12Fu, f.Read(0, ApicRegister.SpuriousVector));
    }

    [Fact]
    public void Init_ResetsRegistersButNotTheIdOrTheMode()
    {
        using ApicFixture f = new ApicFixture(2).EnableX2();
        f.WriteMsr(1, ApicRegister.TaskPriority, 0x20);
        f.WriteMsr(1, ApicRegister.SelfIpi, 0x77);
        f.Apics[1].Reset(init: true);
        Assert.Equal(ApicMode.X2Apic, f.Apics[1].Mode);
        Assert.Equal(1UL, f.ReadMsr(1, ApicRegister.Id));
        Assert.Equal(0UL, f.ReadMsr(1, ApicRegister.TaskPriority));
        Assert.Equal(0xFFUL, f.ReadMsr(1, ApicRegister.SpuriousVector));
        Assert.False(f.IsRequested(1, 0x77));
        f.Apics[1].Reset(init: false);
        Assert.Equal(ApicMode.XApic, f.Apics[1].Mode);
    }

    [Fact]
    public void Snapshot_OfABusyApic_RestoresAllOfIt()
    {
        using ApicFixture f = new ApicFixture(2).Enable();
        using ApicFixture g = new ApicFixture(2).Enable();
        f.Send(0, SelfFixed | 0x61);
        f.Apics[0].AcknowledgeInterrupt();
        f.Send(0, SelfFixed | 0x71);
        f.Send(0, SelfFixed | 0x05);
        f.Write(0, ApicRegister.TaskPriority, 0x30);
        f.Write(0, ApicRegister.LogicalDestination, 0x0200_0000);
        f.Write(0, ApicRegister.LvtTimer, 0x2_00EE);
        f.Write(0, ApicRegister.InitialCount, 1000);
        f.Fabric.Immediate = false;
        f.Send(0, 0x81, destination: 1);

        var stream = new MemoryStream();
        using (var w = new BinaryWriter(stream, System.Text.Encoding.UTF8, leaveOpen: true))
        {
            foreach (LocalApic a in f.Apics)
                a.Save(w);
            f.Fabric.Save(w);
        }
        stream.Position = 0;
        using (var r = new BinaryReader(stream))
        {
            foreach (LocalApic a in g.Apics)
                a.Restore(r);
            g.Fabric.Restore(r);
        }
        foreach (ApicRegisterLayout register in ApicRegisters.All.Where(r => r.Layout.Access != RegisterAccess.None))
            Assert.Equal(f.Read(0, register.Layout.Offset), g.Read(0, register.Layout.Offset));
        Assert.Equal(f.Apics[0].NextEvent, g.Apics[0].NextEvent);
        Assert.Equal(f.Apics[0].HasInterrupt, g.Apics[0].HasInterrupt);
        Assert.Equal(f.Fabric.Pending, g.Fabric.Pending);
        Assert.Equal(f.Errors(0), g.Errors(0));
    }
}
