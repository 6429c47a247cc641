using System.CommandLine;
using Emu.Boot;
using Emu.Devices;
using Emu.Differ.Unicorn;
using Emu.Exploration;
using Emu.Machines;
using Emu.Scenarios;

namespace Emu.Cli;

/// <summary>The command line <c>emu</c>.</summary>
public static class Program
{
    public static int Main(string[] args)
    {
        using Terminal terminal = Terminal.OfProcess();
        return Run(args, terminal);
    }

    /// <summary>Runs one command line; no exception leaves it.</summary>
    public static int Run(string[] args, Terminal terminal)
    {
        try
        {
            int code = Invoke(args, terminal);
            terminal.Flush();
            return code;
        }
        catch (Exception e) when (e is UsageException or BootException or WitnessException or SnapshotException or DiskException or OracleMissingException or UnicornException)
        {
            return Complain(terminal, e.Message, ExitCode.Usage);
        }
        catch (LinuxException e)
        {
            return Complain(terminal, e.Message, e.ExitCode);
        }
        catch (ScenarioException e)
        {
            string more = e.Errors.Count > 1 ? $" (and {e.Errors.Count - 1} more below it)" : "";
            return Complain(terminal, $"{e.Errors[0]}{more}", ExitCode.Usage);
        }
        catch (OutOfMemoryException)
        {
            return Complain(terminal, "the host has not enough memory for this machine; choose a smaller --memory", ExitCode.Usage);
        }
        catch (Exception e)
        {
            // Whatever arrives here is our mistake; the line has what a report needs.
            string where = new System.Diagnostics.StackTrace(e).GetFrame(0)?.GetMethod() is { } method ? $"{method.DeclaringType?.Name}.{method.Name}" : "nowhere";
            string line = $"internal error in {where}: {e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}; please report it with this command line: emu {string.Join(' ', args.Select(Quote))}";
            return Complain(terminal, line, ExitCode.Internal);
        }
    }

    private static int Invoke(string[] args, Terminal terminal)
    {
        ParseResult parsed = CommandTree.Build(terminal, args.FirstOrDefault()).Parse(args);
        if (parsed.Errors.Count > 0)
        {
            string verb = parsed.CommandResult.Command is RootCommand ? "emu" : $"emu {parsed.CommandResult.Command.Name}";
            if (parsed.UnmatchedTokens.Count > 0)
                throw new UsageException($"\"{parsed.UnmatchedTokens[0]}\" is not understood here; \"{verb} --help\" lists what is");
            throw new UsageException($"{parsed.Errors[0].Message.ReplaceLineEndings(" ").TrimEnd('.')}; \"{verb} --help\" lists what there is");
        }
        return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, Output = terminal.Out, Error = terminal.Error });
    }

    private static int Complain(Terminal terminal, string line, int code)
    {
        try
        {
            terminal.Flush();
        }
        catch (UsageException)
        {
            // The output is what is broken: the line below says so.
        }
        terminal.Error.WriteLine($"emu: {line}");
        terminal.Error.Flush();
        return code;
    }

    /// <summary>An argument as a shell would want it typed.</summary>
    public static string Quote(string argument) =>
        argument.Length > 0 && argument.All(c => char.IsAsciiLetterOrDigit(c) || "-_=:./+,%@".Contains(c)) ? argument
        : $"\"{argument.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("$", "\\$").Replace("`", "\\`")}\"";
}
