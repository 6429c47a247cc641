namespace Emu.Devices;

/// <summary>The time: it follows from a date and the tick at which it was so, and stands while SET or a reset of the divider holds it.</summary>
public sealed partial class CmosRtc
{
    private const int Seconds = 0x00;
    private const int SecondsAlarm = 0x01;
    private const int Minutes = 0x02;
    private const int MinutesAlarm = 0x03;
    private const int Hours = 0x04;
    private const int HoursAlarm = 0x05;
    private const int DayOfWeek = 0x06;
    private const int DayOfMonth = 0x07;
    private const int Month = 0x08;
    private const int Year = 0x09;
    private const int Century = 0x32;

    /// <summary>DV2-DV0 from here on hold the divider in reset; when they let it go, the first update comes after half a second.</summary>
    private const uint DividerReset = 6;

    /// <summary>Update in progress is set this long before the second turns: tBUC is 244 us.</summary>
    private const ulong UpdateTicks = 244_000;

    private const ulong SecondsPerDay = 86_400;

    /// <summary>11 in bits 7:6 of an alarm byte: it matches always (data sheet, "Time, Calendar, and Alarm Locations").</summary>
    private const byte AlwaysMatches = 0xC0;

    /// <summary>The date at <see cref="_originTick"/>; while the clock stands, the date.</summary>
    private DateTime _origin;

    /// <summary>A tick at which a second began. Negative: the clock was set so that its seconds begin before the machine's.</summary>
    private long _originTick;
    private bool _stands;

    /// <summary>Days that software moved the day of the week away from the calendar's.</summary>
    private int _dayOffset;

    private static bool IsTime(int index) => index is Seconds or Minutes or Hours or DayOfWeek or DayOfMonth or Month or Year or Century;

    /// <summary>Updates of the second since <see cref="_originTick"/>.</summary>
    private ulong UpdatesAt(ulong now) => _stands ? 0 : (ulong)((long)now - _originTick) / TicksPerSecond;

    private ulong TickOfUpdate(ulong update) =>
        _stands || update > (ulong)(long.MaxValue / 2) / TicksPerSecond ? ulong.MaxValue : (ulong)(_originTick + (long)(update * TicksPerSecond));

    private bool IsUpdating(ulong now) => !_stands && (ulong)((long)now - _originTick) % TicksPerSecond >= TicksPerSecond - UpdateTicks;

    /// <summary>The clock's date. 292 years fit into the tick counter; past year 9999 it begins again.</summary>
    private DateTime DateAt(ulong now) => After(UpdatesAt(now));

    private DateTime After(ulong updates)
    {
        ulong left = (ulong)(DateTime.MaxValue - _origin).TotalSeconds;
        return updates <= left ? _origin.AddSeconds(updates) : DateTime.MinValue.AddSeconds(updates - left);
    }

    private byte ReadTime(int index, ulong now) => Encode(index, DateAt(now), _memory[StatusB]);

    private byte Encode(int index, DateTime date, byte statusB) => index switch
    {
        Seconds => Number(date.Second, statusB),
        Minutes => Number(date.Minute, statusB),
        Hours => s_24Hours.IsSet(statusB) ? Number(date.Hour, statusB) : (byte)(Number((date.Hour + 11) % 12 + 1, statusB) | (date.Hour >= 12 ? 0x80 : 0)),
        DayOfWeek => Number(((int)date.DayOfWeek + _dayOffset) % 7 + 1, statusB),
        DayOfMonth => Number(date.Day, statusB),
        Month => Number(date.Month, statusB),
        Year => Number(date.Year % 100, statusB),
        _ => Number(date.Year / 100, statusB),
    };

    private static byte Number(int value, byte statusB) => (byte)(s_binary.IsSet(statusB) ? value : (value / 10 << 4) | (value % 10));

    private static int Value(byte number, byte statusB) => s_binary.IsSet(statusB) ? number : (number >> 4) * 10 + (number & 0xF);

    /// <summary>Changes one part of the date. What no calendar has (31 in a month of 30 days) becomes the nearest that it has.</summary>
    private void WriteTime(int index, byte number, ulong now)
    {
        DateTime date = DateAt(now);
        int value = Value(number, _memory[StatusB]);
        int hour = index == Hours ? HourOf(number) : date.Hour;
        int year = index switch { Year => date.Year / 100 * 100 + value % 100, Century => value % 100 * 100 + date.Year % 100, _ => date.Year };
        year = Math.Clamp(year, 1, 9999);
        int month = Math.Clamp(index == Month ? value : date.Month, 1, 12);
        int day = Math.Clamp(index == DayOfMonth ? value : date.Day, 1, DateTime.DaysInMonth(year, month));
        int minute = Math.Clamp(index == Minutes ? value : date.Minute, 0, 59);
        int second = Math.Clamp(index == Seconds ? value : date.Second, 0, 59);
        if (index == DayOfWeek)
            _dayOffset = ((value - 1 - (int)date.DayOfWeek) % 7 + 7) % 7;
        _originTick += (long)(UpdatesAt(now) * TicksPerSecond);
        _origin = new DateTime(year, month, day, hour, minute, second, DateTimeKind.Utc);
    }

    private int HourOf(byte number)
    {
        if (s_24Hours.IsSet(_memory[StatusB]))
            return Math.Clamp(Value(number, _memory[StatusB]), 0, 23);
        int hour = Math.Clamp(Value((byte)(number & 0x7F), _memory[StatusB]), 1, 12) % 12;
        return hour + (number >= 0x80 ? 12 : 0);
    }

    /// <summary>Stores registers A and B. The clock stops or goes on.</summary>
    private void SetControls(byte statusA, byte statusB, ulong now)
    {
        bool wasReset = s_divider.Of(_memory[StatusA]) >= DividerReset;
        bool isReset = s_divider.Of(statusA) >= DividerReset;
        bool stands = isReset || s_set.IsSet(statusB);
        if (stands && !_stands)
        {
            // The divider runs on under SET: the phase of the second is kept.
            DateTime date = DateAt(now);
            _originTick += (long)(UpdatesAt(now) * TicksPerSecond);
            _origin = date;
        }
        if (wasReset && !isReset)
            _originTick = (long)now - (long)(TicksPerSecond / 2);
        else if (_stands && !stands)
            _originTick += (long)((ulong)((long)now - _originTick) / TicksPerSecond * TicksPerSecond);
        _stands = stands;
        _memory[StatusA] = statusA;
        _memory[StatusB] = statusB;
    }

    /// <summary>The first update after one, up to another, at which the alarm bytes match; ulong.MaxValue when none does.</summary>
    private ulong NextAlarm(ulong after, ulong last)
    {
        if (_stands || last <= after)
            return ulong.MaxValue;
        byte statusB = _memory[StatusB];
        last = Math.Min(last, after + SecondsPerDay);
        for (ulong update = after + 1; update <= last; update++)
        {
            DateTime date = After(update);
            if (Matches(Hours, date, statusB) && Matches(Minutes, date, statusB) && Matches(Seconds, date, statusB))
                return update;
        }
        return ulong.MaxValue;
    }

    private bool Matches(int index, DateTime date, byte statusB)
    {
        byte alarm = _memory[index + 1];
        return alarm >= AlwaysMatches || alarm == Encode(index, date, statusB);
    }

    private void SaveTime(BinaryWriter writer)
    {
        writer.Write(_origin.Ticks);
        writer.Write(_originTick);
        writer.Write(_stands);
        writer.Write(_dayOffset);
    }

    private void RestoreTime(BinaryReader reader)
    {
        _origin = new DateTime(reader.ReadInt64(), DateTimeKind.Utc);
        _originTick = reader.ReadInt64();
        _stands = reader.ReadBoolean();
        _dayOffset = reader.ReadInt32();
    }
}
