using System.Text.RegularExpressions;

namespace Emu.Tests.Scenarios;

/// <summary>
/// The abstract machine of x86-TSO (CACM 2010) for the few instructions of the published tests, and every one of its runs: no reduction, no emulator, so
/// that what an exploration finds can be held against it.
/// </summary>
internal sealed partial class TsoMachine
{
    private enum Kind
    {
        Store,
        Load,
        Exchange,
        Increment,
        LockedIncrement,
        Fence,
    }

    private readonly record struct Instruction(Kind Kind, string Location, string Register, int Value);

    /// <summary>One state: program counters, registers, memory, and a FIFO of stores for each CPU.</summary>
    private sealed class State
    {
        public required int[] Counters { get; init; }
        public required SortedDictionary<string, int> Values { get; init; }
        public required List<(string Location, int Value)>[] Buffers { get; init; }

        public string Key => $"{string.Join(',', Counters)}|{string.Join(',', Values)}|{string.Join('/', Buffers.Select(b => string.Join(',', b)))}";

        public State Copy() => new() { Counters = [.. Counters], Values = new(Values, StringComparer.Ordinal), Buffers = [.. Buffers.Select(b => b.ToList())] };
    }

    private readonly List<Instruction>[] _program;
    private readonly State _start;

    /// <param name="text">A test as it stands in its file.</param>
    public TsoMachine(string text)
    {
        string[] rows = [.. text.Split('\n').Where(l => Row().IsMatch(l)).Select(l => l.TrimEnd(';', ' '))];
        int cpus = rows[0].Split('|').Length;
        _program = [.. Enumerable.Range(0, cpus).Select(_ => new List<Instruction>())];
        _start = new State { Counters = new int[cpus], Values = new(StringComparer.Ordinal), Buffers = [.. _program.Select(_ => new List<(string, int)>())] };
        foreach (Match init in Init().Matches(text))
            _start.Values[init.Groups[1].Value] = int.Parse(init.Groups[2].Value);
        foreach (string row in rows.Skip(1))
        {
            string[] cells = row.Split('|', StringSplitOptions.TrimEntries);
            for (int i = 0; i < cpus; i++)
                if (cells[i].Length != 0)
                    _program[i].Add(Parse(cells[i], i));
        }
        foreach (Instruction i in _program.SelectMany(p => p))
            if (i.Register.Length != 0)
                _start.Values.TryAdd(i.Register, 0);
    }

    /// <summary>Registers and locations, in the order in which <see cref="Outcomes"/> prints them; for <c>locations</c>.</summary>
    public IEnumerable<string> Names => _start.Values.Keys;

    /// <summary>All final states, as herd prints them.</summary>
    public HashSet<string> Outcomes()
    {
        var outcomes = new HashSet<string>();
        var seen = new HashSet<string> { _start.Key };
        var todo = new Stack<State>([_start]);
        while (todo.TryPop(out State? state))
        {
            State[] next = [.. Successors(state)];
            if (next.Length == 0)
                outcomes.Add(string.Join(' ', state.Values.Select(v => $"{(v.Key.Contains(':') ? v.Key : $"[{v.Key}]")}={v.Value};")));
            foreach (State n in next)
                if (seen.Add(n.Key))
                    todo.Push(n);
        }
        return outcomes;
    }

    private IEnumerable<State> Successors(State state)
    {
        for (int i = 0; i < _program.Length; i++)
        {
            if (state.Buffers[i].Count != 0)
            {
                State drained = state.Copy();
                (string location, int value) = drained.Buffers[i][0];
                drained.Buffers[i].RemoveAt(0);
                drained.Values[location] = value;
                yield return drained;
            }
            if (state.Counters[i] < _program[i].Count && Execute(state, i, _program[i][state.Counters[i]]) is { } executed)
                yield return executed;
        }
    }

    private static State? Execute(State state, int cpu, Instruction instruction)
    {
        bool locked = instruction.Kind is Kind.Exchange or Kind.LockedIncrement or Kind.Fence;
        if (locked && state.Buffers[cpu].Count != 0)
            return null;
        State next = state.Copy();
        next.Counters[cpu]++;
        int own = next.Buffers[cpu].FindLastIndex(s => s.Location == instruction.Location);
        int seen = own >= 0 ? next.Buffers[cpu][own].Value : next.Values.GetValueOrDefault(instruction.Location);
        switch (instruction.Kind)
        {
            case Kind.Store:
                next.Buffers[cpu].Add((instruction.Location, instruction.Value));
                break;
            case Kind.Load:
                next.Values[instruction.Register] = seen;
                break;
            case Kind.Exchange:
                next.Values[instruction.Location] = next.Values[instruction.Register];
                next.Values[instruction.Register] = seen;
                break;
            case Kind.Increment:
                next.Buffers[cpu].Add((instruction.Location, seen + 1));
                break;
            case Kind.LockedIncrement:
                next.Values[instruction.Location]++;
                break;
        }
        return next;
    }

    private static Instruction Parse(string cell, int cpu)
    {
        Match m = Cell().Match(cell);
        string register = m.Groups["r"].Success ? $"{cpu}:{Wide(m.Groups["r"].Value)}" : "";
        int value = m.Groups["v"].Success ? int.Parse(m.Groups["v"].Value) : 0;
        Kind kind = m.Groups["m"].Value switch
        {
            "mfence" or "lock addl" => Kind.Fence,
            "lock incl" => Kind.LockedIncrement,
            "incl" => Kind.Increment,
            "xchgl" => Kind.Exchange,
            "movl" => m.Groups["v"].Success ? Kind.Store : Kind.Load,
            _ => throw new FormatException($"'{cell}' is no instruction of the published tests"),
        };
        return new Instruction(kind, m.Groups["x"].Value, register, value);
    }

    private static string Wide(string register) => register[0] == 'e' ? "r" + register[1..] : register.TrimEnd('d');

    [GeneratedRegex(@"^ (P0|[a-z]|\s+\|).*;$")]
    private static partial Regex Row();

    [GeneratedRegex(@"(?<=^  .*)\b((?:\d+:)?\w+) = (\d+);", RegexOptions.Multiline)]
    private static partial Regex Init();

    [GeneratedRegex(@"^(?<m>mfence|lock addl|lock incl|incl|xchgl|movl) ?(?:\$(?<v>\d+),|%(?<r>\w+),)?(?:\((?<x>\w+)\))?(?:,%(?<r>\w+))?$")]
    private static partial Regex Cell();
}
