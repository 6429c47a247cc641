using System.Globalization;
using System.Text;
using Emu.Cpus;
using Emu.Differ.Judging;

namespace Emu.Differ.Cases;

/// <summary>
/// The part of a case's text that says what x87, MMX and SSE registers hold: <c>xmm3=32 digits</c>; <c>fpr0=</c> sign and exponent in 4 digits and the
/// significand in 16, of the physical register R0; <c>ftw</c> is the abridged tag word, 1 for a register that is not empty.
/// </summary>
internal static unsafe class FloatingText
{
    private static readonly string[] s_names = ["fcw", "fsw", "ftw", "mxcsr", "fop", "fip", "fdp"];

    public static void Format(Case c, StringBuilder text)
    {
        FloatingState standard = FloatingImage.Default;
        ref FloatingState s = ref c.Floating;
        for (int i = 0; i < c.Mode.VectorCount(); i++)
            if (s.Xmm[2 * i] != 0 || s.Xmm[2 * i + 1] != 0)
                text.Append(CultureInfo.InvariantCulture, $" xmm{i}={FloatingComparison.Vector(s, i)}");
        for (int i = 0; i < 8; i++)
            if (s.X87[2 * i] != 0 || s.X87[2 * i + 1] != 0)
                text.Append(CultureInfo.InvariantCulture, $" fpr{i}={FloatingComparison.Register(s, i)}");
        foreach (string name in s_names)
            if (Get(s, name) != Get(standard, name))
                text.Append(CultureInfo.InvariantCulture, $" {name}={Get(s, name):x}");
    }

    /// <summary>Sets a register; false when there is none of that name.</summary>
    /// <exception cref="CaseSyntaxException">The value is none.</exception>
    public static bool TryAssign(Case c, string name, string value)
    {
        ref FloatingState s = ref c.Floating;
        if (Numbered(name, "xmm", c.Mode.VectorCount()) is int x)
        {
            string digits = value.PadLeft(32, '0');
            s.Xmm[2 * x] = CaseText.Number(digits[^16..]);
            s.Xmm[2 * x + 1] = CaseText.Number(digits[..^16]);
            return true;
        }
        if (Numbered(name, "fpr", 8) is int f)
        {
            string digits = value.PadLeft(20, '0');
            s.X87[2 * f] = CaseText.Number(digits[^16..]);
            s.X87[2 * f + 1] = (ushort)CaseText.Number(digits[..^16]);
            return true;
        }
        if (!s_names.Contains(name))
            return false;
        Set(ref s, name, CaseText.Number(value));
        return true;
    }

    private static int? Numbered(string name, string prefix, int count) =>
        name.StartsWith(prefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n < count ? n : null;

    private static ulong Get(in FloatingState s, string name) => name switch
    {
        "fcw" => s.Control,
        "fsw" => s.Status,
        "ftw" => s.Tags,
        "mxcsr" => s.Mxcsr,
        "fop" => s.Opcode,
        "fip" => s.InstructionPointer,
        _ => s.DataPointer,
    };

    private static void Set(ref FloatingState s, string name, ulong value)
    {
        switch (name)
        {
            case "fcw":
                s.Control = (ushort)value;
                break;
            case "fsw":
                s.Status = (ushort)value;
                break;
            case "ftw":
                s.Tags = (byte)value;
                break;
            case "mxcsr":
                s.Mxcsr = (uint)value & 0xFFFF; // what lies above is reserved, and cannot be loaded
                break;
            case "fop":
                s.Opcode = (ushort)(value & 0x7FF);
                break;
            case "fip":
                s.InstructionPointer = value;
                break;
            default:
                s.DataPointer = value;
                break;
        }
    }
}
