using Emu.Exploration;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>A witness takes the fewest changes of CPU, and of those ways the fewest events; and which it is does not depend on how threads numbered the states.</summary>
public sealed class WitnessShortestTests
{
    private const long Change = 1L << 32;
    private const int States = 14, Cpus = 3, Start = 31;

    [Fact]
    public void ShortestPath_OfRandomGraphs_CostsWhatExhaustionFinds()
    {
        int reached = 0;
        for (int seed = 0; seed < 300; seed++)
        {
            Edge[] edges = Graph(seed);
            int[] targets = [States - 1, States - 2];
            List<int>? path = new StateGraph(States, [[.. edges]]).ShortestPath(targets, Hashes(States));
            long least = targets.Min(t => Least(edges, t));
            Assert.Equal(least == long.MaxValue, path == null);
            if (path == null)
                continue;
            reached++;
            Assert.Equal(0, path[0]);
            Assert.Contains(path[^1], targets);
            Assert.Equal(least, CostAlong(edges, path));
        }
        Assert.True(reached > 100, $"only {reached} graphs have a way at all");
    }

    [Fact]
    public void ShortestPath_StatesNumberedOtherwise_IsTheSameWay()
    {
        for (int seed = 0; seed < 200; seed++)
        {
            Edge[] edges = Graph(seed);
            ulong[] hashes = Hashes(States);
            // State 0 is the start whoever numbers.
            int[] other = [0, .. Enumerable.Range(1, States - 1)];
            new Random(seed).Shuffle(other.AsSpan(1));
            ulong[] otherHashes = new ulong[States];
            for (int i = 0; i < States; i++)
                otherHashes[other[i]] = hashes[i];
            Edge[] renamed = [.. edges.Select(e => e with { From = other[e.From], To = other[e.To] }).Reverse()];
            List<int>? a = new StateGraph(States, [[.. edges]]).ShortestPath([States - 1], hashes);
            List<int>? b = new StateGraph(States, [[.. renamed]]).ShortestPath([other[States - 1]], otherHashes);
            Assert.Equal(a?.Select(s => hashes[s]), b?.Select(s => otherHashes[s]));
        }
    }

    private static ulong[] Hashes(int n) => [.. Enumerable.Range(0, n).Select(i => (ulong)i * 0x9E37_79B9_7F4A_7C15)];

    private static Edge[] Graph(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, 40).Select(_ => new Edge(random.Next(States), random.Next(States), (byte)random.Next(Cpus), (ushort)random.Next(1, 4)))];
    }

    private static long CostOf(Edge e, int last) => (last != Start && last != e.Cpu ? Change : 0) + e.Events;

    /// <summary>By relaxing every edge until nothing changes.</summary>
    private static long Least(Edge[] edges, int target)
    {
        var cost = new Dictionary<(int State, int Last), long> { [(0, Start)] = 0 };
        for (bool changed = true; changed;)
        {
            changed = false;
            foreach (Edge e in edges)
            {
                foreach (((int state, int last), long soFar) in cost.Where(c => c.Key.State == e.From).ToList())
                {
                    long total = soFar + CostOf(e, last);
                    if (cost.TryGetValue((e.To, e.Cpu), out long known) && known <= total)
                        continue;
                    cost[(e.To, e.Cpu)] = total;
                    changed = true;
                }
            }
        }
        return cost.Where(c => c.Key.State == target).Select(c => c.Value).DefaultIfEmpty(long.MaxValue).Min();
    }

    /// <summary>The least that this sequence of states can cost.</summary>
    private static long CostAlong(Edge[] edges, List<int> path)
    {
        var cost = new Dictionary<int, long> { [Start] = 0 };
        for (int i = 1; i < path.Count; i++)
        {
            var next = new Dictionary<int, long>();
            foreach (Edge e in edges.Where(e => e.From == path[i - 1] && e.To == path[i]))
                foreach ((int last, long soFar) in cost)
                    next[e.Cpu] = Math.Min(next.GetValueOrDefault(e.Cpu, long.MaxValue), soFar + CostOf(e, last));
            cost = next;
        }
        return cost.Values.Min();
    }
}
