using Emu.Boot;
using Emu.Cpus;
using Emu.Fetch;

namespace Emu.Scenarios;

/// <summary>A name in memory whose bytes each step of the table shows.</summary>
public sealed record WatchedBytes(string Name, ulong Address, int Length);

/// <summary>A column of the program, assembled.</summary>
/// <param name="Start">Linear address of its first byte.</param>
/// <param name="Bytes">Its code, and behind it the loop in which a CPU rests that has reached the end.</param>
/// <param name="Instructions">Its instructions as written, with their addresses.</param>
public sealed record ScenarioCode(
    string Column, ulong Start, byte[] Bytes, IReadOnlyList<(ulong Address, string Text)> Instructions, IReadOnlyDictionary<string, ulong> Labels);

/// <summary>How often a condition is expected to hold, in the words of herd's <c>Observation</c>.</summary>
public enum Observation
{
    Never,
    Sometimes,
    Always,
}

/// <summary>
/// A scripted scenario: a litmus test in herd's X86_64 format, extended by what patching code needs (labels as data, interrupt vectors, fetch profiles,
/// a pinned order of events). README.md beside this file is the reference.
/// </summary>
public sealed class Scenario
{
    internal Scenario()
    {
    }

    public string FileName { get; internal set; } = "";
    public string Name { get; internal set; } = "";

    /// <summary>The doc string.</summary>
    public string Description { get; internal set; } = "";

    /// <summary>herd's <c>Key=Value</c> lines; kept, without effect.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Info { get; internal set; } = [];

    public FetchProfile Profile { get; internal set; } = FetchProfiles.Coherent;

    /// <summary>Fields of the profile that the file sets, as written.</summary>
    public IReadOnlyList<string> Switches { get; internal set; } = [];
    public CpuModel Model { get; internal set; } = CpuModels.AlderLake;
    public bool X2Apic { get; internal set; }
    public int CpuCount { get; internal set; }

    /// <summary>How many random schedules an unpinned scenario is run under.</summary>
    public int Runs { get; internal set; } = 1000;
    public ulong Seed { get; internal set; } = 1;

    /// <summary>Events after which a run is given up.</summary>
    public int Limit { get; internal set; } = 20_000;

    public IReadOnlyList<WatchedBytes> Watches { get; internal set; } = [];
    public Quantifier Quantifier { get; internal set; }

    /// <summary>The condition as written, with its quantifier.</summary>
    public string ConditionText { get; internal set; } = "";

    /// <summary>What the file says the condition's observation must be; null when the quantifier alone decides.</summary>
    public Observation? Expected { get; internal set; }

    /// <summary>The pinned order of events; null where the file pins none.</summary>
    public IReadOnlyList<ScheduleLine>? Schedule { get; internal set; }

    /// <summary>What the file asks an exploration for; null where it does not, and schedules are drawn at random or pinned.</summary>
    public ExploreDirective? Explore { get; internal set; }

    /// <summary>Events that the condition and <c>locations</c> name and that are noted when they happen, in the order of <see cref="OutcomeEvents"/>.</summary>
    internal IReadOnlyList<ScenarioEvent> Events { get; set; } = [];

    /// <summary>herd's <c>filter</c>: outcomes in which it does not hold do not count.</summary>
    internal Condition Filter { get; set; } = new ConstantCondition(true);

    /// <summary>The assembled columns of the program.</summary>
    public IReadOnlyList<ScenarioCode> Code => [.. Columns.Select(c => new ScenarioCode(c.Name, c.Start, c.Bytes, c.Listing, c.Labels))];

    /// <summary>What the outcome of a run consists of: the condition's locations and events, and those of <c>locations</c>.</summary>
    internal IReadOnlyList<object> Observed { get; set; } = [];
    internal Condition Condition { get; set; } = new ConstantCondition(true);
    internal IReadOnlyList<ScenarioVariable> Variables { get; set; } = [];
    internal IReadOnlyList<(int Cpu, string Register, ulong Value)> Registers { get; set; } = [];
    internal IReadOnlyList<(int? Cpu, int Vector, ulong Address)> Vectors { get; set; } = [];
    internal IReadOnlyList<AssemblyColumn> Columns { get; set; } = [];
    internal BootImage? Image { get; set; }

    /// <summary>Names of addresses.</summary>
    internal ScenarioSymbols Symbols { get; set; } = new([], [], null);

    /// <summary>Reads a scenario.</summary>
    /// <param name="text">The file's text.</param>
    /// <param name="fileName">Its name, for messages, and to find an image that it names.</param>
    /// <exception cref="ScenarioException">The text is no scenario; each error says file, line, column and what was expected.</exception>
    public static Scenario Parse(string text, string fileName) => new ScenarioParser(text, fileName).Parse();
}

/// <summary>A variable of the init block.</summary>
internal sealed record ScenarioVariable(string Name, ulong Address, int ElementSize, bool IsArray, byte[] Bytes);
