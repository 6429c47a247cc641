using System.Globalization;
using System.Text;
using Emu.Differ.Cases;
using Iced.Intel;

namespace Emu.Differ.Ledgers;

/// <summary>Code of one size that one whole machine executed.</summary>
/// <param name="Oracle">Its name.</param>
/// <param name="Bits">16, 32 or 64; that of virtual-8086 mode is of 16.</param>
public readonly record struct MachineColumn(string Oracle, int Bits)
{
    /// <summary>What stands in the file: "qemu32".</summary>
    public override string ToString() => Oracle + Bits.ToString(CultureInfo.InvariantCulture);
}

/// <summary>
/// In how many cases of privileged behaviour each code was executed about which a whole machine and Emu agree in all that they print (data/machine-checks.txt). All codes
/// that a case executes count once, those that prepare it too: were one wrong, the case would end otherwise.
/// </summary>
public sealed class MachineChecks
{
    private const string Name = "machine-checks.txt";

    private readonly Dictionary<(Code Code, MachineColumn Column), long> _cases = [];

    public static IReadOnlyList<string> Oracles { get; } = ["qemu", "bochs"];

    public static IReadOnlyList<MachineColumn> Columns { get; } = [.. from oracle in Oracles from bits in (int[])[16, 32, 64] select new MachineColumn(oracle, bits)];

    /// <summary>What is committed.</summary>
    public static MachineChecks Committed { get; } = Parse(DataTable.Read(Name, 2));

    /// <summary>Cases of a code.</summary>
    public long this[Code code, MachineColumn column] => _cases.GetValueOrDefault((code, column));

    /// <summary>Cases of a code on one machine.</summary>
    public long Of(Code code, string oracle) => Columns.Where(c => c.Oracle == oracle).Sum(c => this[code, c]);

    /// <summary>Reads a file of that form.</summary>
    /// <exception cref="InvalidDataException">It has another form.</exception>
    public static MachineChecks Read(string path) =>
        Parse(File.ReadLines(path).Where(l => l.Length > 0 && l[0] != '#').Select(l => l.Split('|', StringSplitOptions.TrimEntries)));

    /// <summary>Puts what a run found in the place of what was known of that machine: all runs have the same cases.</summary>
    public void Replace(string oracle, IEnumerable<(Code Code, int Bits)> executed)
    {
        foreach ((Code, MachineColumn Column) key in _cases.Keys.Where(k => k.Column.Oracle == oracle).ToList())
            _cases.Remove(key);
        foreach ((Code code, int bits) in executed)
        {
            var column = new MachineColumn(oracle, bits);
            _cases[(code, column)] = this[code, column] + 1;
        }
    }

    /// <summary>The text of the file.</summary>
    public string Format()
    {
        var text = new StringBuilder("# Cases of privileged behaviour in which each code was executed and a whole machine agreed, by machine and size of code.\n# Written by `emu diff privileged --record`.\n");
        foreach (IGrouping<Code, KeyValuePair<(Code Code, MachineColumn Column), long>> row in _cases.GroupBy(e => e.Key.Code).OrderBy(g => g.Key.ToString(), StringComparer.Ordinal))
            text.Append(CultureInfo.InvariantCulture, $"{row.Key} | {string.Join(' ', Columns.Where(c => this[row.Key, c] != 0).Select(c => $"{c}={this[row.Key, c]}"))}\n");
        return text.ToString();
    }

    private static MachineChecks Parse(IEnumerable<string[]> rows)
    {
        var checks = new MachineChecks();
        foreach (string[] row in rows)
        {
            if (row.Length != 2 || !Enum.TryParse(row[0], out Code code))
                throw new InvalidDataException($"{Name}: '{row[0]}' is not a code");
            foreach (string part in row[1].Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                string[] sides = part.Split('=');
                MachineColumn column = Columns.FirstOrDefault(c => c.ToString() == sides[0]);
                if (sides.Length != 2 || column.Oracle == null || !long.TryParse(sides[1], NumberStyles.None, CultureInfo.InvariantCulture, out long cases))
                    throw new InvalidDataException($"{Name}: '{part}' is not machine=cases");
                checks._cases[(code, column)] = cases;
            }
        }
        return checks;
    }
}
