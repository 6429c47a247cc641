namespace Emu.Scenarios;

/// <summary>
/// Which of the events that a scenario's condition and <c>locations</c> name have happened so far: one bit for each, in the order of
/// <see cref="Scenario.Events"/>. What the file does not ask for leaves no trace, so that two states which differ in nothing else are one.
/// </summary>
internal readonly record struct OutcomeEvents(ulong Bits)
{
    /// <summary>Events that a scenario may name.</summary>
    public const int Maximum = 64;

    public bool Has(int index) => (Bits >> index & 1) != 0;

    public OutcomeEvents With(int index) => new(Bits | 1UL << index);
}

/// <summary>What an <see cref="OutcomeBook"/> remembers of a run: to be kept with a snapshot of the machine, and hashed with it.</summary>
/// <param name="Events">Named events that happened.</param>
/// <param name="Code">The last change of code; only <c>torn</c> asks for it, and it is null in scenarios that do not name that.</param>
internal readonly record struct OutcomeState(OutcomeEvents Events, CodeChange? Code)
{
    /// <summary>Equal states have equal hashes; nothing but the run so far goes into it.</summary>
    public ulong Hash => Events.Bits * 0x9E37_79B9_7F4A_7C15 ^ (Code?.Hash ?? 0);
}

/// <summary>How a run ended.</summary>
internal enum RunEnd
{
    /// <summary>Nothing can happen any more, and every CPU has reached an end of its code or was stopped by a fault.</summary>
    Finished,

    /// <summary>Given up at a bound.</summary>
    Unfinished,

    /// <summary>Nothing can happen any more, and a CPU waits.</summary>
    Deadlock,

    /// <summary>It would go on for ever without coming to an end.</summary>
    Livelock,
}

/// <summary>How a run ended, and which CPUs wait or go round for ever: bit n is Pn.</summary>
internal readonly record struct RunEnding(RunEnd End, uint Cpus)
{
    public static RunEnding Finished => new(RunEnd.Finished, 0);

    public static RunEnding Unfinished => new(RunEnd.Unfinished, 0);

    public bool Concerns(int? cpu) => cpu is { } c ? (Cpus >> c & 1) != 0 : Cpus != 0;
}
