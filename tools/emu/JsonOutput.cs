using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Emu.Scenarios;

namespace Emu.Cli;

/// <summary>One JSON value on standard output; tools/emu/README.md has the schemas.</summary>
internal static class JsonOutput
{
    public static Option<bool> Option() => new("--json") { Description = "Write one JSON value and nothing else; its schema is in tools/emu/README.md." };

    public static void Write<T>(Terminal terminal, T value, JsonTypeInfo<T> shape) => terminal.Out.WriteLine(JsonSerializer.Serialize(value, shape));
}

/// <summary>An element of <c>emu cpus --json</c>.</summary>
internal sealed record CpuModelJson(
    string Name, string Description, string Vendor, uint Signature, int PhysicalAddressBits, string DefaultProfile, IReadOnlyList<string> Features);

/// <summary>An element of <c>emu profiles --json</c>.</summary>
internal sealed record FetchProfileJson(string Name, string Source, IReadOnlyDictionary<string, string> Fields);

/// <summary>The value of <c>emu boot --json</c>.</summary>
/// <param name="GuestValue">What the guest wrote to the exit port, where it did.</param>
/// <param name="Findings">What --check found; null without it.</param>
/// <param name="Serial">All that the guest sent to its serial port, one character a byte.</param>
internal sealed record BootJson(
    string Image, string Cpu, int Cpus, ulong Memory, string Profile, ulong Seed,
    int Exit, string Reason, string Message, int? GuestValue, ulong Instructions, double Seconds, double Mips, string RunHash,
    long StaleExecutions, StaleJson? Stale, IReadOnlyList<XmcJson>? Findings, IReadOnlyList<string> Notes, string Serial);

/// <summary>The stale bytes of which a guest died.</summary>
/// <param name="Writer">Index of the CPU that wrote what memory holds; -1 when none did.</param>
/// <param name="WrittenAt">Linear address by which it wrote.</param>
internal sealed record StaleJson(
    int Cpu, ulong Rip, string Symbol, string Fetched, string Memory, int Writer, ulong WrittenAt, string Outcome, string Explanation);

/// <summary>An element of <c>emu matrix --json</c>.</summary>
/// <param name="Runs">Runs that were made.</param>
/// <param name="Verdict">"fails", "no failure", "refused" by the guest, or "undecided" for want of something in the machine.</param>
/// <param name="Seed">The first that fails or is undecided; else null.</param>
internal sealed record MatrixJson(
    string Protocol, string Sync, string Fence, string Ipi, string Ack, string Poke, string Int3, string Site, string Profile, int Runs, string Verdict, ulong? Seed);

/// <summary>The value of <c>emu prove --json</c>.</summary>
/// <param name="Bound">What "every interleaving" ranges over.</param>
/// <param name="Problem">What was not explored and why; null when all was.</param>
/// <param name="Check">Executions that the rule of cross-modifying code forbids were looked for.</param>
/// <param name="Unsynchronised">The execution in which the witness ends, where it is of that kind; times are rows.</param>
/// <param name="Steps">The witness of the worst finding, as in <c>emu scenario --json</c>.</param>
internal sealed record ProveJson(
    string Image, string CommandLine, int Cpus, string Cpu, string Profile, IReadOnlyDictionary<string, string> Fields,
    string Verdict, int Exit, string Bound, string? Problem, long States, long Choices, long Events, double Seconds, int Rounds,
    int SharedData, int SharedCode, long Bytes, IReadOnlyList<FindingJson> Findings, bool Check, XmcJson? Unsynchronised, IReadOnlyList<WatchedBytes> Watches,
    IReadOnlyList<ScenarioStep> Steps);

/// <summary>The value of <c>emu replay --json</c>.</summary>
/// <param name="Finding">Its kind in one word; null where a scenario's outcome was saved.</param>
/// <param name="Machine">What came of playing it on the machine itself; null when it went the same way.</param>
internal sealed record ReplayJson(
    string File, string Subject, string Profile, string? Finding, string Ending, string? Machine, IReadOnlyList<WatchedBytes> Watches, IReadOnlyList<ScenarioStep> Steps);

/// <summary>A finding: its kind in one word, and the exit code of that kind.</summary>
internal sealed record FindingJson(string Kind, string Text, int Exit);

/// <summary>An element of <c>emu matrix --explore --json</c>.</summary>
/// <param name="Verdict">"safe" within the bound, "unsafe", "bound reached", "refused" by the guest, or "failed" for want of something in the machine.</param>
/// <param name="Finding">What is wrong, in one word; null unless unsafe.</param>
/// <param name="Reason">The finding in words, the bound, or the guest's refusal; null when safe.</param>
internal sealed record ExploredJson(
    string Protocol, string Sync, string Fence, string Ipi, string Ack, string Poke, string Int3, string Site, string Profile, string Verdict,
    string? Finding, string? Reason, long States, long Events);

/// <summary>An element of <c>emu isa --json</c>.</summary>
/// <param name="Code">Iced's name.</param>
/// <param name="State">"done", "out of scope" or "missing".</param>
/// <param name="Reason">Why it is out of scope; else empty.</param>
/// <param name="Cases">By mode, the cases in which it agreed with the mode's oracle.</param>
internal sealed record InstructionJson(string Code, string Feature, string State, string Reason, IReadOnlyDictionary<string, long> Cases);

/// <summary>The shapes of all our JSON, written by the compiler: reflection would cost start-up time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, NewLine = "\n", UseStringEnumConverter = true)]
[JsonSerializable(typeof(BootJson))]
[JsonSerializable(typeof(SampleJson))]
[JsonSerializable(typeof(CpuModelJson[]))]
[JsonSerializable(typeof(MatrixJson[]))]
[JsonSerializable(typeof(ProveJson))]
[JsonSerializable(typeof(ExploredJson[]))]
[JsonSerializable(typeof(ReplayJson))]
[JsonSerializable(typeof(LinuxJson))]
[JsonSerializable(typeof(ObservationResult[]))]
[JsonSerializable(typeof(ScenarioResult[]))]
[JsonSerializable(typeof(FetchProfileJson[]))]
[JsonSerializable(typeof(InstructionJson[]))]
internal sealed partial class JsonShapes : JsonSerializerContext
{
}
