namespace Emu.Scenarios;

/// <summary>A store that has retired and is not yet in memory.</summary>
/// <param name="Where">By label.</param>
/// <param name="Value">Up to four bytes as they will lie in memory; of eight the number.</param>
public sealed record StoreView(string Where, string Value);

/// <summary>What a CPU holds after a step.</summary>
/// <param name="Rip">Where it is, by label.</param>
/// <param name="Queue">The bytes in its prefetch queue, with the label of the first; empty when it holds none.</param>
/// <param name="Stores">Its store buffer, oldest first.</param>
/// <param name="Registers">General registers that this step changed.</param>
/// <param name="State">running, halted, shut down.</param>
public sealed record CpuView(string Rip, string Queue, IReadOnlyList<StoreView> Stores, IReadOnlyDictionary<string, string> Registers, string State);

/// <summary>One event of a run and what there was after it.</summary>
/// <param name="Number">From 0, which is the initial state.</param>
/// <param name="Cpu">Whose event it is; -1 for the initial state.</param>
/// <param name="Event">start, fetch, execute, interrupt, drain or deliver; in witnesses of a guest also run: instructions of which nobody else sees anything.</param>
/// <param name="Text">What was fetched, executed, drained or delivered.</param>
/// <param name="Notes">What came of it: a fault, stale bytes, a message sent, a serialisation.</param>
/// <param name="Memory">The watched bytes, in the order of <see cref="ScenarioResult.Watches"/>.</param>
/// <param name="Cpus">Every CPU.</param>
public sealed record ScenarioStep(
    int Number, int Cpu, string Event, string Text, IReadOnlyList<string> Notes, IReadOnlyList<string> Memory, IReadOnlyList<CpuView> Cpus);

/// <summary>One way in which runs ended, and how many did.</summary>
/// <param name="Satisfies">The condition holds in it.</param>
public sealed record ScenarioOutcome(int Count, string Text, bool Satisfies);

/// <summary>How far an exploration went.</summary>
/// <param name="Mode">What was asked for: exhaustive, preempt&lt;=2, pct 3, and bounds.</param>
/// <param name="Complete">Every order of events that the mode asks for was gone through; no bound was reached.</param>
/// <param name="States">States of the machine that were visited.</param>
/// <param name="Events">Events that were executed on the way.</param>
/// <param name="Bound">Why it is not complete; null when it is.</param>
public sealed record ScenarioExploration(string Mode, bool Complete, long States, long Events, string? Bound);

/// <summary>What came of a scenario. Serialises to JSON as it is.</summary>
public sealed record ScenarioResult
{
    public required string File { get; init; }
    public required string Name { get; init; }
    public required string Description { get; init; }
    public required string Profile { get; init; }
    public required int CpuCount { get; init; }

    /// <summary>The file pins the order of events, so there is one run; else runs were sampled under random schedules.</summary>
    public required bool Pinned { get; init; }

    /// <summary>What was explored; null when runs were pinned or sampled. The counts of states are then those of final states.</summary>
    public required ScenarioExploration? Exploration { get; init; }

    /// <summary>What the sampled runs promise, where the file asks for PCT; else null.</summary>
    public required PctBound? Pct { get; init; }

    /// <summary>Runs, or final states of an exploration.</summary>
    public required int Runs { get; init; }

    /// <summary>Seed of the first of the sampled runs; the next ones follow by one.</summary>
    public required ulong Seed { get; init; }
    public required string Condition { get; init; }
    public required Quantifier Quantifier { get; init; }

    /// <summary>How the runs ended.</summary>
    public required IReadOnlyList<ScenarioOutcome> States { get; init; }

    /// <summary>Runs in which the condition holds.</summary>
    public required int Positive { get; init; }
    public required int Negative { get; init; }
    public required Observation Observation { get; init; }

    /// <summary>The quantified condition is true of these runs: herd's Ok, else No.</summary>
    public required bool Ok { get; init; }

    /// <summary>What the file expects of the observation, if it says so.</summary>
    public required Observation? Expected { get; init; }

    /// <summary>The verdict: what the file expects is what happened.</summary>
    public required bool AsExpected { get; init; }

    /// <summary>Why the scenario could not be played to its end; null when it could.</summary>
    public required string? Problem { get; init; }

    /// <summary>Runs that the file's <c>filter</c> left out.</summary>
    public required int Filtered { get; init; }

    /// <summary>Runs that were given up at the limit of events.</summary>
    public required int Unfinished { get; init; }

    /// <summary>Runs in which nothing can happen any more while a CPU waits.</summary>
    public required int Deadlocks { get; init; }

    /// <summary>Ways to go on for ever; only an exploration finds them.</summary>
    public required int Livelocks { get; init; }

    /// <summary>What is watched in memory.</summary>
    public required IReadOnlyList<WatchedBytes> Watches { get; init; }

    /// <summary>The run, step by step: the pinned one, or the first sampled one that decides the condition.</summary>
    public required IReadOnlyList<ScenarioStep> Steps { get; init; }

    /// <summary>Seed of the sampled run that <see cref="Steps"/> shows.</summary>
    public required ulong? WitnessSeed { get; init; }

    /// <summary>herd's hash of the test, where the file gives one.</summary>
    public required string? Hash { get; init; }
}
