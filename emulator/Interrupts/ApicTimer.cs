namespace Emu.Interrupts;

/// <summary>Values of <see cref="Lvt.TimerMode"/>.</summary>
internal enum ApicTimerMode
{
    OneShot = 0,
    Periodic = 1,
    TscDeadline = 2,
    Reserved = 3,
}

/// <summary>
/// The local APIC's counter (SDM, "APIC Timer"). It is not stepped: the count follows from the tick at which it was started. The input clock
/// is 1 GHz, so the counter goes down by one every <see cref="Divider"/> ticks.
/// </summary>
internal sealed class ApicTimer
{
    /// <summary>The tick at which the count was <see cref="_startCount"/>.</summary>
    private ulong _start;
    private uint _startCount;

    /// <summary>Deadline in ticks of the machine, and the TSC offset that it was computed with.</summary>
    private ulong _deadlineTick;
    private ulong _deadlineOffset;

    public ApicTimerMode Mode { get; private set; }
    public uint InitialCount { get; private set; }

    /// <summary>The divide configuration register.</summary>
    public uint DivideConfiguration { get; private set; }

    /// <summary>IA32_TSC_DEADLINE; 0 when disarmed.</summary>
    public ulong Deadline { get; private set; }

    /// <summary>Bits 3, 1 and 0 of the register make 0 to 7: divide by 2, 4, 8, 16, 32, 64, 128, 1.</summary>
    public uint Divider
    {
        get
        {
            uint value = (DivideConfiguration & 3) | ((DivideConfiguration & 8) >> 1);
            return value == 7 ? 1 : 2u << (int)value;
        }
    }

    /// <summary>The tick of the next expiry, or ulong.MaxValue.</summary>
    /// <param name="tscOffset">TSC minus machine time.</param>
    public ulong Expiry(ulong tscOffset, ulong now)
    {
        if (Mode == ApicTimerMode.TscDeadline)
        {
            if (Deadline == 0)
                return ulong.MaxValue;
            // The guest may have written the TSC since the deadline was set.
            if (tscOffset != _deadlineOffset)
                Arm(Deadline, tscOffset, now);
            return _deadlineTick;
        }
        return _startCount == 0 ? ulong.MaxValue : _start + (ulong)_startCount * Divider;
    }

    /// <summary>The current-count register.</summary>
    public uint CurrentCount(ulong now)
    {
        if (Mode == ApicTimerMode.TscDeadline || _startCount == 0)
            return 0;
        ulong elapsed = (now - _start) / Divider;
        if (elapsed < _startCount)
            return _startCount - (uint)elapsed;
        return Mode == ApicTimerMode.Periodic ? InitialCount - (uint)((elapsed - _startCount) % InitialCount) : 0;
    }

    /// <summary>A write to the initial count starts the timer, or stops it with 0; in TSC-deadline mode it is ignored.</summary>
    public void Start(uint count, ulong now)
    {
        if (Mode == ApicTimerMode.TscDeadline)
            return;
        InitialCount = count;
        _startCount = count;
        _start = now;
    }

    /// <summary>The counter goes on from where it is, at the new rate.</summary>
    public void SetDivide(uint value, ulong now)
    {
        uint count = CurrentCount(now);
        DivideConfiguration = value;
        _startCount = count;
        _start = now;
    }

    /// <summary>A change to or from TSC-deadline mode disarms the timer.</summary>
    public void SetMode(ApicTimerMode mode, ulong now)
    {
        if (mode == Mode)
            return;
        uint count = CurrentCount(now);
        if (mode == ApicTimerMode.TscDeadline || Mode == ApicTimerMode.TscDeadline)
        {
            InitialCount = 0;
            Deadline = 0;
            count = 0;
        }
        Mode = mode;
        _startCount = count;
        _start = now;
    }

    /// <summary>WRMSR to IA32_TSC_DEADLINE; 0 disarms; ignored in the other modes.</summary>
    public void SetDeadline(ulong deadline, ulong tscOffset, ulong now)
    {
        if (Mode == ApicTimerMode.TscDeadline)
            Arm(deadline, tscOffset, now);
    }

    /// <summary>Called when the expiry has come; reloads or stops.</summary>
    public void Expire(ulong now)
    {
        switch (Mode)
        {
            case ApicTimerMode.TscDeadline:
                Deadline = 0;
                break;
            case ApicTimerMode.Periodic when InitialCount != 0:
                ulong period = (ulong)InitialCount * Divider;
                _start += (ulong)_startCount * Divider;
                _start += (now - _start) / period * period;
                _startCount = InitialCount;
                break;
            default:
                _startCount = 0;
                break;
        }
    }

    public void Reset()
    {
        Mode = ApicTimerMode.OneShot;
        InitialCount = _startCount = DivideConfiguration = 0;
        Deadline = 0;
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write((int)Mode);
        writer.Write(InitialCount);
        writer.Write(DivideConfiguration);
        writer.Write(_start);
        writer.Write(_startCount);
        writer.Write(Deadline);
        writer.Write(_deadlineTick);
        writer.Write(_deadlineOffset);
    }

    public void Restore(BinaryReader reader)
    {
        Mode = (ApicTimerMode)reader.ReadInt32();
        InitialCount = reader.ReadUInt32();
        DivideConfiguration = reader.ReadUInt32();
        _start = reader.ReadUInt64();
        _startCount = reader.ReadUInt32();
        Deadline = reader.ReadUInt64();
        _deadlineTick = reader.ReadUInt64();
        _deadlineOffset = reader.ReadUInt64();
    }

    private void Arm(ulong deadline, ulong tscOffset, ulong now)
    {
        Deadline = deadline;
        _deadlineOffset = tscOffset;
        ulong tsc = now + tscOffset;
        ulong wait = deadline <= tsc ? 0 : deadline - tsc;
        _deadlineTick = wait > ulong.MaxValue - now ? ulong.MaxValue : now + wait;
    }
}
