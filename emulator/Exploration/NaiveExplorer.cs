using System.Diagnostics;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>What a naive enumeration found.</summary>
/// <param name="Outcomes">All final states, as herd prints them, in alphabetical order.</param>
/// <param name="States">Different states of the whole machine.</param>
/// <param name="Transitions">Events tried.</param>
/// <param name="IsComplete">False when it was given up at the bound.</param>
/// <param name="Ways">Of each outcome the events of one way to it.</param>
/// <param name="Problem">What stopped the machine for good, such as executing where no memory is.</param>
public sealed record NaiveResult(
    IReadOnlyList<string> Outcomes, IReadOnlyDictionary<string, string> Ways, long States, long Transitions, bool IsComplete, string? Problem, TimeSpan Elapsed);

/// <summary>The reduction measured: the same scenario explored with it and enumerated without.</summary>
public sealed record ReductionComparison(ExplorationResult Reduced, NaiveResult Naive)
{
    /// <summary>Both found the same outcomes; as far as the enumeration went, none that the exploration lacks.</summary>
    public bool Agree
    {
        get
        {
            var found = Reduced.Outcomes.Select(o => o.Text).ToHashSet();
            return Naive.IsComplete ? found.SetEquals(Naive.Outcomes) : found.IsSupersetOf(Naive.Outcomes);
        }
    }

    /// <summary>How many states of the machine stand for one of the exploration; at least so many where the enumeration was given up.</summary>
    public double StateRatio => (double)Naive.States / Math.Max(1, Reduced.States);

    /// <summary>How many events were tried for each of the exploration's choices.</summary>
    public double TransitionRatio => (double)Naive.Transitions / Math.Max(1, Reduced.Transitions);
}

/// <summary>
/// Every order of the four events (fetch of each unit in each version, execute, drain, deliver) on the modelled machine itself. It knows nothing of what is
/// shared, merges no events, and tells states apart by everything that the machine holds: the yardstick of <see cref="Explorer"/>, whose reduction must not
/// lose an outcome or make one up, and no tool for more than a few instructions.
/// </summary>
public static class NaiveExplorer
{
    /// <summary>Enumerates a scenario.</summary>
    /// <param name="mostTransitions">Events after which it is given up.</param>
    public static NaiveResult Run(Scenario scenario, long mostTransitions = long.MaxValue, CancellationToken cancel = default)
    {
        using var search = new NaiveSearch(scenario);
        return search.Run(mostTransitions, cancel);
    }

    /// <summary>Explores a scenario and enumerates it.</summary>
    /// <param name="mostTransitions">Events after which the enumeration is given up.</param>
    public static ReductionComparison Compare(Scenario scenario, ExplorationOptions options, long mostTransitions = long.MaxValue)
    {
        ExplorationResult reduced = Explorer.Run(new ScenarioSubject(scenario), options with { StopAtFinding = false });
        return new ReductionComparison(reduced, Run(scenario, mostTransitions, options.Cancel));
    }
}

/// <summary>One enumeration: depth first, with a copy of the machine for each state on the present path.</summary>
internal sealed class NaiveSearch : IDisposable
{
    private sealed record Frame(NaiveState State, List<NaiveEvent> Events, int Id)
    {
        public int Next { get; set; }
    }

    private readonly NaiveMachine _machine;
    private readonly Dictionary<UInt128, int> _seen = [];

    /// <summary>How each state was reached first, and what it leads to: for those that lead nowhere.</summary>
    private readonly List<(int From, NaiveEvent Event)> _ways = [];
    private readonly List<(int From, int To)> _edges = [];
    private readonly List<int> _ends = [];
    private readonly SortedDictionary<string, int> _outcomes = new(StringComparer.Ordinal);

    public NaiveSearch(Scenario scenario) => _machine = new NaiveMachine(scenario);

    public NaiveResult Run(long mostTransitions, CancellationToken cancel)
    {
        var watch = Stopwatch.StartNew();
        var path = new Stack<Frame>();
        NaiveState root = _machine.Save();
        Enter(_machine.Hash(), -1, default, out int first);
        path.Push(Open(root, first));
        long transitions = 0;
        bool complete = true;
        while (path.TryPeek(out Frame? frame))
        {
            if (frame.Next == frame.Events.Count)
            {
                path.Pop();
                continue;
            }
            if (transitions >= mostTransitions || cancel.IsCancellationRequested)
            {
                complete = false;
                break;
            }
            NaiveEvent e = frame.Events[frame.Next++];
            _machine.Restore(frame.State);
            _machine.Apply(e);
            transitions++;
            if (_machine.Problem != null)
                break;
            bool isNew = Enter(_machine.Hash(), frame.Id, e, out int id);
            _edges.Add((frame.Id, id));
            if (isNew)
                path.Push(Open(_machine.Save(), id));
        }
        if (complete && _machine.Problem == null)
            AddTrapped(root);
        var ways = _outcomes.ToDictionary(o => o.Key, o => string.Join("; ", WayTo(o.Value)));
        return new NaiveResult([.. _outcomes.Keys], ways, _seen.Count, transitions, complete, _machine.Problem, watch.Elapsed);
    }

    public void Dispose() => _machine.Dispose();

    private bool Enter(UInt128 hash, int from, NaiveEvent e, out int id)
    {
        if (_seen.TryGetValue(hash, out id))
            return false;
        id = _seen.Count;
        _seen.Add(hash, id);
        _ways.Add((from, e));
        return true;
    }

    private Frame Open(NaiveState state, int id)
    {
        List<NaiveEvent> events = _machine.Enabled();
        if (events.Count == 0)
        {
            _ends.Add(id);
            End(id);
        }
        return new Frame(state, events, id);
    }

    private void End(int state)
    {
        if (_machine.Outcome(_machine.Waiting) is { } outcome)
            _outcomes.TryAdd(outcome, state);
    }

    /// <summary>States from which no end can be reached: CPUs that spin for ever on what will not come. One of each round that nothing leaves is an outcome.</summary>
    private void AddTrapped(NaiveState root)
    {
        bool[] trapped = Trapped();
        if (!trapped.Contains(true))
            return;
        var graph = new NaiveComponents(_seen.Count, _edges);
        foreach (int state in graph.WithoutExit().Where(s => trapped[s]))
        {
            _machine.Restore(root);
            foreach (NaiveEvent e in WayTo(state))
                _machine.Apply(e);
            End(state);
        }
    }

    private bool[] Trapped()
    {
        ILookup<int, int> before = _edges.ToLookup(e => e.To, e => e.From);
        bool[] trapped = new bool[_seen.Count];
        Array.Fill(trapped, true);
        var work = new Stack<int>();
        foreach (int end in _ends)
        {
            trapped[end] = false;
            work.Push(end);
        }
        while (work.TryPop(out int state))
        {
            foreach (int from in before[state])
            {
                if (!trapped[from])
                    continue;
                trapped[from] = false;
                work.Push(from);
            }
        }
        return trapped;
    }

    private List<NaiveEvent> WayTo(int state)
    {
        var way = new List<NaiveEvent>();
        for (; _ways[state].From >= 0; state = _ways[state].From)
            way.Add(_ways[state].Event);
        way.Reverse();
        return way;
    }
}

/// <summary>The rounds of a graph: sets of states that lead to each other.</summary>
internal sealed class NaiveComponents(int states, List<(int From, int To)> edges)
{
    /// <summary>One state of each component that no edge leaves.</summary>
    public IEnumerable<int> WithoutExit()
    {
        int[] component = Find();
        var left = new HashSet<int>(edges.Where(e => component[e.From] != component[e.To]).Select(e => component[e.From]));
        var given = new HashSet<int>();
        for (int s = 0; s < states; s++)
            if (!left.Contains(component[s]) && given.Add(component[s]))
                yield return s;
    }

    /// <summary>Kosaraju's two passes: in the order of finishing, backwards, along the edges turned round.</summary>
    private int[] Find()
    {
        ILookup<int, int> after = edges.ToLookup(e => e.From, e => e.To);
        ILookup<int, int> before = edges.ToLookup(e => e.To, e => e.From);
        var finished = new List<int>();
        bool[] seen = new bool[states];
        for (int s = 0; s < states; s++)
            Visit(s, after, seen, finished);
        int[] component = new int[states];
        bool[] placed = new bool[states];
        var members = new List<int>();
        for (int i = finished.Count - 1; i >= 0; i--)
        {
            members.Clear();
            Visit(finished[i], before, placed, members);
            foreach (int member in members)
                component[member] = finished[i];
        }
        return component;
    }

    private static void Visit(int start, ILookup<int, int> next, bool[] seen, List<int> finished)
    {
        if (seen[start])
            return;
        seen[start] = true;
        var path = new Stack<(int State, IEnumerator<int> Next)>();
        path.Push((start, next[start].GetEnumerator()));
        while (path.TryPeek(out (int State, IEnumerator<int> Next) top))
        {
            if (!top.Next.MoveNext())
            {
                finished.Add(path.Pop().State);
                continue;
            }
            int to = top.Next.Current;
            if (seen[to])
                continue;
            seen[to] = true;
            path.Push((to, next[to].GetEnumerator()));
        }
    }
}
