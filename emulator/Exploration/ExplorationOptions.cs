using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>Bounds of an exploration, and what it may use.</summary>
public sealed record ExplorationOptions
{
    /// <summary>Explore only orders in which a CPU that could go on is interrupted by another at most so many times; null explores all.</summary>
    public int? Preemptions { get; init; }

    /// <summary>Events on one path at most; what lies behind is not explored, and that is said.</summary>
    public long? EventsOnPath { get; init; }

    /// <summary>States at most.</summary>
    public long States { get; init; } = 200_000_000;

    /// <summary>Bytes that states and the graph between them may occupy.</summary>
    public long Memory { get; init; } = 4L << 30;

    /// <summary>Worker threads; each has a machine of its own.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>End soon after the first finding: a proof is out of the question, and what is left of the search makes the witness shorter.</summary>
    public bool StopAtFinding { get; init; } = true;

    /// <summary>What an exploration of the same subject that ended early has left: it goes on there.</summary>
    public ExplorationRest? Resume { get; init; }

    /// <summary>Told of the progress, about five times a second.</summary>
    public Action<ExplorationProgress>? OnProgress { get; init; }

    /// <summary>Ends the exploration; what it has found so far is its result.</summary>
    public CancellationToken Cancel { get; init; }
}

/// <summary>How far an exploration is.</summary>
/// <param name="Round">Repetitions so far, 1 at first: each knows more of what the CPUs share.</param>
/// <param name="Frontier">Choices that wait to be tried.</param>
public readonly record struct ExplorationProgress(int Round, long States, long Events, long Frontier, int SharedBytes, TimeSpan Elapsed);

/// <summary>What an exploration says.</summary>
public enum Verdict
{
    /// <summary>Everything within the bound was explored, and nothing is wrong.</summary>
    Safe,

    /// <summary>Something is; there is a witness.</summary>
    Unsafe,

    /// <summary>Nothing was found, but a bound cut off a part.</summary>
    BoundReached,

    /// <summary>Nothing was found before it was cancelled.</summary>
    Cancelled,

    /// <summary>It could not be explored; <see cref="ExplorationResult.Problem"/> says why.</summary>
    Failed,
}

/// <summary>An outcome of a scenario, and how many final states show it.</summary>
public sealed record ExploredOutcome(string Text, long Count, bool Holds)
{
    /// <summary>How these paths ended.</summary>
    internal RunEnd End { get; init; } = RunEnd.Finished;
}

/// <summary>A finding with the shortest way to it: fewest changes from CPU to CPU, and of those the fewest events.</summary>
public sealed record ExploredFinding(Finding Finding, IReadOnlyList<Step> Steps);

/// <summary>What came of an exploration.</summary>
public sealed record ExplorationResult
{
    public required Verdict Verdict { get; init; }
    public required string? Problem { get; init; }
    public required long States { get; init; }

    /// <summary>Choices tried.</summary>
    public required long Transitions { get; init; }

    /// <summary>Instructions, interrupts, drained stores and deliveries executed, in all rounds.</summary>
    public required long Events { get; init; }
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Searches until all shared bytes were known; the last one is the proof.</summary>
    public required int Rounds { get; init; }

    /// <summary>Bytes of data that CPUs share, and bytes of code that is patched.</summary>
    public required int SharedData { get; init; }
    public required int SharedCode { get; init; }

    /// <summary>Bytes that states and their graph took.</summary>
    public required long Bytes { get; init; }
    public required IReadOnlyList<ExploredOutcome> Outcomes { get; init; }

    /// <summary>One of each kind and text.</summary>
    public required IReadOnlyList<ExploredFinding> Findings { get; init; }

    /// <summary>The way to a final state that decides the condition of a scenario; null where none does.</summary>
    public required IReadOnlyList<Step>? Deciding { get; init; }

    /// <summary>Why not everything was explored; null when it was.</summary>
    public required string? Bound { get; init; }

    /// <summary>What is left to do, where it ended early at a bound on states or memory or was cancelled, and found nothing.</summary>
    public ExplorationRest? Rest { get; init; }

    /// <summary>What was found to be shared; steps have a meaning only together with it.</summary>
    internal SharedBytes? Shared { get; init; }
}
