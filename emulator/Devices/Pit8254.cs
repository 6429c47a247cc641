using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// The PC's interval timer (Intel 8254) and system control port B: counter 0 drives IRQ 0, counter 1 is there but drives nothing (refresh),
/// counter 2 has its gate and its output at port 0x61.
/// </summary>
public sealed class Pit8254 : IPortDevice, ITimed, ISnapshotted
{
    private const ushort FirstCounter = 0x40;
    private const ushort Control = 0x43;
    private const ushort PortB = 0x61;

    private static readonly BitField s_bcd = new("BCD", 0);
    private static readonly BitField s_mode = new("M2-M0", 3, 1);
    private static readonly BitField s_access = new("RW1-RW0", 5, 4);
    private static readonly BitField s_select = new("SC1-SC0", 7, 6);

    /// <summary>Read-back command (select = 3): inverted bits, and one bit for each counter.</summary>
    private static readonly BitField s_noStatus = new("STATUS#", 4);
    private static readonly BitField s_noCount = new("COUNT#", 5);

    private static readonly BitField s_gate2 = new("Timer 2 gate", 0);
    private static readonly BitField s_speaker = new("Speaker data", 1, 1, RegisterAccess.ReadWrite, "there is no speaker");
    private static readonly BitField s_nmi = new("SERR#, IOCHK# NMI disable", 3, 2, RegisterAccess.ReadWrite, "nothing raises these NMIs");
    private static readonly BitField s_refresh = new("Refresh cycle toggle", 4, 4, RegisterAccess.Read);
    private static readonly BitField s_out2 = new("Timer 2 output", 5, 5, RegisterAccess.Read);
    private static readonly RegisterLayout s_portB = new(PortB, "System control port B", RegisterAccess.ReadWrite, s_gate2, s_speaker, s_nmi, s_refresh, s_out2);

    /// <summary>The toggle of port 0x61 changes with every refresh request: every 18 clocks of counter 1, about 15 us.</summary>
    private const long RefreshClocks = 18;

    private readonly ITimeline _time;
    private readonly IIrqLine _irq;
    private readonly PitCounter[] _counters = [new(), new(), new()];
    private byte _controlB;

    /// <summary>The PIT clock at which OUT of counter 0, and with it IRQ 0, changes next.</summary>
    private long _nextChange = long.MaxValue;

    /// <param name="irq">IRQ 0.</param>
    public Pit8254(ITimeline time, IIrqLine irq)
    {
        _time = time;
        _irq = irq;
        _counters[2].SetGate(false, 0);
    }

    /// <inheritdoc/>
    public ulong NextEvent => _nextChange == long.MaxValue ? ulong.MaxValue : DeviceClock.Pit.TickOf((ulong)_nextChange);

    private long Clock => (long)DeviceClock.Pit.ClocksAt(_time.Now);

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(FirstCounter, 4, this);
        bus.AttachPorts(PortB, 1, this);
    }

    /// <inheritdoc/>
    public void Advance(ulong now)
    {
        long clock = (long)DeviceClock.Pit.ClocksAt(now);
        PitCounter counter = _counters[0];
        while (_nextChange <= clock)
        {
            long at = _nextChange;
            _irq.Set(counter.OutputAt(at));
            _nextChange = counter.NextChange(at);
        }
    }

    public uint Read(ushort port, int size)
    {
        switch (port)
        {
            case PortB:
                long clock = Clock;
                uint value = s_portB.Merge(0, _controlB);
                value = s_refresh.With(value, (uint)(clock / RefreshClocks & 1));
                return s_out2.With(value, _counters[2].OutputAt(clock) ? 1u : 0);
            case Control:
                // Write-only: the data bus floats.
                return 0xFF;
            default:
                return _counters[port - FirstCounter].Read(Clock);
        }
    }

    public void Write(ushort port, int size, uint value)
    {
        // What was due before this write happens before it.
        Advance(_time.Now);
        long clock = Clock;
        switch (port)
        {
            case PortB:
                _controlB = (byte)s_portB.Merge(0, value);
                _counters[2].SetGate(s_gate2.IsSet(value), clock);
                break;
            case Control:
                WriteControl(value, clock);
                break;
            default:
                _counters[port - FirstCounter].Write((byte)value, clock);
                break;
        }
        if (port is FirstCounter or Control)
        {
            _irq.Set(_counters[0].OutputAt(clock));
            _nextChange = _counters[0].NextChange(clock);
            _time.EventMoved();
        }
    }

    public void Save(BinaryWriter writer)
    {
        foreach (PitCounter counter in _counters)
            counter.Save(writer);
        writer.Write(_controlB);
        writer.Write(_nextChange);
    }

    public void Restore(BinaryReader reader)
    {
        foreach (PitCounter counter in _counters)
            counter.Restore(reader);
        _controlB = reader.ReadByte();
        _nextChange = reader.ReadInt64();
    }

    private void WriteControl(uint value, long clock)
    {
        uint select = s_select.Of(value);
        if (select == 3)
        {
            for (int i = 0; i < 3; i++)
            {
                if ((value & (2u << i)) == 0)
                    continue;
                if (!s_noCount.IsSet(value))
                    _counters[i].LatchCount(clock);
                if (!s_noStatus.IsSet(value))
                    _counters[i].LatchStatus(clock);
            }
            return;
        }
        PitCounter counter = _counters[select];
        if (s_access.Of(value) == 0)
            counter.LatchCount(clock);
        else
            counter.Program((int)s_access.Of(value), (int)s_mode.Of(value), s_bcd.IsSet(value));
    }
}
