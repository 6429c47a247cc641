using System.Globalization;
using System.Net;
using System.Text;
using Emu.Exploration;
using Emu.Fetch;
using Spectre.Console;

namespace Emu.Cli.Matrix;

/// <summary>The verdict table of explored cells: for a terminal, for programs, and as a page on which a cell opens its witness.</summary>
internal static class ExploredReport
{
    private const string Style = """
        body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; } table { border-collapse: collapse; }
        th, td { border: 1px solid #bbb; padding: 4px 8px; vertical-align: top; text-align: left; }
        td.safe { background: #e2f4e2; } td.unsafe { background: #fbe3e0; } td.bound { background: #fdf3d5; } td.refused { color: #888; }
        details pre { background: #fff; border: 1px solid #ddd; padding: 8px; font-size: 12px; overflow-x: auto; max-width: 90vw; }
        summary { cursor: pointer; }
        """;

    public static ExploredJson ToJson(ExploredCell c) => new(
        c.Cell[MatrixAxis.Protocol], c.Cell[MatrixAxis.Sync], c.Cell[MatrixAxis.Fence], c.Cell[MatrixAxis.Ipi], c.Cell[MatrixAxis.Ack],
        c.Cell[MatrixAxis.Poke], c.Cell[MatrixAxis.Int3], c.Cell[MatrixAxis.Site], c.Cell.Profile.Name, c.Verdict, c.Finding?.Finding.Kind.Word(),
        c.Finding?.Finding.Text ?? c.Result?.Bound ?? c.Result?.Problem ?? c.Refusal, c.Result?.States ?? 0, c.Result?.Events ?? 0);

    public static void Write(Terminal terminal, ExploredMatrix matrix, IReadOnlyList<ExploredCell> cells)
    {
        (IReadOnlyList<FetchProfile> profiles, MatrixAxis[] varying, string common) = Layout(cells);
        if (common.Length != 0)
            terminal.Out.WriteLine($"everywhere: {common}");
        Table table = Tables.New([.. varying.Select(a => a.Name), .. profiles.Select(p => p.Name)]);
        for (int row = 0; row < cells.Count; row += profiles.Count)
            table.AddRow([.. varying.Select(a => Word(cells[row].Cell, a)), .. Enumerable.Range(row, profiles.Count).Select(i => Show(cells[i]))]);
        Tables.Write(terminal, table);
        terminal.Out.WriteLine();
        terminal.Out.WriteLine(Legend(matrix));
        foreach (ExploredCell cell in cells.Where(c => c.Verdict is "bound reached" or "failed"))
            terminal.Out.WriteLine($"  {matrix.CommandLine(cell.Cell)} on {cell.Cell.Profile.Name}: {cell.Result!.Bound ?? cell.Result.Problem}");
    }

    /// <summary>The page: one file, without scripts.</summary>
    public static string Page(ExploredMatrix matrix, IReadOnlyList<ExploredCell> cells)
    {
        (IReadOnlyList<FetchProfile> profiles, MatrixAxis[] varying, string common) = Layout(cells);
        var page = new StringBuilder();
        page.Append("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>emu matrix --explore</title><style>\n").Append(Style).Append("</style></head><body>\n");
        page.Append("<h1>emu matrix --explore</h1>\n<p>").Append(Text(Legend(matrix))).Append("</p>\n");
        if (common.Length != 0)
            page.Append("<p>everywhere: <code>").Append(Text(common)).Append("</code></p>\n");
        page.Append("<table>\n<tr>");
        foreach (string heading in varying.Select(a => a.Name).Concat(profiles.Select(p => p.Name)))
            page.Append("<th>").Append(Text(heading)).Append("</th>");
        page.Append("</tr>\n");
        for (int row = 0; row < cells.Count; row += profiles.Count)
        {
            page.Append("<tr>");
            foreach (MatrixAxis axis in varying)
                page.Append("<td>").Append(Text(Word(cells[row].Cell, axis))).Append("</td>");
            for (int i = row; i < row + profiles.Count; i++)
                AppendCell(page, matrix, cells[i]);
            page.Append("</tr>\n");
        }
        return page.Append("</table>\n</body></html>\n").ToString();
    }

    private static void AppendCell(StringBuilder page, ExploredMatrix matrix, ExploredCell cell)
    {
        page.Append("<td class=\"").Append(cell.Verdict.Split(' ')[0]).Append("\"><details><summary>").Append(Text(cell.Verdict));
        if (cell.Finding != null)
            page.Append(": ").Append(Text(cell.Finding.Finding.Kind.Name()));
        page.Append("</summary><pre>").Append(Text(cell.Cell.Profile.Name)).Append(", ").Append(Text(matrix.CommandLine(cell.Cell))).Append('\n');
        if (cell.Result is { } result)
            page.Append(Text(string.Create(CultureInfo.InvariantCulture, $"{result.States} states, {result.Transitions} choices, {result.Events} events\n")));
        page.Append(Text(cell.Finding != null ? $"{cell.Finding.Finding.Text}\n{matrix.Replay(cell)}\n\n{cell.Witness}" : cell.Refusal ?? cell.Result?.Bound ?? cell.Result?.Problem ?? ""));
        page.Append("</pre></details></td>");
    }

    private static (IReadOnlyList<FetchProfile> Profiles, MatrixAxis[] Varying, string Common) Layout(IReadOnlyList<ExploredCell> cells)
    {
        IReadOnlyList<FetchProfile> profiles = [.. cells.Select(c => c.Cell.Profile).Distinct()];
        MatrixAxis[] varying = [.. MatrixAxis.All.Where(a => a == MatrixAxis.Protocol || cells.Select(c => c.Cell[a]).Distinct().Count() > 1)];
        return (profiles, varying, string.Join(' ', MatrixAxis.All.Except(varying).Select(a => $"{a.Name}={cells[0].Cell[a]}")));
    }

    private static string Legend(ExploredMatrix matrix) => string.Create(CultureInfo.InvariantCulture,
        $"safe: every order of events of {matrix.CpuCount} CPUs, each other than the patching one executing the site {(matrix.Executions == 1 ? "once" : $"{matrix.Executions} times")}, was explored. unsafe: the rules of the profile permit the failure, and there is a witness (emu prove shows it).");

    /// <summary>What is as the guest has it by itself is not worth reading.</summary>
    private static string Word(MatrixCell cell, MatrixAxis axis) => axis != MatrixAxis.Protocol && cell[axis] == axis.Default ? "" : cell[axis];

    private static string Show(ExploredCell cell) => cell.Verdict switch
    {
        "safe" => "[green]safe[/]",
        "unsafe" => $"[red]unsafe[/] {Short(cell.Finding!.Finding.Kind)}",
        "bound reached" => "[yellow]bound[/]",
        string other => other,
    };

    private static string Short(FindingKind kind) => kind switch
    {
        FindingKind.UnsynchronisedExecution => "unsync",
        FindingKind.TornInstruction => "torn",
        FindingKind.StaleInstruction => "stale",
        FindingKind.UnexpectedException => "fault",
        FindingKind.WrongTarget => "target",
        FindingKind.GuestPanic => "panic",
        FindingKind.SavedRipInsidePatch => "rip",
        _ => kind.Name(),
    };

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
