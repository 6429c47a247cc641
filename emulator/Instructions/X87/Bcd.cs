using Emu.Float;

namespace Emu.Instructions;

/// <summary>Packed decimal of x87: nine bytes of two digits each, and a sign in the tenth (SDM Vol. 1, "BCD and Packed BCD Integers").</summary>
internal static unsafe class Bcd
{
    private const ulong Limit = 1_000_000_000_000_000_000;

    /// <summary>Digits above nine are undefined by the manual; they count with their weight here, as on CPUs.</summary>
    public static Number Read(byte* bytes)
    {
        ulong value = 0;
        for (int i = 8; i >= 0; i--)
            value = 100 * value + 10 * (ulong)(bytes[i] >> 4) + (bytes[i] & 15U);
        bool negative = (bytes[9] & 0x80) != 0;
        return value == 0 ? Number.Zero(negative) : Number.Finite(negative, 63, value);
    }

    /// <summary>False when nothing is to be stored: invalid, and not masked. The masked response is the packed indefinite.</summary>
    public static bool TryWrite(in Number n, byte* bytes, ref FloatContext c)
    {
        bool fits = Rounder.TryRoundToInteger(n, 64, ref c, out long value);
        ulong magnitude = value < 0 ? 0 - (ulong)value : (ulong)value;
        if (!fits || magnitude >= Limit)
        {
            c.Raised = FloatFlags.Invalid;
            c.RoundedUp = false;
            *(ulong*)bytes = 0xC000_0000_0000_0000;
            *(ulong*)(bytes + 8) = 0xFFFF;
            return (c.Masked & FloatFlags.Invalid) != 0;
        }
        for (int i = 0; i < 9; i++, magnitude /= 100)
            bytes[i] = (byte)(magnitude % 100 / 10 << 4 | magnitude % 10);
        bytes[9] = (byte)(n.Negative ? 0x80 : 0);
        return true;
    }
}
