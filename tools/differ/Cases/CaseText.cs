using System.Globalization;
using System.Text;
using Iced.Intel;

namespace Emu.Differ.Cases;

/// <summary>A line that cannot be read as a case.</summary>
public sealed class CaseSyntaxException(string message) : Exception(message);

/// <summary>
/// The text of a case: <c>64 48d3e0 rip=100040 rax=1 rcx=40 flags=46 mem@2001000=ff00 # shl rax,cl</c>. All numbers are hexadecimal but the
/// mode; what stands behind # is for the reader.
/// </summary>
public static class CaseText
{
    public static readonly string[] RegisterNames =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    public static string Format(Case c)
    {
        var text = new StringBuilder();
        text.Append(c.Mode.Word()).Append(' ').Append(Convert.ToHexStringLower(c.Code, 0, c.Length));
        if (c.Mode == CodeMode.Real16)
            Add("cs", c.Cs);
        Add("rip", c.Rip);
        for (int i = 0; i < c.Mode.RegisterCount(); i++)
            if (c.Registers[i] != 0)
                Add(NameOf(c.Mode, i), c.Registers[i]);
        if (c.Flags != c.Mode.DefaultFlags())
            Add("flags", c.Flags);
        FloatingText.Format(c, text);
        foreach (MemoryPatch patch in c.Memory)
            text.Append(CultureInfo.InvariantCulture, $" mem@{patch.Address:x}={Convert.ToHexStringLower(patch.Bytes)}");
        text.Append(" # ").Append(Disassemble(c));
        return text.ToString();

        void Add(string name, ulong value) => text.Append(CultureInfo.InvariantCulture, $" {name}={value:x}");
    }

    /// <summary>The instructions in Intel syntax.</summary>
    public static string Disassemble(Case c)
    {
        var formatter = new NasmFormatter();
        formatter.Options.HexPrefix = "0x";
        formatter.Options.HexSuffix = "";
        var output = new StringOutput();
        formatter.Format(c.First, output);
        string text = output.ToStringAndReset();
        if (c.Count == 2)
        {
            formatter.Format(c.Second, output);
            text += "; " + output.ToStringAndReset();
        }
        return text;
    }

    public static string NameOf(CodeMode mode, int register) =>
        mode.Is64() ? RegisterNames[register] : string.Concat("e", RegisterNames[register].AsSpan(1));

    /// <summary>Reads a line.</summary>
    /// <exception cref="CaseSyntaxException">It is not a case; the message says where.</exception>
    public static Case Parse(string line)
    {
        int comment = line.IndexOf('#', StringComparison.Ordinal);
        string[] words = (comment < 0 ? line : line[..comment]).Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words.Length < 2)
            throw new CaseSyntaxException("a case is '<mode> <hex bytes> [register=value]... [flags=value] [mem@address=bytes]...'");
        var c = new Case();
        c.Clear(CodeModes.Find(words[0]) ?? throw new CaseSyntaxException($"'{words[0]}' is not a mode: 16, 32, 64, u32 or u64"));
        byte[] code = Bytes(words[1]);
        if (code.Length is 0 or > Case.MaximumBytes)
            throw new CaseSyntaxException($"'{words[1]}': 1 to {Case.MaximumBytes} bytes of code are possible");
        code.CopyTo(c.Code, 0);
        c.Length = code.Length;
        Arena arena = Arena.For(c.Mode);
        c.Cs = arena.DefaultCs;
        c.Rip = arena.DefaultRip;
        foreach (string word in words[2..])
            Assign(c, word);
        if (!c.Decode())
            throw new CaseSyntaxException($"'{words[1]}' is not one or two whole instructions in {c.Mode.Bits()}-bit mode");
        if (!arena.HoldsCode(c.LinearRip, c.Length))
            throw new CaseSyntaxException($"rip={c.Rip:x}: code of this mode lies from 0x{arena.CodeStart:x} to 0x{arena.CodeEnd:x}");
        return c;
    }

    private static void Assign(Case c, string word)
    {
        int equals = word.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
            throw new CaseSyntaxException($"'{word}' is not name=value");
        string name = word[..equals].ToLowerInvariant();
        string value = word[(equals + 1)..];
        if (name.StartsWith("mem@", StringComparison.Ordinal))
        {
            ulong address = Number(name[4..]);
            byte[] bytes = Bytes(value);
            if (!Arena.For(c.Mode).Holds(address, bytes.Length))
                throw new CaseSyntaxException($"'{name}': the case's memory has no such bytes");
            c.Memory.Add(new MemoryPatch(address, bytes));
            return;
        }
        if (FloatingText.TryAssign(c, name, value))
            return;
        switch (name)
        {
            case "rip" or "ip" or "eip":
                c.Rip = Number(value);
                return;
            case "cs" when c.Mode == CodeMode.Real16:
                c.Cs = (ushort)Number(value);
                return;
            case "flags":
                c.Flags = Number(value) | c.Mode.DefaultFlags();
                return;
        }
        for (int i = 0; i < c.Mode.RegisterCount(); i++)
        {
            if (name == NameOf(c.Mode, i) || name == RegisterNames[i])
            {
                c.Registers[i] = Number(value) & c.Mode.RegisterMask();
                return;
            }
        }
        throw new CaseSyntaxException($"'{name}' is not a register of {c.Mode.Bits()}-bit mode, nor 'flags', 'rip', 'xmmN', 'fprN', 'fcw', 'fsw', 'ftw', 'mxcsr', 'fop', 'fip', 'fdp' or 'mem@address'");
    }

    internal static ulong Number(string text) =>
        ulong.TryParse(text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? text[2..] : text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong value)
            ? value
            : throw new CaseSyntaxException($"'{text}' is not a hexadecimal number");

    private static byte[] Bytes(string text)
    {
        try
        {
            return Convert.FromHexString(text);
        }
        catch (FormatException)
        {
            throw new CaseSyntaxException($"'{text}' is not a string of hexadecimal bytes");
        }
    }
}
