using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Memory;

namespace Emu.Exploration;

/// <summary>
/// Follows, for a table, what a report of an unsynchronised execution needs: when each CPU serialised last, and the execution with the stores that made its versions.
/// Both are events, which have rows only when the table is complete.
/// </summary>
internal sealed class WitnessRace(ExploredMachine machine)
{
    /// <summary>What serialised a CPU, where, and the number of the event.</summary>
    private readonly record struct Serialisation(SerialisingEvent Event, ulong Rip, int At);

    private readonly Serialisation[] _serialised = [.. machine.Cpus.Select(c => new Serialisation(SerialisingEvent.Start, c.LinearRip, 0))];
    private (int Cpu, Serialisation What)? _serialising;
    private (XmcRace Race, int[] MadeBy)? _executing;
    private (XmcRace Race, int[] MadeBy, int At)? _found;

    /// <summary>An event begins, or did not happen.</summary>
    public void Begin()
    {
        _serialising = null;
        _executing = null;
    }

    public void Serialises(ExploredCpu cpu, ulong rip) => _serialising = (cpu.Index, new Serialisation(cpu.Cpu.LastSerialisation, rip, 0));

    public void Executes(ExploredCpu cpu, ulong linear, ulong physical, ReadOnlySpan<byte> bytes, IReadOnlyList<CodeVersion> versions, XmcVerdict verdict)
    {
        Serialisation serialised = _serialised[cpu.Index];
        XmcVersion[] known = [.. versions.Select(v => new XmcVersion(v.Bytes, v.MadeBy < 0 ? null : StoreOf(v.MadeBy)))];
        var race = new XmcRace(cpu.Cpu.Index, 0, linear, linear, physical, bytes.ToArray(), known, XmcRace.CulpritOf(known, verdict),
            new XmcSerialisation(serialised.Event, serialised.Rip, (ulong)serialised.At, 0), cpu.Cpu.Profile, verdict);
        _executing = (race, [.. versions.Select(v => v.MadeBy)]);
    }

    /// <summary>The event is done, and has this number.</summary>
    public void Commit(int at)
    {
        if (_serialising is { } s)
            _serialised[s.Cpu] = s.What with { At = at };
        if (_executing is { } e)
            _found ??= (e.Race, e.MadeBy, at);
        Begin();
    }

    /// <summary>The execution that was found, with rows for times; null where none was.</summary>
    /// <param name="rowOf">The row of an event.</param>
    /// <param name="eventOf">The event of a store, which is known by its position in the history of patches.</param>
    public XmcRace? Found(Func<int, int> rowOf, Func<int, int> eventOf)
    {
        if (_found is not { } found)
            return null;
        ulong Row(int at) => (ulong)rowOf(at);
        XmcStore Timed(XmcStore store) => store with { Time = Row(eventOf((int)store.Number)) };
        XmcRace race = found.Race;
        return race with
        {
            Time = Row(found.At),
            Versions = [.. race.Versions.Select(v => v.Store is { } store ? v with { Store = Timed(store) } : v)],
            Culprit = Timed(race.Culprit),
            Serialised = race.Serialised with { Time = Row((int)race.Serialised.Time) },
        };
    }

    /// <summary>A store of the history; its number is its position there.</summary>
    private XmcStore StoreOf(int position)
    {
        JournalEntry store = machine.Journal.Patch(position);
        Span<byte> value = stackalloc byte[8];
        machine.Machine.Memory.TryRead(store.Address, value[..store.Size]);
        for (int later = machine.Journal.PatchCount - 1; later > position; later--)
        {
            JournalEntry e = machine.Journal.Patch(later);
            for (int b = 0; b < e.Size; b++)
                if (e.Address + (ulong)b - store.Address is < 8 and var at && at < (ulong)store.Size)
                    value[(int)at] = (byte)(e.Old >> (8 * b));
        }
        return new XmcStore((ulong)position, store.Address, store.Size, store.Old, BitConverter.ToUInt64(value), store.Writer, 0);
    }
}
