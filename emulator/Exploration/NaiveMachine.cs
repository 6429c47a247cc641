using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Execution;
using Emu.Interrupts;
using Emu.Machines;
using Emu.Memory;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>One of the four kinds of event.</summary>
internal enum NaiveEventKind : byte
{
    Fetch,
    Execute,
    Drain,
    Deliver,
}

/// <summary>An event of a CPU.</summary>
/// <param name="Unit">Of a fetch: the linear address of what is read.</param>
/// <param name="Choice">Of a fetch the version, of a delivery the position of the message.</param>
internal readonly record struct NaiveEvent(NaiveEventKind Kind, int Cpu, ulong Unit, int Choice)
{
    public override string ToString() => Kind switch
    {
        NaiveEventKind.Fetch => $"P{Cpu} fetch 0x{Unit:x}{(Choice == 0 ? "" : $" version {Choice}")}",
        NaiveEventKind.Execute => $"P{Cpu} execute",
        NaiveEventKind.Drain => $"P{Cpu} drain",
        _ => $"P{Cpu} deliver",
    };
}

/// <summary>All that a machine holds at one moment.</summary>
internal sealed record NaiveState(NaiveCpuState[] Cpus, byte[][] Pages, InterruptMessage[] Messages, object History, OutcomeState Book);

/// <summary>All that a CPU holds, and a hash of it.</summary>
internal sealed record NaiveCpuState(
    byte[] State, PendingStore[] Stores, ApicCapture Apic, Mail Mailbox, byte SipiVector, byte[] Queue, ulong SerialisedAt, UInt128 Hash);

/// <summary>
/// The machine of a scenario, event by event, with copies of its whole state. Time stands still, as in <see cref="ExploredMachine"/>, and a change of a page
/// table is seen at once.
/// </summary>
internal sealed unsafe class NaiveMachine : IDisposable
{
    /// <summary>Units of a queue at most.</summary>
    private const int MaximumUnits = 160;

    private readonly Scenario _scenario;
    private readonly Machine _machine;
    private readonly OutcomeBook _book;
    private readonly byte[] _initial;

    /// <summary>Pages that a CPU has written to on some path, in the order in which that was noticed.</summary>
    private readonly List<int> _written = [];
    private readonly NaiveCpuState?[] _cpus;
    private readonly ulong[] _units = new ulong[MaximumUnits];
    private readonly CpuState* _copy;

    public NaiveMachine(Scenario scenario)
    {
        _scenario = scenario;
        _machine = ScenarioMachine.Build(scenario, Subject.Unbounded(scenario.Profile));
        _book = new OutcomeBook(scenario, _machine);
        _book.Begin();
        _initial = new ReadOnlySpan<byte>(_machine.Memory.Base, (int)_machine.Memory.Size).ToArray();
        // From now on only pages that were written to are dirty, and the first write to each goes through PhysicalMemory, which says so.
        for (int page = 0; page < _machine.Memory.PageCount; page++)
            _machine.Memory.Flags[page] &= ~PageFlags.Dirty;
        foreach (Cpu cpu in _machine.Cpus)
            CpuMode.FlushTlb(cpu.State, keepGlobal: false);
        _cpus = new NaiveCpuState?[scenario.CpuCount];
        _copy = (CpuState*)NativeMemory.AllocZeroed((nuint)sizeof(CpuState));
    }

    /// <summary>What stopped the machine for good.</summary>
    public string? Problem { get; private set; }

    /// <summary>CPUs that do nothing, or go round, elsewhere than at an end: bit n is CPU n.</summary>
    public uint Waiting
    {
        get
        {
            uint waiting = 0;
            for (int i = 0; i < _scenario.CpuCount; i++)
                if (DirectStart.ActivityOf(_machine.Cpus[i]) != Activity.Shutdown && !_book.IsAtAnEnd(i))
                    waiting |= 1u << i;
            return waiting;
        }
    }

    /// <summary>Everything that can happen next.</summary>
    public List<NaiveEvent> Enabled()
    {
        var events = new List<NaiveEvent>();
        for (int i = 0; i < _scenario.CpuCount; i++)
        {
            if (_machine.Cpus[i].StoreBuffer.Count != 0)
                events.Add(new NaiveEvent(NaiveEventKind.Drain, i, 0, 0));
            if (!MayExecute(i))
                continue;
            events.Add(new NaiveEvent(NaiveEventKind.Execute, i, 0, 0));
            ModelledCpu agent = _machine.Agents[i];
            int n = agent.FetchCandidates(_units);
            // Beyond the depth, but needed: it is read now or when the instruction executes, and where old versions are kept it may be one of those.
            if (_scenario.Profile.Retention == Fetch.Retention.Window && agent.Lacking() is { } lacking && !_units.AsSpan(0, n).Contains(lacking))
                _units[n++] = lacking;
            for (int u = 0; u < n; u++)
                for (int version = agent.Versions(_units[u]) - 1; version >= 0; version--)
                    events.Add(new NaiveEvent(NaiveEventKind.Fetch, i, _units[u], version));
        }
        IReadOnlyList<InterruptMessage> pending = _machine.Fabric.Pending;
        for (int m = 0; m < pending.Count; m++)
            if (_machine.Fabric.IsDeliverable(pending[m]))
                events.Add(new NaiveEvent(NaiveEventKind.Deliver, pending[m].Target.Value, 0, m));
        return events;
    }

    /// <summary>Lets an event happen.</summary>
    public void Apply(NaiveEvent e)
    {
        _cpus[e.Cpu] = null;
        ModelledCpu agent = _machine.Agents[e.Cpu];
        switch (e.Kind)
        {
            case NaiveEventKind.Fetch:
                agent.Fetch(e.Unit, e.Choice);
                break;
            case NaiveEventKind.Execute:
                Execute(e.Cpu);
                break;
            case NaiveEventKind.Drain:
                agent.Drain();
                break;
            default:
                _machine.Fabric.Deliver(_machine.Fabric.Pending[e.Choice]);
                break;
        }
        // What was flushed is dropped now, so that it need not be remembered apart.
        agent.FetchCandidates(_units);
        NoteWrittenPages();
        if (_machine.Cpus[e.Cpu].StopMessage is { } message)
            Problem = $"P{e.Cpu}: {message}";
    }

    /// <summary>Copies the whole state out.</summary>
    public NaiveState Save() => new(
        [.. Enumerable.Range(0, _cpus.Length).Select(Part)], [.. _written.Select(p => PageAt(p).ToArray())], _machine.Fabric.Capture([]), _machine.History.Save(), _book.State);

    /// <summary>Takes it back.</summary>
    public void Restore(NaiveState state)
    {
        bool tables = false;
        for (int i = 0; i < _written.Count; i++)
        {
            ReadOnlySpan<byte> content = i < state.Pages.Length ? state.Pages[i] : _initial.AsSpan(_written[i] << Page.Shift, Page.Size);
            Span<byte> page = PageAt(_written[i]);
            tables |= IsTable(_written[i]) && !content.SequenceEqual(page);
            content.CopyTo(page);
        }
        if (tables)
            ForgetTranslations();
        for (int i = 0; i < _cpus.Length; i++)
        {
            if (_cpus[i] == state.Cpus[i])
                continue;
            RestoreCpu(i, state.Cpus[i]);
            _cpus[i] = state.Cpus[i];
        }
        _machine.Fabric.Apply(state.Messages);
        _machine.History.Restore(state.History);
        _book.State = state.Book;
    }

    /// <summary>Equal for equal states, and for no others (but with a probability that can be neglected).</summary>
    public UInt128 Hash()
    {
        var hash = new NaiveHash();
        for (int i = 0; i < _cpus.Length; i++)
        {
            UInt128 part = Part(i).Hash;
            hash.Add((ulong)part);
            hash.Add((ulong)(part >> 64));
            // Of older versions, which ones a CPU may still fetch.
            if (_scenario.Profile.Retention == Fetch.Retention.Window)
                hash.Add(_machine.History.HashSince(Part(i).SerialisedAt));
        }
        UInt128 memory = 0;
        foreach (int page in _written)
        {
            Span<byte> content = PageAt(page);
            // A page that holds what it held at first counts for nothing, whether it was noticed or not.
            if (content.SequenceEqual(_initial.AsSpan(page << Page.Shift, Page.Size)))
                continue;
            var one = new NaiveHash();
            one.Add((ulong)page);
            one.Add(content);
            memory += one.Value;
        }
        hash.Add((ulong)memory);
        hash.Add((ulong)(memory >> 64));
        foreach (InterruptMessage m in _machine.Fabric.Pending)
            hash.Add((ulong)(m.Source.Value + 1) << 24 ^ (ulong)m.Target.Value << 16 ^ (ulong)m.Vector << 8 ^ (ulong)m.Mode);
        hash.Add(_book.State.Hash);
        return hash.Value;
    }

    /// <summary>The final state as herd prints it; null where the scenario's filter leaves it out.</summary>
    public string? Outcome(uint waiting)
    {
        _book.Ending = waiting == 0 ? RunEnding.Finished : new RunEnding(RunEnd.Deadlock, waiting);
        return _book.Passes ? _book.Describe() : null;
    }

    public void Dispose()
    {
        NativeMemory.Free(_copy);
        _machine.Dispose();
    }

    private bool MayExecute(int index)
    {
        Cpu cpu = _machine.Cpus[index];
        Activity activity = DirectStart.ActivityOf(cpu);
        return activity == Activity.Active
            || (activity != Activity.Shutdown && (cpu.Mailbox != Mail.None || DirectStart.InterruptIsDue(cpu) || (activity == Activity.Waiting && MonitoredLine.Triggered(cpu.State))));
    }

    private void Execute(int index)
    {
        Cpu cpu = _machine.Cpus[index];
        if (_book.BeforeExecute(index))
            Events.Service(cpu);
        else
            _machine.Agents[index].Execute(out _);
        _book.AfterExecute(index);
    }

    private Span<byte> PageAt(int page) => new(_machine.Memory.Base + ((long)page << Page.Shift), Page.Size);

    private void NoteWrittenPages()
    {
        var flags = new ReadOnlySpan<byte>(_machine.Memory.Flags, _machine.Memory.PageCount);
        for (int page = 0; page < flags.Length; page++)
        {
            if ((flags[page] & (byte)PageFlags.Dirty) == 0)
                continue;
            if (!_written.Contains(page))
                _written.Add(page);
            if (IsTable(page))
                ForgetTranslations();
        }
    }

    private static bool IsTable(int page) =>
        (ulong)page << Page.Shift is >= ScenarioLayout.PageTables and < ScenarioLayout.PageTablesEnd;

    private void ForgetTranslations()
    {
        foreach (Cpu cpu in _machine.Cpus)
            CpuMode.FlushTlb(cpu.State, keepGlobal: false);
    }

    private NaiveCpuState Part(int index) => _cpus[index] ??= SaveCpu(index);

    private NaiveCpuState SaveCpu(int index)
    {
        ModelledCpu agent = _machine.Agents[index];
        Cpu cpu = agent.Cpu;
        agent.FetchCandidates(_units);
        var stores = new PendingStore[cpu.StoreBuffer.Count];
        cpu.StoreBuffer.CopyTo(stores);
        (byte[] queue, ulong serialisedAt) = agent.Save();
        ApicCapture apic = ((LocalApic)cpu.Apic).Capture();
        var state = new ReadOnlySpan<byte>(cpu.State, sizeof(CpuState));
        var hash = new NaiveHash();
        AddState(ref hash, cpu.State);
        foreach (PendingStore store in stores)
        {
            hash.Add(store.Address);
            hash.Add(store.Linear);
            hash.Add(store.Value);
            hash.Add((ulong)store.Size);
        }
        hash.Add((ulong)stores.Length);
        hash.Add(new ReadOnlySpan<byte>(&apic, sizeof(ApicCapture)));
        hash.Add((ulong)cpu.Mailbox << 8 | cpu.SipiVector);
        hash.Add(queue);
        return new NaiveCpuState(state.ToArray(), stores, apic, cpu.Mailbox, cpu.SipiVector, queue, serialisedAt, hash.Value);
    }

    /// <summary>Everything but what belongs to the host, counts, or is left behind by an instruction that is over.</summary>
    private void AddState(ref NaiveHash hash, CpuState* s)
    {
        Buffer.MemoryCopy(s, _copy, sizeof(CpuState), sizeof(CpuState));
        ulong flags = Flags.Get(s);
        _copy->FlagResult = _copy->FlagAux = 0;
        _copy->Budget = _copy->Deferred = 0;
        _copy->CurrentOp = _copy->Sampled = _copy->LinkSource = _copy->JumpCache = null;
        _copy->YieldRequested = _copy->ExitRequested = 0;
        _copy->Tlb = _copy->Tlbs = null;
        _copy->JumpKey = 0;
        _copy->Fault = default;
        _copy->Retired = 0;
        _copy->Handle = 0;
        _copy->ScratchLow = _copy->ScratchHigh = 0;
        hash.Add(flags);
        hash.Add(new ReadOnlySpan<byte>(_copy, sizeof(CpuState)));
    }

    private void RestoreCpu(int index, NaiveCpuState part)
    {
        ModelledCpu agent = _machine.Agents[index];
        Cpu cpu = agent.Cpu;
        CpuState* s = cpu.State;
        part.State.CopyTo(new Span<byte>(s, sizeof(CpuState)));
        s->LinkSource = null;
        s->CurrentOp = null;
        cpu.StoreBuffer.Restore(part.Stores);
        ((LocalApic)cpu.Apic).Apply(part.Apic);
        cpu.SetMailbox(part.Mailbox, part.SipiVector);
        agent.Restore(part.Queue, part.SerialisedAt);
    }
}

/// <summary>128 bits over words: two lanes with different factors.</summary>
internal struct NaiveHash()
{
    private ulong _a = 0x9E37_79B9_7F4A_7C15, _b = 0xC2B2_AE3D_27D4_EB4F;

    public readonly UInt128 Value => new(_a ^ (_a >> 31), _b ^ (_b >> 29));

    public void Add(ulong word)
    {
        _a = (_a ^ word) * 0xBF58_476D_1CE4_E5B9;
        _a ^= _a >> 32;
        _b = (_b + word) * 0x94D0_49BB_1331_11EB;
        _b ^= _b >> 29;
    }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(bytes))
            Add(word);
        ulong rest = (ulong)bytes.Length;
        foreach (byte b in bytes[(bytes.Length & ~7)..])
            rest = rest << 8 ^ b;
        Add(rest);
    }
}
