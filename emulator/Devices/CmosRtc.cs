using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// CMOS memory and real-time clock (Motorola MC146818 data sheet). The date is a start date plus machine time, so that runs repeat.
/// Absent: setting the time (writes to its registers are ignored), alarms, and IRQ 8; the enable bits stay 0 to show it.
/// </summary>
public sealed class CmosRtc : IPortDevice, ISnapshotted
{
    private const ushort IndexPort = 0x70;
    private const ushort DataPort = 0x71;
    private const int Size = 128;
    private const ulong TicksPerSecond = 1_000_000_000;

    /// <summary>Update in progress is set this long before the second turns: tBUC is 244 us.</summary>
    private const ulong UpdateTicks = 244_000;

    private const int Seconds = 0x00;
    private const int Minutes = 0x02;
    private const int Hours = 0x04;
    private const int DayOfWeek = 0x06;
    private const int DayOfMonth = 0x07;
    private const int Month = 0x08;
    private const int Year = 0x09;
    private const int StatusA = 0x0A;
    private const int StatusB = 0x0B;
    private const int StatusC = 0x0C;
    private const int StatusD = 0x0D;
    private const int Century = 0x32;

    private static readonly BitField s_nmiDisable = new("NMI disable", 7, 7, RegisterAccess.Write, "NMIs are not masked here");
    private static readonly BitField s_index = new("Index", 6, 0);

    private static readonly BitField s_rate = new("RS3-RS0", 3, 0, RegisterAccess.ReadWrite, "no periodic interrupt");
    private static readonly BitField s_divider = new("DV2-DV0", 6, 4, RegisterAccess.ReadWrite, "the clock always runs");
    private static readonly BitField s_update = new("UIP", 7, 7, RegisterAccess.Read);
    private static readonly RegisterLayout s_statusA = new(StatusA, "Register A", RegisterAccess.ReadWrite, s_rate, s_divider, s_update);

    private static readonly BitField s_daylight = new("DSE", 0, 0, RegisterAccess.Read, "no daylight saving");
    private static readonly BitField s_24Hours = new("24/12", 1);
    private static readonly BitField s_binary = new("DM", 2);
    private static readonly BitField s_enables = new("SQWE, UIE, AIE, PIE", 6, 3, RegisterAccess.Read, "no interrupts");
    private static readonly BitField s_set = new("SET", 7, 7, RegisterAccess.Read, "the time cannot be set");
    private static readonly RegisterLayout s_statusB = new(StatusB, "Register B", RegisterAccess.ReadWrite, s_daylight, s_24Hours, s_binary, s_enables, s_set);

    private readonly ITimeline _time;
    private readonly DateTime _start;
    private readonly byte[] _memory = new byte[Size];
    private int _selected;

    /// <param name="start">The date at tick 0.</param>
    /// <param name="memory">RAM whose size the firmware's bytes report.</param>
    public CmosRtc(ITimeline time, DateTime start, PhysicalMemory memory)
    {
        _time = time;
        _start = start;
        _memory[StatusA] = 0x26;
        _memory[StatusB] = (byte)s_24Hours.Mask;
        StoreMemorySize(memory);
    }

    /// <summary>What a machine shows unless told otherwise: the day of the mail that the project was founded on.</summary>
    public static DateTime DefaultStart { get; } = new(2009, 10, 6, 0, 0, 0, DateTimeKind.Utc);

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus) => bus.AttachPorts(IndexPort, 2, this);

    public uint Read(ushort port, int size) => port == DataPort ? ReadByte(_selected) : 0xFFu;

    public void Write(ushort port, int size, uint value)
    {
        if (port == IndexPort)
        {
            _selected = (int)s_index.Of(value);
            return;
        }
        switch (_selected)
        {
            case StatusA:
                _memory[StatusA] = (byte)s_statusA.Merge(_memory[StatusA], value);
                break;
            case StatusB:
                _memory[StatusB] = (byte)s_statusB.Merge(_memory[StatusB], value);
                break;
            case Seconds or Minutes or Hours or DayOfWeek or DayOfMonth or Month or Year or Century or StatusC or StatusD:
                break;
            default:
                _memory[_selected] = (byte)value;
                break;
        }
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_memory);
        writer.Write(_selected);
    }

    public void Restore(BinaryReader reader)
    {
        reader.ReadBytes(Size).CopyTo(_memory, 0);
        _selected = reader.ReadInt32();
    }

    private byte ReadByte(int index)
    {
        ulong now = _time.Now;
        // A date past year 9999 is beyond any run: 292 years fit into the tick counter.
        DateTime date = _start.AddSeconds(now / TicksPerSecond);
        return index switch
        {
            Seconds => Number(date.Second),
            Minutes => Number(date.Minute),
            Hours => Hour(date.Hour),
            DayOfWeek => Number((int)date.DayOfWeek + 1),
            DayOfMonth => Number(date.Day),
            Month => Number(date.Month),
            Year => Number(date.Year % 100),
            Century => Number(date.Year / 100),
            StatusA => (byte)s_update.With(_memory[StatusA], now % TicksPerSecond >= TicksPerSecond - UpdateTicks ? 1u : 0),
            // No interrupt flags, as there are no interrupts.
            StatusC => 0,
            // VRT: the battery is good.
            StatusD => 0x80,
            _ => _memory[index],
        };
    }

    private byte Hour(int hour)
    {
        if (s_24Hours.IsSet(_memory[StatusB]))
            return Number(hour);
        return (byte)(Number((hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0));
    }

    private byte Number(int value) => (byte)(s_binary.IsSet(_memory[StatusB]) ? value : (value / 10 << 4) | (value % 10));

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
