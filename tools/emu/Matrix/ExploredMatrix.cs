using System.Globalization;
using Emu.Boot;
using Emu.Exploration;
using Emu.Machines;
using Spectre.Console;

namespace Emu.Cli.Matrix;

/// <summary>The verdict on a cell, by exploration.</summary>
/// <param name="Result">Null when the guest refused the combination.</param>
/// <param name="Refusal">In its words.</param>
/// <param name="Witness">The table of the finding that counts; null when there is none, or nobody asked.</param>
public sealed record ExploredCell(MatrixCell Cell, ExplorationResult? Result, string? Refusal, string? Witness)
{
    /// <summary>The finding that counts: of several, the first of the list of kinds that is not a mere consequence.</summary>
    public ExploredFinding? Finding => Result?.Findings.OrderBy(f => f.Finding.Kind).FirstOrDefault();

    /// <summary>"safe", "unsafe", "bound reached", "refused" or "failed".</summary>
    public string Verdict => Result?.Verdict switch
    {
        null => "refused",
        Exploration.Verdict.Safe => "safe",
        Exploration.Verdict.Unsafe => "unsafe",
        Exploration.Verdict.Failed => "failed",
        _ => "bound reached",
    };
}

/// <summary>Explores every cell of a matrix: each a proof within its bound, or a witness.</summary>
public sealed class ExploredMatrix(BootImage image, MachineOptions options, ExplorationOptions bounds, int executions, string append, int jobs, bool witnesses, bool check)
{
    public int CpuCount => options.CpuCount;
    public int Executions => executions;

    /// <summary>
    /// What is asked unless a choice is given: every protocol at the mail's site, and of those that the mail and Linux use the sites, instructions, fences and
    /// orders on which their verdict depends.
    /// </summary>
    public static IEnumerable<string> Rows(IEnumerable<string> protocols)
    {
        foreach (string protocol in protocols)
            yield return $"protocol={protocol}";
        foreach (string site in (string[])["jmp5", "line", "jump5", "jump5-line"])
            foreach (string protocol in (string[])["int3-ipi", "int3-ipi-final", "text-poke-bp", "merged"])
                yield return $"protocol={protocol} site={site}";
        foreach (string protocol in (string[])["direct", "direct-sync", "bytewise", "quadword", "quadword-no-sync"])
            yield return $"protocol={protocol} site=jmp5";
        foreach (string protocol in (string[])["direct", "direct-sync", "bytewise"])
            yield return $"protocol={protocol} site=quad";
        foreach (string sync in (string[])["cpuid", "none", "mfence", "serialize", "iret", "mov-cr2"])
            foreach (string protocol in (string[])["int3-ipi", "text-poke-bp"])
            {
                if (sync != "cpuid")
                    yield return $"protocol={protocol} sync={sync}";
                yield return $"protocol={protocol} sync={sync} site=handler";
            }
        foreach (string sync in (string[])["cpuid", "mfence", "none"])
        {
            yield return $"protocol=text-poke-bp sync={sync} site=handler int3=die";
            yield return $"protocol=text-poke-bp sync={sync} site=handler-line";
        }
        foreach (string protocol in (string[])["int3-ipi", "text-poke-bp"])
        {
            yield return $"protocol={protocol} ack=before-sync";
            yield return $"protocol={protocol} ack=before-sync site=handler";
        }
        foreach (string poke in (string[])["alias", "alias-mm"])
            foreach (string fence in (string[])["none", "mfence-lfence"])
                yield return $"protocol=int3-ipi ipi=x2apic poke={poke} fence={fence}";
        yield return "protocol=int3-ipi site=nmi";
        yield return "protocol=int3-ipi ack=before-sync site=nmi";
        yield return "protocol=int3-ipi int3=die";
        yield return "protocol=int3-ipi-final int3=die";
        yield return "protocol=text-poke-bp int3=die";
        foreach (string site in (string[])["two-nops", "jmp5"])
            yield return $"protocol=stop-machine site={site}";
        yield return "protocol=text-poke-bp site=two-nops";
        yield return "protocol=stop-machine site=nmi";
        yield return "protocol=stop-machine-nmi site=nmi";
    }

    /// <summary>A cell of words as on the guest's command line.</summary>
    public static IReadOnlyList<string> Words(string row)
    {
        var given = row.Split(' ').Select(w => w.Split('=')).ToDictionary(w => w[0], w => w[1]);
        return [.. MatrixAxis.All.Select(a => given.GetValueOrDefault(a.Name, a.Default))];
    }

    /// <summary>The guest's command line for a cell.</summary>
    public string CommandLine(MatrixCell cell) =>
        string.Create(CultureInfo.InvariantCulture, $"{cell.Choices} explore={executions} {append}").Trim();

    /// <summary>The command that shows the witness of a cell.</summary>
    public string Replay(ExploredCell cell)
    {
        string rest = string.Join(' ', cell.Cell.Choices.Split(' ').Where(w => !w.StartsWith("protocol=", StringComparison.Ordinal)).Concat(append.Split(' ')).Where(w => w.Length != 0));
        return string.Create(CultureInfo.InvariantCulture,
            $"emu prove {cell.Cell[MatrixAxis.Protocol]} --profile {cell.Cell.Profile.Name} --cpus {options.CpuCount} --executions {executions}{(check ? " --check" : "")}{(rest.Length == 0 ? "" : $" --append \"{rest}\"")}");
    }

    /// <summary>Verdicts in the order of the cells.</summary>
    public IReadOnlyList<ExploredCell> Run(IReadOnlyList<MatrixCell> cells, Terminal terminal)
    {
        if (!terminal.IsInteractive)
            return Run(cells, () => { });
        IReadOnlyList<ExploredCell> results = [];
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(terminal.Error) });
        console.Progress().AutoClear(true).HideCompleted(true).Start(progress =>
        {
            ProgressTask task = progress.AddTask($"{cells.Count} cells", maxValue: cells.Count);
            results = Run(cells, () => task.Increment(1));
        });
        return results;
    }

    private ExploredCell[] Run(IReadOnlyList<MatrixCell> cells, Action judged)
    {
        var results = new ExploredCell[cells.Count];
        Parallel.For(0, cells.Count, new ParallelOptions { MaxDegreeOfParallelism = jobs }, i =>
        {
            results[i] = Judge(cells[i]);
            judged();
        });
        return results;
    }

    private ExploredCell Judge(MatrixCell cell)
    {
        var subject = new GuestSubject(image, CommandLine(cell), options with { Profile = cell.Profile }) { Check = check };
        try
        {
            var judged = new ExploredCell(cell, Explorer.Run(subject, bounds with { Threads = 1 }), null, null);
            return witnesses && judged.Finding is { } finding ? judged with { Witness = Table(subject, judged.Result!, finding) } : judged;
        }
        catch (BootException) when (Refusal(subject.Console) is { } refusal)
        {
            return new ExploredCell(cell, null, refusal, null);
        }
    }

    private static string Table(GuestSubject subject, ExplorationResult result, ExploredFinding finding)
    {
        using var text = new StringWriter();
        var table = WitnessTable.Play(subject, result, finding.Steps);
        table.Write(text);
        foreach (string line in table.Report?.Lines() ?? [])
            text.WriteLine(line);
        return text.ToString();
    }

    private static string? Refusal(string console) =>
        console.Split('\n').Select(l => l.Trim()).FirstOrDefault(l => l.StartsWith("result: REFUSED", StringComparison.Ordinal));
}
