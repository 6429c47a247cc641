using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Interrupts;
using Emu.Memory;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>One event of a witness, with what there was after it.</summary>
/// <param name="Kind">start, execute, run (of several instructions that concern nobody else), interrupt, drain or deliver.</param>
/// <param name="Rip">Where the CPU stood before it.</param>
/// <param name="Instructions">That it consists of.</param>
/// <param name="PatchesBefore">Position in the history of patches before it.</param>
internal sealed record WitnessEvent(
    int Cpu, string Kind, string Text, ulong Rip, int Instructions, int PatchesBefore, int PatchesAfter, IReadOnlyList<string> Notes, byte[][] Memory, PendingStore[][] Stores)
{
    /// <summary>What the executed instruction took from units that are patched.</summary>
    public IReadOnlyList<WitnessFetch> Fetches { get; init; } = [];

    /// <summary>The message that was delivered.</summary>
    public InterruptMessage? Message { get; init; }

    /// <summary>The store that was drained.</summary>
    public PendingStore? Store { get; init; }

    /// <summary>It deserves a row of its own.</summary>
    public bool Shown { get; init; }

    /// <summary>Where each CPU stands after it.</summary>
    public ulong[] Rips { get; init; } = [];
}

/// <summary>A unit of patched code that an instruction was executed from.</summary>
/// <param name="Unit">Linear address.</param>
/// <param name="TakenAt">The point in the history of patches at which memory held it.</param>
internal sealed record WitnessFetch(ulong Unit, ulong Physical, byte[] Content, int TakenAt, bool Old);

/// <summary>Follows a run of an explored machine and writes its events down.</summary>
internal sealed class WitnessRecorder(ExploredMachine machine, WitnessText text, IReadOnlyList<WitnessWatch> watches) : ITrace
{
    private const int LongestInstruction = 15;

    /// <summary>A scenario is short, and all of it was written for what it shows.</summary>
    private readonly bool _showAll = machine.Subject is ScenarioSubject;
    private readonly List<string> _notes = [];
    private readonly List<WitnessFetch> _fetches = [];
    private readonly byte[] _bytes = new byte[LongestInstruction];
    private ulong _rip;
    private int _mode;
    private int _stores;
    private int _patches;
    private bool _interrupted;
    private int _run;
    private ulong _runStart;
    private ulong _runEnd;
    private int _runCpu;

    public List<WitnessEvent> Events { get; } = [];

    /// <summary>What a report of an unsynchronised execution needs.</summary>
    public WitnessRace Race { get; } = new(machine);

    public void Start() => Add(new WitnessEvent(-1, "start", "", 0, 0, machine.Journal.PatchCount, machine.Journal.PatchCount, [], Memory(), Stores()) { Shown = true });

    /// <summary>To be called between two steps.</summary>
    public void EndOfStep() => EndRun();

    public void Begin(ExploredCpu cpu)
    {
        Forget();
        _interrupted = false;
        _rip = cpu.LinearRip;
        _mode = cpu.CodeMode;
        _stores = cpu.Cpu.StoreBuffer.Count;
        _patches = machine.Journal.PatchCount;
        if (!cpu.InterruptIsDue)
            Look(cpu);
    }

    public void Forget()
    {
        Race.Begin();
        _notes.Clear();
        _fetches.Clear();
    }

    public void Commit(ExploredCpu cpu)
    {
        bool visible = _showAll || cpu.IsPermitted || _interrupted || _notes.Count != 0 || cpu.Cpu.StoreBuffer.Count != _stores || _patches != machine.Journal.PatchCount;
        if (DirectStart.FaultSince(cpu.Cpu) is { } fault)
        {
            _notes.Add(ExceptionNames.Of((int)fault) + To(cpu));
            visible = true;
        }
        int drained = _stores - cpu.Cpu.StoreBuffer.Count;
        if (drained > 0)
            _notes.Add($"drains {drained} store{(drained == 1 ? "" : "s")}");
        if (!visible)
        {
            if (_run == 0 || _runCpu != cpu.Index)
            {
                EndRun();
                (_runStart, _runCpu) = (_rip, cpu.Index);
            }
            _run++;
            _runEnd = cpu.LinearRip;
            return;
        }
        EndRun();
        string what;
        int length = 1;
        if (_interrupted)
            what = $"takes the interrupt, to {text.Describe(cpu.LinearRip)}";
        else
        {
            foreach (WitnessFetch f in _fetches)
                Overlay(f.Unit, f.Content);
            string instruction = text.Instruction(_bytes, _rip, _mode, out length);
            what = $"{text.Describe(_rip)}: {instruction}";
            if (instruction == "int3")
                _notes.Add("#BP" + To(cpu));
        }
        Add(new WitnessEvent(cpu.Index, _interrupted ? "interrupt" : "execute", what, _rip, 1, _patches, machine.Journal.PatchCount, [.. _notes], Memory(), Stores())
        {
            Fetches = [.. _fetches],
            Shown = _notes.Count != 0 || _showAll || _interrupted || Matters(cpu, length),
        });
        Race.Commit(Events.Count - 1);
    }

    public void Interrupted(ExploredCpu cpu) => _interrupted = true;

    public void Serialised(ExploredCpu cpu)
    {
        Race.Serialises(cpu, _rip);
        Note("serialises");
    }

    public void ReturnsInside(ExploredCpu cpu, ulong start) => Note($"returns to {text.Describe(cpu.LinearRip)}, inside of what is now one instruction at {text.Describe(start)}");

    public void Unsynchronised(ExploredCpu cpu, ulong linear, ulong physical, ReadOnlySpan<byte> bytes, IReadOnlyList<CodeVersion> versions, XmcVerdict verdict)
    {
        Race.Executes(cpu, linear, physical, bytes, versions, verdict);
        // Where memory holds other bytes by now, a note says so already, and the profile's rule as well.
        Note($"not synchronised: {verdict.Field}={verdict.Value}");
    }

    public void Fetched(ExploredCpu cpu, ulong unit, ReadOnlySpan<byte> content, int takenAt, bool old) =>
        _fetches.Add(new WitnessFetch(unit, cpu.PhysicalOfCode(unit) ?? unit, content.ToArray(), takenAt, old));

    public void Drained(ExploredCpu cpu, PendingStore store)
    {
        EndRun();
        int before = machine.Journal.PatchCount;
        Add(new WitnessEvent(cpu.Index, "drain", $"{text.Describe(store.Address)} := {WitnessText.Value(store, IsCode(store))}", cpu.LinearRip, 0, _beforeStep, before, [], Memory(), Stores()) { Store = store, Shown = _showAll || IsWatched(store.Address, store.Size) });
    }

    public void Delivered(InterruptMessage message)
    {
        EndRun();
        int now = machine.Journal.PatchCount;
        string source = message.Source == InterruptMessage.FromIoApic ? "the I/O APIC" : $"CPU {message.Source}";
        Add(new WitnessEvent(message.Target.Value, "deliver", $"{WitnessText.Message(message)} from {source}", 0, 0, now, now, [], Memory(), Stores()) { Message = message, Shown = true });
    }

    public void Sent(InterruptMessage message) => Note($"sends {WitnessText.Message(message)} to CPU {message.Target}");

    public void Stale(ExploredCpu cpu, StaleOutcome outcome, bool torn)
    {
        if (torn)
            Note("torn: memory never held these bytes together");
        byte[] held = new byte[LongestInstruction];
        byte[] now = new byte[LongestInstruction];
        foreach (WitnessFetch f in _fetches)
            Overlay(f.Unit, f.Content);
        text.Instruction(_bytes, _rip, _mode, out int length);
        for (int i = 0; i < length; i++)
        {
            held[i] = _bytes[i];
            if (cpu.PhysicalOfCode(_rip + (ulong)i) is { } physical)
                now[i] = (byte)machine.Machine.Memory.Read(physical, 1);
        }
        Note($"executes {WitnessText.Hex(held.AsSpan(0, length))}, memory holds {WitnessText.Hex(now.AsSpan(0, length))}: {WitnessText.Outcome(outcome)}");
    }

    private int _beforeStep;

    /// <summary>To be called before each step.</summary>
    public void BeginStep() => _beforeStep = machine.Journal.PatchCount;

    /// <summary>What the instruction did concerns what the table is about.</summary>
    private bool Matters(ExploredCpu cpu, int length)
    {
        if (cpu.IsPermitted && cpu.SharedLoad is { } load && IsWatched(load, 1))
            return true;
        if (cpu.PhysicalOfCode(_rip) is { } code && watches.Any(w => w.IsCode && w.Address < code + (ulong)length && code < w.Address + (ulong)w.Length))
            return true;
        StoreBuffer stores = cpu.Cpu.StoreBuffer;
        for (int i = _stores; i < stores.Count; i++)
            if (IsWatched(stores[i].Address, stores[i].Size))
                return true;
        return !Events[^1].Memory.Zip(Memory()).All(m => m.First.AsSpan().SequenceEqual(m.Second));
    }

    private bool IsWatched(ulong physical, int size) => watches.Any(w => w.Address < physical + (ulong)size && physical < w.Address + (ulong)w.Length);

    private bool IsCode(in PendingStore store) => (machine.Shared.Of(store.Address, store.Size) & Sharing.Code) != 0;

    private string To(ExploredCpu cpu)
    {
        string place = text.Describe(cpu.LinearRip);
        return place.StartsWith("0x", StringComparison.Ordinal) ? "" : $", to {place}";
    }

    private void Note(string note)
    {
        if (!_notes.Contains(note))
            _notes.Add(note);
    }

    private void Add(WitnessEvent e) => Events.Add(e.Rips.Length != 0 ? e : e with { Rips = [.. machine.Cpus.Select(c => c.LinearRip)] });

    private void EndRun()
    {
        if (_run == 0)
            return;
        ExploredCpu cpu = machine.Cpus[_runCpu];
        int count = _run;
        _run = 0;
        // They changed nothing that is shown, or else they would be shown themselves.
        WitnessEvent last = Events[^1];
        Add(new WitnessEvent(cpu.Index, "run", $"... {count} instruction{(count == 1 ? "" : "s")}", _runStart, count, last.PatchesAfter, last.PatchesAfter, [], last.Memory, last.Stores)
        {
            // The CPU may have gone on already.
            Rips = [.. machine.Cpus.Select(c => c == cpu ? _runEnd : c.LinearRip)],
        });
    }

    /// <summary>What stands at the instruction pointer: in the queue for certain, or else in memory.</summary>
    private void Look(ExploredCpu cpu)
    {
        cpu.Fetch.Follow(_rip);
        for (int i = 0; i < _bytes.Length; i++)
            _bytes[i] = cpu.PhysicalOfCode(_rip + (ulong)i) is { } physical ? (byte)machine.Machine.Memory.Read(physical, 1) : (byte)0;
        ulong mask = ~(ulong)(cpu.Fetch.Unit - 1);
        for (ulong unit = _rip & mask; unit < _rip + LongestInstruction; unit += (ulong)cpu.Fetch.Unit)
            Overlay(unit, cpu.Fetch.Bound(unit));
    }

    private void Overlay(ulong unit, ReadOnlySpan<byte> content)
    {
        for (int i = 0; i < content.Length; i++)
            if (unit + (ulong)i - _rip < (ulong)_bytes.Length)
                _bytes[(int)(unit + (ulong)i - _rip)] = content[i];
    }

    private byte[][] Memory() => [.. watches.Select(w =>
    {
        byte[] bytes = new byte[w.Length];
        machine.Machine.Memory.TryRead(w.Address, bytes);
        return bytes;
    })];

    private PendingStore[][] Stores() => [.. machine.Cpus.Select(c =>
    {
        var stores = new PendingStore[c.Cpu.StoreBuffer.Count];
        for (int i = 0; i < stores.Length; i++)
            stores[i] = c.Cpu.StoreBuffer[i];
        return stores;
    })];
}
