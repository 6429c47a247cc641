using System.Globalization;

namespace Emu.Scenarios;

/// <summary>Writes a result as plain text: the table of the 2009 mail (a column for each CPU, memory and queues at every step), and herd's summary.</summary>
public static class ScenarioTable
{
    private const int WidestText = 44;
    private const int WidestStores = 30;

    /// <summary>Table and summary.</summary>
    public static void Write(ScenarioResult result, TextWriter output)
    {
        WriteSteps(result, output);
        WriteSummary(result, output);
    }

    /// <summary>The table: step, watched memory, and for each CPU what it does, its store buffer and its queue.</summary>
    public static void WriteSteps(ScenarioResult result, TextWriter output)
    {
        if (result.Steps.Count == 0)
            return;
        string run = result.Exploration != null ? "the shortest run that decides"
            : result.Pinned ? "the pinned schedule" : $"the sampled run of seed {result.WitnessSeed}";
        output.WriteLine($"{result.Name}: {run} under profile {result.Profile}");
        if (result.Description.Length != 0)
            foreach (string line in Wrap(result.Description, 100))
                output.WriteLine($"  {line}");
        output.WriteLine();
        WriteTable([.. result.Watches.Select(w => w.Name)], result.CpuCount, result.Steps, output);
    }

    /// <summary>The table alone.</summary>
    /// <param name="watches">Names of what each step has in <see cref="ScenarioStep.Memory"/>.</param>
    public static void WriteTable(IReadOnlyList<string> watches, int cpuCount, IReadOnlyList<ScenarioStep> steps, TextWriter output)
    {
        (IReadOnlyList<string> heading, IReadOnlyList<IReadOnlyList<string>> rows) = Format(watches, cpuCount, steps);
        foreach (string line in heading.Concat(rows.SelectMany(r => r)))
            output.WriteLine(line);
        output.WriteLine();
    }

    /// <summary>The lines of the table: of the heading, and of each step.</summary>
    public static (IReadOnlyList<string> Heading, IReadOnlyList<IReadOnlyList<string>> Steps) Format(IReadOnlyList<string> watches, int cpuCount, IReadOnlyList<ScenarioStep> steps)
    {
        List<string[]> rows = [Heading(watches, cpuCount)];
        var ends = new List<int>();
        foreach (ScenarioStep step in steps)
        {
            rows.AddRange(Rows(watches.Count, cpuCount, step));
            ends.Add(rows.Count);
        }
        rows = WithoutEmptyColumns(rows);
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(c => rows.Max(r => r[c].Length))];
        string[] lines = [.. rows.Select(r => string.Join(" | ", r.Select((cell, c) => c == 0 ? cell.PadLeft(widths[c]) : cell.PadRight(widths[c]))).TrimEnd())];
        string rule = string.Join("-+-", widths.Select(w => new string('-', w)));
        return ([lines[0], rule], [.. ends.Select((end, i) => (IReadOnlyList<string>)lines[(i == 0 ? 1 : ends[i - 1])..end])]);
    }

    /// <summary>States, verdict and observation, as herd prints them.</summary>
    public static void WriteSummary(ScenarioResult result, TextWriter output)
    {
        string kind = result.Quantifier switch
        {
            Quantifier.Exists => "Allowed",
            Quantifier.NotExists => "Forbidden",
            _ => "Required",
        };
        output.WriteLine($"Test {result.Name} {kind}");
        if (result.Exploration is { } explored)
            output.WriteLine($"Explored {explored.Mode}: {explored.States} states, {explored.Events} events, {(explored.Complete ? "complete" : $"NOT complete: {explored.Bound}; what is not listed is not disproved")}");
        else if (result.Pct is { } pct)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Sampled {result.Runs} schedules by PCT of depth {pct.Depth} from seed {result.Seed}: of {pct.Agents} agents and {pct.Events} events, a run meets a bug of this depth with probability {pct.Probability:0.0e+0} or more"));
        else if (!result.Pinned)
            output.WriteLine($"Sampled {result.Runs} random schedules from seed {result.Seed}: what is not listed was not seen, which proves nothing");
        output.WriteLine($"States {result.States.Count}");
        foreach (ScenarioOutcome state in result.States)
            output.WriteLine($"{state.Count,-6}{(state.Satisfies ? '*' : ':')}>{state.Text}");
        output.WriteLine(result.Ok ? "Ok" : "No");
        output.WriteLine("Witnesses");
        output.WriteLine($"Positive: {result.Positive} Negative: {result.Negative}");
        output.WriteLine($"Condition {result.Condition}");
        output.WriteLine($"Observation {result.Name} {result.Observation} {result.Positive} {result.Negative}");
        // herd's own scripts read on only as long as they know what they read, so what is ours stands behind all that is herd's.
        if (result.Hash != null)
            output.WriteLine($"Hash={result.Hash}");
        if (result.Filtered != 0)
            output.WriteLine($"Filtered {result.Filtered}: left out, as the file's filter says");
        if (result.Unfinished != 0)
            output.WriteLine($"Unfinished {result.Unfinished}: given up at the limit of events");
        if (result.Deadlocks != 0)
            output.WriteLine($"Deadlocks {result.Deadlocks}: nothing can happen any more, and a CPU waits");
        if (result.Livelocks != 0)
            output.WriteLine($"Livelocks {result.Livelocks}: it goes on for ever without coming to an end");
        string expected = result.Expected is { } e ? e.ToString() : result.Quantifier switch
        {
            Quantifier.Exists => "Sometimes or Always",
            Quantifier.NotExists => "Never",
            _ => "Always",
        };
        output.WriteLine(result.Problem != null ? $"Verdict {result.Name}: cannot be judged: {result.Problem}"
            : $"Verdict {result.Name}: {(result.AsExpected ? "as expected" : "NOT as expected")} (expected {expected})");
    }

    private static string[] Heading(IReadOnlyList<string> watches, int cpuCount) =>
        ["", .. watches, .. Enumerable.Range(0, cpuCount).SelectMany(i => new[] { $"CPU {i}", "stores", "queue" })];

    /// <summary>A step, and below it the notes of its CPU.</summary>
    private static IEnumerable<string[]> Rows(int watches, int cpuCount, ScenarioStep step)
    {
        int textColumn = 1 + watches + 3 * Math.Max(0, step.Cpu);
        string[] lines = [.. Wrap(step.Event == "drain" ? $"drains {step.Text}" : step.Event == "deliver" ? $"delivery of {step.Text}" : step.Text, WidestText),
            .. step.Notes.SelectMany(n => Wrap($"  {n}", WidestText, "  "))];
        string[] row = new string[1 + watches + 3 * cpuCount];
        row[0] = step.Number.ToString();
        step.Memory.ToArray().CopyTo(row, 1);
        for (int i = 0; i < cpuCount; i++)
        {
            CpuView cpu = step.Cpus[i];
            int at = 1 + watches + 3 * i;
            row[at] = step.Cpu < 0 ? $"at {cpu.Rip}" : "";
            row[at + 1] = Stores(cpu.Stores);
            row[at + 2] = cpu.Queue;
        }
        if (step.Cpu >= 0 && lines.Length != 0)
            row[textColumn] = lines[0];
        yield return row;
        for (int i = 1; i < lines.Length; i++)
        {
            string[] below = [.. row.Select(_ => "")];
            below[textColumn] = lines[i];
            yield return below;
        }
    }

    /// <summary>Oldest first; many in a row are the frame that an interrupt pushed, of which the number says enough.</summary>
    private static string Stores(IReadOnlyList<StoreView> stores)
    {
        string all = string.Join(", ", stores.Select(s => $"{s.Where}={s.Value}"));
        if (all.Length <= WidestStores || stores.Count == 1)
            return all;
        string first = $"{stores[0].Where}={stores[0].Value}";
        string more = $"+{stores.Count - 1} more";
        return stores.Count > 1 && first.Length + more.Length < WidestStores ? $"{first}, {more}" : $"{stores.Count} stores";
    }

    /// <summary>A CPU that never had a store waiting, or never fetched ahead, needs no column for it.</summary>
    private static List<string[]> WithoutEmptyColumns(List<string[]> rows)
    {
        int[] kept = [.. Enumerable.Range(0, rows[0].Length).Where(c => c == 0 || rows.Skip(1).Any(r => r[c].Length != 0))];
        return [.. rows.Select(r => kept.Select(c => r[c]).ToArray())];
    }

    private static IEnumerable<string> Wrap(string text, int width, string indent = "")
    {
        while (text.Length > width)
        {
            int cut = text.LastIndexOf(' ', width);
            if (cut <= indent.Length)
                cut = width;
            yield return text[..cut].TrimEnd();
            text = indent + text[cut..].TrimStart();
        }
        yield return text;
    }
}
