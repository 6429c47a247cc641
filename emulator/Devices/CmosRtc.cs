using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// CMOS memory and real-time clock (Motorola MC146818 data sheet), with its three interrupts at IRQ 8. The date is a start date plus machine time, so that runs
/// repeat. CmosRtc.Time.cs keeps the time; this part is the registers and the interrupts.
/// Absent: daylight saving, the square-wave output, and the mask of NMIs at port 0x70.
/// </summary>
public sealed partial class CmosRtc : IPortDevice, ITimed, ISnapshotted
{
    public const int Irq = 8;

    public const ushort IndexPort = 0x70;
    private const ushort DataPort = 0x71;
    private const int Size = 128;
    private const ulong TicksPerSecond = 1_000_000_000;

    private const int StatusA = 0x0A;
    private const int StatusB = 0x0B;
    private const int StatusC = 0x0C;
    private const int StatusD = 0x0D;

    private static readonly BitField s_nmiDisable = new("NMI disable", 7, 7, RegisterAccess.Write, "NMIs are not masked here");
    private static readonly BitField s_index = new("Index", 6, 0);

    private static readonly BitField s_rate = new("RS3-RS0", 3, 0);
    private static readonly BitField s_divider = new("DV2-DV0", 6, 4);
    private static readonly BitField s_update = new("UIP", 7, 7, RegisterAccess.Read);
    private static readonly RegisterLayout s_statusA = new(StatusA, "Register A", RegisterAccess.ReadWrite, s_rate, s_divider, s_update);

    private static readonly BitField s_daylight = new("DSE", 0, 0, RegisterAccess.Read, "no daylight saving");
    private static readonly BitField s_24Hours = new("24/12", 1);
    private static readonly BitField s_binary = new("DM", 2);
    private static readonly BitField s_square = new("SQWE", 3, 3, RegisterAccess.ReadWrite, "the output goes nowhere");
    private static readonly BitField s_updateEnable = new("UIE", 4);
    private static readonly BitField s_alarmEnable = new("AIE", 5);
    private static readonly BitField s_periodicEnable = new("PIE", 6);
    private static readonly BitField s_set = new("SET", 7);
    private static readonly RegisterLayout s_statusB = new(StatusB, "Register B", RegisterAccess.ReadWrite,
        s_daylight, s_24Hours, s_binary, s_square, s_updateEnable, s_alarmEnable, s_periodicEnable, s_set);

    /// <summary>Register C: UF, AF and PF stand where their enables do in register B.</summary>
    private static readonly BitField s_flags = new("PF, AF, UF", 6, 4, RegisterAccess.Read);
    private static readonly BitField s_request = new("IRQF", 7, 7, RegisterAccess.Read);

    private static readonly BitField s_valid = new("VRT", 7, 7, RegisterAccess.Read);

    private readonly ITimeline _time;
    private readonly IIrqLine _irq;
    private readonly byte[] _memory = new byte[Size];
    private int _selected;

    /// <summary>PF, AF and UF, as far as <see cref="_seen"/>.</summary>
    private uint _raised;

    /// <summary>The tick up to which what happened is in <see cref="_raised"/>.</summary>
    private ulong _seen;
    private ulong _nextEvent = ulong.MaxValue;

    /// <param name="irq">IRQ 8.</param>
    /// <param name="start">The date at tick 0.</param>
    /// <param name="memory">RAM whose size the firmware's bytes report.</param>
    public CmosRtc(ITimeline time, IIrqLine irq, DateTime start, PhysicalMemory memory)
    {
        _time = time;
        _irq = irq;
        _origin = start;
        _memory[StatusA] = 0x26;
        _memory[StatusB] = (byte)s_24Hours.Mask;
        StoreMemorySize(memory);
    }

    /// <summary>What a machine shows unless told otherwise: the day of the mail that the project was founded on.</summary>
    public static DateTime DefaultStart { get; } = new(2009, 10, 6, 0, 0, 0, DateTimeKind.Utc);

    /// <inheritdoc/>
    public ulong NextEvent => _nextEvent;

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus) => bus.AttachPorts(IndexPort, 2, this);

    /// <inheritdoc/>
    public void Advance(ulong now)
    {
        if (_nextEvent > now)
            return;
        CatchUp(now);
        UpdateLine(now);
    }

    public uint Read(ushort port, int size)
    {
        if (port == IndexPort)
            return 0xFF;
        ulong now = _time.Now;
        switch (_selected)
        {
            case StatusA:
                return s_update.With(_memory[StatusA], IsUpdating(now) ? 1u : 0);
            case StatusC:
                CatchUp(now);
                uint flags = s_request.With(_raised, (_raised & _memory[StatusB]) != 0 ? 1u : 0);
                // Reading clears them.
                _raised = 0;
                UpdateLine(now);
                _time.EventMoved();
                return flags;
            case StatusD:
                // The battery is good.
                return s_valid.Mask;
            default:
                return IsTime(_selected) ? ReadTime(_selected, now) : _memory[_selected];
        }
    }

    public void Write(ushort port, int size, uint value)
    {
        if (port == IndexPort)
        {
            _selected = (int)s_index.Of(value);
            return;
        }
        ulong now = _time.Now;
        CatchUp(now);
        switch (_selected)
        {
            case StatusA:
                SetControls((byte)s_statusA.Merge(_memory[StatusA], value), _memory[StatusB], now);
                break;
            case StatusB:
                // "UIE is cleared by SET going high".
                uint b = s_statusB.Merge(_memory[StatusB], value);
                SetControls(_memory[StatusA], (byte)(s_set.IsSet(b) ? s_updateEnable.With(b, 0) : b), now);
                break;
            case StatusC or StatusD:
                break;
            default:
                if (IsTime(_selected))
                    WriteTime(_selected, (byte)value, now);
                else
                    _memory[_selected] = (byte)value;
                break;
        }
        UpdateLine(now);
        _time.EventMoved();
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_memory);
        writer.Write(_selected);
        writer.Write(_raised);
        writer.Write(_seen);
        writer.Write(_nextEvent);
        SaveTime(writer);
    }

    public void Restore(BinaryReader reader)
    {
        reader.ReadBytes(Size).CopyTo(_memory, 0);
        _selected = reader.ReadInt32();
        _raised = reader.ReadUInt32();
        _seen = reader.ReadUInt64();
        _nextEvent = reader.ReadUInt64();
        RestoreTime(reader);
    }

    /// <summary>Clocks of the crystal between two periodic interrupts; 0 for none (data sheet, "Periodic Interrupt Rate").</summary>
    private uint PeriodicClocks()
    {
        int rate = (int)s_rate.Of(_memory[StatusA]);
        return rate == 0 || s_divider.Of(_memory[StatusA]) >= DividerReset ? 0 : rate <= 2 ? 64u << rate : 1u << (rate - 1);
    }

    /// <summary>Notes the flags that rose since somebody last looked.</summary>
    private void CatchUp(ulong now)
    {
        if (now <= _seen)
            return;
        if (PeriodicClocks() is not 0 and uint period && DeviceClock.Crystal.ClocksAt(now) / period != DeviceClock.Crystal.ClocksAt(_seen) / period)
            _raised |= s_periodicEnable.Mask;
        ulong first = UpdatesAt(_seen);
        ulong last = UpdatesAt(now);
        if (last != first)
            _raised |= s_updateEnable.Mask;
        if (NextAlarm(first, last) <= last)
            _raised |= s_alarmEnable.Mask;
        _seen = now;
    }

    /// <summary>Drives IRQ 8, and finds when the next flag that is enabled will rise.</summary>
    private void UpdateLine(ulong now)
    {
        byte enabled = _memory[StatusB];
        bool asserted = (_raised & enabled & s_flags.Mask) != 0;
        _irq.Set(asserted);
        _nextEvent = ulong.MaxValue;
        // While the request stands, further flags change nothing at the line.
        if (asserted)
            return;
        if (s_periodicEnable.IsSet(enabled) && PeriodicClocks() is not 0 and uint period)
            _nextEvent = DeviceClock.Crystal.TickOf((DeviceClock.Crystal.ClocksAt(now) / period + 1) * period);
        if (s_updateEnable.IsSet(enabled))
            _nextEvent = Math.Min(_nextEvent, TickOfUpdate(UpdatesAt(now) + 1));
        if (s_alarmEnable.IsSet(enabled))
        {
            ulong alarm = NextAlarm(UpdatesAt(now), ulong.MaxValue);
            _nextEvent = Math.Min(_nextEvent, alarm == ulong.MaxValue ? alarm : TickOfUpdate(alarm));
        }
    }

    /// <summary>As PC firmware leaves it: base memory in KiB, memory above 1 MiB in KiB, above 16 MiB and above 4 GiB in units of 64 KiB.</summary>
    private void StoreMemorySize(PhysicalMemory memory)
    {
        const ulong MiB = 1UL << 20;
        StoreWord(0x15, 640);
        ulong extended = Math.Min((memory.LowSize - MiB) >> 10, 0xFFFF);
        StoreWord(0x17, extended);
        StoreWord(0x30, extended);
        StoreWord(0x34, memory.LowSize > 16 * MiB ? Math.Min((memory.LowSize - 16 * MiB) >> 16, 0xFFFF) : 0);
        ulong high = (memory.Size - memory.LowSize) >> 16;
        StoreWord(0x5B, high & 0xFFFF);
        _memory[0x5D] = (byte)(high >> 16);
    }

    private void StoreWord(int index, ulong value)
    {
        _memory[index] = (byte)value;
        _memory[index + 1] = (byte)(value >> 8);
    }
}
