using System.Text.RegularExpressions;
using Emu.Differ.Cases;

namespace Emu.Differ.Privileged;

/// <summary>
/// Where the manual has decided against another emulator, or leaves a thing open: <c>data/privileged.txt</c>, a line for each, with the oracle, a
/// pattern of case names, the fields that may differ there (<c>rf</c> is that bit of the flags), and the reason with its source.
/// </summary>
internal static class KnownDifferences
{
    private const uint Rf = 1 << 16;

    /// <summary>Stands for the bar of a pattern, which separates the columns.</summary>
    private const char Alternative = ';';

    private static Regex PatternOf(string text) => new(text.Replace(Alternative, '|'));

    private sealed record Rule(string Oracle, Regex Name, string[] Fields);

    private static readonly List<Rule> _rules =
    [
        .. from parts in DataTable.Read("privileged.txt", 4)
           select new Rule(parts[0], PatternOf(parts[1]), parts[2].Split(' ')),
    ];

    /// <summary>What another emulator is not asked, because it does not come back from it.</summary>
    private static readonly List<(string Oracle, Regex Name)> _leftOut =
        [.. from parts in DataTable.Read("privileged-left-out.txt", 3) select (parts[0], PatternOf(parts[1]))];

    /// <summary>True for a case that <c>data/privileged-left-out.txt</c> names for this oracle.</summary>
    public static bool IsLeftOut(string oracle, string name) => _leftOut.Any(r => r.Oracle == oracle && r.Name.IsMatch(name));

    /// <summary>True when each field that differs is one of those that some rule for the case names.</summary>
    public static bool Explain(string oracle, GuestDifference d)
    {
        HashSet<string> allowed = [.. _rules.Where(r => r.Oracle == oracle && r.Name.IsMatch(d.Name)).SelectMany(r => r.Fields)];
        return Differing(d).All(allowed.Contains);
    }

    /// <summary>Of the rules for an oracle the fields, each behind its pattern, in which no case differs: what excuses nothing could hide an error.</summary>
    public static IEnumerable<string> Idle(string oracle, IReadOnlyList<GuestDifference> differences) =>
        from rule in _rules
        where rule.Oracle == oracle
        let used = differences.Where(d => rule.Name.IsMatch(d.Name)).SelectMany(Differing).ToHashSet()
        let idle = string.Join(' ', rule.Fields.Where(f => !used.Contains(f)))
        where idle.Length > 0
        select $"{rule.Name}: {idle}";

    private static IEnumerable<string> Differing(GuestDifference d)
    {
        Dictionary<string, string> ours = Fields(d.Ours), theirs = Fields(d.Theirs);
        // A shutdown has no other fields that could be compared.
        if (d.Theirs == PrivilegedSuite.Shutdown)
        {
            yield return "v";
            yield break;
        }
        foreach ((string name, string value) in ours)
        {
            string other = theirs.GetValueOrDefault(name, "");
            if (other == value)
                continue;
            bool onlyRf = name == "fl" && other.Length != 0 && (Convert.ToUInt32(value, 16) ^ Convert.ToUInt32(other, 16)) == Rf;
            yield return onlyRf ? "rf" : name;
        }
    }

    private static Dictionary<string, string> Fields(string found) =>
        found.Split(' ').Select(f => f.Split('=')).Where(f => f.Length == 2).ToDictionary(f => f[0], f => f[1]);
}
