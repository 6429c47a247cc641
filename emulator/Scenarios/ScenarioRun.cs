using Emu.Cpus;
using Emu.Execution;
using Emu.Interrupts;
using Emu.Machines;
using Emu.Memory;

namespace Emu.Scenarios;

/// <summary>
/// One run: the events of the agents one at a time, and what they lead to. With a <see cref="StepRecorder"/> every event becomes a step of the table.
/// </summary>
internal sealed class ScenarioRun
{
    private readonly Scenario _scenario;
    private readonly Machine _machine;
    private readonly MachineSnapshot _start;
    private StepRecorder? _recorder;

    /// <summary>Notes of the event that is going on.</summary>
    private readonly List<string> _notes = [];

    public ScenarioRun(Scenario scenario, Machine machine)
    {
        _scenario = scenario;
        _machine = machine;
        Book = new OutcomeBook(scenario, machine);
        machine.Fabric.OnSend += m => _notes.Add($"sends {Kind(m)} to P{m.Target}");
        machine.Fabric.OnDeliver += (m, taken) =>
        {
            if (!taken)
                _notes.Add($"P{m.Target} does not take it");
        };
        foreach (ModelledCpu agent in machine.Agents)
        {
            Action? serialised = agent.Cpu.OnSerialise;
            agent.Cpu.OnSerialise = () =>
            {
                serialised?.Invoke();
                _notes.Add("serialises");
            };
        }
        _start = machine.TakeSnapshot();
    }

    /// <summary>Events so far.</summary>
    public int Count { get; private set; }

    /// <summary>What stopped the run for good, such as executing where no memory is; null as long as nothing did.</summary>
    public string? Problem { get; private set; }

    public Machine Machine => _machine;

    /// <summary>What conditions ask for.</summary>
    public OutcomeBook Book { get; }

    /// <summary>Goes back to the initial state.</summary>
    public void Begin(StepRecorder? recorder)
    {
        _machine.Restore(_start);
        Book.Begin();
        Book.OnNote = recorder != null ? _notes.Add : null;
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
        if (Book.BeforeExecute(index))
        {
            Events.Service(cpu);
            Book.AfterExecute(index);
            Done(index, "interrupt", () => $"takes an interrupt, to {_scenario.Symbols.Describe(Rip(index))}");
            return true;
        }
        StepRecorder.Code? code = _recorder?.CodeAt(index);
        ulong rip = Rip(index);
        bool ran = _scenario.Profile.IsCoherent ? _machine.Agents[index].Execute(out _) : _machine.Step(new CpuIndex(index));
        if (cpu.StopMessage != null)
            Problem = cpu.StopMessage;
        // In HLT nothing executes, and nothing happened.
        if (!ran && Problem == null)
            return false;
        Book.AfterExecute(index);
        // Where no code can be fetched there is no instruction to name.
        bool unfetched = DirectStart.FaultSince(cpu) == Vector.PageFault && CpuRegisters.Read(cpu, "cr2") == rip;
        Done(index, "execute", () => unfetched ? "(no instruction)" : code!.Value.Text);
        return true;
    }

    /// <summary>Judges how the run ended, for conditions that ask.</summary>
    /// <param name="finished">False when it was given up at the limit of events.</param>
    public void End(bool finished)
    {
        if (finished && IsOver)
            Book.JudgeEnding();
        else
            Book.Ending = finished ? RunEnding.Finished : RunEnding.Unfinished;
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
