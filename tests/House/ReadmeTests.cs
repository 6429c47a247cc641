using System.Text.RegularExpressions;
using Xunit;

namespace Emu.Tests.House;

/// <summary>The README's walks through the house name what exists.</summary>
public sealed partial class ReadmeTests
{
    public static TheoryData<string, string> Steps()
    {
        var data = new TheoryData<string, string>();
        foreach (Match m in Step().Matches(File.ReadAllText(Path.Combine(Repository.Root, "README.md"))))
            data.Add(m.Groups["file"].Value, m.Groups["member"].Value);
        return data;
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public void Walk_EachStep_NamesAMemberOfTheFile(string file, string member)
    {
        string path = Path.Combine(Repository.Root, file);
        Assert.True(File.Exists(path), $"README.md names {file}, which does not exist");
        // Defined there: a name, then parameters, a body, a label's colon or a type's base list; a call ends in a semicolon.
        bool defined = File.ReadLines(path).Any(line => Regex.IsMatch(line, $@"\b{Regex.Escape(member)}\b") && !line.TrimEnd().EndsWith(';'));
        Assert.True(defined, $"README.md says that {file} has {member}; it does not");
    }

    [Theory]
    [InlineData("### Follow an IPI")]
    [InlineData("### Follow a page fault")]
    [InlineData("### Follow the start of a CPU")]
    [InlineData("### Follow a patched byte")]
    public void Walks_Each_HasItsSteps(string title)
    {
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));
        int start = readme.IndexOf(title, StringComparison.Ordinal);
        Assert.True(start >= 0, $"README.md has no '{title}'");
        int end = readme.IndexOf("\n##", start + title.Length, StringComparison.Ordinal);
        Assert.InRange(Step().Count(readme[start..end]), 5, 12);
    }

    [GeneratedRegex(@"`(?<file>[a-z]+/[\w./]+)` → `(?<member>\w+)`")]
    private static partial Regex Step();
}
