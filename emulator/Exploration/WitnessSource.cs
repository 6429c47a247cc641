using System.Globalization;

namespace Emu.Exploration;

/// <summary>Which line of which source an address of an image comes from: the file that the guest's Makefile writes beside the image, and the sources, where they are there.</summary>
public sealed class WitnessSource
{
    private const string FirstLine = "lines of image ";

    private readonly List<(ulong Address, string File, int Line)> _lines = [];
    private readonly Dictionary<string, string[]?> _sources = [];
    private readonly string _folder;

    private WitnessSource(string folder) => _folder = folder;

    /// <summary>The lines of an image: <c>emu64.lines</c> beside <c>emu64.elf</c>. Null where there is no such file, or it is of another image.</summary>
    /// <param name="imagePath">Where the image is.</param>
    /// <param name="image">Its bytes.</param>
    public static WitnessSource? Beside(string imagePath, ReadOnlySpan<byte> image)
    {
        try
        {
            string path = Path.ChangeExtension(imagePath, ".lines");
            if (!File.Exists(path))
                return null;
            string[] lines = File.ReadAllLines(path);
            if (lines.Length == 0 || lines[0] != FirstLine + WitnessFile.Hash(image))
                return null;
            var source = new WitnessSource(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, "..", "guest"));
            foreach (string line in lines.Skip(1))
            {
                string[] parts = line.Split(' ', ':');
                if (parts.Length == 3 && ulong.TryParse(parts[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong address)
                    && int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out int number))
                    source._lines.Add((address, parts[1], number));
            }
            return source;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            // A table without sources is a table all the same.
            return null;
        }
    }

    /// <summary><c>arch/text_poke.c:48 *p = opcode;</c>, or null where no line is known.</summary>
    public string? Describe(ulong address)
    {
        int low = 0, high = _lines.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_lines[middle].Address <= address)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == 0 || low == _lines.Count)
            return null;
        (_, string file, int line) = _lines[low - 1];
        string[]? text = Source(file);
        return text != null && line >= 1 && line <= text.Length ? $"{file}:{line} {Tidy(text[line - 1])}" : $"{file}:{line}";
    }

    /// <summary>Without indentation, comment and continuation.</summary>
    private static string Tidy(string line)
    {
        int comment = line.IndexOf("/*", StringComparison.Ordinal);
        string code = comment > 0 && line[..comment].Trim().Length != 0 ? line[..comment] : line;
        return string.Join(' ', code.Split((char[])[' ', '\t', '\\'], StringSplitOptions.RemoveEmptyEntries));
    }

    private string[]? Source(string file)
    {
        if (_sources.TryGetValue(file, out string[]? known))
            return known;
        try
        {
            string path = Path.Combine(_folder, file);
            known = File.Exists(path) ? File.ReadAllLines(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            known = null;
        }
        return _sources[file] = known;
    }
}
