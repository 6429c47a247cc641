namespace Emu.Interrupts;

/// <summary>
/// Time as devices see it, in ticks: one tick is one retired instruction of the whole machine, nominally one nanosecond.
/// The machine gives it to every device that keeps time.
/// </summary>
public interface ITimeline
{
    /// <summary>Ticks up to and including the instruction that is executing.</summary>
    ulong Now { get; }

    /// <summary>A device's <see cref="ITimed.NextEvent"/> has changed: the machine must ask again before it runs on.</summary>
    void EventMoved();
}

/// <summary>
/// Something that acts at a moment of its own. The machine asks all of them for the earliest next event, runs the CPUs exactly up to it, and
/// then calls <see cref="Advance"/>.
/// </summary>
public interface ITimed
{
    /// <summary>The tick at which <see cref="Advance"/> must be called, or ulong.MaxValue when nothing is due.</summary>
    ulong NextEvent { get; }

    /// <summary>Does all that is due up to and including <paramref name="now"/>.</summary>
    void Advance(ulong now);
}

/// <summary>Something whose whole state goes into a snapshot. What was saved by one instance is restored by any other of the same make.</summary>
public interface ISnapshotted
{
    void Save(BinaryWriter writer);

    void Restore(BinaryReader reader);
}
