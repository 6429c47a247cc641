using System.CommandLine;
using Emu.Boot;

namespace Emu.Cli;

/// <summary><c>--break FUNCTION[:CALLEE]</c>: controls that must fail.</summary>
internal sealed class BreakArguments
{
    private readonly Option<string[]> _break = new("--break")
    {
        HelpName = "FUNCTION[:CALLEE]",
        Arity = ArgumentArity.OneOrMore,
        Description = "In the guest's memory only: FUNCTION returns at once, or its calls of CALLEE become NOPs; may be repeated.",
    };

    public void AddTo(Command command) => command.Add(_break);

    /// <exception cref="UsageException">Something that names no function.</exception>
    public IReadOnlyList<FunctionBreak> Read(ParseResult parsed) => [.. (parsed.GetValue(_break) ?? []).Select(Parse)];

    public static FunctionBreak Parse(string text) => FunctionBreak.Parse(text)
        ?? throw new UsageException($"\"{text}\" names no function", "--break", "write FUNCTION, or FUNCTION:CALLEE");
}
