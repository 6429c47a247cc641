using Emu.Memory;

namespace Emu.Machines;

/// <summary>What an agent of a CPU does.</summary>
public enum ScheduleAction
{
    /// <summary>The CPU runs a number of instructions by itself.</summary>
    Run,

    /// <summary>Its fetch unit reads a unit.</summary>
    Fetch,

    /// <summary>It executes one instruction.</summary>
    Execute,

    /// <summary>Its oldest store reaches memory.</summary>
    Drain,

    /// <summary>The oldest interrupt message that waits for it is delivered.</summary>
    Deliver,
}

/// <summary>One event of a listed schedule.</summary>
/// <param name="Count">Of Run the number of instructions; else how often the event happens.</param>
/// <param name="Version">Of Fetch: 0 for what memory holds, higher for older versions.</param>
public readonly record struct ScheduleEvent(CpuIndex Cpu, ScheduleAction Action, int Count = 1, int Version = 0)
{
    /// <summary>Reads a schedule: one event a line, <c>P1 run 100</c>, <c>P0 fetch</c>, <c>P0 fetch version 2</c>, <c>P1 execute 3</c>, <c>P0 drain</c>, <c>P1 deliver</c>; # begins a comment.</summary>
    /// <returns>The events; or null, and the reason with its line in <paramref name="error"/>.</returns>
    public static List<ScheduleEvent>? Parse(string text, int cpuCount, out string error)
    {
        var events = new List<ScheduleEvent>();
        error = "";
        string[] lines = text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            string[] words = lines[i].Split('#')[0].Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0)
                continue;
            if (TryParse(words, cpuCount, out ScheduleEvent e, out string why))
            {
                events.Add(e);
                continue;
            }
            error = $"line {i + 1}: {why}";
            return null;
        }
        return events;
    }

    public override string ToString() =>
        $"P{Cpu} {Action.ToString().ToLowerInvariant()}{(Count != 1 ? $" {Count}" : "")}{(Version != 0 ? $" version {Version}" : "")}";

    private static bool TryParse(string[] words, int cpuCount, out ScheduleEvent e, out string why)
    {
        e = default;
        if (words[0].Length < 2 || words[0][0] != 'P' || !int.TryParse(words[0].AsSpan(1), out int cpu) || cpu < 0 || cpu >= cpuCount)
        {
            why = $"'{words[0]}' is not a CPU; write P0 to P{cpuCount - 1}";
            return false;
        }
        if (words.Length < 2 || char.IsAsciiDigit(words[1][0]) || !Enum.TryParse(words[1], ignoreCase: true, out ScheduleAction action))
        {
            why = $"'{(words.Length < 2 ? "" : words[1])}' is not an event; write run, fetch, execute, drain or deliver";
            return false;
        }
        int count = 1;
        int version = 0;
        int next = 2;
        if (next < words.Length && words[next] != "version")
        {
            if (!int.TryParse(words[next], out count) || count < 1)
            {
                why = $"'{words[next]}' is not a count; write a number from 1";
                return false;
            }
            next++;
        }
        if (next + 1 < words.Length && words[next] == "version" && int.TryParse(words[next + 1], out version) && version >= 0)
            next += 2;
        if (next < words.Length)
        {
            why = $"'{words[next]}' is not understood here; expected a count, 'version N' or the end of the line";
            return false;
        }
        why = "";
        e = new ScheduleEvent(new CpuIndex(cpu), action, count, version);
        return true;
    }
}
