using System.Globalization;
using System.Text;
using Emu.Differ.Cases;

namespace Emu.Differ.Ledgers;

/// <summary>The ledger as a table by feature: what <c>emu isa</c> prints and tools/differ/LEDGER.md holds.</summary>
public static class LedgerTable
{
    /// <summary>Cases that each code is to agree in.</summary>
    public const int Wanted = 1000;

    public static string Word(LedgerState state) => state switch { LedgerState.Done => "done", LedgerState.OutOfScope => "out of scope", _ => "missing" };

    /// <summary>Why an entry is out of scope, or not checked.</summary>
    public static string Remark(LedgerEntry e) => e.Reason.Length > 0 ? e.Reason : e.AllCases < Wanted && Ledger.Unchecked.TryGetValue(e.Code, out string? why) ? why : "";

    /// <summary>One row for each feature, and the totals; in Markdown, which reads well as it is.</summary>
    public static string Format(IReadOnlyList<LedgerEntry> entries)
    {
        var text = new StringBuilder();
        text.Append("| feature | codes | done | out of scope | missing | with 1000 cases | with a reason |");
        foreach (CodeMode mode in CodeModes.All)
            text.Append(CultureInfo.InvariantCulture, $" {mode.Word()} |");
        foreach (string machine in MachineChecks.Oracles)
            text.Append(CultureInfo.InvariantCulture, $" {machine} |");
        text.Append("\n|---|--:|--:|--:|--:|--:|--:|").Append(string.Concat(Enumerable.Repeat("--:|", CodeModes.All.Count + MachineChecks.Oracles.Count))).Append('\n');
        foreach (string feature in Scope.Features)
        {
            LedgerEntry[] rows = [.. entries.Where(e => e.Feature == feature)];
            if (rows.Length > 0)
                Row(text, feature, rows);
        }
        Row(text, "all", entries);
        return text.ToString();
    }

    private static void Row(StringBuilder text, string name, IReadOnlyList<LedgerEntry> rows)
    {
        int done = rows.Count(e => e.State == LedgerState.Done);
        text.Append(CultureInfo.InvariantCulture, $"| {name} | {rows.Count} | {done} | {rows.Count(e => e.State == LedgerState.OutOfScope)} | {rows.Count(e => e.State == LedgerState.Missing)} |");
        text.Append(CultureInfo.InvariantCulture, $" {rows.Count(e => e.AllCases >= Wanted)} | {rows.Count(e => e.State == LedgerState.Done && e.AllCases < Wanted)} |");
        foreach (CodeMode mode in CodeModes.All)
            text.Append(CultureInfo.InvariantCulture, $" {rows.Sum(e => e.Cases(mode))} |");
        foreach (string machine in MachineChecks.Oracles)
            text.Append(CultureInfo.InvariantCulture, $" {rows.Sum(e => e.MachineCases(machine))} |");
        text.Append('\n');
    }
}
