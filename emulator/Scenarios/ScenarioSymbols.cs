using Emu.Boot;
using Emu.Memory;

namespace Emu.Scenarios;

/// <summary>Names for addresses, for tables: labels and variables of the scenario first, then symbols of its image.</summary>
internal sealed class ScenarioSymbols
{
    private readonly List<(ulong Address, ulong End, string Name)> _own = [];
    private readonly List<(ulong Top, string Name)> _stacks = [];
    private readonly SymbolTable? _image;
    private readonly ulong _ramSize;

    public ScenarioSymbols(IReadOnlyList<AssemblyColumn> columns, IReadOnlyList<ScenarioVariable> variables, BootImage? image)
    {
        _image = image?.Symbols;
        _ramSize = ScenarioMachine.RamSize(image);
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
        for (int cpu = 0; cpu < ScenarioLayout.MaximumCpus; cpu++)
            _stacks.Add((ScenarioLayout.StackTop(cpu), $"stack{cpu}"));
        _own.Add((ScenarioLayout.ApicAlias, ScenarioLayout.ApicAlias + 0x1000, "apic"));
    }

    /// <summary><c>site+1</c>, or null where nothing is known.</summary>
    public string? TryDescribe(ulong address)
    {
        ulong at = ScenarioLayout.Physical(address);
        string alias = at != address ? "alias of " : "";
        foreach ((ulong start, ulong end, string name) in _own)
            if (at >= start && at < end)
                return $"{alias}{name}{Offset(at - start)}";
        foreach ((ulong top, string name) in _stacks)
            if (at < top && at >= top - Page.Size)
                return $"{alias}{name}-{top - at}";
        if (ScenarioLayout.MappedBy(at, _ramSize) is { } mapped)
            return $"{alias}PTE({Describe(mapped)})";
        return _image != null && _image.TryFind(at, out Symbol symbol, out ulong offset) ? $"{alias}{symbol.Name}{Offset(offset)}" : null;
    }

    private static string Offset(ulong offset) => offset == 0 ? "" : offset < 10 ? $"+{offset}" : $"+0x{offset:x}";

    /// <summary>A name, or the number.</summary>
    public string Describe(ulong address) => TryDescribe(address) ?? $"0x{address:x}";
}
