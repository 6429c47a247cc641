using System.Globalization;

namespace Emu.Cli;

/// <summary>Numbers as they are typed: 64M, 1G, 0x1000, 100k.</summary>
public static class Quantities
{
    /// <summary>Bytes: K, M and G are powers of 1024.</summary>
    public static bool TryBytes(string text, out ulong value) => TryScaled(text, 1024, out value);

    /// <summary>A count: k, M and G are powers of 1000.</summary>
    public static bool TryCount(string text, out ulong value) => TryScaled(text, 1000, out value);

    /// <summary>A time in ticks of a nanosecond: 10s, 500ms, 20us; without a unit, seconds.</summary>
    public static bool TryTime(string text, out ulong ticks)
    {
        (string digits, ulong unit) = text.EndsWith("us", StringComparison.Ordinal) ? (text[..^2], 1_000UL)
            : text.EndsWith("ms", StringComparison.Ordinal) ? (text[..^2], 1_000_000UL)
            : (text.EndsWith('s') ? text[..^1] : text, 1_000_000_000UL);
        bool good = ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong n) && n <= ulong.MaxValue / unit;
        ticks = good ? n * unit : 0;
        return good;
    }

    /// <summary>Decimal, or hexadecimal with 0x.</summary>
    public static bool TryNumber(string text, out ulong value) =>
        text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    private static bool TryScaled(string text, ulong unit, out ulong value)
    {
        int power = text.Length == 0 ? 0 : char.ToUpperInvariant(text[^1]) switch
        {
            'K' => 1,
            'M' => 2,
            'G' => 3,
            _ => 0,
        };
        if (!TryNumber(power == 0 ? text : text[..^1], out value))
            return false;
        for (int i = 0; i < power; i++)
        {
            if (value > ulong.MaxValue / unit)
                return false;
            value *= unit;
        }
        return true;
    }
}
