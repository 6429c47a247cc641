using System.Text.RegularExpressions;

namespace Emu.Tests.House;

/// <summary>The source tree that these tests read.</summary>
internal static partial class Repository
{
    /// <summary>The folder of Emu.sln, from wherever the tests run.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Files below a folder of the repository, by extension, without what builds leave behind; paths with forward slashes, from the root.</summary>
    public static IEnumerable<string> Files(string folder, params string[] extensions)
    {
        string at = Path.Combine(Root, folder);
        if (!Directory.Exists(at))
            return [];
        return Directory.EnumerateFiles(at, "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(Root, f).Replace('\\', '/'))
            .Where(f => extensions.Contains(Path.GetExtension(f)) && !BuildOutput().IsMatch(f))
            .Order(StringComparer.Ordinal);
    }

    public static string Read(string file) => File.ReadAllText(PathOf(file));

    public static string PathOf(string file) => Path.Combine(Root, file);

    /// <summary>Source text with comments and the insides of strings blanked, lines kept: what is left is code.</summary>
    public static string Code(string text) => CommentOrString().Replace(text, m => m.Value[0] switch
    {
        '/' => new string('\n', m.Value.Count(c => c == '\n')),
        _ => "\"\"" + new string('\n', m.Value.Count(c => c == '\n')),
    });

    private static string FindRoot()
    {
        for (DirectoryInfo? d = new(AppContext.BaseDirectory); d != null; d = d.Parent)
            if (File.Exists(Path.Combine(d.FullName, "Emu.sln")))
                return d.FullName;
        throw new InvalidOperationException("the tests do not run inside a clone: no Emu.sln above " + AppContext.BaseDirectory);
    }

    [GeneratedRegex("(^|/)(bin|obj|build|build-check)/")]
    private static partial Regex BuildOutput();

    // Raw strings first, then verbatim, then plain ones; a character literal is skipped so that '"' opens no string.
    [GeneratedRegex("""""
        /\*.*?\*/|//[^\n]*|"""+.*?"""+|@"(?:[^"]|"")*"|"(?:\\.|[^"\\\n])*"
        """"", RegexOptions.Singleline | RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex CommentOrString();
}
