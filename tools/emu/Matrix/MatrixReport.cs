using System.Globalization;
using Emu.Fetch;
using Spectre.Console;

namespace Emu.Cli.Matrix;

/// <summary>The table of a matrix, and under it what does each failure again.</summary>
internal static class MatrixReport
{
    public static MatrixJson ToJson(MatrixResult r) => new(
        r.Cell[MatrixAxis.Protocol], r.Cell[MatrixAxis.Sync], r.Cell[MatrixAxis.Fence], r.Cell[MatrixAxis.Ipi], r.Cell[MatrixAxis.Ack],
        r.Cell[MatrixAxis.Poke], r.Cell[MatrixAxis.Int3], r.Cell[MatrixAxis.Site], r.Cell.Profile.Name, r.Runs, Word(r.Verdict), r.Seed);

    public static void Write(Terminal terminal, IReadOnlyList<MatrixResult> results, MatrixRunner runner)
    {
        IReadOnlyList<FetchProfile> profiles = [.. results.Select(r => r.Cell.Profile).Distinct()];
        // The first choice names the row; of the others, those that are the same everywhere go into a line above the table.
        MatrixAxis[] varying = [.. MatrixAxis.All.Where(a => a == MatrixAxis.Protocol || results.Select(r => r.Cell[a]).Distinct().Count() > 1)];
        string common = string.Join(' ', MatrixAxis.All.Except(varying).Select(a => $"{a.Name}={results[0].Cell[a]}"));
        if (common.Length != 0)
            terminal.Out.WriteLine($"everywhere: {common}");
        Table table = Tables.New([.. varying.Select(a => a.Name), .. profiles.Select(p => p.Name)]);
        for (int row = 0; row < results.Count; row += profiles.Count)
            table.AddRow([.. varying.Select(a => results[row].Cell[a]), .. Enumerable.Range(row, profiles.Count).Select(i => Show(results[i]))]);
        Tables.Write(terminal, table);
        terminal.Out.WriteLine();
        terminal.Out.WriteLine("\"0 of N\" is no failure in N runs, and no more than that.");

        foreach (IGrouping<MatrixVerdict, MatrixResult> group in results.Where(r => r.Seed != null).GroupBy(r => r.Verdict).OrderBy(g => g.Key))
        {
            terminal.Out.WriteLine();
            terminal.Out.WriteLine(group.Key == MatrixVerdict.Fails ? "Each failure again:" : "Not decided, for want of something in this machine:");
            foreach (MatrixResult r in group)
            {
                terminal.Out.WriteLine($"  {runner.Replay(r)}");
                terminal.Out.WriteLine($"      {r.Reason}");
            }
        }
    }

    private static string Show(MatrixResult r) => r.Verdict switch
    {
        MatrixVerdict.Fails => string.Create(CultureInfo.InvariantCulture, $"[red]FAILS[/] seed {r.Seed}{(r.Failures > 1 ? $", {r.Failures} of {r.Runs}" : "")}"),
        MatrixVerdict.NoFailure => string.Create(CultureInfo.InvariantCulture, $"0 of {r.Runs}"),
        MatrixVerdict.Refused => "refused",
        _ => "?",
    };

    private static string Word(MatrixVerdict verdict) => verdict switch
    {
        MatrixVerdict.Fails => "fails",
        MatrixVerdict.NoFailure => "no failure",
        MatrixVerdict.Refused => "refused",
        _ => "undecided",
    };
}
