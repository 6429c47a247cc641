using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// High precision event timer (IA-PC HPET specification 1.0a): a 64-bit main counter of 10 ns and three comparators, each periodic or one-shot, 64 or
/// 32 bits wide, routed to I/O APIC inputs 20 to 23, or, two of them, in place of the 8254 and the real-time clock (legacy replacement).
/// Absent: delivery by FSB message (Tn_FSB_INT_DEL_CAP is 0).
/// </summary>
public sealed class Hpet : IMmioDevice, ITimed, ISnapshotted
{
    public const ulong DefaultAddress = 0xFED0_0000;
    public const ulong Length = 0x400;

    /// <summary>Of the main counter, in femtoseconds; the ACPI table repeats GCAP_ID's low half.</summary>
    public const uint Period = 10_000_000;

    /// <summary>The low half of the capabilities register, which the ACPI table repeats as the event timer block's identity.</summary>
    public static uint BlockId => s_revision.With(0, 1) | s_timers.With(0, TimerCount - 1) | s_64Bits.Mask | s_canReplace.Mask | s_vendor.With(0, 0x8086);

    private const int TimerCount = 3;

    private const int Capabilities = 0x000;
    private const int Configuration = 0x010;
    private const int InterruptStatus = 0x020;
    private const int MainCounter = 0x0F0;

    /// <summary>The first of the timers' blocks of 0x20: configuration, comparator, FSB route.</summary>
    private const int FirstTimer = 0x100;

    private static readonly BitField s_revision = new("REV_ID", 7, 0, RegisterAccess.Read);
    private static readonly BitField s_timers = new("NUM_TIM_CAP", 12, 8, RegisterAccess.Read);
    private static readonly BitField s_64Bits = new("COUNT_SIZE_CAP", 13, 13, RegisterAccess.Read);
    private static readonly BitField s_canReplace = new("LEG_RT_CAP", 15, 15, RegisterAccess.Read);
    private static readonly BitField s_vendor = new("VENDOR_ID", 31, 16, RegisterAccess.Read);

    private static readonly BitField s_enable = new("ENABLE_CNF", 0);
    private static readonly BitField s_replace = new("LEG_RT_CNF", 1);
    private static readonly RegisterLayout s_configuration = new(Configuration, "GEN_CONF", RegisterAccess.ReadWrite, s_enable, s_replace);

    private static readonly BitField s_level = new("Tn_INT_TYPE_CNF", 1);
    private static readonly BitField s_interrupt = new("Tn_INT_ENB_CNF", 2);
    private static readonly BitField s_periodic = new("Tn_TYPE_CNF", 3);
    private static readonly BitField s_canRepeat = new("Tn_PER_INT_CAP", 4, 4, RegisterAccess.Read);
    private static readonly BitField s_wide = new("Tn_SIZE_CAP", 5, 5, RegisterAccess.Read);
    private static readonly BitField s_setValue = new("Tn_VAL_SET_CNF", 6);
    private static readonly BitField s_32Bits = new("Tn_32MODE_CNF", 8);
    private static readonly BitField s_route = new("Tn_INT_ROUTE_CNF", 13, 9);
    private static readonly BitField s_fsb = new("Tn_FSB_EN_CNF, Tn_FSB_INT_DEL_CAP", 15, 14, RegisterAccess.Read, "no interrupts by message");
    private static readonly RegisterLayout s_timer = new(FirstTimer, "Tn_CONF (31:0)", RegisterAccess.ReadWrite,
        s_level, s_interrupt, s_periodic, s_canRepeat, s_wide, s_setValue, s_32Bits, s_route, s_fsb);

    /// <summary>Tn_INT_ROUTE_CAP: I/O APIC inputs 20 to 23, as in the ICH.</summary>
    private const uint Routes = 0x00F0_0000;

    private sealed class Timer
    {
        public uint Configuration = s_wide.Mask | s_canRepeat.Mask;

        public ulong Comparator = ulong.MaxValue;

        /// <summary>What is added to the comparator at each match of a periodic timer.</summary>
        public ulong Period;

        /// <summary>The clock, while the counter runs, at which it matches next; ulong.MaxValue when it does not.</summary>
        public ulong MatchAt = ulong.MaxValue;

        /// <summary>The I/O APIC input or the ISA line that it holds asserted.</summary>
        public bool Asserted;

        public ulong Mask => s_32Bits.IsSet(Configuration) ? uint.MaxValue : ulong.MaxValue;
    }

    private readonly ITimeline _time;
    private readonly IoApic _ioApic;
    private readonly LegacyLine[] _legacy;
    private readonly Timer[] _timers = [new(), new(), new()];
    private uint _general;
    private uint _status;

    /// <summary>The counter while it stands; while it runs, its value at clock 0.</summary>
    private ulong _counter;

    /// <param name="irq0">The line that the 8254 shares with timer 0.</param>
    /// <param name="irq8">The line that the real-time clock shares with timer 1.</param>
    public Hpet(ITimeline time, IoApic ioApic, IIrqLine irq0, IIrqLine irq8)
    {
        _time = time;
        _ioApic = ioApic;
        _legacy = [new LegacyLine(irq0), new LegacyLine(irq8)];
    }

    /// <summary>What the 8254 drives: it does not get through while the HPET replaces it.</summary>
    public IIrqLine PitLine => _legacy[0];

    /// <summary>What the real-time clock drives.</summary>
    public IIrqLine RtcLine => _legacy[1];

    /// <inheritdoc/>
    public ulong NextEvent
    {
        get
        {
            if (!s_enable.IsSet(_general))
                return ulong.MaxValue;
            ulong next = ulong.MaxValue;
            foreach (Timer t in _timers)
                next = Math.Min(next, t.MatchAt);
            return next == ulong.MaxValue ? next : DeviceClock.Hpet.TickOf(next);
        }
    }

    private ulong Clock => DeviceClock.Hpet.ClocksAt(_time.Now);

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus) => bus.AttachMmio(DefaultAddress, Length, this);

    /// <inheritdoc/>
    public void Advance(ulong now)
    {
        if (!s_enable.IsSet(_general))
            return;
        ulong clock = DeviceClock.Hpet.ClocksAt(now);
        for (int i = 0; i < TimerCount; i++)
            if (_timers[i].MatchAt <= clock)
                Match(i, clock);
    }

    public ulong Read(CpuIndex cpu, ulong offset, int size)
    {
        Advance(_time.Now);
        ulong register = ReadRegister((int)offset & ~7) >> (8 * ((int)offset & 7));
        return register & (ulong.MaxValue >> (64 - 8 * size));
    }

    public void Write(CpuIndex cpu, ulong offset, int size, ulong value)
    {
        // "Software may use 32-bit or 64-bit accesses": others change nothing.
        if (size < 4 || ((int)offset & (size - 1)) != 0)
            return;
        Advance(_time.Now);
        int at = (int)offset & ~7;
        int shift = 8 * ((int)offset & 7);
        ulong mask = size == 8 ? ulong.MaxValue : (ulong)uint.MaxValue << shift;
        WriteRegister(at, value << shift, mask);
        _time.EventMoved();
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_general);
        writer.Write(_status);
        writer.Write(_counter);
        foreach (Timer t in _timers)
        {
            writer.Write(t.Configuration);
            writer.Write(t.Comparator);
            writer.Write(t.Period);
            writer.Write(t.MatchAt);
            writer.Write(t.Asserted);
        }
        foreach (LegacyLine line in _legacy)
            line.Save(writer);
    }

    public void Restore(BinaryReader reader)
    {
        _general = reader.ReadUInt32();
        _status = reader.ReadUInt32();
        _counter = reader.ReadUInt64();
        foreach (Timer t in _timers)
        {
            t.Configuration = reader.ReadUInt32();
            t.Comparator = reader.ReadUInt64();
            t.Period = reader.ReadUInt64();
            t.MatchAt = reader.ReadUInt64();
            t.Asserted = reader.ReadBoolean();
        }
        foreach (LegacyLine line in _legacy)
            line.Restore(reader);
    }

    private ulong CounterAt(ulong clock) => s_enable.IsSet(_general) ? _counter + clock : _counter;

    private ulong ReadRegister(int offset)
    {
        switch (offset)
        {
            case Capabilities:
                return BlockId | ((ulong)Period << 32);
            case Configuration:
                return _general;
            case InterruptStatus:
                return _status;
            case MainCounter:
                return CounterAt(Clock);
        }
        int n = (offset - FirstTimer) >> 5;
        if (offset < FirstTimer || n >= TimerCount)
            return 0;
        Timer t = _timers[n];
        return (offset & 0x1F) switch
        {
            0x00 => t.Configuration | ((ulong)Routes << 32),
            0x08 => t.Comparator & t.Mask,
            // FSB route: not there.
            _ => 0,
        };
    }

    private void WriteRegister(int offset, ulong value, ulong mask)
    {
        switch (offset)
        {
            case Configuration:
                if ((mask & uint.MaxValue) != 0)
                    WriteGeneral(s_configuration.Merge(0, (uint)value));
                return;
            case InterruptStatus:
                // Written ones clear; edge-triggered timers never set theirs.
                _status &= ~(uint)(value & mask);
                for (int i = 0; i < TimerCount; i++)
                    UpdateLine(i);
                return;
            case MainCounter:
                ulong counter = (CounterAt(Clock) & ~mask) | (value & mask);
                _counter = s_enable.IsSet(_general) ? counter - Clock : counter;
                ArmAll();
                return;
        }
        int n = (offset - FirstTimer) >> 5;
        if (offset < FirstTimer || n >= TimerCount)
            return;
        switch (offset & 0x1F)
        {
            case 0x00 when (mask & uint.MaxValue) != 0:
                WriteTimer(n, (uint)value);
                break;
            case 0x08:
                WriteComparator(_timers[n], value, mask);
                break;
        }
    }

    private void WriteGeneral(uint value)
    {
        ulong clock = Clock;
        ulong counter = CounterAt(clock);
        _general = value;
        _counter = s_enable.IsSet(value) ? counter - clock : counter;
        ArmAll();
        for (int i = 0; i < TimerCount; i++)
            Drive(i, asserted: false);
        foreach (LegacyLine line in _legacy)
            line.SetReplaced(s_replace.IsSet(value));
        for (int i = 0; i < TimerCount; i++)
            UpdateLine(i);
    }

    private void WriteTimer(int n, uint value)
    {
        Timer t = _timers[n];
        Drive(n, asserted: false);
        t.Configuration = s_timer.Merge(t.Configuration, value);
        // A route that is not in the capabilities reads back as 0 (specification, "Timer N Configuration and Capabilities Register").
        if ((Routes >> (int)s_route.Of(t.Configuration) & 1) == 0)
            t.Configuration = s_route.With(t.Configuration, 0);
        Arm(t);
        UpdateLine(n);
    }

    private void WriteComparator(Timer t, ulong value, ulong mask)
    {
        mask &= t.Mask;
        if (!s_periodic.IsSet(t.Configuration) || s_setValue.IsSet(t.Configuration))
            t.Comparator = (t.Comparator & ~mask) | (value & mask);
        if (s_periodic.IsSet(t.Configuration))
            t.Period = (t.Period & ~mask) | (value & mask);
        // The bit clears itself with the half of the comparator that is written last or alone.
        if ((mask & 1) != 0 || mask >> 32 != 0)
            t.Configuration &= ~s_setValue.Mask;
        Arm(t);
    }

    private void ArmAll()
    {
        foreach (Timer t in _timers)
            Arm(t);
    }

    /// <summary>Finds when the counter comes to the comparator: now, if it stands there.</summary>
    private void Arm(Timer t)
    {
        t.MatchAt = ulong.MaxValue;
        if (!s_enable.IsSet(_general))
            return;
        ulong clock = Clock;
        ulong wait = (t.Comparator - CounterAt(clock)) & t.Mask;
        if (wait <= ulong.MaxValue - clock)
            t.MatchAt = clock + wait;
    }

    private void Match(int n, ulong clock)
    {
        Timer t = _timers[n];
        ulong step = s_periodic.IsSet(t.Configuration) ? t.Period & t.Mask : t.Mask == uint.MaxValue ? 1UL << 32 : 0;
        if (step == 0)
        {
            t.MatchAt = ulong.MaxValue;
        }
        else
        {
            // Matches that came while nobody looked are one interrupt, and the phase is kept.
            ulong passed = (clock - t.MatchAt) / step + 1;
            t.MatchAt = passed * step <= ulong.MaxValue - t.MatchAt ? t.MatchAt + passed * step : ulong.MaxValue;
            if (s_periodic.IsSet(t.Configuration))
                t.Comparator = (t.Comparator + passed * step) & t.Mask;
        }
        if (s_level.IsSet(t.Configuration))
        {
            _status |= 1u << n;
            UpdateLine(n);
        }
        else if (s_interrupt.IsSet(t.Configuration))
        {
            Drive(n, asserted: true);
            Drive(n, asserted: false);
        }
    }

    private void UpdateLine(int n)
    {
        Timer t = _timers[n];
        Drive(n, s_level.IsSet(t.Configuration) && s_interrupt.IsSet(t.Configuration) && (_status >> n & 1) != 0);
    }

    private void Drive(int n, bool asserted)
    {
        Timer t = _timers[n];
        if (asserted == t.Asserted)
            return;
        t.Asserted = asserted;
        if (s_replace.IsSet(_general) && n < _legacy.Length)
            _legacy[n].SetReplacement(asserted);
        else if (s_route.Of(t.Configuration) is not 0 and uint pin)
            _ioApic.SetPin((int)pin, asserted);
    }

    /// <summary>IRQ 0 or 8: the old device's, or, with legacy replacement, the HPET's.</summary>
    private sealed class LegacyLine(IIrqLine output) : IIrqLine, ISnapshotted
    {
        private bool _input;
        private bool _replaced;

        public void Set(bool asserted)
        {
            _input = asserted;
            if (!_replaced)
                output.Set(asserted);
        }

        public void SetReplaced(bool replaced)
        {
            if (replaced == _replaced)
                return;
            _replaced = replaced;
            output.Set(!replaced && _input);
        }

        public void SetReplacement(bool asserted) => output.Set(asserted);

        public void Save(BinaryWriter writer)
        {
            writer.Write(_input);
            writer.Write(_replaced);
        }

        public void Restore(BinaryReader reader)
        {
            _input = reader.ReadBoolean();
            _replaced = reader.ReadBoolean();
        }
    }
}
