namespace Emu.Exploration;

/// <summary>The kinds of events among which an exploration chooses. Fetch is not among them: its choice of version is made by <see cref="Step.Picks"/> when the bytes are executed.</summary>
public enum StepKind : byte
{
    /// <summary>The CPU executes the instruction at which it stands, or takes the interrupt that is due, and goes on to the next choice.</summary>
    Execute,

    /// <summary>The oldest store of its buffer reaches memory.</summary>
    Drain,

    /// <summary>An interrupt message reaches it, and it takes the interrupt if it can.</summary>
    Deliver,

    /// <summary>An interrupt message reaches it, and waits for another one that comes before the CPU does anything: of equal ones only one is left, of different ones the more important is taken first.</summary>
    Arrive,
}

/// <summary>One choice of an exploration.</summary>
/// <param name="Cpu">The CPU that it happens to.</param>
/// <param name="Message">Of <see cref="StepKind.Deliver"/> and <see cref="StepKind.Arrive"/>: position of the message among those that wait.</param>
/// <param name="Picks">Of <see cref="StepKind.Execute"/>: the versions that were fetched.</param>
public readonly record struct Step(byte Cpu, StepKind Kind, byte Message, Picks Picks);
