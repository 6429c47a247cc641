namespace Emu.Scenarios;

/// <summary>An agent's event, as a <c>schedule:</c> pins it.</summary>
public enum ScheduleVerb
{
    /// <summary>The CPU's fetch unit reads units of code into its queue.</summary>
    Fetch,

    /// <summary>The CPU executes instructions, or takes an interrupt that waits.</summary>
    Execute,

    /// <summary>The CPU's oldest stores reach memory.</summary>
    Drain,

    /// <summary>Messages on the interrupt fabric reach the CPU's local APIC.</summary>
    Deliver,

    /// <summary>Everything goes on in turn until nothing more happens.</summary>
    Run,
}

/// <summary>One line of a schedule.</summary>
/// <param name="Cpu">Whose agent; null for a <c>run</c> of all.</param>
/// <param name="Count">How often.</param>
/// <param name="All">As often as it can: <c>drain all</c>.</param>
/// <param name="Until">Address at which an <c>execute until</c> or <c>run until</c> stops; the address of a unit for a <c>fetch</c> out of order.</param>
/// <param name="Version">Which version a fetch sees: 0 what memory holds, higher ones older.</param>
public sealed record ScheduleLine(int? Cpu, ScheduleVerb Verb, int Count, bool All, ulong? Until, int Version, SourcePosition At);
