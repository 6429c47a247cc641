namespace Emu.Tests.House;

/// <summary>README.md, taken apart.</summary>
internal static class Readme
{
    public const string Path = "README.md";

    /// <summary>A fenced block.</summary>
    /// <param name="Language">The word behind the fence.</param>
    /// <param name="FirstLine">Index of its first line in the file.</param>
    public sealed record Block(string Language, int FirstLine, IReadOnlyList<string> Lines);

    public static string[] Lines { get; } = Repository.Read(Path).Split('\n');

    public static IReadOnlyList<Block> Blocks { get; } = [.. FindBlocks(Lines)];

    public static IEnumerable<Block> FindBlocks(string[] lines)
    {
        for (int i = 0; i < lines.Length; i++)
        {
            if (!lines[i].StartsWith("```", StringComparison.Ordinal))
                continue;
            string[] body = [.. lines.Skip(i + 1).TakeWhile(l => l != "```")];
            yield return new Block(lines[i][3..], i + 1, body);
            i += body.Length + 1;
        }
    }
}
