using System.Reflection;

namespace Emu.Differ.Cases;

/// <summary>The differ's tables: lines of fields between bars; # begins a comment.</summary>
public static class DataTable
{
    /// <summary>The rows of a table that is compiled into the program.</summary>
    /// <exception cref="InvalidDataException">A row has not <paramref name="fields"/> fields.</exception>
    public static IEnumerable<string[]> Read(string name, int fields)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)
            ?? throw new InvalidDataException($"the table {name} is not part of the program");
        using var reader = new StreamReader(stream);
        int number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            if (string.IsNullOrWhiteSpace(line) || line.TrimStart().StartsWith('#'))
                continue;
            string[] row = line.Split('|', StringSplitOptions.TrimEntries);
            if (row.Length != fields)
                throw new InvalidDataException($"{name}, line {number}: {row.Length} fields instead of {fields}");
            yield return row;
        }
    }
}
