namespace Emu.Execution;

/// <summary>
/// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi and Nagarakatte, ASPLOS 2010): of those agents that can do something, the one with the
/// highest priority does. Priorities are drawn once; at d - 1 of the k steps, drawn too, the agent whose turn it is falls below all others. A bug that needs d
/// orders of two events is then met with a probability of at least 1/(n k^(d-1)).
/// <para>An agent that waits for another one yields: it falls below the others as well, or nobody would ever end its wait. That is no change point.</para>
/// </summary>
public sealed class PctPriorities
{
    /// <summary>Steps in a row after which an agent of a machine that never yields is taken for one that waits.</summary>
    private const int LongPatience = 20_000;

    /// <summary>Agents, the highest priority first.</summary>
    private readonly List<int> _order;
    private readonly ulong[] _changes;
    private readonly int _patience;
    private int _nextChange;
    private int _last = -1;
    private int _inARow;

    /// <param name="agents">n.</param>
    /// <param name="depth">d, from 1.</param>
    /// <param name="steps">k: steps that a run is expected to have.</param>
    /// <param name="patience">Steps in a row after which an agent is taken for one that waits: a loop of a few instructions, where the programs are short.</param>
    public PctPriorities(int agents, int depth, ulong steps, DeterministicRandom random, int patience = LongPatience)
    {
        _patience = patience;
        ArgumentOutOfRangeException.ThrowIfLessThan(agents, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(steps, 1UL);
        _order = [.. Enumerable.Range(0, agents)];
        for (int i = agents - 1; i > 0; i--)
        {
            int j = random.Next(i + 1);
            (_order[i], _order[j]) = (_order[j], _order[i]);
        }
        _changes = new ulong[depth - 1];
        for (int i = 0; i < _changes.Length; i++)
            _changes[i] = 1 + random.Next() % steps;
        Array.Sort(_changes);
    }

    /// <summary>Steps so far.</summary>
    public ulong Steps { get; private set; }

    /// <summary>The least probability with which a run meets a bug of this depth.</summary>
    public static double Bound(int agents, int depth, ulong steps) => 1 / (agents * Math.Pow(steps, depth - 1));

    /// <summary>The agent whose step is next; -1 when none can do anything.</summary>
    public int Next(Func<int, bool> canStep)
    {
        int chosen = First(canStep);
        if (chosen < 0)
            return -1;
        Steps++;
        while (_nextChange < _changes.Length && _changes[_nextChange] <= Steps)
        {
            _nextChange++;
            Yield(chosen);
            chosen = First(canStep);
        }
        _inARow = chosen == _last ? _inARow + 1 : 0;
        _last = chosen;
        if (_inARow == _patience)
            Yield(chosen);
        return chosen;
    }

    /// <summary>An agent falls below all others.</summary>
    public void Yield(int agent)
    {
        _order.Remove(agent);
        _order.Add(agent);
    }

    /// <summary>A copy of all state, for a snapshot.</summary>
    public object Save() => new Saved([.. _order], [.. _changes], _nextChange, Steps, _last, _inARow);

    /// <summary>Takes it back.</summary>
    public void Restore(object saved)
    {
        var s = (Saved)saved;
        s.Order.CopyTo(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_order));
        s.Changes.CopyTo(_changes, 0);
        (_nextChange, Steps, _last, _inARow) = (s.NextChange, s.Steps, s.Last, s.InARow);
    }

    /// <summary>Writes what <see cref="Save"/> gave.</summary>
    public static void Write(object saved, BinaryWriter writer)
    {
        var s = (Saved)saved;
        writer.Write(s.Order.Length);
        foreach (int agent in s.Order)
            writer.Write(agent);
        writer.Write(s.Changes.Length);
        foreach (ulong step in s.Changes)
            writer.Write(step);
        writer.Write(s.NextChange);
        writer.Write(s.Steps);
        writer.Write(s.Last);
        writer.Write(s.InARow);
    }

    /// <summary>Reads it back, for <see cref="Restore"/>.</summary>
    public static object Read(BinaryReader reader)
    {
        int[] order = new int[reader.ReadInt32()];
        for (int i = 0; i < order.Length; i++)
            order[i] = reader.ReadInt32();
        ulong[] changes = new ulong[reader.ReadInt32()];
        for (int i = 0; i < changes.Length; i++)
            changes[i] = reader.ReadUInt64();
        return new Saved(order, changes, reader.ReadInt32(), reader.ReadUInt64(), reader.ReadInt32(), reader.ReadInt32());
    }

    private sealed record Saved(int[] Order, ulong[] Changes, int NextChange, ulong Steps, int Last, int InARow);

    private int First(Func<int, bool> canStep)
    {
        foreach (int agent in _order)
            if (canStep(agent))
                return agent;
        return -1;
    }
}
