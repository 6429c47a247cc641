using System.Globalization;
using Emu.Boot;
using Emu.Cpus;
using Emu.Execution;

namespace Emu.Exploration;

/// <summary>A finding of the XMC checker in words, in the manner of ThreadSanitizer: both accesses, what is missing between them, and the rule that wants it.</summary>
/// <param name="clock">What times are: <c>time</c> where they are the machine's, <c>row</c> where they are rows of a witness.</param>
public sealed class XmcReport(XmcFinding finding, SymbolTable symbols, string clock = "time")
{
    /// <summary>Versions that are listed; of more, those in the middle are left out.</summary>
    private const int MaximumVersions = 10;

    private readonly XmcRace _race = finding.Race;

    /// <summary>Bytes worth showing: those that were executed, and those that may have been fetched instead.</summary>
    private int Length => Math.Max(_race.Executed.Length, _race.Verdict.Fetched.Length);

    /// <summary>The report, line by line.</summary>
    public IEnumerable<string> Lines()
    {
        yield return "==================";
        yield return $"WARNING: {FindingKind.UnsynchronisedExecution.Name()} of modified code at {Place(_race.Rip)}";
        yield return $"  Executed by CPU {_race.Cpu} at {Place(_race.Rip)}, {clock} {Text(_race.Time)}: {Bytes(_race.Executed)}";
        yield return $"  Stored by {Who(_race.Culprit)}: {Store(_race.Culprit)}";
        yield return $"  Versions since CPU {_race.Cpu} last serialised, oldest first:";
        foreach (string line in Versions())
            yield return line;
        yield return _race.Serialised.Event == SerialisingEvent.Start ? $"  CPU {_race.Cpu} has not serialised since its start, {clock} {Text(_race.Serialised.Time)}"
            : $"  CPU {_race.Cpu} last serialised by {_race.Serialised.Event.Name()}{At(_race.Serialised)}, {clock} {Text(_race.Serialised.Time)}";
        yield return $"  It may hold {Bytes(_race.Verdict.Fetched)}{(_race.Verdict.Torn ? ", torn from several versions" : "")}, and memory holds {Bytes(Present)}";
        yield return $"  Forbidden by profile {_race.Profile.Name}, {_race.Verdict.Field}={_race.Verdict.Value}: {_race.Verdict.Reason}";
        yield return $"  Source: {_race.Verdict.Source}";
        yield return $"  Would be excused by: {_race.Verdict.Remedy}";
        if (finding.Count > 1)
            yield return $"  Seen {Text((ulong)finding.Count)} times, on CPU {string.Join(", ", finding.Cpus)}";
        yield return $"SUMMARY: {Summary}";
        yield return "==================";
    }

    /// <summary>One line.</summary>
    public string Summary =>
        $"{FindingKind.UnsynchronisedExecution.Name()}: CPU {_race.Cpu} executes {Place(_race.Rip)} after {Place(_race.Culprit.Writer.Rip)} stored to it, and did not serialise between";

    private byte[] Present => [.. _race.Versions[^1].Bytes.Take(Length)];

    private IEnumerable<string> Versions()
    {
        int n = _race.Versions.Count;
        for (int i = 0; i < n; i++)
        {
            if (n > MaximumVersions && i == MaximumVersions / 2)
            {
                i = n - MaximumVersions / 2;
                yield return $"    ... {Text((ulong)(n - MaximumVersions))} more";
            }
            XmcVersion version = _race.Versions[i];
            string from = version.Store is { } store ? $"stored by {Who(store)}" : "when it serialised";
            yield return $"    {Bytes([.. version.Bytes.Take(Length)])}  {from}";
        }
    }

    private string Who(XmcStore store) =>
        store.Writer.Cpu < 0 ? "a device or the host" : $"CPU {store.Writer.Cpu} at {Place(store.Writer.Rip)}, {clock} {Text(store.Time)}";

    private static string Store(XmcStore store) =>
        $"{Bytes(Little(store.New, store.Length))} over {Bytes(Little(store.Old, store.Length))} at 0x{store.Writer.Linear:x} (physical 0x{store.Address:x})";

    private string At(XmcSerialisation serialised) => serialised.Event is SerialisingEvent.Init or SerialisingEvent.Sipi ? "" : $" at {Place(serialised.Rip)}";

    /// <summary>An address with its symbol.</summary>
    public string Place(ulong address)
    {
        string name = symbols.Describe(address);
        return name.StartsWith("0x", StringComparison.Ordinal) ? name : $"{name} (0x{address:x})";
    }

    private static byte[] Little(ulong value, int length) => [.. Enumerable.Range(0, length).Select(i => (byte)(value >> (8 * i)))];

    /// <summary>Bytes as reports write them: <c>eb e5</c>.</summary>
    public static string Bytes(byte[] bytes) => string.Join(' ', bytes.Select(b => b.ToString("x2", CultureInfo.InvariantCulture)));

    private static string Text(ulong number) => number.ToString(CultureInfo.InvariantCulture);
}
