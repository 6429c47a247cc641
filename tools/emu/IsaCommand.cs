using System.CommandLine;
using Emu.Differ.Cases;
using Emu.Differ.Ledgers;
using Spectre.Console;

namespace Emu.Cli;

/// <summary><c>emu isa</c>: the ledger of instructions.</summary>
public static class IsaCommand
{
    public static Command Build(Terminal terminal)
    {
        var feature = new Option<string>("--feature") { HelpName = "NAME", Description = "The instruction codes of one CPUID feature, each with its state and how it was checked." };
        var missing = new Option<bool>("--missing") { Description = "Only the codes that are neither done nor out of scope." };
        var json = JsonOutput.Option();
        var command = new Command("isa", "Lists the instruction set: what is executed, what is out of scope and why, and how often each instruction was checked against which implementation.")
        {
            feature, missing, json,
        };
        command.SetAction(parsed =>
        {
            IEnumerable<LedgerEntry> entries = Choose(parsed.GetValue(feature), parsed.GetValue(missing));
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, [.. entries.Select(Describe)], JsonShapes.Default.InstructionJsonArray);
            else if (parsed.GetValue(feature) != null || parsed.GetValue(missing))
                WriteCodes(terminal, entries);
            else
                terminal.Out.Write(LedgerTable.Format(Ledger.Entries));
            return ExitCode.Success;
        });
        return command.WithExamples(
            ("emu isa", "the table of features"),
            ("emu isa --feature sse2", "every instruction of SSE2"),
            ("emu isa --missing", "what is still to be done"));
    }

    private static IEnumerable<LedgerEntry> Choose(string? feature, bool missing)
    {
        if (feature != null && !Scope.Features.Contains(feature, StringComparer.OrdinalIgnoreCase))
            throw new UsageException($"--feature {feature}: there is none of that name; \"emu isa\" lists them");
        return Ledger.Entries.Where(e =>
            (feature == null || e.Feature.Equals(feature, StringComparison.OrdinalIgnoreCase)) && (!missing || e.State == LedgerState.Missing));
    }

    private static InstructionJson Describe(LedgerEntry e) => new(
        e.Code.ToString(), e.Feature, LedgerTable.Word(e.State), e.Reason, CasesOf(e).Where(c => c.Cases > 0).ToDictionary(c => c.Word, c => c.Cases));

    /// <summary>By mode and machine.</summary>
    private static IEnumerable<(string Word, long Cases)> CasesOf(LedgerEntry e) =>
        [.. CodeModes.All.Select(m => (m.Word(), e.Cases(m))), .. MachineChecks.Columns.Select(c => (c.ToString(), e.Cases(c)))];

    private static void WriteCodes(Terminal terminal, IEnumerable<LedgerEntry> entries)
    {
        Table table = Tables.New(["code", "state", .. CodeModes.All.Select(m => m.Word()), .. MachineChecks.Oracles, "remark"]);
        foreach (LedgerEntry e in entries)
        {
            IEnumerable<long> cases = [.. CodeModes.All.Select(e.Cases), .. MachineChecks.Oracles.Select(e.MachineCases)];
            table.AddRow([e.Code.ToString(), LedgerTable.Word(e.State), .. cases.Select(n => n == 0 ? "" : n.ToString()), Markup.Escape(LedgerTable.Remark(e))]);
        }
        Tables.Write(terminal, table);
    }
}
