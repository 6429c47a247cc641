using Emu.Differ.Cases;
using Iced.Intel;

namespace Emu.Differ.Ledgers;

public enum LedgerState
{
    /// <summary>The instruction table executes it.</summary>
    Done,

    /// <summary>No processor of the scope has it, or no decoder makes it.</summary>
    OutOfScope,

    /// <summary>Neither; what remains to be done.</summary>
    Missing,
}

/// <summary>A code of the ledger.</summary>
/// <param name="Reason">Why it is out of scope; empty unless it is.</param>
public sealed record LedgerEntry(Code Code, string Feature, LedgerState State, string Reason)
{
    /// <summary>Cases in which it agreed with the oracle of a mode. A code that begins with WAIT is two instructions, and as often checked as the rarer of them.</summary>
    public long Cases(CodeMode mode) => Implementation.Parts(Code).Min(part => Checks.Committed[part, mode]);

    /// <summary>Cases of privileged behaviour in which it was executed and a whole machine agreed.</summary>
    public long Cases(MachineColumn column) => Implementation.Parts(Code).Min(part => MachineChecks.Committed[part, column]);

    /// <summary>The same of one machine, in code of all sizes.</summary>
    public long MachineCases(string oracle) => MachineChecks.Columns.Where(c => c.Oracle == oracle).Sum(Cases);

    /// <summary>Cases in which it agreed with an oracle.</summary>
    public long AllCases => CodeModes.All.Sum(Cases) + MachineChecks.Columns.Sum(Cases);
}

/// <summary>Every instruction of the <see cref="Scope"/>, with its state and how it was checked.</summary>
public static class Ledger
{
    private static readonly Lazy<LedgerEntry[]> s_entries = new(Make);

    public static IReadOnlyList<LedgerEntry> Entries => s_entries.Value;

    /// <summary>Codes that are out of scope, with the reason (data/out-of-scope.txt).</summary>
    public static IReadOnlyDictionary<Code, string> OutOfScope { get; } = ReadReasons("out-of-scope.txt");

    /// <summary>Why no oracle checks a code, where none does (data/unchecked.txt).</summary>
    public static IReadOnlyDictionary<Code, string> Unchecked { get; } = ReadReasons("unchecked.txt");

    private static LedgerEntry[] Make() => [.. Scope.Codes.Select(code =>
        OutOfScope.TryGetValue(code, out string? reason) ? new LedgerEntry(code, Scope.FeatureOf(code), LedgerState.OutOfScope, reason)
        : new LedgerEntry(code, Scope.FeatureOf(code), Implementation.Has(code) ? LedgerState.Done : LedgerState.Missing, ""))];

    private static Dictionary<Code, string> ReadReasons(string table)
    {
        var reasons = new Dictionary<Code, string>();
        foreach (string[] row in DataTable.Read(table, 2))
            foreach (string name in row[0].Split(' ', StringSplitOptions.RemoveEmptyEntries))
                reasons.Add(Enum.TryParse(name, out Code code) ? code : throw new InvalidDataException($"{table}: Iced has no code '{name}'"), row[1]);
        return reasons;
    }
}
