using System.Globalization;
using System.Text;
using Emu.Differ.Cases;
using Iced.Intel;

namespace Emu.Differ.Ledgers;

/// <summary>How many cases of each code agreed with the oracle of a mode, summed up over the runs that were recorded (data/checks.txt).</summary>
public sealed class Checks
{
    private const string Name = "checks.txt";

    private readonly Dictionary<(Code Code, CodeMode Mode), long> _cases = [];

    /// <summary>What is committed.</summary>
    public static Checks Committed { get; } = Parse(DataTable.Read(Name, 2));

    /// <summary>Cases of a code in a mode.</summary>
    public long this[Code code, CodeMode mode] => _cases.GetValueOrDefault((code, mode));

    /// <summary>Cases of a code.</summary>
    public long Of(Code code) => CodeModes.All.Sum(m => this[code, m]);

    /// <summary>Reads a file of that form.</summary>
    /// <exception cref="InvalidDataException">It has another form.</exception>
    public static Checks Read(string path) =>
        Parse(File.ReadLines(path).Where(l => l.Length > 0 && l[0] != '#').Select(l => l.Split('|', StringSplitOptions.TrimEntries)));

    /// <summary>Adds what a run did.</summary>
    public void Add(IEnumerable<KeyValuePair<(CodeMode Mode, Code Code), long>> agreements)
    {
        foreach (((CodeMode mode, Code code), long cases) in agreements)
            _cases[(code, mode)] = this[code, mode] + cases;
    }

    /// <summary>The text of the file.</summary>
    public string Format()
    {
        var text = new StringBuilder("# Cases in which Emu agreed with the oracle, by code and mode: of u32 and u64 that is the host's CPU, of 16, 32 and 64 Unicorn.\n# Written by `emu diff --record`, which adds to it.\n");
        foreach (IGrouping<Code, KeyValuePair<(Code Code, CodeMode Mode), long>> row in _cases.GroupBy(e => e.Key.Code).OrderBy(g => g.Key.ToString(), StringComparer.Ordinal))
            text.Append(CultureInfo.InvariantCulture, $"{row.Key} | {string.Join(' ', row.OrderBy(e => e.Key.Mode).Select(e => $"{e.Key.Mode.Word()}={e.Value}"))}\n");
        return text.ToString();
    }

    private static Checks Parse(IEnumerable<string[]> rows)
    {
        var checks = new Checks();
        foreach (string[] row in rows)
        {
            if (row.Length != 2 || !Enum.TryParse(row[0], out Code code))
                throw new InvalidDataException($"{Name}: '{row[0]}' is not a code");
            foreach (string part in row[1].Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                string[] sides = part.Split('=');
                if (sides.Length != 2 || CodeModes.Find(sides[0]) is not { } mode || !long.TryParse(sides[1], NumberStyles.None, CultureInfo.InvariantCulture, out long cases))
                    throw new InvalidDataException($"{Name}: '{part}' is not mode=cases");
                checks._cases[(code, mode)] = cases;
            }
        }
        return checks;
    }
}
