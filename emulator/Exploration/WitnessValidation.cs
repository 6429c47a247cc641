using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Interrupts;
using Emu.Machines;
using Emu.Memory;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>
/// Plays a witness on the machine that everything else runs on: fetch, execute, drain and deliver as events of their own, each fetch at the moment when
/// memory held what it brings. An exploration leaves fetches out and chooses versions later (<see cref="LazyFetch"/>); here is checked that this came to the same.
/// </summary>
public sealed class WitnessValidation
{
    private readonly WitnessTable _table;
    private readonly Machine _machine;
    private readonly OutcomeBook? _book;
    private readonly ulong[] _units = new ulong[128];
    private readonly List<XmcRace> _races = [];

    private WitnessValidation(Subject subject, WitnessTable table, Machine machine)
    {
        _table = table;
        _machine = machine;
        // The machine may have its state from another one: its translations lead to that one's memory, and the pages of code are not watched yet.
        foreach (Cpu cpu in machine.Cpus)
            DirectStart.ForgetTranslations(cpu);
        foreach ((WitnessWatch watch, _) in table.FinalMemory)
            if (watch.IsCode)
                machine.Agents[0].Versions(watch.Address & ~(ulong)(machine.Agents[0].Queue.Unit - 1));
        if (machine.Monitor is { } monitor)
            monitor.OnRace += _races.Add;
        if (subject is ScenarioSubject scenario)
        {
            _book = new OutcomeBook(scenario.Scenario, machine);
            _book.Begin();
        }
    }

    /// <summary>Plays it. Null when it went as the table says, to the same end; else where it did not.</summary>
    public static string? Run(Subject subject, WitnessTable table)
    {
        using Machine machine = subject.StartPlain();
        return new WitnessValidation(subject, table, machine).Play(subject);
    }

    private string? Play(Subject subject)
    {
        IReadOnlyList<WitnessEvent> events = _table.Events;
        for (int i = 1; i < events.Count; i++)
        {
            WitnessEvent e = events[i];
            if (subject.Profile.Retention == Retention.Queue)
                foreach ((int cpu, WitnessFetch fetch) in Before(i))
                    if (!Fetch(cpu, fetch, newest: true))
                        return $"event {i}: CPU {cpu} cannot fetch {subject.Describe(fetch.Unit)} there";
            string? wrong = Play(subject, e);
            if (wrong != null)
                return $"event {i}, \"{e.Text}\" of CPU {e.Cpu}: {wrong}";
            ulong rip = _machine.Agents[e.Cpu].LinearRip;
            if (rip != e.Rips[e.Cpu])
                return $"event {i}, \"{e.Text}\" of CPU {e.Cpu}: it is at {subject.Describe(rip)}, and not at {subject.Describe(e.Rips[e.Cpu])}";
        }
        return JudgeEnd(subject);
    }

    private string? JudgeEnd(Subject subject)
    {
        ulong[] states = [.. _machine.Cpus.Select(StateMixer.OfCpu)];
        for (int c = 0; c < states.Length; c++)
            if (states[c] != _table.FinalStates[c])
                return $"CPU {c} ends in another state";
        if (!_machine.Cpus.Select(c => c.StoreBuffer.Count).Any(n => n != 0))
            foreach ((WitnessWatch watch, byte[] bytes) in _table.FinalMemory)
                if (!Read(watch).AsSpan().SequenceEqual(bytes))
                    return $"{watch.Name} ends as {WitnessText.Hex(Read(watch))}, and not as {WitnessText.Hex(bytes)}";
        // The words of a panic may still be in the buffer of the CPU that wrote them.
        foreach (Cpu cpu in _machine.Cpus)
            cpu.StoreBuffer.DrainAll();
        // The machine's own checker asks what may have been fetched, not what was: it has to know of what was, at the least.
        if (_table.Race is { } race && !_races.Exists(r => r.Cpu == race.Cpu && r.Linear == race.Linear))
            return $"its checker has nothing to say of {subject.Describe(race.Linear)}";
        if (subject is GuestSubject guest)
            return guest.PanicOf(_machine) is { } panic && panic != _table.Ending ? $"it ends in \"{panic}\"" : null;
        _book!.JudgeEnding();
        return _book.Describe() == _table.Ending ? null : $"it ends as {_book.Describe()}";
    }

    private byte[] Read(WitnessWatch watch)
    {
        byte[] bytes = new byte[watch.Length];
        _machine.Memory.TryRead(watch.Address, bytes);
        return bytes;
    }

    /// <summary>Fetches that happen before an event, in order.</summary>
    private IEnumerable<(int Cpu, WitnessFetch Fetch)> Before(int index)
    {
        IReadOnlyList<WitnessEvent> events = _table.Events;
        for (int i = index; i < events.Count; i++)
            foreach (WitnessFetch f in events[i].Fetches)
                if (f.Old && _table.PlaceOf(f) == index)
                    yield return (events[i].Cpu, f);
    }

    private string? Play(Subject subject, WitnessEvent e)
    {
        switch (e.Kind)
        {
            case "drain":
                return Drain(e.Cpu, e.Store!.Value);
            case "deliver":
                foreach (InterruptMessage m in _machine.Fabric.Pending)
                    if (m.Target == e.Message!.Value.Target && m.Source == e.Message.Value.Source && m.Vector == e.Message.Value.Vector && m.Mode == e.Message.Value.Mode)
                        return _machine.Fabric.Deliver(m) ? null : "another message is first";
                return "no such message waits";
            case "interrupt":
                if (!DirectStart.InterruptIsDue(_machine.Cpus[e.Cpu]))
                    return "no interrupt is due";
                _book?.BeforeExecute(e.Cpu);
                Events.Service(_machine.Cpus[e.Cpu]);
                _book?.AfterExecute(e.Cpu);
                return null;
            default:
                if (subject.Profile.Retention == Retention.Window)
                    foreach (WitnessFetch f in e.Fetches)
                        if (f.Old && !Fetch(e.Cpu, f, newest: false))
                            return $"there is no version {WitnessText.Hex(f.Content)} of {subject.Describe(f.Unit)} for it";
                for (int n = 0; n < e.Instructions; n++)
                {
                    _book?.BeforeExecute(e.Cpu);
                    if (!_machine.Agents[e.Cpu].Execute(out _))
                        return "it does not execute";
                    _book?.AfterExecute(e.Cpu);
                }
                return null;
        }
    }

    /// <summary>Stores that concern nobody else wait here as well: those that are older go first.</summary>
    private string? Drain(int cpu, PendingStore wanted)
    {
        StoreBuffer buffer = _machine.Cpus[cpu].StoreBuffer;
        bool waits = false;
        for (int i = 0; i < buffer.Count; i++)
            waits |= buffer[i] == wanted;
        while (waits)
        {
            PendingStore store = buffer[0];
            buffer.DrainOne();
            if (store == wanted)
                return null;
        }
        return "no such store waits";
    }

    /// <summary>The fetch event: of what memory holds, or of the version that has these bytes. Where fetch is in order, what lies before it is fetched first.</summary>
    private bool Fetch(int cpu, WitnessFetch wanted, bool newest)
    {
        ModelledCpu agent = _machine.Agents[cpu];
        while (true)
        {
            int n = agent.FetchCandidates(_units);
            if (n == 0)
                return false;
            ulong unit = _units.AsSpan(0, n).Contains(wanted.Unit) ? wanted.Unit : _units[0];
            if (unit > wanted.Unit)
                return Holds(agent, wanted);
            if (unit != wanted.Unit)
            {
                if (!agent.Fetch(unit))
                    return false;
                continue;
            }
            int versions = newest ? 1 : agent.Versions(unit);
            (byte[] queue, ulong serialised) = agent.Save();
            for (int version = 0; version < versions; version++)
            {
                if (agent.Fetch(unit, version) && Holds(agent, wanted))
                    return true;
                agent.Restore(queue, serialised);
            }
            return false;
        }
    }

    private static bool Holds(ModelledCpu agent, WitnessFetch wanted)
    {
        int have = 0;
        foreach ((ulong linear, byte value) in agent.Queue.Contents())
        {
            ulong offset = linear - wanted.Unit;
            if (offset >= (ulong)wanted.Content.Length)
                continue;
            if (value != wanted.Content[(int)offset])
                return false;
            have++;
        }
        return have != 0;
    }
}
