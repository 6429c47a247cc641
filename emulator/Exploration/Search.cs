using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>One round of an exploration: what the workers have in common.</summary>
internal sealed class Search(ExplorationOptions options, SharedBytes shared)
{
    /// <summary>A monitor, for workers without a task wait on it.</summary>
    private readonly object _lock = new();
    private readonly Queue<SearchTask> _tasks = new();
    private readonly Dictionary<(string Text, RunEnd End), (long Count, bool Holds)> _outcomes = [];
    private readonly List<(Finding Finding, List<int> Ids)> _findings = [];

    /// <summary>Of states that show the same finding so many are kept: the shortest way leads to one of them.</summary>
    private const int MostEnds = 10_000;
    private readonly List<int> _deciding = [];
    private StateTable _states = new();
    private int _working;
    private volatile bool _end;
    private volatile bool _restart;
    private volatile bool _hungry;
    private long _edgeBytes;
    private long _statesAtFinding = long.MaxValue;

    public SharedBytes Shared { get; set; } = shared;
    public string? Problem { get; private set; }
    public IReadOnlyList<Step> ProblemPath { get; private set; } = [];
    public string? Bound { get; private set; }
    public bool MustRestart => _restart;
    /// <summary>Final states that decide the condition.</summary>
    public IReadOnlyList<int> Deciding => _deciding;
    public StateTable States => _states;
    public IReadOnlyList<(Finding Finding, List<int> Ids)> Findings => _findings;
    public IEnumerable<ExploredOutcome> Outcomes =>
        _outcomes.OrderBy(o => o.Key.Text, StringComparer.Ordinal).ThenBy(o => o.Key.End).Select(o => new ExploredOutcome(o.Key.Text, o.Value.Count, o.Value.Holds) { End = o.Key.End });

    /// <summary>Fewer tasks wait than there are threads: somebody may soon have nothing to do.</summary>
    public bool IsHungry => _hungry;

    /// <summary>Preemptions are bounded: states are told apart by the way to them, and there is no graph.</summary>
    public bool Preempting => options.Preemptions != null;

    public bool Cancelled { get; private set; }

    private readonly List<IReadOnlyList<Step>> _paths = [];

    /// <summary>The ways that were kept.</summary>
    public IReadOnlyList<IReadOnlyList<Step>> Paths => _paths;

    /// <summary>The way on which a finding was made, where there is no graph to find a shorter one.</summary>
    public IReadOnlyList<Step> PathOf(int id) => _paths[-2 - id];

    /// <summary>Keeps a way; the answer stands for its end.</summary>
    public int Keep(IReadOnlyList<Step> path)
    {
        lock (_lock)
        {
            _paths.Add(path);
            return -1 - _paths.Count;
        }
    }

    /// <summary>Bytes of states and graph.</summary>
    public long Bytes => _states.Bytes + _edgeBytes;

    /// <summary>Paths were cut off at the bound on one.</summary>
    public bool IsCutOff { get; private set; }

    /// <summary>Choices that nobody has taken yet.</summary>
    public IReadOnlyList<SearchTask> Waiting => [.. _tasks];

    /// <summary>Goes on with what another search has left.</summary>
    public void Continue(ExplorationRest rest)
    {
        Begin(rest.RootHash);
        _tasks.Clear();
        _states = new StateTable();
        foreach ((ulong hash, int id) in rest.States)
            _states.Restore(hash, id);
        foreach (SearchTask task in rest.Tasks)
            _tasks.Enqueue(task);
        foreach (ExploredOutcome o in rest.Outcomes)
            _outcomes[(o.Text, o.End)] = (o.Count, o.Holds);
        _deciding.AddRange(rest.Deciding);
        _paths.Clear();
        _paths.AddRange(rest.Paths);
        if (rest.IsCutOff)
            IsTooLong(long.MaxValue);
    }

    public void Begin(ulong rootHash)
    {
        _states = new StateTable();
        _tasks.Clear();
        _outcomes.Clear();
        _findings.Clear();
        _end = _restart = false;
        _hungry = false;
        _statesAtFinding = long.MaxValue;
        _deciding.Clear();
        Bound = null;
        IsCutOff = false;
        Enter(rootHash, NoCpu, 0, out int id);
        _tasks.Enqueue(new SearchTask([], Math.Max(id, 0), NoCpu, 0, 0, null));
    }

    public const int NoCpu = 31;

    /// <summary>Milliseconds after which a worker without a task looks by itself whether the search has ended.</summary>
    private const int LongestWait = 10;

    /// <summary>Does tasks until there are none.</summary>
    public void Work(SearchWorker worker)
    {
        while (true)
        {
            SearchTask? task = null;
            lock (_lock)
            {
                // When the search has ended, what waits, waits for another time.
                while (!_end && !_tasks.TryDequeue(out task) && _working != 0)
                    Monitor.Wait(_lock, LongestWait);
                if (task == null)
                    return;
                _working++;
                _hungry = IsShort;
            }
            try
            {
                worker.Run(task);
            }
            finally
            {
                lock (_lock)
                {
                    _working--;
                    Monitor.PulseAll(_lock);
                }
            }
        }
    }

    public void Give(SearchTask task)
    {
        lock (_lock)
        {
            _tasks.Enqueue(task);
            _hungry = IsShort;
            Monitor.Pulse(_lock);
        }
    }

    /// <summary>There are others to work, and not a task for each: many a task is over at once.</summary>
    private bool IsShort => options.Threads > 1 && _tasks.Count < options.Threads;

    public bool MustEnd(SearchWorker worker)
    {
        if (_end)
            return true;
        if ((worker.Transitions & 0xFFF) == 0)
            CheckBounds(worker);
        return false;
    }

    public void RequestRestart() => _restart = _end = true;

    public void Fail(string problem, IReadOnlyList<Step> path)
    {
        lock (_lock)
        {
            if (Problem == null)
                ProblemPath = path;
            Problem ??= problem;
        }
        _end = true;
    }

    /// <summary>Enters a state; false when it need not be explored again.</summary>
    public bool Enter(ulong hash, int lastCpu, int cost, out int id)
    {
        if (options.Preemptions is not { } most)
            return _states.TryAdd(hash, out id);
        id = -1;
        return cost <= most && _states.TryImprove(StateMixer.Mix(hash, (ulong)lastCpu), cost);
    }

    /// <summary>The CPU that came last, and the preemptions so far, after a step. Draining and delivering are nobody's turn.</summary>
    /// <param name="canGoOn">The CPU that came last could go on, and that would change something: else leaving it is no preemption.</param>
    public (int LastCpu, int Cost) CostOf(int lastCpu, int cost, in Step step, bool canGoOn)
    {
        if (options.Preemptions == null || step.Kind != StepKind.Execute || step.Cpu == lastCpu)
            return (step.Kind == StepKind.Execute ? step.Cpu : lastCpu, cost);
        return (step.Cpu, cost + (canGoOn && lastCpu != NoCpu ? 1 : 0));
    }

    /// <summary>Where preemptions are bounded, lets the CPU that came last go first. True when it can.</summary>
    public bool Order(List<Step> steps, int lastCpu)
    {
        if (options.Preemptions == null)
            return false;
        int i = steps.FindIndex(s => s.Cpu == lastCpu && s.Kind == StepKind.Execute);
        if (i > 0)
            (steps[0], steps[i]) = (steps[i], steps[0]);
        return i >= 0;
    }

    public bool IsTooLong(long events)
    {
        if (options.EventsOnPath is not { } most || events <= most)
            return false;
        IsCutOff = true;
        Bound = $"paths longer than {most} events were cut off";
        return true;
    }

    public void Found(Finding finding, int id)
    {
        lock (_lock)
        {
            int known = _findings.FindIndex(f => f.Finding == finding);
            if (known < 0)
                _findings.Add((finding, [id]));
            else if (_findings[known].Ids.Count < MostEnds)
                _findings[known].Ids.Add(id);
        }
        Limit();
    }

    public void Ended(FinalState state, int id)
    {
        if (!state.Counts)
            return;
        lock (_lock)
        {
            (string, RunEnd) key = (state.Outcome, state.End);
            _outcomes[key] = (_outcomes.GetValueOrDefault(key).Count + 1, state.Holds);
            if (state.Decides && _deciding.Count < MostEnds)
                _deciding.Add(id);
        }
        if (state.Finding != null)
            Found(state.Finding, id);
    }

    private void Limit()
    {
        if (options.StopAtFinding)
            Interlocked.CompareExchange(ref _statesAtFinding, _states.Count, long.MaxValue);
    }

    private void CheckBounds(SearchWorker worker)
    {
        Interlocked.Exchange(ref _edgeBytes, (long)worker.Edges.Capacity * 12 * options.Threads);
        if (_statesAtFinding != long.MaxValue && _states.Count > 4 * _statesAtFinding + 20_000)
            _end = true;
        if (_states.Count >= options.States)
            EndAt($"{options.States} states were reached; allow more with --max-states");
        else if (Bytes > options.Memory)
            EndAt($"the memory that was allowed ({options.Memory >> 20} MiB) is used up; allow more with --memory-limit");
        else if (options.Cancel.IsCancellationRequested)
        {
            Cancelled = true;
            EndAt("it was cancelled");
        }
    }

    /// <summary>It was ended at a bound on states or memory, or cancelled.</summary>
    public bool EndedEarly { get; private set; }

    private void EndAt(string bound)
    {
        EndedEarly = true;
        Bound ??= bound;
        _end = true;
    }
}
