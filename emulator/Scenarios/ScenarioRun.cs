using Emu.Cpus;
using Emu.Execution;
using Emu.Interrupts;
using Emu.Machines;
using Emu.Memory;

namespace Emu.Scenarios;

/// <summary>
/// One run: the events of the agents one at a time, and what they lead to. With a <see cref="StepRecorder"/> every event becomes a step of the table.
/// </summary>
internal sealed class ScenarioRun : IOutcome
{
    private const byte Int3 = 0xCC;

    private readonly Scenario _scenario;
    private readonly Machine _machine;
    private readonly CodeVersions _versions;
    private readonly MachineSnapshot _start;
    private readonly HashSet<ScenarioEvent> _happened = [];
    private StepRecorder? _recorder;

    /// <summary>Notes of the event that is going on.</summary>
    private readonly List<string> _notes = [];

    public ScenarioRun(Scenario scenario, Machine machine)
    {
        _scenario = scenario;
        _machine = machine;
        _versions = new CodeVersions(machine.Memory);
        machine.Memory.Observe(_versions);
        machine.Fabric.OnSend += m => _notes.Add($"sends {Kind(m)} to P{m.Target}");
        machine.Fabric.OnDeliver += (m, taken) =>
        {
            if (!taken)
                _notes.Add($"P{m.Target} does not take it");
        };
        foreach (ModelledCpu agent in machine.Agents)
        {
            agent.OnStale += Stale;
            Action? serialised = agent.Cpu.OnSerialise;
            agent.Cpu.OnSerialise = () =>
            {
                serialised?.Invoke();
                _notes.Add("serialises");
            };
        }
        WatchCode();
        _start = machine.TakeSnapshot();
    }

    /// <summary>Events so far.</summary>
    public int Count { get; private set; }

    /// <summary>What stopped the run for good, such as an instruction that is not implemented; null as long as nothing did.</summary>
    public string? Problem { get; private set; }

    public Machine Machine => _machine;

    /// <summary>Goes back to the initial state.</summary>
    public void Begin(StepRecorder? recorder)
    {
        _machine.Restore(_start);
        _versions.Clear();
        _happened.Clear();
        _notes.Clear();
        Count = 0;
        Problem = null;
        _recorder = recorder;
        recorder?.Begin();
    }

    /// <summary>True when the CPU would do something if it were its turn: it executes, or an event would wake it.</summary>
    public bool MayExecute(int cpu)
    {
        Activity activity = DirectStart.ActivityOf(_machine.Cpus[cpu]);
        if (activity == Activity.Shutdown || Problem != null)
            return false;
        return activity == Activity.Active || _machine.Cpus[cpu].Mailbox != Mail.None || DirectStart.InterruptIsDue(_machine.Cpus[cpu]);
    }

    /// <summary>True when nothing can happen any more.</summary>
    public bool IsOver
    {
        get
        {
            if (Problem != null)
                return true;
            if (_machine.Fabric.Pending.Count != 0)
                return false;
            for (int i = 0; i < _scenario.CpuCount; i++)
                if (MayExecute(i) || _machine.Cpus[i].StoreBuffer.Count != 0)
                    return false;
            return true;
        }
    }

    public ulong Rip(int cpu) => CpuRegisters.Read(_machine.Cpus[cpu], "rip");

    /// <summary>Fetches one unit; false when it cannot.</summary>
    public bool Fetch(int cpu, ulong unit, int version)
    {
        ModelledCpu agent = _machine.Agents[cpu];
        string before = _recorder?.QueueOf(cpu) ?? "";
        if (!agent.Fetch(unit, version))
            return false;
        Done(cpu, "fetch", () => _recorder!.DescribeFetch(cpu, unit, version, before));
        return true;
    }

    /// <summary>Fetches as far ahead as the profile allows, as one event of the table.</summary>
    public bool FetchAll(int cpu)
    {
        ModelledCpu agent = _machine.Agents[cpu];
        int before = agent.Queue.Ready;
        agent.FetchAll();
        if (agent.Queue.Ready == before)
            return false;
        int fetched = agent.Queue.Ready - before;
        Done(cpu, "fetch", () => $"fetches {fetched} bytes ahead");
        return true;
    }

    public bool Drain(int cpu)
    {
        StoreBuffer buffer = _machine.Cpus[cpu].StoreBuffer;
        if (buffer.Count == 0)
            return false;
        PendingStore store = buffer[0];
        buffer.DrainOne();
        Done(cpu, "drain", () => _recorder!.DescribeStore(store));
        return true;
    }

    public bool Deliver(InterruptMessage message)
    {
        if (!_machine.Fabric.Deliver(message))
            return false;
        string source = message.Source == InterruptMessage.FromIoApic ? "the I/O APIC" : $"P{message.Source}";
        Done(message.Target.Value, "deliver", () => $"{Kind(message)} from {source}");
        return true;
    }

    /// <summary>The execute event: takes an interrupt that waits, as an event of its own, or executes one instruction. False when the CPU does neither.</summary>
    public bool Execute(int index)
    {
        if (!MayExecute(index))
            return false;
        Cpu cpu = _machine.Cpus[index];
        DirectStart.ForgetFault(cpu);
        if (DirectStart.InterruptIsDue(cpu))
        {
            Events.Service(cpu);
            NoteFaults(index, breakpoint: false);
            Done(index, "interrupt", () => $"takes an interrupt, to {_scenario.Symbols.Describe(Rip(index))}");
            return true;
        }
        StepRecorder.Code? code = _recorder?.CodeAt(index);
        bool breakpoint = FirstByte(index) == Int3;
        ulong rip = Rip(index);
        bool ran = _scenario.Profile.IsCoherent ? _machine.Agents[index].Execute(out _) : _machine.Step(new CpuIndex(index));
        if (cpu.StopMessage != null)
            Problem = cpu.StopMessage;
        // In HLT nothing executes, and nothing happened.
        if (!ran && Problem == null)
            return false;
        NoteFaults(index, breakpoint);
        // Where no code can be fetched there is no instruction to name.
        bool unfetched = DirectStart.FaultSince(cpu) == Vector.PageFault && CpuRegisters.Read(cpu, "cr2") == rip;
        Done(index, "execute", () => unfetched ? "(no instruction)" : code!.Value.Text);
        return true;
    }

    public ulong Read(ScenarioLocation location)
    {
        if (location.Cpu is { } cpu)
            return CpuRegisters.Read(_machine.Cpus[cpu], location.Name);
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        _machine.Memory.TryRead(ScenarioLayout.Physical(location.Address), bytes[..location.Size]);
        return BitConverter.ToUInt64(bytes);
    }

    public bool Happened(ScenarioEvent e)
    {
        if (e.Kind == ScenarioEventKind.Halted)
            return Enumerable.Range(0, _scenario.CpuCount).Any(i => (e.Cpu == null || e.Cpu == i) && IsAtRest(i));
        foreach (ScenarioEvent h in _happened)
            if (h.Kind == e.Kind && (e.Cpu == null || e.Cpu == h.Cpu) && (e.Vector == null || e.Vector == h.Vector))
                return true;
        return false;
    }

    /// <summary>In HLT, but not in that of a default handler: there it has failed.</summary>
    private bool IsAtRest(int cpu) =>
        DirectStart.ActivityOf(_machine.Cpus[cpu]) == Activity.Halted && ScenarioMachine.DefaultHandlerAt(Rip(cpu) - 1) == null;

    /// <summary>
    /// Code counts as changed from the first step on, also where no CPU has fetched from its page yet: a CPU that runs into it later may have had it in
    /// a cache all the time.
    /// </summary>
    private void WatchCode()
    {
        foreach (AssemblyColumn column in _scenario.Columns)
            for (ulong page = column.Start; page < column.Start + (ulong)column.Bytes.Length; page += Page.Size)
                _machine.Agents[0].Versions(page);
        if (_scenario.Image != null)
            foreach (Boot.ImageSegment segment in _scenario.Image.Segments)
                for (ulong page = segment.Address; page < segment.Address + (ulong)segment.Data.Length; page += Page.Size)
                    _machine.Agents[0].Versions(page);
    }

    /// <summary>First byte of the next instruction as this CPU has fetched it, or would fetch it now.</summary>
    private byte FirstByte(int index)
    {
        ModelledCpu agent = _machine.Agents[index];
        // Follows a jump that the queue has not followed yet.
        agent.FetchCandidates(stackalloc ulong[1]);
        if (agent.Queue.Ready != 0 && _scenario.Profile.Depth != 0)
            return agent.Queue.Contents().First().Value;
        Span<byte> one = stackalloc byte[1];
        _machine.Memory.TryRead(ScenarioLayout.Physical(Rip(index)), one);
        return one[0];
    }

    private void NoteFaults(int index, bool breakpoint)
    {
        Cpu cpu = _machine.Cpus[index];
        Vector? fault = DirectStart.FaultSince(cpu);
        if (fault is { } raised)
            Raised(index, (int)raised);
        if (breakpoint && Rip(index) == ScenarioMachine.HandlerOf(_scenario, index, (int)Vector.Breakpoint))
        {
            _happened.Add(new ScenarioEvent(ScenarioEventKind.Breakpoint, index, null));
            Raised(index, (int)Vector.Breakpoint);
        }
        // A fault while delivering another is seen by where it ended.
        if (fault != null && ScenarioMachine.DefaultHandlerAt(Rip(index)) is { } vector && vector != (int)fault)
            Raised(index, vector);
        if (DirectStart.ActivityOf(cpu) == Activity.Shutdown)
            _notes.Add("triple fault: shuts down");
    }

    private void Raised(int index, int vector)
    {
        _happened.Add(new ScenarioEvent(ScenarioEventKind.Fault, index, vector));
        string where = vector == (int)Vector.PageFault ? $" at {_scenario.Symbols.Describe(CpuRegisters.Read(_machine.Cpus[index], "cr2"))}" : "";
        _notes.Add(ExceptionNames.Of(vector) + where);
    }

    private void Stale(StaleExecution stale)
    {
        bool retired = stale.Outcome is StaleOutcome.Retired or StaleOutcome.ExemptByInt3;
        bool torn = retired && !_versions.EverHeld(stale.Physical, stale.Fetched);
        if (stale.Outcome == StaleOutcome.Retired)
            _happened.Add(new ScenarioEvent(ScenarioEventKind.Stale, stale.Cpu.Value, null));
        if (torn)
            _happened.Add(new ScenarioEvent(ScenarioEventKind.Torn, stale.Cpu.Value, null));
        string what = torn ? "torn: " : stale.Outcome switch
        {
            StaleOutcome.Retired => "stale: ",
            StaleOutcome.ExemptByInt3 => "excused by int3: ",
            StaleOutcome.Refetched => "fetched again: ",
            _ => "the erratum: ",
        };
        _notes.Add($"{what}fetched {StepRecorder.Hex(stale.Fetched)}, memory holds {StepRecorder.Hex(stale.Memory)}");
    }

    private static string Kind(InterruptMessage m) => m.Mode switch
    {
        DeliveryMode.Nmi => "an NMI",
        DeliveryMode.Fixed or DeliveryMode.LowestPriority => $"IPI 0x{m.Vector:x2}",
        _ => $"{m.Mode} 0x{m.Vector:x2}",
    };

    private void Done(int cpu, string kind, Func<string> text)
    {
        Count++;
        _recorder?.Add(cpu, kind, text(), _notes);
        _notes.Clear();
    }
}
