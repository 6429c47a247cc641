using System.CommandLine;
using Emu.Differ.Cases;
using Emu.Differ.Judging;
using Emu.Differ.Machines;

namespace Emu.Cli.Diff;

/// <summary><c>emu diff replay</c>: one case, from its line.</summary>
public static class DiffReplayCommand
{
    public static Command Build(Terminal terminal)
    {
        var line = new Argument<string[]>("line") { Description = "The case, as \"emu diff\" prints it; quoted or not. From standard input, one a line, when it is '-'." };
        var command = new Command("replay", "Runs one case and shows what both did.") { line };
        command.SetAction(parsed =>
        {
            string text = string.Join(' ', parsed.GetValue(line)!);
            IEnumerable<string> lines = text == "-" ? Lines(terminal.In) : [text];
            int code = ExitCode.Success;
            foreach (string one in lines)
                code = Math.Max(code, Replay(one, terminal.Out));
            return code;
        });
        return command.WithExamples(
            ("emu diff replay \"64 48d3e0 rax=1 rcx=3f\"", "a shift in 64-bit mode, in Unicorn and in Emu"),
            ("emu diff replay - < tests/Differ/corpus.txt", "all lines of a file"));
    }

    private static IEnumerable<string> Lines(TextReader reader)
    {
        while (reader.ReadLine() is { } line)
            if (!string.IsNullOrWhiteSpace(line) && !line.StartsWith('#'))
                yield return line;
    }

    private static int Replay(string line, TextWriter output)
    {
        Case c;
        try
        {
            c = CaseText.Parse(line);
        }
        catch (CaseSyntaxException e)
        {
            throw new UsageException(e.Message);
        }
        using var judge = new Judge(c.Mode);
        Verdict verdict = judge.Run(c);
        output.WriteLine(CaseText.Format(c));
        output.WriteLine($"  oracle: {Describe(c, judge.Expected)}");
        output.WriteLine($"  emu:    {Describe(c, judge.Actual)}");
        switch (verdict)
        {
            case Verdict.Agree:
                output.WriteLine("  they agree, on every path");
                return ExitCode.Success;
            case Verdict.Explained:
                OracleError row = OracleErrors.Rows.First(r => r.Oracle == judge.Oracle.Kind && r.Name == judge.Reason);
                output.WriteLine($"  {string.Join("; ", judge.Differences)}");
                output.WriteLine($"  explained by oracle error {row.Name}: {row.Manual}");
                return ExitCode.Success;
            case Verdict.Refused:
                output.WriteLine($"  not comparable: {judge.Reason}");
                return ExitCode.Success;
            default:
                output.WriteLine($"  {judge.Path}: {string.Join("; ", judge.Differences)}");
                return ExitCode.Failure;
        }
    }

    private static string Describe(Case c, Outcome o)
    {
        var parts = new List<string> { o.Vector == Outcome.NoVector ? "no exception" : Comparison.DescribeVector(o), $"rip={o.Rip:x}", $"flags={o.Flags:x} ({FlagNames.Describe(o.Flags)})" };
        for (int r = 0; r < c.Mode.RegisterCount(); r++)
            if (o.Registers[r] != c.Registers[r])
                parts.Add($"{CaseText.NameOf(c.Mode, r)}={o.Registers[r]:x}");
        return string.Join(' ', parts);
    }
}
