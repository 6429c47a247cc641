namespace Emu.Exploration;

/// <summary>What can be found wrong with an execution. <see cref="FindingKinds"/> has the names and exit codes.</summary>
public enum FindingKind
{
    /// <summary>Bytes changed since the CPU last serialised were executed, and the profile's rule does not excuse it (<see cref="Emu.Fetch.FetchProfile"/>).</summary>
    UnsynchronisedExecution,

    /// <summary>An instruction made of parts of two versions was executed.</summary>
    TornInstruction,

    /// <summary>The old instruction was executed after the protocol claimed to be done.</summary>
    StaleInstruction,

    /// <summary>An exception, such as #BP, #GP or #UD, for which the guest has no handler or which its handler does not own.</summary>
    UnexpectedException,

    /// <summary>A branch went where neither the old nor the new instruction leads.</summary>
    WrongTarget,

    /// <summary>The guest panicked, or an assertion of it failed.</summary>
    GuestPanic,

    /// <summary>Every CPU waits for what no CPU will do.</summary>
    Deadlock,

    /// <summary>CPUs go on executing, and none of them gets anywhere.</summary>
    Livelock,

    /// <summary>A saved instruction pointer points inside an instruction that was patched.</summary>
    SavedRipInsidePatch,
}

/// <summary>How findings are called and what a process ends with that has one; README, "How a run ends".</summary>
public static class FindingKinds
{
    /// <summary>Exit codes below it say how a plain run ended.</summary>
    private const int FirstExitCode = 9;

    private static readonly string[] Names =
    [
        "unsynchronised execution", "torn instruction", "stale instruction", "unexpected exception", "wrong target", "guest panic", "deadlock", "livelock",
        "saved RIP inside a patched instruction",
    ];

    /// <summary>All kinds, in the order of their exit codes.</summary>
    public static IReadOnlyList<FindingKind> All { get; } = Enum.GetValues<FindingKind>();

    /// <summary>In words, for people.</summary>
    public static string Name(this FindingKind kind) => Names[(int)kind];

    /// <summary>In one word, for programs and options: <c>torn-instruction</c>.</summary>
    public static string Word(this FindingKind kind) => kind == FindingKind.SavedRipInsidePatch ? "saved-rip-inside-patch" : Names[(int)kind].Replace(' ', '-');

    /// <summary>What a process ends with whose worst finding is of this kind: 9 to 17.</summary>
    public static int ExitCode(this FindingKind kind) => FirstExitCode + (int)kind;
}
