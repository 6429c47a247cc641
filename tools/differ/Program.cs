using System.CommandLine;
using Emu.Differ.Commands;
using Emu.Differ.Unicorn;

namespace Emu.Differ;

/// <summary>The command line <c>differ</c>: Emu against Unicorn.</summary>
public static class Program
{
    public static int Main(string[] args) => Run(args, Console.Out, Console.Error);

    /// <summary>Runs one command line; bad input and a missing oracle end in one line, not in an exception.</summary>
    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        try
        {
            ParseResult parsed = CommandTree.Build().Parse(args);
            if (parsed.Errors.Count > 0)
                throw new UsageException($"{parsed.Errors[0].Message.ReplaceLineEndings(" ").TrimEnd('.')}; \"differ --help\" lists what there is");
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, Output = output, Error = error });
        }
        catch (Exception e) when (e is UsageException or OracleMissingException or UnicornException)
        {
            error.WriteLine($"differ: {e.Message}");
            return ExitCode.Usage;
        }
    }
}

/// <summary>What the user asked for cannot be; the message is one line that says what, where and how to mend it.</summary>
public sealed class UsageException(string message) : Exception(message);

/// <summary>Exit codes.</summary>
public static class ExitCode
{
    /// <summary>No unexplained difference.</summary>
    public const int Agreement = 0;

    public const int Difference = 1;

    /// <summary>Bad usage or input, or no oracle.</summary>
    public const int Usage = 2;
}
