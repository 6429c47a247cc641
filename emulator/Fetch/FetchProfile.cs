namespace Emu.Fetch;

/// <summary>Order in which granules are fetched.</summary>
public enum FetchOrder
{
    /// <summary>In address order.</summary>
    InOrder,

    /// <summary>Any order within the queue: an instruction across two granules may mix old and new bytes either way.</summary>
    Any,
}

/// <summary>What may still be stale after the queue was emptied without serialising.</summary>
public enum Retention
{
    /// <summary>Nothing: only the queue itself holds old bytes.</summary>
    Queue,

    /// <summary>Any version that a granule has had since this CPU last serialised (caches of lines and of decoded instructions).</summary>
    Window,
}

/// <summary>What happens when the bytes about to retire are no longer those in memory.</summary>
public enum MismatchRule
{
    /// <summary>They retire as fetched.</summary>
    Stale,

    /// <summary>They are fetched again.</summary>
    Refetch,

    /// <summary>#GP(0): the erratum "Unsynchronized Cross-Modifying Code Operations Can Cause Unexpected Instruction Execution Results".</summary>
    GeneralProtection,
}

/// <summary>By which address a CPU's own stores find the prefetched bytes that they change.</summary>
public enum CompareBy
{
    Linear,
    Physical,
}

/// <summary>
/// What a CPU may do with instruction bytes that it fetched before they were changed. Every point on which manuals, errata and
/// engineers differ is a field here and never an <c>if</c> in the code. A profile over-approximates hardware: it says what the
/// rules permit, not what a given chip does.
/// </summary>
public sealed record FetchProfile
{
    public required string Name { get; init; }

    /// <summary>One line for <c>emu profiles</c>: where the profile comes from.</summary>
    public required string Source { get; init; }

    /// <summary>Bytes that may be prefetched; 0 fetches at execution.</summary>
    public required int Depth { get; init; }

    /// <summary>Bytes read by one fetch event: 1, 8, 16, 32 or 64, aligned.</summary>
    public required int Granule { get; init; }
    public required FetchOrder Order { get; init; }

    /// <summary>Aligned size within which a fetch never sees a part of a store: 1, 2, 4, 8, 16, 32 or 64 bytes.</summary>
    public required int AtomicUnit { get; init; }
    public required Retention Retention { get; init; }
    public required MismatchRule OnMismatch { get; init; }

    /// <summary>A first byte <c>cc</c>, in the fetched or in the present bytes, makes a mismatch harmless.</summary>
    public required bool Int3Exempt { get; init; }

    /// <summary>One store within an aligned <see cref="AtomicUnit"/> needs no serialisation: the whole old instruction, or the whole new one, may retire.</summary>
    public bool AtomicExempt { get; init; }
    public required bool MfenceSerialises { get; init; }

    /// <summary>Delivery of #BP serialises.</summary>
    public required bool BreakpointSerialises { get; init; }

    /// <summary>Delivery of an external interrupt serialises.</summary>
    public required bool InterruptSerialises { get; init; }

    /// <summary>A taken branch empties the queue (it never serialises).</summary>
    public required bool BranchFlushes { get; init; }

    /// <summary>A write to the xAPIC's ICR waits for earlier stores (uncached MMIO: yes).</summary>
    public required bool XapicIcrWaits { get; init; }

    /// <summary>WRMSR to the x2APIC's ICR waits for earlier stores (Intel: no, it needs mfence; lfence).</summary>
    public required bool X2apicIcrWaits { get; init; }
    public required CompareBy CompareBy { get; init; }

    /// <summary>Entries of the store buffer; 0 makes every store visible at once.</summary>
    public required int StoreBuffer { get; init; }

    /// <summary>True when code is fetched at execution and stores are visible at once: the fast interpreter may run it.</summary>
    public bool IsCoherent => Depth == 0 && Retention == Retention.Queue && StoreBuffer == 0;
}
