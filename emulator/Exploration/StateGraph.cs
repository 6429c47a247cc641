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

    /// <summary>The states on the way from state 0 to one of the targets that takes the fewest changes of CPU, and of those the fewest events.</summary>
    public List<int>? ShortestPath(IReadOnlyList<int> targets)
    {
        var wanted = new HashSet<int>(targets);
        // A node is a state with the CPU that came last, for that decides what a change costs.
        (int[] start, int[] order) = Index(e => e.From, null);
        var best = new Dictionary<long, (long Cost, long Previous)>();
        var queue = new PriorityQueue<long, long>();
        const int noCpu = 31;
        long root = Node(0, noCpu);
        best[root] = (0, -1);
        queue.Enqueue(root, 0);
        while (queue.TryDequeue(out long node, out long cost))
        {
            if (best[node].Cost < cost)
                continue;
            int state = (int)(node >> 5);
            int last = (int)(node & 31);
            if (wanted.Contains(state))
                return Unwind(best, node);
            for (int i = start[state]; i < start[state + 1]; i++)
            {
                Edge e = _edges[order[i]];
                long next = Node(e.To, e.Cpu);
                long total = cost + (e.Cpu != last && last != noCpu ? 1L << 32 : 0) + e.Events;
                if (best.TryGetValue(next, out (long Cost, long) known) && known.Cost <= total)
                    continue;
                best[next] = (total, node);
                queue.Enqueue(next, total);
            }
        }
        return null;
    }

    private static long Node(int state, int cpu) => (long)state << 5 | (uint)cpu;

    private static List<int> Unwind(Dictionary<long, (long Cost, long Previous)> best, long node)
    {
        var path = new List<int>();
        for (; node >= 0; node = best[node].Previous)
            path.Add((int)(node >> 5));
        path.Reverse();
        return path;
    }

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
