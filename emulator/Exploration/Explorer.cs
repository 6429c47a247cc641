using System.Diagnostics;
using Emu.Memory;

namespace Emu.Exploration;

/// <summary>
/// Explores every order of events of a subject, within bounds. A search that treats as private whatever it does not know to be shared is repeated until
/// it meets no conflict that it did not know of: only then has it tried every order that matters.
/// </summary>
public static class Explorer
{
    /// <summary>Random runs by which most of what is shared is found before the first search.</summary>
    private const int ScoutingRuns = 40;
    private const int ScoutingSteps = 3000;

    /// <summary>A CPU that waits for what this run has not shown to be shared goes round in its loop for as long as it is let.</summary>
    private const long ScoutingEvents = 100_000;
    private const int MaximumRounds = 200;

    /// <summary>Explores.</summary>
    public static ExplorationResult Run(Subject subject, ExplorationOptions options)
    {
        var watch = Stopwatch.StartNew();
        var workers = new List<SearchWorker>();
        try
        {
            var first = new ExploredMachine(subject, null);
            SharedBytes shared = first.Shared;
            var search = new Search(options, shared);
            workers.Add(new SearchWorker(search, first));
            for (int i = 1; i < options.Threads; i++)
                workers.Add(new SearchWorker(search, new ExploredMachine(subject, shared)));
            PhysicalMemory memory = first.Machine.Memory;
            int rounds = options.Resume?.Rounds - 1 ?? 0;
            ExplorationRest? resume = options.Resume;
            if (resume == null)
                Scout(first, shared);
            else
                Restore(resume, first, shared);
            List<AccessMap> maps = [.. workers.Select(w => w.Machine.Accesses)];
            while (true)
            {
                rounds++;
                AccessMap.Classify(maps, memory, shared);
                foreach (SearchWorker worker in workers)
                {
                    worker.Clear();
                    worker.Machine.Accesses.IsNew = false;
                }
                first.Begin(shared);
                ulong root = first.Hash();
                if (resume == null)
                    search.Begin(root);
                else if (resume.RootHash != root || resume.EventsOnPath != options.EventsOnPath || resume.Preemptions != options.Preemptions)
                    throw new WitnessException("the exploration that is to go on was of something else, of another version of the program, or within another bound; begin it again");
                else
                {
                    workers[0].Restore(resume);
                    search.Continue(resume);
                    resume = null;
                }
                RunRound(search, workers, options, rounds, watch);
                if (search.Problem != null || rounds == MaximumRounds || search.Bound != null)
                    return Conclude(search, workers, options, rounds, watch, root);
                if (!AccessMap.Classify(maps, memory, shared) && !search.MustRestart)
                    return Conclude(search, workers, options, rounds, watch, root);
            }
        }
        finally
        {
            foreach (SearchWorker worker in workers)
                worker.Dispose();
        }
    }

    private static void RunRound(Search search, List<SearchWorker> workers, ExplorationOptions options, int round, Stopwatch watch)
    {
        using var done = new ManualResetEventSlim();
        Thread? reporter = options.OnProgress == null ? null : new Thread(() =>
        {
            while (!done.Wait(200))
                options.OnProgress(new ExplorationProgress(round, search.States.Count, workers.Sum(w => w.EventsDone), workers.Sum(w => w.Frontier),
                    search.Shared.DataCount + search.Shared.CodeCount, watch.Elapsed));
        });
        reporter?.Start();
        var threads = workers.Skip(1).Select(w => new Thread(() => search.Work(w), 16 << 20)).ToList();
        foreach (Thread thread in threads)
            thread.Start();
        search.Work(workers[0]);
        foreach (Thread thread in threads)
            thread.Join();
        done.Set();
        reporter?.Join();
    }

    /// <summary>Runs at random, to learn what is shared.</summary>
    private static void Scout(ExploredMachine machine, SharedBytes shared)
    {
        var random = new Random(1);
        var steps = new List<Step>();
        for (int run = 0; run < ScoutingRuns; run++)
        {
            AccessMap.Classify([machine.Accesses], machine.Machine.Memory, shared);
            machine.Begin(shared);
            long last = machine.Events + ScoutingEvents;
            for (int i = 0; i < ScoutingSteps && machine.Events < last; i++)
            {
                machine.Enabled(steps);
                if (steps.Count == 0)
                    break;
                machine.Apply(steps[random.Next(steps.Count)]);
            }
        }
        machine.Accesses.IsNew = false;
    }

    /// <summary>Knows again what was shared, and who accessed what.</summary>
    private static void Restore(ExplorationRest rest, ExploredMachine machine, SharedBytes shared)
    {
        foreach ((ulong start, int length, Sharing sharing) in rest.Shared)
            for (int i = 0; i < length; i++)
                shared.Mark(start + (ulong)i, sharing);
        shared.BelowStack = rest.BelowStack;
        shared.Cpus = rest.Cpus;
        machine.Accesses.Restore(rest.Accesses);
    }

    private static ExplorationResult Conclude(Search search, List<SearchWorker> workers, ExplorationOptions options, int rounds, Stopwatch watch, ulong root)
    {
        TimeSpan elapsed = watch.Elapsed + (options.Resume?.Elapsed ?? TimeSpan.Zero);
        bool mayGoOn = search.EndedEarly && search.Findings.Count == 0 && search.Problem == null && !search.MustRestart;
        ExplorationRest? rest = mayGoOn ? ExplorationRest.Of(search, workers, options, rounds, elapsed, root) : null;
        List<List<Edge>> edges = [.. workers.Select(w => w.Edges)];
        var findings = new List<ExploredFinding>();
        IReadOnlyList<Step>? deciding = null;
        int states = search.States.Count;
        bool complete = search.Bound == null && search.Problem == null;
        ExploredMachine machine = workers[0].Machine;
        var graph = new StateGraph(states, edges);
        if (complete && !search.Preempting && search.Findings.Count == 0)
            FindLivelock(search, graph, workers);
        if (search.Problem == null)
        {
            foreach ((Finding finding, List<int> ids) in search.Findings)
                findings.Add(new ExploredFinding(finding, search.Preempting ? search.PathOf(ids[0]) : PathTo(search, graph, machine, ids)));
            if (search.Deciding.Count != 0)
                deciding = search.Preempting ? search.PathOf(search.Deciding[0]) : PathTo(search, graph, machine, search.Deciding);
        }
        Verdict verdict = search.Problem != null ? Verdict.Failed
            : findings.Count != 0 ? Verdict.Unsafe
            : search.Cancelled ? Verdict.Cancelled
            : search.Bound != null ? Verdict.BoundReached
            : Verdict.Safe;
        return new ExplorationResult
        {
            Verdict = verdict,
            Problem = search.Problem,
            States = states,
            Transitions = workers.Sum(w => w.Transitions) + (options.Resume?.Transitions ?? 0),
            Events = workers.Sum(w => w.EventsDone) + (options.Resume?.Events ?? 0),
            Elapsed = elapsed,
            Rounds = rounds,
            SharedData = search.Shared.DataCount,
            SharedCode = search.Shared.CodeCount,
            Bytes = search.Bytes,
            Outcomes = [.. search.Outcomes],
            Findings = findings,
            Deciding = deciding,
            Bound = search.Bound,
            Shared = search.Shared,
            Rest = rest,
        };
    }

    /// <summary>A state from which no path comes to an end: CPUs go round for ever.</summary>
    private static void FindLivelock(Search search, StateGraph graph, List<SearchWorker> workers)
    {
        int trapped = graph.FindTrapped(workers.SelectMany(w => w.Ends));
        if (trapped < 0)
            return;
        ExploredMachine machine = workers[0].Machine;
        PathTo(search, graph, machine, [trapped]);
        uint waiting = 0;
        foreach (ExploredCpu cpu in machine.Cpus)
            if (!machine.Run.IsAtAnEnd(cpu))
                waiting |= 1u << cpu.Index;
        search.Ended(machine.Run.End(machine, waiting, livelock: true), trapped);
    }

    /// <summary>The steps to the nearest of these states; the machine is left in it.</summary>
    private static List<Step> PathTo(Search search, StateGraph graph, ExploredMachine machine, IReadOnlyList<int> targets)
    {
        ulong[] hashes = new ulong[search.States.Count];
        foreach ((ulong hash, int id) in search.States.All())
            hashes[id] = hash;
        List<int> states = graph.ShortestPath(targets, hashes) ?? [];
        machine.Begin(search.Shared);
        var path = new List<Step>();
        using var before = new MachineCapture(machine);
        var steps = new List<Step>();
        for (int i = 1; i < states.Count; i++)
            path.Add(StepTo(search, machine, before, steps, states[i]));
        return path;
    }

    private static Step StepTo(Search search, ExploredMachine machine, MachineCapture before, List<Step> steps, int id)
    {
        machine.Enabled(steps);
        foreach (Step step in steps)
        {
            machine.Save(before, all: false, step.Cpu);
            Picks picks = default;
            while (true)
            {
                machine.Apply(step with { Picks = picks });
                Step taken = step with { Picks = machine.Chooser.Picks };
                bool more = machine.Chooser.TryNext(out picks);
                if (!search.States.TryAdd(machine.Hash(), out int reached) && reached == id)
                    return taken;
                machine.Restore(before);
                if (!more)
                    break;
            }
        }
        throw new InvalidOperationException($"state {id} cannot be reached again: an event is not deterministic");
    }
}
