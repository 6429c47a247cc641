using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Runtime.CompilerServices;
using Emu.Cli.Diff;
using Emu.Cli.Matrix;

namespace Emu.Cli;

/// <summary>All verbs. Only the one that is asked for is built in full: the others cost start-up time.</summary>
public static class CommandTree
{
    private static readonly (string Name, Func<Terminal, Command> Build)[] Verbs =
    [
        ("boot", BootCommand.Build),
        ("screen", ScreenCommand.Build),
        ("sample", SampleCommand.Build),
        ("scenario", ScenarioCommand.Build),
        ("prove", ProveCommand.Build),
        ("replay", ReplayCommand.Build),
        ("linux", LinuxCommand.Build),
        ("observe", ObserveCommand.Build),
        ("matrix", MatrixCommand.Build),
        ("disasm", DisasmCommand.Build),
        ("diff", DiffCommand.Build),
        ("lockstep", LockstepCommand.Build),
        ("isa", IsaCommand.Build),
        ("cpus", CpusCommand.Build),
        ("profiles", ProfilesCommand.Build),
    ];

    /// <summary>All verbs, or the one with which a command line begins.</summary>
    /// <param name="first">The first word of the command line.</param>
    public static RootCommand Build(Terminal terminal, string? first = null)
    {
        var root = new RootCommand("A deterministic SMP x86 machine that does not hide stale instruction bytes.");
        bool known = Verbs.Any(v => v.Name == first);
        foreach ((string name, Func<Terminal, Command> build) in Verbs)
            if (!known || name == first)
                root.Add(build(terminal));
        foreach (Option option in root.Options)
        {
            if (option is HelpOption help)
                help.Action = new HelpWithExamples((HelpAction)help.Action!);
        }
        return root;
    }

    /// <summary>Adds what <c>--help</c> shows below the options.</summary>
    public static T WithExamples<T>(this T command, params (string Line, string Meaning)[] examples)
        where T : Command
    {
        HelpWithExamples.Of.AddOrUpdate(command, examples);
        return command;
    }

    private sealed class HelpWithExamples(HelpAction help) : SynchronousCommandLineAction
    {
        /// <summary>By the command, and gone with it; several command lines may be read at a time.</summary>
        public static ConditionalWeakTable<Command, (string Line, string Meaning)[]> Of { get; } = [];

        public override int Invoke(ParseResult parseResult)
        {
            int code = help.Invoke(parseResult);
            if (!Of.TryGetValue(parseResult.CommandResult.Command, out (string Line, string Meaning)[]? examples))
                return code;
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Examples:");
            foreach ((string line, string meaning) in examples)
            {
                output.WriteLine($"  {line}");
                output.WriteLine($"      {meaning}");
            }
            output.WriteLine();
            return code;
        }
    }
}
