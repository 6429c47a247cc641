namespace Emu.Exploration;

/// <summary>A step from one state to another.</summary>
internal readonly record struct Edge(int From, int To, byte Cpu, ushort Events);

/// <summary>The states of an exploration and the steps between them: finds the shortest way to a state, and states from which no end can be reached.</summary>
internal sealed class StateGraph
{
    private readonly int _states;
    private readonly Edge[] _edges;

    public StateGraph(int states, IEnumerable<List<Edge>> parts)
    {
        _states = states;
        _edges = [.. parts.SelectMany(p => p)];
    }

    /// <summary>A state from which none of these can be reached, or -1.</summary>
    public int FindTrapped(IEnumerable<int> ends)
    {
        (int[] start, int[] from) = Index(e => e.To, e => e.From);
        bool[] reaches = new bool[_states];
        var work = new Stack<int>();
        foreach (int end in ends)
        {
            if (!reaches[end])
            {
                reaches[end] = true;
                work.Push(end);
            }
        }
        while (work.TryPop(out int state))
        {
            for (int i = start[state]; i < start[state + 1]; i++)
            {
                int previous = from[i];
                if (reaches[previous])
                    continue;
                reaches[previous] = true;
                work.Push(previous);
            }
        }
        return Array.IndexOf(reaches, false);
    }

    /// <summary>
    /// The states on the way from state 0 to one of the targets that takes the fewest changes of CPU, and of those the fewest events. Among equal ones
    /// the hashes decide: the numbers of states depend on which thread came first, and a witness is not to.
    /// </summary>
    public List<int>? ShortestPath(IReadOnlyList<int> targets, ulong[] hashes)
    {
        var wanted = new HashSet<int>(targets);
        // A node is a state with the CPU that came last, for that decides what a change costs.
        (int[] start, int[] order) = Index(e => e.From, null);
        var best = new Dictionary<long, long>();
        var queue = new PriorityQueue<long, long>();
        var ends = new List<long>();
        long most = long.MaxValue;
        best[Root] = 0;
        queue.Enqueue(Root, 0);
        while (queue.TryDequeue(out long node, out long cost) && cost <= most)
        {
            if (best[node] < cost)
                continue;
            int state = (int)(node >> 5);
            if (wanted.Contains(state))
            {
                ends.Add(node);
                most = cost;
                continue;
            }
            for (int i = start[state]; i < start[state + 1]; i++)
            {
                Edge e = _edges[order[i]];
                long next = Node(e.To, e.Cpu);
                long total = cost + CostOf(e, (int)(node & 31));
                if (best.TryGetValue(next, out long known) && known <= total)
                    continue;
                best[next] = total;
                queue.Enqueue(next, total);
            }
        }
        return ends.Count == 0 ? null : Unwind(best, ends.MinBy(n => (hashes[n >> 5], n & 31)), hashes);
    }

    private const int NoCpu = 31;

    private static readonly long Root = Node(0, NoCpu);

    private static long CostOf(in Edge e, int last) => (e.Cpu != last && last != NoCpu ? 1L << 32 : 0) + e.Events;

    private List<int> Unwind(Dictionary<long, long> best, long node, ulong[] hashes)
    {
        (int[] start, int[] order) = Index(e => e.To, null);
        var path = new List<int>();
        while (node != Root)
        {
            int state = (int)(node >> 5);
            path.Add(state);
            var before = new List<long>();
            for (int i = start[state]; i < start[state + 1]; i++)
            {
                Edge e = _edges[order[i]];
                for (int last = 0; last <= NoCpu && e.Cpu == (node & 31); last++)
                    if (best.TryGetValue(Node(e.From, last), out long cost) && cost + CostOf(e, last) == best[node])
                        before.Add(Node(e.From, last));
            }
            node = before.MinBy(n => (hashes[n >> 5], n & 31));
        }
        path.Add(0);
        path.Reverse();
        return path;
    }

    private static long Node(int state, int cpu) => (long)state << 5 | (uint)cpu;

    /// <summary>Edges sorted by one end: where those of each state begin, and the values (or the numbers of the edges) in that order.</summary>
    private (int[] Start, int[] Values) Index(Func<Edge, int> key, Func<Edge, int>? value)
    {
        int[] start = new int[_states + 1];
        foreach (Edge e in _edges)
            start[key(e) + 1]++;
        for (int i = 0; i < _states; i++)
            start[i + 1] += start[i];
        int[] next = (int[])start.Clone();
        int[] values = new int[_edges.Length];
        for (int i = 0; i < _edges.Length; i++)
            values[next[key(_edges[i])]++] = value == null ? i : value(_edges[i]);
        return (start, values);
    }
}
