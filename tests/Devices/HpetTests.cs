using Emu.Devices;
using Emu.Interrupts;
using Emu.Tests.Interrupts;
using Xunit;

namespace Emu.Tests.Devices;

/// <summary>Clocks of the main counter are 10 ticks.</summary>
public sealed class HpetTests : IDisposable
{
    private const ulong At = Hpet.DefaultAddress;
    private const ulong Capabilities = At;
    private const ulong General = At + 0x10;
    private const ulong Status = At + 0x20;
    private const ulong Counter = At + 0xF0;
    private const uint Level = 1 << 1;
    private const uint Enabled = 1 << 2;
    private const uint Periodic = 1 << 3;
    private const uint SetValue = 1 << 6;
    private const uint Bits32 = 1 << 8;

    private readonly ApicFixture _apics = new ApicFixture().Enable();
    private readonly RecordingLine _irq0 = new();
    private readonly RecordingLine _irq8 = new();
    private readonly IoApic _ioApic;
    private readonly Hpet _hpet;

    public HpetTests()
    {
        _ioApic = new IoApic(_apics.Fabric);
        _apics.Bus.AttachMmio(IoApic.DefaultAddress, IoApic.Length, _ioApic);
        _hpet = new Hpet(_apics.Time, _ioApic, _irq0, _irq8);
        _hpet.AttachTo(_apics.Bus);
    }

    public void Dispose() => _apics.Dispose();

    [Fact]
    public void Capabilities_TellWhatIsThere()
    {
        // 10 ns, Intel, legacy replacement, 64 bits, three timers, revision 1.
        Assert.Equal(0x0098_9680_8086_A201UL, Read(Capabilities, 8));
        Assert.Equal(0x0098_9680UL, Read(Capabilities + 4));
        Assert.Equal(0x00F0_0000_0000_0030UL, Read(Timer(2), 8));
        Assert.Equal(ulong.MaxValue, Read(Timer(1) + 8, 8));
        Assert.Equal(0UL, Read(At + 0x160, 8));
        Write(Capabilities, 0xFFFF_FFFF);
        Assert.Equal(0x8086_A201UL, Read(Capabilities));
    }

    [Fact]
    public void Counter_RunsWhileEnabled_AndIsWrittenByHalves()
    {
        Assert.Equal(0UL, Read(Counter, 8));
        _apics.Time.Now = 1000;
        Assert.Equal(0UL, Read(Counter, 8));
        Write(General, 1);
        _apics.Time.Now = 2000;
        Assert.Equal(100UL, Read(Counter, 8));
        Write(General, 0);
        _apics.Time.Now = 9000;
        Assert.Equal(100UL, Read(Counter, 8));
        Write(Counter, 0xFFFF_FFF0);
        Write(Counter + 4, 7);
        Write(General, 1);
        _apics.Time.Now += 320;
        Assert.Equal(0x8_0000_0010UL, Read(Counter, 8));
        Assert.Equal(8UL, Read(Counter + 4));
        // Narrow stores are undefined: ignored here.
        Write(Counter, 0xAA, 1);
        Assert.Equal(0x8_0000_0010UL, Read(Counter, 8));
    }

    [Fact]
    public void OneShot_RoutedToTheIoApic_FiresOnceAtTheMatch()
    {
        Unmask(20, 0x40);
        Write(Timer(2), Enabled | 20 << 9);
        Write(Timer(2) + 8, 500, 8);
        Write(General, 1);
        Assert.Equal(5000UL, _hpet.NextEvent);
        _apics.Time.RunTo(4999, _hpet);
        Assert.False(_apics.IsRequested(0, 0x40));
        _apics.Time.RunTo(5000, _hpet);
        Assert.True(_apics.IsRequested(0, 0x40));
        Assert.Equal(ulong.MaxValue, _hpet.NextEvent);
        // Edge-triggered timers have no status.
        Assert.Equal(0UL, Read(Status));
    }

    [Fact]
    public void OneShotOf32Bits_ComesAgainWhenTheLowHalfDoes()
    {
        Write(Timer(0), Enabled | Bits32);
        Write(Timer(0) + 8, 500, 8);
        Write(General, 1);
        _apics.Time.RunTo(5000, _hpet);
        Assert.Equal(10 * (500UL + (1UL << 32)), _hpet.NextEvent);
        // The upper half is not there.
        Assert.Equal(500UL, Read(Timer(0) + 8, 8));
    }

    [Fact]
    public void Periodic_AsLinuxProgramsIt_ComesEveryPeriod()
    {
        // hpet_set_periodic: stop nothing, VAL_SET, the first match, then the period.
        Write(General, 3);
        _apics.Time.Now = 1000;
        Write(Timer(0), Enabled | Periodic | SetValue | Bits32);
        Write(Timer(0) + 8, 100 + 40);
        Write(Timer(0) + 8, 40);
        _apics.Time.RunTo(1399, _hpet);
        Assert.Equal(0, _irq0.Rises);
        for (int i = 1; i <= 25; i++)
        {
            _apics.Time.RunTo(1000 + 400 * (ulong)i, _hpet);
            Assert.Equal(i, _irq0.Rises);
        }
        Assert.Equal(100 + 26 * 40UL, Read(Timer(0) + 8));
        Assert.Equal(0UL, Read(Timer(0)) & SetValue);
    }

    [Fact]
    public void Periodic_LookedAtLate_IsOneInterruptAndKeepsItsPhase()
    {
        Write(General, 3);
        Write(Timer(0), Enabled | Periodic | SetValue);
        Write(Timer(0) + 8, 100, 8);
        _apics.Time.Now = 3500;
        _hpet.Advance(3500);
        Assert.Equal(1, _irq0.Rises);
        Assert.Equal(4000UL, _hpet.NextEvent);
        Assert.Equal(400UL, Read(Timer(0) + 8));
    }

    [Fact]
    public void Level_HoldsItsInput_UntilTheStatusIsCleared()
    {
        Unmask(21, 0x41, level: true);
        Write(Timer(1), Enabled | Level | 21 << 9);
        Write(Timer(1) + 8, 50, 8);
        Write(General, 1);
        _apics.Time.RunTo(500, _hpet);
        Assert.Equal(2UL, Read(Status));
        Assert.True(_apics.IsRequested(0, 0x41));
        _apics.Apics[0].AcknowledgeInterrupt();
        _apics.Write(0, ApicRegister.Eoi, 0);
        // Still asserted: it comes again.
        Assert.True(_apics.IsRequested(0, 0x41));
        _apics.Apics[0].AcknowledgeInterrupt();
        Write(Status, 2);
        _apics.Write(0, ApicRegister.Eoi, 0);
        Assert.False(_apics.IsRequested(0, 0x41));
        Assert.Equal(0UL, Read(Status));
    }

    [Fact]
    public void Route_NotAmongTheCapabilities_ReadsBackAsZero()
    {
        Write(Timer(0), Enabled | 5 << 9);
        Assert.Equal(0UL, Read(Timer(0)) & (31 << 9));
        Write(Timer(0), Enabled | 23 << 9);
        Assert.Equal(23UL << 9, Read(Timer(0)) & (31 << 9));
        // FSB delivery is absent: its bits stay 0.
        Write(Timer(0), 0xC000);
        Assert.Equal(0UL, Read(Timer(0)) & 0xC000);
    }

    [Fact]
    public void LegacyReplacement_DisconnectsThePitAndTheRtc()
    {
        _hpet.PitLine.Set(true);
        Assert.True(_irq0.Asserted);
        Write(General, 3);
        Assert.False(_irq0.Asserted);
        _hpet.PitLine.Set(false);
        _hpet.PitLine.Set(true);
        _hpet.RtcLine.Set(true);
        Assert.Equal((1, 0), (_irq0.Rises, _irq8.Rises));
        Write(Timer(1), Enabled);
        Write(Timer(1) + 8, Read(Counter) + 10, 8);
        _apics.Time.RunTo(1000, _hpet);
        Assert.Equal(1, _irq8.Rises);
        // Back: what the old devices hold asserted gets through again.
        Write(General, 1);
        Assert.Equal((true, true), (_irq0.Asserted, _irq8.Asserted));
    }

    private static ulong Timer(int n) => At + 0x100 + 0x20 * (ulong)n;

    private ulong Read(ulong address, int size = 4) => _apics.Bus.ReadMmio(new Emu.Memory.CpuIndex(0), address, size);

    private void Write(ulong address, ulong value, int size = 4) => _apics.Bus.WriteMmio(new Emu.Memory.CpuIndex(0), address, size, value);

    private void Unmask(int pin, uint vector, bool level = false)
    {
        Write(IoApic.DefaultAddress, (uint)(0x10 + 2 * pin));
        Write(IoApic.DefaultAddress + 0x10, vector | (level ? 1u << 15 : 0));
    }
}
