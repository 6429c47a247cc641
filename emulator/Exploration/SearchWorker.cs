namespace Emu.Exploration;

/// <summary>
/// Searches depth first with a machine of its own. The states that were seen are common to all workers; one that has nothing to do gets a choice
/// that another has not tried yet, with the way to it.
/// </summary>
internal sealed class SearchWorker : IDisposable
{
    /// <summary>A state on the present path.</summary>
    private sealed class Frame(ExploredMachine machine) : IDisposable
    {
        public readonly MachineCapture Capture = new(machine);
        public readonly List<Step> Steps = [];
        public int Next;
        public int Id;

        /// <summary>Of the state: by its number alone, what bounds preemptions cannot tell whether a step leads elsewhere.</summary>
        public ulong Hash;
        /// <summary>Events on the way to it.</summary>
        public long Events;
        public int LastCpu;
        public int Cost;
        public Step Current;
        public bool HasMore;
        public Step More;
        public bool Leaves;
        public uint Stuck;

        /// <summary>The CPU that came last could go on: that another does is a preemption.</summary>
        public bool LastCanGoOn;

        public void Dispose() => Capture.Dispose();
    }

    private readonly Search _search;
    private readonly ExploredMachine _machine;
    private readonly List<Frame> _frames = [];
    private int _depth;

    public SearchWorker(Search search, ExploredMachine machine)
    {
        _search = search;
        _machine = machine;
    }

    public ExploredMachine Machine => _machine;
    public List<Edge> Edges { get; private set; } = [];
    public List<int> Ends { get; private set; } = [];
    public long Transitions { get; private set; }
    public long Frontier { get; private set; }
    public long EventsDone => _machine.Events;

    /// <summary>Forgets the graph, for another round.</summary>
    public void Clear()
    {
        Edges = [];
        Ends = [];
        Frontier = 0;
    }

    /// <summary>Takes back the graph of an exploration that goes on.</summary>
    public void Restore(ExplorationRest rest)
    {
        Edges = [.. rest.Edges];
        Ends = [.. rest.Ends];
    }

    /// <summary>The choices that it has not tried when it was made to end.</summary>
    public IEnumerable<SearchTask> Rest()
    {
        for (int i = 0; i < _depth; i++)
        {
            Frame frame = _frames[i];
            // The step of the CPU that came last tells whether it is stuck, on which depends what the others cost.
            if (_search.Preempting && frame.Next == 0 && frame.Steps.Count != 0)
            {
                yield return new SearchTask(Path(i), frame.Id, frame.LastCpu, frame.Cost, 0, null);
                continue;
            }
            if (frame.HasMore)
                yield return new SearchTask(Path(i), frame.Id, frame.LastCpu, frame.Cost, frame.Stuck, frame.More);
            for (int s = frame.Next; s < frame.Steps.Count; s++)
                yield return new SearchTask(Path(i), frame.Id, frame.LastCpu, frame.Cost, frame.Stuck, frame.Steps[s]);
        }
    }

    /// <summary>Explores everything behind a task, except what others have taken off.</summary>
    public void Run(SearchTask task)
    {
        _machine.Begin(_search.Shared);
        long began = _machine.Events;
        foreach (Step step in task.Prefix)
            _machine.Apply(step);
        _prefix = task.Prefix;
        _depth = 0;
        Push(task.Id, task.LastCpu, task.Cost, task.Only, _machine.Hash());
        _frames[0].Stuck = task.Stuck;
        _frames[0].Events = _machine.Events - began;
        while (_depth > 0)
        {
            if (_search.MustEnd(this))
                return;
            if (_search.IsHungry)
                ShareWork();
            Advance(_frames[_depth - 1]);
        }
    }

    /// <summary>The path from the start to the present state.</summary>
    public List<Step> Path(int depth)
    {
        var path = new List<Step>(_prefix);
        for (int i = 0; i < depth; i++)
            path.Add(_frames[i].Current);
        return path;
    }

    public void Dispose()
    {
        foreach (Frame frame in _frames)
            frame.Dispose();
        _machine.Dispose();
    }

    private IReadOnlyList<Step> _prefix = [];

    private void Advance(Frame frame)
    {
        Step step;
        if (frame.HasMore)
        {
            step = frame.More;
        }
        else if (frame.Next < frame.Steps.Count)
        {
            step = frame.Steps[frame.Next++];
            Frontier--;
            _machine.Save(frame.Capture, all: false, step.Cpu);
        }
        else
        {
            Pop(frame);
            return;
        }
        long before = _machine.Events;
        _machine.Apply(step);
        Transitions++;
        frame.HasMore = _machine.Chooser.TryNext(out Picks more);
        frame.More = step with { Picks = more };
        frame.Current = step with { Picks = _machine.Chooser.Picks };
        if (_machine.Problem != null)
        {
            _search.Fail(_machine.Problem, Path(_depth));
            return;
        }
        if (_machine.Accesses.IsNew)
        {
            _search.RequestRestart();
            return;
        }
        (int lastCpu, int cost) = _search.CostOf(frame.LastCpu, frame.Cost, step, frame.LastCanGoOn && (frame.Stuck >> frame.LastCpu & 1) == 0);
        ulong hash = _machine.Hash();
        frame.Leaves |= hash != frame.Hash;
        if (!_search.Enter(hash, lastCpu, cost, out int id))
        {
            if (hash == frame.Hash && step.Kind == StepKind.Execute)
                frame.Stuck |= 1u << step.Cpu;
            Link(frame, id, step, before);
            _machine.Restore(frame.Capture);
            return;
        }
        Link(frame, id, step, before);
        if (_machine.Finding is { } finding)
        {
            Ends.Add(id);
            _search.Found(finding, _search.Preempting ? _search.Keep(Path(_depth)) : id);
            _machine.Restore(frame.Capture);
            return;
        }
        long events = frame.Events + _machine.Events - before;
        if (_search.IsTooLong(events))
        {
            Ends.Add(id);
            _machine.Restore(frame.Capture);
            return;
        }
        Push(id, lastCpu, cost, null, hash);
        _frames[_depth - 1].Events = events;
    }

    private void Link(Frame frame, int id, in Step step, long before)
    {
        if (id == frame.Id || id < 0)
            return;
        Edges.Add(new Edge(frame.Id, id, step.Cpu, (ushort)Math.Min(_machine.Events - before, ushort.MaxValue)));
    }

    private void Push(int id, int lastCpu, int cost, Step? only, ulong hash)
    {
        if (_depth == _frames.Count)
            _frames.Add(new Frame(_machine));
        Frame frame = _frames[_depth++];
        frame.Id = id;
        frame.Hash = hash;
        frame.Next = 0;
        frame.HasMore = false;
        frame.Leaves = only != null;
        frame.Stuck = 0;
        frame.LastCpu = lastCpu;
        frame.Cost = cost;
        _machine.Enabled(frame.Steps);
        frame.LastCanGoOn = _search.Order(frame.Steps, lastCpu);
        if (only is { } one)
        {
            frame.Steps.Clear();
            frame.Steps.Add(one);
        }
        else if (frame.Steps.Count == 0)
        {
            EndHere(id, livelock: false);
        }
        Frontier += frame.Steps.Count;
    }

    private void Pop(Frame frame)
    {
        // Every CPU that executes came back to where it was: nothing will ever change.
        if (!frame.Leaves && frame.Steps.Count != 0 && frame.Stuck != 0)
            EndHere(frame.Id, livelock: false);
        _depth--;
        if (_depth > 0)
            _machine.Restore(_frames[_depth - 1].Capture);
    }

    /// <summary>Nothing happens any more.</summary>
    private void EndHere(int id, bool livelock)
    {
        uint waiting = 0;
        foreach (ExploredCpu cpu in _machine.Cpus)
            if (!_machine.Run.IsAtAnEnd(cpu))
                waiting |= 1u << cpu.Index;
        Ends.Add(id);
        _search.Ended(_machine.Run.End(_machine, waiting, livelock), _search.Preempting ? _search.Keep(Path(_depth - 1)) : id);
    }

    /// <summary>Gives away a choice near the start of the path.</summary>
    private void ShareWork()
    {
        for (int i = 0; i < _depth; i++)
        {
            Frame frame = _frames[i];
            // The last choice of the last state is its own: tasks must not go from one worker to the other and back, with nothing done.
            int kept = i == _depth - 1 && !frame.HasMore ? 1 : 0;
            if (frame.Next + kept >= frame.Steps.Count || (_search.Preempting && frame.Next == 0))
                continue;
            Step step = frame.Steps[^1];
            frame.Steps.RemoveAt(frame.Steps.Count - 1);
            frame.Leaves = true;
            Frontier--;
            _search.Give(new SearchTask(Path(i), frame.Id, frame.LastCpu, frame.Cost, frame.Stuck, step));
            return;
        }
    }
}

/// <summary>A part of a search: one choice, or all, in the state to which a way leads.</summary>
/// <param name="LastCpu">Where preemptions are bounded: the CPU that came last, and how many there were.</param>
/// <param name="Stuck">CPUs that are known to change nothing there.</param>
internal sealed record SearchTask(IReadOnlyList<Step> Prefix, int Id, int LastCpu, int Cost, uint Stuck, Step? Only);
