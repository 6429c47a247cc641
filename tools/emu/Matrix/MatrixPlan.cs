using Spectre.Console;

namespace Emu.Cli.Matrix;

/// <summary>All cells of a matrix, on all cores. A machine is one thread's; the result does not depend on how many run at a time.</summary>
public sealed class MatrixPlan(IReadOnlyList<MatrixCell> cells, MatrixRunner runner, ulong firstSeed, int seeds, bool keepGoing, int jobs)
{
    /// <summary>Results in the order of the cells.</summary>
    public IReadOnlyList<MatrixResult> Run(Terminal terminal)
    {
        if (!terminal.IsInteractive)
            return Run(() => { });
        IReadOnlyList<MatrixResult> results = [];
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(terminal.Error) });
        console.Progress().AutoClear(true).HideCompleted(true).Start(progress =>
        {
            ProgressTask task = progress.AddTask($"{cells.Count} cells", maxValue: cells.Count);
            results = Run(() => task.Increment(1));
        });
        return results;
    }

    private MatrixResult[] Run(Action judged)
    {
        var results = new MatrixResult[cells.Count];
        try
        {
            Parallel.For(0, cells.Count, new ParallelOptions { MaxDegreeOfParallelism = jobs }, i =>
            {
                results[i] = runner.Judge(cells[i], firstSeed, seeds, keepGoing);
                judged();
            });
        }
        catch (AggregateException e)
        {
            // All workers fail alike: the image does not fit the machine, or the host has no memory.
            throw e.InnerExceptions[0];
        }
        return results;
    }
}
