namespace Emu.Scenarios;

/// <summary>Things that happen in a run, or are so at its end, and that a condition can name.</summary>
public enum ScenarioEventKind
{
    /// <summary>An exception was raised.</summary>
    Fault,

    /// <summary>An instruction retired whose bytes were no longer those in memory, and the profile does not excuse it.</summary>
    Stale,

    /// <summary>An instruction retired whose bytes memory never held together.</summary>
    Torn,

    /// <summary>#BP: the CPU ran into a breakpoint.</summary>
    Breakpoint,

    /// <summary>An instruction retired whose bytes another CPU had changed since this one last serialised, and the profile does not excuse it.</summary>
    Unsynchronised,

    /// <summary>An interrupt or NMI was taken before the instruction at an address, so that this address was saved.</summary>
    Interrupted,

    /// <summary>At the end the CPU rests in HLT: it reached the end of its code, or a HLT of its own.</summary>
    Halted,

    /// <summary>At the end nothing can happen any more, and the CPU waits: it has not reached an end, but halts, or spins on what nobody will change.</summary>
    Deadlock,

    /// <summary>The run has no end: the CPU goes round for ever, and what it and the others do changes nothing about it.</summary>
    Livelock,
}

/// <summary>
/// An event of one CPU, or of any when <paramref name="Cpu"/> is null; a fault of one vector, or of any; an interruption at one address, or at any.
/// </summary>
/// <param name="Place">The address as the file names it.</param>
public sealed record ScenarioEvent(ScenarioEventKind Kind, int? Cpu, int? Vector, ulong? Address = null, string? Place = null)
{
    /// <summary>True for what is known only when the run has ended; all else is noted when it happens.</summary>
    public bool IsOfTheEnd => Kind is ScenarioEventKind.Halted or ScenarioEventKind.Deadlock or ScenarioEventKind.Livelock;

    public override string ToString()
    {
        var arguments = new List<string>();
        if (Vector is { } v)
            arguments.Add(ExceptionNames.Of(v));
        if (Cpu is { } c)
            arguments.Add($"P{c}");
        if (Place != null)
            arguments.Add(Place);
        return $"{Kind.ToString().ToLowerInvariant()}({string.Join(",", arguments)})";
    }
}
