using System.Text.RegularExpressions;
using Emu.Scenarios;
using Emu.Tests.House;

namespace Emu.Tests.Scenarios;

/// <summary>The shipped scenarios and small ones made up here.</summary>
internal static partial class Litmus
{
    public const string Folder = "tests/litmus";

    /// <summary>The scenarios of patching; the published tests of memory ordering are in a folder of their own.</summary>
    public static IEnumerable<string> Files => Repository.Files(Folder, ".litmus").Where(f => Path.GetDirectoryName(f)!.Replace('\\', '/') == Folder);

    public const string PublishedFolder = "tests/litmus/x86-tso";

    public static IEnumerable<string> Published => Repository.Files(PublishedFolder, ".litmus");

    public static Scenario Load(string file) => Parse(Repository.Read(file), Path.Combine(Repository.Root, file));

    public static Scenario Parse(string text, string file = "test.litmus") => Scenario.Parse(text, file);

    public static ScenarioResult Run(string text) => ScenarioRunner.Run(Parse(text));

    /// <summary>The only error of a text.</summary>
    public static ScenarioError Error(string text)
    {
        ScenarioException e = Xunit.Assert.Throws<ScenarioException>(() => Parse(text));
        Xunit.Assert.DoesNotContain('\n', e.Errors[0].Message);
        return Xunit.Assert.Single(e.Errors);
    }

    /// <summary>The same file with another condition and no word of what to expect.</summary>
    public static string WithCondition(string text, string condition) =>
        Expect().Replace(text[..LastCondition(text)], "") + condition + "\n";

    /// <summary>The same file without its pinned order.</summary>
    public static string WithoutSchedule(string text)
    {
        int schedule = text.IndexOf("schedule:", StringComparison.Ordinal);
        return schedule < 0 ? text : text[..schedule] + text[LastCondition(text)..];
    }

    /// <summary>The condition that holds exactly when the file's does not.</summary>
    public static string Inverted(string text)
    {
        string condition = text[LastCondition(text)..].Trim();
        string inverse = condition.StartsWith("exists", StringComparison.Ordinal) ? "~" + condition
            : condition.StartsWith('~') ? condition[1..]
            : $"exists (~{condition["forall".Length..].Trim()})";
        return WithCondition(text, inverse);
    }

    private static int LastCondition(string text) => Condition().Matches(text)[^1].Index;

    [GeneratedRegex(@"^(~?exists|forall)\b", RegexOptions.Multiline)]
    private static partial Regex Condition();

    [GeneratedRegex(@"^expect:.*\n", RegexOptions.Multiline)]
    private static partial Regex Expect();
}
