using System.CommandLine;

namespace Emu.Differ.Commands;

/// <summary>All verbs.</summary>
public static class CommandTree
{
    public static RootCommand Build() => new("Checks Emu against Unicorn, instruction by instruction. Exit code 0: no unexplained difference; 1: differences; 2: bad usage, or no oracle.")
    {
        RunCommand.Build(),
        ReplayCommand.Build(),
        LockstepCommand.Build(),
        CodesCommand.Build(),
    };
}
