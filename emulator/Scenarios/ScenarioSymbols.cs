using Emu.Boot;

namespace Emu.Scenarios;

/// <summary>Names for addresses, for tables: labels and variables of the scenario first, then symbols of its image.</summary>
internal sealed class ScenarioSymbols
{
    private readonly List<(ulong Address, ulong End, string Name)> _own = [];
    private readonly SymbolTable? _image;

    public ScenarioSymbols(IReadOnlyList<AssemblyColumn> columns, IReadOnlyList<ScenarioVariable> variables, SymbolTable? image)
    {
        _image = image;
        foreach (AssemblyColumn column in columns)
        {
            ulong end = column.Start + (ulong)column.Bytes.Length;
            (string Key, ulong Value)[] labels = [.. column.Labels.OrderBy(l => l.Value).ThenBy(l => l.Key == column.Name ? 1 : 0).Select(l => (l.Key, l.Value))];
            for (int i = 0; i < labels.Length; i++)
            {
                bool shared = columns.Any(c => c != column && c.Labels.ContainsKey(labels[i].Key));
                string name = shared ? $"{column.Name}:{labels[i].Key}" : labels[i].Key;
                ulong next = labels.Skip(i + 1).Select(l => l.Value).FirstOrDefault(v => v > labels[i].Value, end);
                _own.Add((labels[i].Value, next, name));
            }
        }
        foreach (ScenarioVariable v in variables)
            _own.Add((v.Address, v.Address + (ulong)v.Bytes.Length, v.Name));
        _own.Add((ScenarioLayout.ApicAlias, ScenarioLayout.ApicAlias + 0x1000, "apic"));
    }

    /// <summary><c>site+1</c>, or null where nothing is known.</summary>
    public string? TryDescribe(ulong address)
    {
        ulong at = ScenarioLayout.Physical(address);
        string alias = at != address ? "alias of " : "";
        foreach ((ulong start, ulong end, string name) in _own)
            if (at >= start && at < end)
                return $"{alias}{name}{(at == start ? "" : $"+{at - start}")}";
        return _image != null && _image.TryFind(at, out Symbol symbol, out ulong offset) ? $"{alias}{symbol.Name}{(offset == 0 ? "" : $"+0x{offset:x}")}" : null;
    }

    /// <summary>A name, or the number.</summary>
    public string Describe(ulong address) => TryDescribe(address) ?? $"0x{address:x}";
}
