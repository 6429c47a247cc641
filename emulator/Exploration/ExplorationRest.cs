namespace Emu.Exploration;

/// <summary>
/// What an exploration that ended early has seen and has yet to try; <see cref="ExplorationOptions.Resume"/> goes on with it, and
/// <see cref="ExplorationFile"/> keeps it.
/// </summary>
public sealed class ExplorationRest
{
    internal ulong RootHash { get; init; }

    /// <summary>Hashes of the states that were seen, with their numbers; where preemptions are bounded, with the fewest on a way to each.</summary>
    internal IReadOnlyList<(ulong Hash, int Id)> States { get; init; } = [];
    internal IReadOnlyList<Edge> Edges { get; init; } = [];
    internal IReadOnlyList<int> Ends { get; init; } = [];
    internal IReadOnlyList<int> Deciding { get; init; } = [];

    /// <summary>Where preemptions are bounded there is no graph, and the ways to deciding states are kept.</summary>
    internal IReadOnlyList<IReadOnlyList<Step>> Paths { get; init; } = [];
    internal IReadOnlyList<ExploredOutcome> Outcomes { get; init; } = [];

    /// <summary>The choices that wait.</summary>
    internal IReadOnlyList<SearchTask> Tasks { get; init; } = [];
    internal IReadOnlyList<(ulong Start, int Length, Sharing Sharing)> Shared { get; init; } = [];
    internal bool BelowStack { get; init; }
    internal CpuMarks Cpus { get; init; }

    /// <summary>Who was seen to access what: an access that is yet to come may conflict with it.</summary>
    internal IReadOnlyList<AccessedPage> Accesses { get; init; } = [];
    internal int Rounds { get; init; }
    internal long Transitions { get; init; }
    internal long Events { get; init; }
    internal TimeSpan Elapsed { get; init; }

    /// <summary>The bound on one path; the rest belongs to it.</summary>
    public long? EventsOnPath { get; init; }

    /// <summary>And that on preemptions.</summary>
    public int? Preemptions { get; init; }

    /// <summary>Paths were cut off at it.</summary>
    internal bool IsCutOff { get; init; }

    /// <summary>Choices that wait.</summary>
    public int Frontier => Tasks.Count;

    /// <summary>Takes it from a search that has ended early.</summary>
    internal static ExplorationRest Of(Search search, IReadOnlyList<SearchWorker> workers, ExplorationOptions options, int rounds, TimeSpan elapsed, ulong rootHash)
    {
        ExploredMachine machine = workers[0].Machine;
        return new ExplorationRest
        {
            RootHash = rootHash,
            States = [.. search.States.All()],
            Edges = [.. workers.SelectMany(w => w.Edges)],
            Ends = [.. workers.SelectMany(w => w.Ends)],
            Deciding = search.Deciding,
            Paths = search.Paths,
            Outcomes = [.. search.Outcomes],
            Tasks = [.. search.Waiting, .. workers.SelectMany(w => w.Rest())],
            Shared = [.. WitnessShared.Ranges(search.Shared, machine.Machine.Memory)],
            BelowStack = search.Shared.BelowStack,
            Cpus = search.Shared.Cpus,
            Accesses = AccessMap.Save([.. workers.Select(w => w.Machine.Accesses)]),
            Rounds = rounds,
            Transitions = workers.Sum(w => w.Transitions) + (options.Resume?.Transitions ?? 0),
            Events = workers.Sum(w => w.EventsDone) + (options.Resume?.Events ?? 0),
            Elapsed = elapsed,
            EventsOnPath = options.EventsOnPath,
            Preemptions = options.Preemptions,
            IsCutOff = search.IsCutOff,
        };
    }
}

/// <summary>Which agents accessed each byte of a page.</summary>
internal sealed record AccessedPage(int Page, uint[] Loads, uint[] Stores, uint[] Executes);
