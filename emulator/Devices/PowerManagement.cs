using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// ACPI fixed hardware (ACPI specification, "Fixed Hardware Features" and "ACPI Register Model"): the power-management timer, and the PM1 event and
/// control block with power button and soft-off. The machine is in ACPI mode from the start, so that there is no SMI command port.
/// Absent: sleeping states other than S5, general-purpose events, bus-master status, wake-up.
/// </summary>
public sealed class PowerManagement : IPortDevice, ITimed, ISnapshotted
{
    /// <summary>PM1a_EVT_BLK: status at +0, enable at +2.</summary>
    public const ushort EventPort = 0x600;

    /// <summary>PM1a_CNT_BLK.</summary>
    public const ushort ControlPort = 0x604;

    /// <summary>PM_TMR_BLK: 24 bits.</summary>
    public const ushort TimerPort = 0x608;

    /// <summary>The ISA line of the SCI: level-triggered.</summary>
    public const int SciIrq = 9;

    /// <summary>What _S5 names: SLP_TYP of soft-off, as in the ICH.</summary>
    public const byte SoftOff = 7;

    private const ushort EnablePort = EventPort + 2;
    private const int TimerBits = 24;

    private static readonly BitField s_timer = new("TMR_STS, TMR_EN", 0);
    private static readonly BitField s_busMaster = new("BM_STS", 4, 4, RegisterAccess.Read, "no bus master is watched");
    private static readonly BitField s_global = new("GBL_STS, GBL_EN", 5, 5, RegisterAccess.ReadWrite, "there is no firmware to release the global lock");
    private static readonly BitField s_powerButton = new("PWRBTN_STS, PWRBTN_EN", 8);
    private static readonly BitField s_sleepButton = new("SLPBTN_STS, SLPBTN_EN", 9, 9, RegisterAccess.ReadWrite, "there is no sleep button");
    private static readonly BitField s_rtc = new("RTC_STS, RTC_EN", 10, 10, RegisterAccess.ReadWrite, "the alarm wakes nobody: it is IRQ 8");
    private static readonly BitField s_wake = new("WAK_STS", 15, 15, RegisterAccess.Read, "nothing sleeps");

    /// <summary>Writing 1 to a status bit clears it.</summary>
    private static readonly RegisterLayout s_status = new(0, "PM1_STS", RegisterAccess.ReadWrite, s_timer, s_busMaster, s_global, s_powerButton, s_sleepButton, s_rtc, s_wake);
    private static readonly RegisterLayout s_enable = new(2, "PM1_EN", RegisterAccess.ReadWrite, s_timer, s_global, s_powerButton, s_sleepButton, s_rtc);

    private static readonly BitField s_sciEnable = new("SCI_EN", 0, 0, RegisterAccess.Read);
    private static readonly BitField s_busMasterReload = new("BM_RLD", 1, 1, RegisterAccess.ReadWrite, "there are no C3 states");
    private static readonly BitField s_sleepType = new("SLP_TYP", 12, 10);
    private static readonly BitField s_sleepEnable = new("SLP_EN", 13, 13, RegisterAccess.Write);
    private static readonly RegisterLayout s_control = new(4, "PM1_CNT", RegisterAccess.ReadWrite, s_sciEnable, s_busMasterReload, s_sleepType);

    private readonly ITimeline _time;
    private readonly IIrqLine _sci;
    private readonly Action _powerOff;
    private readonly Action<string> _report;

    /// <summary>PM1_STS but for TMR_STS, which follows from the time.</summary>
    private ushort _stored;
    private ushort _enabled;
    private ushort _controlled;

    /// <summary>How often bit 23 of the timer had changed when TMR_STS was last cleared.</summary>
    private ulong _changesSeen;
    private bool _asserted;

    /// <param name="powerOff">Called when the guest goes to S5.</param>
    /// <param name="report">Told of a sleeping state that is not modelled.</param>
    public PowerManagement(ITimeline time, IIrqLine sci, Action powerOff, Action<string> report)
    {
        _time = time;
        _sci = sci;
        _powerOff = powerOff;
        _report = report;
    }

    /// <summary>The first change of the timer's bit 23 that nobody has cleared, where it would raise the SCI.</summary>
    public ulong NextEvent =>
        s_timer.IsSet(_enabled) && !_asserted ? DeviceClock.PowerManagement.TickOf((_changesSeen + 1) << (TimerBits - 1)) : ulong.MaxValue;

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(EventPort, 6, this, width: 2);
        bus.AttachPorts(TimerPort, 4, this, width: 4);
    }

    /// <summary>Somebody presses the power button.</summary>
    public void PressPowerButton()
    {
        _stored |= (ushort)s_powerButton.Mask;
        Update();
    }

    /// <inheritdoc/>
    public void Advance(ulong now) => Update();

    public uint Read(ushort port, int size)
    {
        int within = port >= TimerPort ? port - TimerPort : port & 1;
        uint register = (uint)(port - within) switch
        {
            EventPort => Status(_time.Now),
            EnablePort => _enabled,
            ControlPort => s_sciEnable.With(_controlled, 1),
            _ => (uint)DeviceClock.PowerManagement.ClocksAt(_time.Now) & ((1u << TimerBits) - 1),
        };
        return register >> (8 * within);
    }

    public void Write(ushort port, int size, uint value)
    {
        int within = port & 1;
        ushort mask = (ushort)((size >= 2 ? 0xFFFFu : 0xFFu) << (8 * within));
        ushort written = (ushort)(value << (8 * within));
        switch (port - within)
        {
            case EventPort:
                uint cleared = (uint)(written & mask) & s_status.Writable;
                _stored &= (ushort)~cleared;
                if (s_timer.IsSet(cleared))
                    _changesSeen = Changes(_time.Now);
                break;
            case EnablePort:
                _enabled = (ushort)s_enable.Merge(0, ((uint)_enabled & ~(uint)mask) | ((uint)written & mask));
                break;
            case ControlPort:
                uint control = (_controlled & ~(uint)mask) | ((uint)written & mask);
                _controlled = (ushort)s_control.Merge(0, control);
                if (s_sleepEnable.IsSet(control))
                    Sleep((byte)s_sleepType.Of(control));
                break;
        }
        Update();
        _time.EventMoved();
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_stored);
        writer.Write(_enabled);
        writer.Write(_controlled);
        writer.Write(_changesSeen);
        writer.Write(_asserted);
    }

    public void Restore(BinaryReader reader)
    {
        _stored = reader.ReadUInt16();
        _enabled = reader.ReadUInt16();
        _controlled = reader.ReadUInt16();
        _changesSeen = reader.ReadUInt64();
        _asserted = reader.ReadBoolean();
    }

    private static ulong Changes(ulong now) => DeviceClock.PowerManagement.ClocksAt(now) >> (TimerBits - 1);

    private bool TimerStatus(ulong now) => Changes(now) != _changesSeen;

    private uint Status(ulong now) => s_timer.With(_stored, TimerStatus(now) ? 1u : 0);

    private void Sleep(byte type)
    {
        if (type == SoftOff)
            _powerOff();
        else
            _report($"the guest asked for a sleeping state (SLP_TYP {type}) that is not modelled; only soft-off, SLP_TYP {SoftOff}, is");
    }

    private void Update()
    {
        bool asserted = (Status(_time.Now) & _enabled) != 0;
        if (asserted == _asserted)
            return;
        _asserted = asserted;
        _sci.Set(asserted);
    }
}
