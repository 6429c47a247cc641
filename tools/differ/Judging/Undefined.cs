using Emu.Cpus;
using Emu.Differ.Cases;
using Iced.Intel;

namespace Emu.Differ.Judging;

/// <summary>What the table of undefined results excuses in a case.</summary>
public struct UndefinedResult
{
    /// <summary>Bits of RFLAGS.</summary>
    public ulong Flags;

    /// <summary>Bits of the x87 status word.</summary>
    public ushort Status;

    /// <summary>The destination operand of the instruction.</summary>
    public bool Destination;

    /// <summary>Bits of the destination register.</summary>
    public ulong Bits;
}

/// <summary>The table of what the manual leaves undefined (data/undefined.txt).</summary>
public static class Undefined
{
    private enum Operator
    {
        Equal,
        NotEqual,
        Greater,
        GreaterOrEqual,
    }

    private readonly record struct Condition(string Subject, Operator Operator, string Value);

    private sealed record Row(Condition[] Conditions, ulong Flags, ushort Status, bool Destination, ulong Bits, string Manual);

    private static readonly Dictionary<Mnemonic, List<Row>> s_rows = ReadTable();

    /// <summary>Mnemonics that have a row.</summary>
    public static IEnumerable<Mnemonic> Mnemonics => s_rows.Keys;

    /// <summary>What is undefined after the instruction. <paramref name="flagsAfter"/> are the oracle's.</summary>
    public static UndefinedResult After(Case c, in Instruction i, ulong flagsAfter)
    {
        UndefinedResult result = default;
        if (!s_rows.TryGetValue(i.Mnemonic, out List<Row>? rows))
            return result;
        foreach (Row row in rows)
        {
            bool holds = true;
            foreach (Condition condition in row.Conditions)
                holds &= Holds(condition, c, i, flagsAfter);
            if (!holds)
                continue;
            result.Flags |= row.Flags;
            result.Status |= row.Status;
            result.Destination |= row.Destination;
            result.Bits |= row.Bits;
        }
        return result;
    }

    /// <summary>All flags that some row of the mnemonic names, whatever its condition.</summary>
    public static ulong MayBe(Mnemonic mnemonic)
    {
        ulong flags = 0;
        if (s_rows.TryGetValue(mnemonic, out List<Row>? rows))
            foreach (Row row in rows)
                flags |= row.Flags;
        return flags;
    }

    /// <summary>Whether the destination, or a part of it, may be undefined after some instance of the mnemonic.</summary>
    public static bool DestinationMayBe(Mnemonic mnemonic) =>
        s_rows.TryGetValue(mnemonic, out List<Row>? rows) && rows.Any(r => r.Destination || r.Bits != 0);

    private static bool Holds(Condition condition, Case c, in Instruction i, ulong flagsAfter)
    {
        int subject = condition.Subject switch
        {
            "count" => Count(c, i),
            "zf" => (flagsAfter & 0x40) != 0 ? 1 : 0,
            _ => OperandBits(i),
        };
        int value = condition.Value == "size" ? OperandBits(i) : int.Parse(condition.Value);
        return condition.Operator switch
        {
            Operator.Equal => subject == value,
            Operator.NotEqual => subject != value,
            Operator.Greater => subject > value,
            _ => subject >= value,
        };
    }

    private static int OperandBits(in Instruction i) =>
        8 * (i.Op0Kind == OpKind.Register ? i.Op0Register.GetSize() : i.MemorySize.GetSize());

    /// <summary>Count of a shift or rotation: "the count is masked to 5 bits (or 6 bits if in 64-bit mode and REX.W is used)".</summary>
    private static int Count(Case c, in Instruction i)
    {
        int operand = i.OpCount - 1;
        ulong count = i.GetOpKind(operand) == OpKind.Register ? c.Registers[1] : i.GetImmediate(operand);
        return (int)(count & (OperandBits(i) == 64 ? 0x3FUL : 0x1FUL));
    }

    private static Dictionary<Mnemonic, List<Row>> ReadTable()
    {
        var table = new Dictionary<Mnemonic, List<Row>>();
        foreach (string[] fields in DataTable.Read("undefined.txt", 4))
        {
            Condition[] conditions = fields[1] == "always" ? [] : [.. fields[1].Split(" and ").Select(Parse)];
            ulong flags = 0;
            ushort status = 0;
            bool destination = false;
            ulong bits = 0;
            foreach (string what in fields[2].Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                if (what == "dest")
                    destination = true;
                else if (what == "upper")
                    bits = ~0xFFFFUL;
                else if (what is "C0" or "C1" or "C2" or "C3")
                    status |= what switch { "C0" => X87Status.C0, "C1" => X87Status.C1, "C2" => X87Status.C2, _ => X87Status.C3 };
                else if (what == "limit")
                    bits = 0xF_0000;
                else
                    flags |= FlagNames.BitOf(what) ?? throw new InvalidDataException($"undefined.txt: '{what}' is neither a flag nor C0 to C3, dest, upper or limit");
            }
            foreach (string name in fields[0].Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                if (!Enum.TryParse(name, ignoreCase: true, out Mnemonic mnemonic))
                    throw new InvalidDataException($"undefined.txt: Iced knows no '{name}'");
                if (!table.TryGetValue(mnemonic, out List<Row>? rows))
                    table[mnemonic] = rows = [];
                rows.Add(new Row(conditions, flags, status, destination, bits, fields[3]));
            }
        }
        return table;
    }

    private static Condition Parse(string text)
    {
        foreach ((string symbol, Operator op) in new[] { ("!=", Operator.NotEqual), (">=", Operator.GreaterOrEqual), (">", Operator.Greater), ("=", Operator.Equal) })
        {
            int at = text.IndexOf(symbol, StringComparison.Ordinal);
            if (at < 0)
                continue;
            string subject = text[..at].Trim(), value = text[(at + symbol.Length)..].Trim();
            if (subject is "count" or "size" or "zf" && (value == "size" || int.TryParse(value, out _)))
                return new Condition(subject, op, value);
        }
        throw new InvalidDataException($"undefined.txt: '{text}' is not a condition");
    }
}

/// <summary>Flags by name.</summary>
public static class FlagNames
{
    private static readonly (string Name, ulong Bit)[] s_flags =
    [
        ("CF", 1), ("PF", 4), ("AF", 0x10), ("ZF", 0x40), ("SF", 0x80), ("TF", 0x100), ("IF", 0x200), ("DF", 0x400), ("OF", 0x800),
        ("IOPL", 0x3000), ("NT", 0x4000), ("RF", 0x1_0000), ("VM", 0x2_0000), ("AC", 0x4_0000), ("VIF", 0x8_0000), ("VIP", 0x10_0000),
        ("ID", 0x20_0000),
    ];

    public static ulong? BitOf(string name)
    {
        foreach ((string flag, ulong bit) in s_flags)
            if (flag.Equals(name, StringComparison.OrdinalIgnoreCase))
                return bit;
        return null;
    }

    /// <summary>The flags that are set, by name; "-" for none.</summary>
    public static string Describe(ulong flags)
    {
        string text = string.Join(' ', s_flags.Where(f => (flags & f.Bit) != 0).Select(f => f.Name));
        return text.Length == 0 ? "-" : text;
    }
}
