using Emu.Devices;
using Emu.Interrupts;
using Emu.Memory;
using Emu.Tests.Interrupts;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Emu.Tests.Devices;

/// <summary>An interrupt line that remembers.</summary>
internal sealed class TestLine : IIrqLine
{
    public bool Asserted { get; private set; }
    public int Edges { get; private set; }

    public void Set(bool asserted)
    {
        if (asserted && !Asserted)
            Edges++;
        Asserted = asserted;
    }
}

public sealed class PitTests
{
    private const ulong Second = 1_000_000_000;

    private readonly TestTimeline _time = new();
    private readonly TestLine _irq = new();
    private readonly Bus _bus = new();
    private readonly Pit8254 _pit;

    public PitTests()
    {
        _pit = new Pit8254(_time, _irq);
        _pit.AttachTo(_bus);
    }

    [Fact]
    public void Mode2_At100Hz_InterruptsExactlyThatOftenForHours()
    {
        // 11932 clocks: 1193182 / 11932 = 99.9985 Hz.
        Program(0, 2, 11932);
        _irq.Set(false);
        int before = _irq.Edges;
        ulong hours = 10 * 3600;
        _time.RunTo(hours * Second, _pit);
        ulong clocks = hours * 1_193_182;
        // The first reload comes one clock later, since the count is loaded by the clock after the write.
        Assert.Equal((clocks - 1) / 11932, (ulong)(_irq.Edges - before));
    }

    [Fact]
    public void Mode0_Countdown_InterruptsOnceAtTheRightTick()
    {
        Program(0, 0, 1000);
        Assert.False(_irq.Asserted);
        // Loaded by the first clock, it reaches zero 1000 clocks later: clock 1001 begins at tick ceil(1001 * 10^9 / 1193182).
        ulong due = (1001 * Second + 1_193_181) / 1_193_182;
        Assert.Equal(due, _pit.NextEvent);
        _time.RunTo(due - 1, _pit);
        Assert.False(_irq.Asserted);
        _time.RunTo(due, _pit);
        Assert.True(_irq.Asserted);
        Assert.Equal(ulong.MaxValue, _pit.NextEvent);
        Assert.True(_time.Moves > 0);
    }

    [Fact]
    public void Clock_AtAnyTick_IsTheExactQuotient() =>
        Prop.ForAll<ulong>(tick =>
        {
            ulong clocks = DeviceClock.Pit.ClocksAt(tick);
            bool exact = clocks == (ulong)((UInt128)tick * 1_193_182 / Second);
            ulong back = DeviceClock.Pit.TickOf(clocks);
            return exact && back <= tick && DeviceClock.Pit.ClocksAt(back) == clocks && (back == 0 || DeviceClock.Pit.ClocksAt(back - 1) < clocks);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Latch_HoldsTheCountUntilBothBytesAreRead()
    {
        Program(0, 2, 0x8000);
        AtClock(0x101);
        Out(0x43, 0x00);
        AtClock(0x202);
        Out(0x43, 0x00);
        Assert.Equal(0x8000 - 0x100, In(0x40) | (In(0x40) << 8));
        Assert.Equal(0x8000 - 0x201, In(0x40) | (In(0x40) << 8));
    }

    [Fact]
    public void ReadBack_OfStatusAndCount_GivesStatusFirst()
    {
        Program(0, 3, 100);
        Out(0x43, 0xC2);
        // Not loaded before the next clock: null count.
        Assert.Equal(0x80 | 0x40 | 0x30 | (3 << 1), In(0x40));
        Assert.Equal(100, In(0x40) | (In(0x40) << 8));
        AtClock(60);
        Out(0x43, 0xC2);
        Assert.Equal(0x30 | (3 << 1), In(0x40));
        // 59 clocks after the load: 9 into the low half, by two from 100.
        Assert.Equal(100 - 2 * 9, In(0x40) | (In(0x40) << 8));
    }

    [Fact]
    public void ReadBack_SeveralCounters_LatchesEach()
    {
        Program(0, 2, 1000);
        Program(2, 0, 2000);
        Out(0x61, 1);
        AtClock(101);
        Out(0x43, 0xC0 | 0x10 | 0x02 | 0x08);
        AtClock(500);
        Assert.Equal(900, In(0x40) | (In(0x40) << 8));
        Assert.Equal(1900, In(0x42) | (In(0x42) << 8), 1.0);
    }

    [Theory]
    [InlineData(1, 0x34, 0x34)]
    [InlineData(2, 0x12, 0x1200)]
    public void SingleByteAccess_LoadsOneHalf(int access, int written, int count)
    {
        Out(0x43, (uint)(access << 4) | 0x4);
        Out(0x40, (uint)written);
        AtClock(2);
        int expected = count - 1;
        Assert.Equal(access == 1 ? expected & 0xFF : expected >> 8, In(0x40));
    }

    [Fact]
    public void Bcd_CountsInDecimal()
    {
        Out(0x43, 0x35);
        Out(0x40, 0x00);
        Out(0x40, 0x10);
        AtClock(2);
        Assert.Equal(0x0999, In(0x40) | (In(0x40) << 8));
    }

    [Fact]
    public void Channel2_CalibrationLoop_SeesTheOutputRiseAfterTheCount()
    {
        // Linux' pit_calibrate_tsc: gate on, speaker off, mode 0, wait for OUT2 at port 0x61.
        Out(0x61, ((uint)In(0x61) & ~0x02u) | 1);
        Out(0x43, 0xB0);
        Out(0x42, 0x9C);
        Out(0x42, 0x2E);
        Assert.Equal(0, In(0x61) & 0x20);
        AtClock(0x2E9C);
        Assert.Equal(0, In(0x61) & 0x20);
        AtClock(0x2E9C + 1);
        Assert.Equal(0x20, In(0x61) & 0x20);
        // Counter 2 has no interrupt and so no event.
        Assert.Equal(ulong.MaxValue, _pit.NextEvent);
    }

    [Fact]
    public void PortB_ReadBack_ShowsGateSpeakerAndATogglingRefresh()
    {
        Out(0x61, 0xFF);
        Assert.Equal(0x0F, In(0x61) & 0x0F);
        var seen = new HashSet<int>();
        for (ulong t = 0; t < 60_000; t += 5000)
        {
            _time.Now = t;
            seen.Add(In(0x61) & 0x10);
        }
        Assert.Equal(2, seen.Count);
    }

    [Fact]
    public void Snapshot_MidCount_GoesOnAlike()
    {
        Program(0, 2, 5000);
        AtClock(1234);
        var stream = new MemoryStream();
        using var w = new BinaryWriter(stream);
        _pit.Save(w);
        var other = new Pit8254(_time, new TestLine());
        stream.Position = 0;
        using var r = new BinaryReader(stream);
        other.Restore(r);
        Assert.Equal(_pit.NextEvent, other.NextEvent);
        Assert.Equal(In(0x40), (int)other.Read(0x40, 1));
    }

    /// <summary>What can happen to a counter between two clocks.</summary>
    private enum Act
    {
        Nothing,
        GateOn,
        GateOff,
        Write,
    }

    [Fact]
    public void Counter_UnderAnyProgram_EqualsTheOneThatIsStepped()
    {
        var act = Gen.Frequency((12, Gen.Constant(Act.Nothing)), (1, Gen.Constant(Act.GateOn)), (1, Gen.Constant(Act.GateOff)), (1, Gen.Constant(Act.Write)));
        var program =
            from mode in Gen.Choose(0, 5)
            from counts in Gen.ArrayOf(Gen.Choose(1, 12), 80)
            from acts in Gen.ArrayOf(act, 80)
            select (mode, counts: counts.Select(c => 2 * c).ToArray(), acts);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(3000), Prop.ForAll(program.ToArbitrary(), p => Agree(p.mode, p.counts, p.acts)));
    }

    private static Property Agree(int mode, int[] counts, Act[] acts)
    {
        var counter = new PitCounter();
        var reference = new PitReference();
        counter.Program(access: 1, mode, bcd: false);
        reference.Program(mode);
        bool gate = true;
        long predicted = long.MaxValue;
        for (int i = 0; i < acts.Length; i++)
        {
            long clock = i;
            bool before = reference.Out;
            if (i > 0)
                reference.Clock();
            if (counter.OutputAt(clock) != reference.Out)
                return false.Label($"mode {mode}, clock {i}: OUT {counter.OutputAt(clock)}, stepped {reference.Out}");
            // OUT changes by itself exactly where it was said to.
            if (i > 0 && (before != reference.Out) != (predicted == clock))
                return false.Label($"mode {mode}, clock {i}: the next change was said to be at {predicted}");
            if (reference.IsLoaded)
            {
                counter.LatchCount(clock);
                int count = counter.Read(clock);
                if (count != (reference.Count & 0xFF))
                    return false.Label($"mode {mode}, clock {i}: count {count}, stepped {reference.Count}");
            }
            switch (acts[i])
            {
                case Act.GateOn or Act.GateOff:
                    gate = acts[i] == Act.GateOn;
                    counter.SetGate(gate, clock);
                    reference.SetGate(gate);
                    break;
                case Act.Write:
                    counter.Write((byte)counts[i], clock);
                    reference.Write(counts[i]);
                    break;
            }
            predicted = counter.NextChange(clock);
        }
        return true.ToProperty();
    }

    private void AtClock(ulong clock) => _time.RunTo(DeviceClock.Pit.TickOf(clock), _pit);

    private void Program(int counter, int mode, int count)
    {
        Out(0x43, (uint)((counter << 6) | 0x30 | (mode << 1)));
        Out((ushort)(0x40 + counter), (uint)count & 0xFF);
        Out((ushort)(0x40 + counter), (uint)count >> 8);
    }

    private void Out(ushort port, uint value) => _bus.WritePort(port, 1, value);

    private int In(ushort port) => (int)_bus.ReadPort(port, 1);
}
