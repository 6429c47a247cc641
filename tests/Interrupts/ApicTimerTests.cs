using Emu.Cpus;
using Emu.Interrupts;
using Xunit;

namespace Emu.Tests.Interrupts;

public sealed class ApicTimerTests
{
    private const byte Vector = 0xEC;

    [Theory]
    [InlineData(0b0000u, 2)]
    [InlineData(0b0001u, 4)]
    [InlineData(0b0010u, 8)]
    [InlineData(0b0011u, 16)]
    [InlineData(0b1000u, 32)]
    [InlineData(0b1001u, 64)]
    [InlineData(0b1010u, 128)]
    [InlineData(0b1011u, 1)]
    public void OneShot_Divided_FiresOnceAtCountTimesDivider(uint divide, int divider)
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Time.Now = 1000;
        f.Write(0, ApicRegister.DivideConfiguration, divide);
        f.Write(0, ApicRegister.LvtTimer, Vector);
        f.Write(0, ApicRegister.InitialCount, 50);
        ulong due = 1000 + 50UL * (ulong)divider;
        Assert.Equal(due, f.Apics[0].NextEvent);
        f.Time.Now = 1000 + 20UL * (ulong)divider;
        Assert.Equal(30u, f.Read(0, ApicRegister.CurrentCount));
        f.Time.RunTo(due - 1, f.Apics[0]);
        Assert.False(f.Apics[0].HasInterrupt);
        Assert.Equal(1u, f.Read(0, ApicRegister.CurrentCount));
        f.Time.RunTo(due, f.Apics[0]);
        Assert.Equal(Vector, f.Apics[0].AcknowledgeInterrupt());
        Assert.Equal(0u, f.Read(0, ApicRegister.CurrentCount));
        Assert.Equal(50u, f.Read(0, ApicRegister.InitialCount));
        Assert.Equal(ulong.MaxValue, f.Apics[0].NextEvent);
    }

    [Fact]
    public void Periodic_Fires_EveryPeriodWithoutDrift()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.DivideConfiguration, 0b1011);
        f.Write(0, ApicRegister.LvtTimer, 0x2_0000 | Vector);
        f.Write(0, ApicRegister.InitialCount, 100);
        for (ulong i = 1; i <= 5; i++)
        {
            Assert.Equal(100 * i, f.Apics[0].NextEvent);
            f.Time.RunTo(100 * i + 3, f.Apics[0]);
            Assert.Equal(97u, f.Read(0, ApicRegister.CurrentCount));
            Assert.Equal(Vector, f.Apics[0].AcknowledgeInterrupt());
            f.Write(0, ApicRegister.Eoi, 0);
        }
        f.Write(0, ApicRegister.InitialCount, 0);
        Assert.Equal(ulong.MaxValue, f.Apics[0].NextEvent);
    }

    [Fact]
    public void Periodic_AdvancedLate_FiresOnceAndKeepsItsPhase()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.DivideConfiguration, 0b1011);
        f.Write(0, ApicRegister.LvtTimer, 0x2_0000 | Vector);
        f.Write(0, ApicRegister.InitialCount, 100);
        f.Time.Now = 1_000_050;
        Assert.Equal(50u, f.Read(0, ApicRegister.CurrentCount));
        f.Apics[0].Advance(f.Time.Now);
        Assert.Equal(1_000_100UL, f.Apics[0].NextEvent);
    }

    [Fact]
    public void MaskedTimer_Counts_ButRaisesNothing()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtTimer, 0x1_0000 | Vector);
        f.Write(0, ApicRegister.InitialCount, 10);
        f.Time.RunTo(100, f.Apics[0]);
        Assert.False(f.Apics[0].HasInterrupt);
        Assert.Equal(0u, f.Read(0, ApicRegister.CurrentCount));
    }

    [Fact]
    public void Reprogramming_TellsTheMachine()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.TakeExitRequest(0);
        int moves = f.Time.Moves;
        f.Write(0, ApicRegister.InitialCount, 10);
        Assert.True(f.Time.Moves > moves);
        Assert.True(f.TakeExitRequest(0));
    }

    [Fact]
    public void Divide_ChangedWhileRunning_GoesOnFromTheCount()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.DivideConfiguration, 0b1011);
        f.Write(0, ApicRegister.InitialCount, 100);
        f.Time.Now = 40;
        f.Write(0, ApicRegister.DivideConfiguration, 0b0000);
        Assert.Equal(60u, f.Read(0, ApicRegister.CurrentCount));
        Assert.Equal(160UL, f.Apics[0].NextEvent);
    }

    [Fact]
    public void TscDeadline_WithOffset_FiresWhenTheTscIsThere()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtTimer, 0x4_0000 | Vector);
        f.SetTscOffset(0, 5000);
        f.Time.Now = 100;
        f.Apics[0].TscDeadline = 5400;
        Assert.Equal(5400UL, f.Apics[0].TscDeadline);
        Assert.Equal(400UL, f.Apics[0].NextEvent);
        // A write to the initial count is ignored in this mode, and the count reads 0.
        f.Write(0, ApicRegister.InitialCount, 7);
        Assert.Equal(0u, f.Read(0, ApicRegister.CurrentCount));
        // The guest sets the TSC forward by 200.
        f.SetTscOffset(0, 5200);
        Assert.Equal(200UL, f.Apics[0].NextEvent);
        f.Time.RunTo(200, f.Apics[0]);
        Assert.Equal(Vector, f.Apics[0].AcknowledgeInterrupt());
        Assert.Equal(0UL, f.Apics[0].TscDeadline);
        Assert.Equal(ulong.MaxValue, f.Apics[0].NextEvent);
    }

    [Fact]
    public void TscDeadline_InThePast_IsDueAtOnce()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtTimer, 0x4_0000 | Vector);
        f.Time.Now = 1000;
        f.Apics[0].TscDeadline = 999;
        Assert.Equal(1000UL, f.Apics[0].NextEvent);
    }

    [Fact]
    public void TscDeadline_OtherModeOrModeChange_Disarms()
    {
        using ApicFixture f = new ApicFixture().Enable();
        f.Write(0, ApicRegister.LvtTimer, Vector);
        f.Apics[0].TscDeadline = 999;
        Assert.Equal(0UL, f.Apics[0].TscDeadline);
        f.Write(0, ApicRegister.InitialCount, 50);
        f.Write(0, ApicRegister.LvtTimer, 0x4_0000 | Vector);
        Assert.Equal(ulong.MaxValue, f.Apics[0].NextEvent);
        f.Apics[0].TscDeadline = 999;
        f.Write(0, ApicRegister.LvtTimer, Vector);
        Assert.Equal(0UL, f.Apics[0].TscDeadline);
        Assert.Equal(ulong.MaxValue, f.Apics[0].NextEvent);
    }

    [Fact]
    public void TscDeadlineMode_OnAModelWithout_IsReserved()
    {
        using ApicFixture f = new ApicFixture(1, CpuModels.Pentium3).Enable();
        f.Write(0, ApicRegister.LvtTimer, 0x4_0000 | Vector);
        Assert.Equal(Vector, f.Read(0, ApicRegister.LvtTimer));
    }
}
