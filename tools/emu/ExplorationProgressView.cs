using System.Globalization;
using Emu.Exploration;
using Spectre.Console;

namespace Emu.Cli;

/// <summary>Runs an exploration with its progress on standard error, where that is a terminal. Ctrl-C ends it early: what it has found so far is its result.</summary>
internal static class ExplorationProgressView
{
    public static ExplorationResult Run(Terminal terminal, Subject subject, ExplorationOptions options)
    {
        using var cancel = new CancellationTokenSource();
        ConsoleCancelEventHandler onCancel = (_, e) =>
        {
            // A second Ctrl-C ends the process as usual.
            e.Cancel = !cancel.IsCancellationRequested;
            cancel.Cancel();
        };
        Console.CancelKeyPress += onCancel;
        try
        {
            options = options with { Cancel = cancel.Token };
            return terminal.IsInteractive ? Shown(terminal, subject, options) : Explorer.Run(subject, options);
        }
        finally
        {
            Console.CancelKeyPress -= onCancel;
        }
    }

    private static ExplorationResult Shown(Terminal terminal, Subject subject, ExplorationOptions options)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(terminal.Error) });
        return console.Status().Spinner(Spinner.Known.Line).Start(Markup.Escape($"{subject.Name}: boots"), context =>
            Explorer.Run(subject, options with { OnProgress = p => context.Status(Markup.Escape(Describe(p))) }));
    }

    private static string Describe(ExplorationProgress p) => string.Create(CultureInfo.InvariantCulture,
        $"round {p.Round}: {p.States} states, {p.States / Math.Max(p.Elapsed.TotalSeconds, 0.1):0} a second, frontier {p.Frontier}, {p.Events} events, {p.SharedBytes} bytes shared, {p.Elapsed.TotalSeconds:0} s");
}
