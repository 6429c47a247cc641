using Emu.Boot;
using Emu.Cpus;
using Emu.Execution;
using Emu.Exploration;

namespace Emu.Cli;

/// <summary>A finding of <c>emu boot --check --json</c>; tools/emu/README.md has the schema.</summary>
/// <param name="Kind">The kind's name in one word.</param>
/// <param name="Count">How often it was seen.</param>
/// <param name="Fetched">Bytes that the CPU may have held, and that the rule does not excuse.</param>
internal sealed record XmcJson(
    string Kind, long Count, IReadOnlyCollection<int> Cpus, XmcPlaceJson Execution, string Executed, IReadOnlyList<XmcVersionJson> Versions, XmcPlaceJson Store, string Fetched, bool Torn,
    string SerialisedBy, XmcPlaceJson Serialisation, string Profile, string Field, string Value, string Reason, string Source, string Remedy)
{
    public static XmcJson Of(XmcFinding finding, SymbolTable symbols)
    {
        XmcRace r = finding.Race;
        return new XmcJson(
            FindingKind.UnsynchronisedExecution.Word(), finding.Count, finding.Cpus,
            new XmcPlaceJson(r.Cpu.Value, r.Rip, symbols.Describe(r.Rip), r.Time), XmcReport.Bytes(r.Executed),
            [.. r.Versions.Select(v => new XmcVersionJson(XmcReport.Bytes(v.Bytes), v.Store is { } store ? Place(store, symbols) : null))],
            Place(r.Culprit, symbols), XmcReport.Bytes(r.Verdict.Fetched), r.Verdict.Torn,
            r.Serialised.Event.Name(), new XmcPlaceJson(r.Cpu.Value, r.Serialised.Rip, symbols.Describe(r.Serialised.Rip), r.Serialised.Time),
            r.Profile.Name, r.Verdict.Field, r.Verdict.Value, r.Verdict.Reason, r.Verdict.Source, r.Verdict.Remedy);
    }

    private static XmcPlaceJson Place(XmcStore store, SymbolTable symbols) =>
        new(store.Writer.Cpu, store.Writer.Rip, symbols.Describe(store.Writer.Rip), store.Time);
}

/// <summary>Who, where and when.</summary>
/// <param name="Cpu">-1 for a device or the host.</param>
internal sealed record XmcPlaceJson(int Cpu, ulong Rip, string Symbol, ulong Time);

/// <summary>Bytes of an instruction, and the store that made them; null for those that were there when the CPU serialised.</summary>
internal sealed record XmcVersionJson(string Bytes, XmcPlaceJson? Store);
