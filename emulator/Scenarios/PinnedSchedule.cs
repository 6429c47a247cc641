using Emu.Execution;
using Emu.Interrupts;

namespace Emu.Scenarios;

/// <summary>Plays the events that a scenario lists. An event that cannot happen where it stands is an error of the file, and is told with its line.</summary>
internal sealed class PinnedSchedule(Scenario scenario, ScenarioRun run)
{
    /// <returns>False when the limit of events was reached.</returns>
    public bool Play(out string? problem)
    {
        problem = null;
        foreach (ScheduleLine line in scenario.Schedule!)
        {
            string? why = line.Verb switch
            {
                ScheduleVerb.Fetch => Fetch(line),
                ScheduleVerb.Execute => Execute(line),
                ScheduleVerb.Drain => Drain(line),
                ScheduleVerb.Deliver => Deliver(line),
                _ => null,
            };
            if (why != null)
                problem = $"{scenario.FileName}:{line.At}: {why}";
            if (problem != null || run.Problem != null)
                return true;
            if (run.Count > scenario.Limit || (line.Verb == ScheduleVerb.Run && !Run(line)))
                return false;
        }
        return true;
    }

    private string? Fetch(ScheduleLine line)
    {
        int cpu = line.Cpu!.Value;
        ModelledCpu agent = run.Machine.Agents[cpu];
        if (scenario.Profile.Depth == 0)
            return $"profile {scenario.Profile.Name} fetches at execution only (depth 0)";
        if (line.All)
            return run.FetchAll(cpu) ? null : $"P{cpu} has nothing to fetch: its queue is full";
        Span<ulong> units = stackalloc ulong[128];
        for (int i = 0; i < line.Count; i++)
        {
            int n = agent.FetchCandidates(units);
            if (n == 0)
                return $"P{cpu} has nothing to fetch: its queue is full";
            ulong unit = units[0];
            if (line.Until is { } wanted)
            {
                unit = wanted & ~(ulong)(agent.Queue.Unit - 1);
                if (!units[..n].Contains(unit))
                {
                    IEnumerable<string> possible = units[..n].ToArray().Select(u => scenario.Symbols.Describe(Math.Max(u, agent.Queue.Start)));
                    return $"P{cpu} cannot fetch {scenario.Symbols.Describe(wanted)} now: it may fetch {string.Join(" or ", possible)}";
                }
            }
            int versions = agent.Versions(unit);
            if (versions == 0)
                return $"P{cpu} cannot fetch {scenario.Symbols.Describe(unit)}: nothing is mapped there";
            if (line.Version >= versions)
            {
                string visible = versions == 1 ? "only what memory holds" : $"versions 0 to {versions - 1}";
                return $"there is no version {line.Version} of {scenario.Symbols.Describe(line.Until ?? unit)} for P{cpu}: it may see {visible}";
            }
            run.Fetch(cpu, unit, line.Version);
        }
        return null;
    }

    private string? Execute(ScheduleLine line)
    {
        int cpu = line.Cpu!.Value;
        for (int i = 0; i < line.Count; i++)
        {
            if (line.Until is { } until && run.Rip(cpu) == until)
                return null;
            if (run.Count > scenario.Limit)
                return line.Until is { } label ? $"P{cpu} did not reach {scenario.Symbols.Describe(label)} within {scenario.Limit} events" : null;
            if (!run.Execute(cpu))
                return run.Problem == null ? $"P{cpu} does not execute: it is {State(cpu)}" : null;
        }
        return null;
    }

    private string? Drain(ScheduleLine line)
    {
        int first = line.Cpu ?? 0;
        int last = line.Cpu ?? scenario.CpuCount - 1;
        bool any = false;
        for (int cpu = first; cpu <= last; cpu++)
            for (int i = 0; (line.All || i < line.Count) && run.Drain(cpu); i++)
                any = true;
        return any ? null : $"P{first} has no store to drain";
    }

    private string? Deliver(ScheduleLine line)
    {
        int n = 0;
        while (line.All || n < line.Count)
        {
            InterruptMessage? next = Next(line.Cpu);
            if (next == null || !run.Deliver(next.Value))
                break;
            n++;
        }
        return n == 0 || (!line.All && n < line.Count) ? $"no message waits for P{line.Cpu}" : null;
    }

    private InterruptMessage? Next(int? target)
    {
        foreach (InterruptMessage m in run.Machine.Fabric.Pending)
            if (target == null || m.Target.Value == target)
                return m;
        return null;
    }

    /// <summary>
    /// All CPUs, or one, in turn: what waits for the CPU is delivered, it executes one instruction (fetching no further than that), and its oldest
    /// store drains. False when the limit was reached.
    /// </summary>
    private bool Run(ScheduleLine line)
    {
        int first = line.Cpu ?? 0;
        int last = line.Cpu ?? scenario.CpuCount - 1;
        bool moved = true;
        while (moved && run.Problem == null)
        {
            moved = false;
            for (int cpu = first; cpu <= last; cpu++)
            {
                if (line.Until is { } until && run.Rip(cpu) == until)
                    return true;
                if (Next(cpu) is { } message)
                    moved |= run.Deliver(message);
                moved |= run.Execute(cpu);
                moved |= run.Drain(cpu);
            }
            if (run.Count > scenario.Limit)
                return false;
        }
        return true;
    }

    private string State(int cpu) => Cpus.DirectStart.ActivityOf(run.Machine.Cpus[cpu]) switch
    {
        Cpus.Activity.Halted => $"halted at {scenario.Symbols.Describe(run.Rip(cpu))}",
        Cpus.Activity.Shutdown => "shut down by a triple fault",
        _ => "waiting",
    };
}
