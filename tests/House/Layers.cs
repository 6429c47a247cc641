using System.Text.RegularExpressions;

namespace Emu.Tests.House;

/// <summary>The layers of the library, and what a file may name.</summary>
internal sealed partial class Layers
{
    /// <summary>Low to high: folder, and its namespace.</summary>
    public static readonly (string Folder, string Namespace)[] Order =
    [
        ("Float", "Emu.Float"),
        ("Memory", "Emu.Memory"),
        ("Fetch", "Emu.Fetch"),
        ("Cpu", "Emu.Cpus"),
        ("Instructions", "Emu.Instructions"),
        ("Execution", "Emu.Execution"),
        ("Interrupts", "Emu.Interrupts"),
        ("Devices", "Emu.Devices"),
        ("Boot", "Emu.Boot"),
        ("Machine", "Emu.Machines"),
        ("Scenarios", "Emu.Scenarios"),
        ("Exploration", "Emu.Exploration"),
    ];

    private readonly Dictionary<string, HashSet<string>> _types = [];

    /// <param name="files">Path from the root, and text, of every file of the library.</param>
    public Layers(IEnumerable<(string File, string Text)> files)
    {
        foreach ((string file, string text) in files)
        {
            int layer = OfFile(file);
            if (layer < 0)
                continue;
            if (!_types.TryGetValue(Order[layer].Namespace, out HashSet<string>? types))
                _types[Order[layer].Namespace] = types = [];
            foreach (Match m in TypeDeclaration().Matches(Repository.Code(text)))
                types.Add(m.Groups[1].Value);
        }
    }

    /// <summary>Position of a file's folder in <see cref="Order"/>, or -1; folders in it belong to the same layer.</summary>
    public static int OfFile(string file)
    {
        string[] parts = file.Split('/');
        return parts.Length >= 3 && parts[0] == "emulator" ? Array.FindIndex(Order, l => l.Folder == parts[1]) : -1;
    }

    /// <summary>What a file names that lies above it, as "line: name".</summary>
    public IEnumerable<string> Violations(string file, string text)
    {
        int layer = OfFile(file);
        string code = Repository.Code(text);
        foreach (Match m in QualifiedName().Matches(code))
        {
            // "Emu.Machines.Machine" and "using Emu.Machines;" name the layer outright; "Machines.Machine" does so from inside namespace Emu.
            string space = "Emu." + m.Groups[2].Value;
            int named = Array.FindIndex(Order, l => l.Namespace == space);
            if (named <= layer)
                continue;
            bool outright = m.Groups[1].Success;
            if (outright || (_types.TryGetValue(space, out HashSet<string>? types) && types.Contains(m.Groups[3].Value)))
                yield return $"{file}:{code[..m.Index].Count(c => c == '\n') + 1}: {m.Value}";
        }
    }

    [GeneratedRegex(@"\b(?:class|struct|record|enum|interface|delegate)\s+(?:struct\s+|class\s+)?([A-Z]\w*)")]
    private static partial Regex TypeDeclaration();

    [GeneratedRegex(@"(?<![\w.])(Emu\.)?(Float|Memory|Fetch|Cpus|Instructions|Execution|Interrupts|Devices|Boot|Machines|Scenarios|Exploration)\b(?:\.([A-Z]\w*))?")]
    private static partial Regex QualifiedName();
}
