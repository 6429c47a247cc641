using System.Diagnostics.CodeAnalysis;
using Emu.Execution;
using Emu.Machines;

namespace Emu.Exploration;

/// <summary>Unsynchronised executions at one site of what one instruction stored.</summary>
public sealed class XmcFinding(XmcRace race)
{
    private readonly SortedSet<int> _cpus = [race.Cpu.Value];

    /// <summary>The first.</summary>
    public XmcRace Race { get; } = race;

    /// <summary>How many there were; executions of one CPU between which nothing changed count once.</summary>
    public long Count { get; private set; } = 1;

    /// <summary>The CPUs that executed.</summary>
    public IReadOnlyCollection<int> Cpus => _cpus;

    internal void Add(XmcRace race)
    {
        Count++;
        _cpus.Add(race.Cpu.Value);
    }
}

/// <summary>Collects what the machine's <see cref="XmcMonitor"/> reports, once for each pair of executed and storing instruction.</summary>
public sealed class XmcChecker
{
    private readonly Dictionary<(ulong Site, ulong Writer), XmcFinding> _findings = [];

    /// <param name="machine">A machine with <see cref="MachineOptions.Check"/>.</param>
    public XmcChecker(Machine machine) => Attach(machine);

    public XmcMonitor Monitor { get; private set; }

    /// <summary>Goes on with another machine, in which the run of the last one is continued.</summary>
    [MemberNotNull(nameof(Monitor))]
    public void Attach(Machine machine)
    {
        Monitor = machine.Monitor ?? throw new ArgumentException("the machine was built without MachineOptions.Check", nameof(machine));
        Monitor.OnRace += Note;
    }

    /// <summary>In the order in which they were first seen.</summary>
    public IReadOnlyList<XmcFinding> Findings => [.. _findings.Values];

    private void Note(XmcRace race)
    {
        (ulong, ulong) key = (race.Rip, race.Culprit.Writer.Rip);
        if (_findings.TryGetValue(key, out XmcFinding? finding))
            finding.Add(race);
        else
            _findings[key] = new XmcFinding(race);
    }
}
