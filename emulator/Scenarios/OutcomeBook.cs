using Emu.Cpus;
using Emu.Execution;
using Emu.Machines;

namespace Emu.Scenarios;

/// <summary>
/// Keeps account of what a condition can ask of a run, whoever orders the events of the machine. Made once for a machine that
/// <see cref="ScenarioMachine.Build"/> has built. Around each execute event of a CPU stand <see cref="BeforeExecute"/> and
/// <see cref="AfterExecute"/>; fetch, drain and deliver events need neither. <see cref="State"/> is what the book remembers: save it with a snapshot of
/// the machine, set it when the snapshot is restored. At the end of a run set <see cref="Ending"/> (or call <see cref="JudgeEnding"/>); then
/// <see cref="Describe"/> gives the outcome as herd prints it, and <see cref="Holds"/> tells whether the condition holds.
/// </summary>
internal sealed class OutcomeBook : IOutcome
{
    private readonly Scenario _scenario;
    private readonly Machine _machine;
    private readonly CodeVersions _versions;
    private readonly bool _asksForTorn;
    private readonly ulong[] _breakpointHandlers;
    private OutcomeEvents _events;

    private bool _interrupt;
    private ulong _rip;
    private ulong _stack;

    public OutcomeBook(Scenario scenario, Machine machine)
    {
        _scenario = scenario;
        _machine = machine;
        _versions = new CodeVersions(machine.Memory);
        machine.Memory.Observe(_versions);
        _asksForTorn = scenario.Events.Any(e => e.Kind == ScenarioEventKind.Torn);
        _breakpointHandlers = [.. Enumerable.Range(0, scenario.CpuCount).Select(i => ScenarioMachine.HandlerOf(scenario, i, (int)Vector.Breakpoint))];
        foreach (ModelledCpu agent in machine.Agents)
            agent.OnStale += Stale;
    }

    /// <summary>Told what came of an event, in words, for a table; null where nobody reads it.</summary>
    public Action<string>? OnNote { get; set; }

    /// <summary>How the run ended; an explorer, which knows all that could follow, sets it.</summary>
    public RunEnding Ending { get; set; }

    /// <summary>What has happened so far.</summary>
    public OutcomeState State
    {
        get => new(_events, _asksForTorn ? _versions.Latest : null);
        set
        {
            _events = value.Events;
            _versions.Latest = value.Code;
        }
    }

    /// <summary>Forgets the run; the machine is in its initial state again.</summary>
    public void Begin()
    {
        State = default;
        Ending = default;
    }

    /// <summary>To be called before a CPU takes an interrupt or executes an instruction. True when it is going to take an interrupt or an NMI.</summary>
    public bool BeforeExecute(int index)
    {
        Cpu cpu = _machine.Cpus[index];
        DirectStart.ForgetFault(cpu);
        _interrupt = DirectStart.InterruptIsDue(cpu);
        _rip = DirectStart.Rip(cpu);
        _stack = DirectStart.Rsp(cpu);
        return _interrupt;
    }

    /// <summary>To be called after it: notes faults, breakpoints and interruptions.</summary>
    public void AfterExecute(int index)
    {
        Cpu cpu = _machine.Cpus[index];
        if (_interrupt)
            Record(ScenarioEventKind.Interrupted, index, address: _rip);
        ulong rip = DirectStart.Rip(cpu);
        if (DirectStart.FaultSince(cpu) is not { } fault)
        {
            // INT3 pushes a frame, by which its handler was reached; a jump to the handler does not.
            if (!_interrupt && rip == _breakpointHandlers[index] && _stack - DirectStart.Rsp(cpu) is >= DirectStart.SmallestFrame and <= DirectStart.LargestFrame)
            {
                Record(ScenarioEventKind.Breakpoint, index);
                Raised(index, (int)Vector.Breakpoint);
            }
        }
        else
        {
            Raised(index, (int)fault);
            // A fault while delivering another is seen by where it ended.
            if (ScenarioMachine.DefaultHandlerAt(rip) is { } vector && vector != (int)fault)
                Raised(index, vector);
        }
        if (DirectStart.ActivityOf(cpu) == Activity.Shutdown)
            OnNote?.Invoke("triple fault: shuts down");
    }

    /// <summary>Notes an event; for those that are seen elsewhere, such as <see cref="ScenarioEventKind.Unsynchronised"/>.</summary>
    public void Record(ScenarioEventKind kind, int cpu, int? vector = null, ulong? address = null)
    {
        IReadOnlyList<ScenarioEvent> named = _scenario.Events;
        for (int i = 0; i < named.Count; i++)
        {
            ScenarioEvent e = named[i];
            if (e.Kind == kind && (e.Cpu == null || e.Cpu == cpu) && (e.Vector == null || e.Vector == vector) && (e.Address == null || e.Address == address))
                _events = _events.With(i);
        }
    }

    /// <summary>
    /// Judges a run in which nothing can happen any more, as far as one run shows it: it is a deadlock when a CPU halts elsewhere than at an end of code
    /// (and not because a vector had no handler).
    /// </summary>
    public void JudgeEnding()
    {
        uint waiting = 0;
        for (int i = 0; i < _scenario.CpuCount; i++)
            if (DirectStart.ActivityOf(_machine.Cpus[i]) is Activity.Halted or Activity.Waiting or Activity.Frozen && !IsAtAnEnd(i))
                waiting |= 1U << i;
        Ending = new RunEnding(waiting != 0 ? RunEnd.Deadlock : RunEnd.Finished, waiting);
    }

    /// <summary>True when the CPU stands, or halts, where code ends: behind a column, or because a vector had no handler.</summary>
    public bool IsAtAnEnd(int cpu)
    {
        ulong rip = DirectStart.Rip(_machine.Cpus[cpu]);
        // In HLT, RIP is that of the next instruction.
        ulong at = DirectStart.ActivityOf(_machine.Cpus[cpu]) == Activity.Halted ? rip - 1 : rip;
        return at == ScenarioLayout.Rest || ScenarioMachine.DefaultHandlerAt(at) != null || _scenario.Columns.Any(c => Assembly.RestOf(c) == at);
    }

    /// <summary>The condition, without its quantifier, of the machine as it is now.</summary>
    public bool Holds => _scenario.Condition.Holds(this);

    /// <summary>True when herd's <c>filter</c> lets this outcome count.</summary>
    public bool Passes => _scenario.Filter.Holds(this);

    /// <summary>The outcome in herd's form: <c>0:rax=0; [x]=1; ~stale(P1);</c></summary>
    public string Describe() => string.Join(' ', _scenario.Observed.Select(Show));

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
        switch (e.Kind)
        {
            case ScenarioEventKind.Halted:
                for (int i = 0; i < _scenario.CpuCount; i++)
                    if ((e.Cpu == null || e.Cpu == i) && IsAtRest(i))
                        return true;
                return false;
            case ScenarioEventKind.Deadlock:
                return Ending.End == RunEnd.Deadlock && Ending.Concerns(e.Cpu);
            case ScenarioEventKind.Livelock:
                return Ending.End == RunEnd.Livelock && Ending.Concerns(e.Cpu);
        }
        IReadOnlyList<ScenarioEvent> named = _scenario.Events;
        for (int i = 0; i < named.Count; i++)
            if (named[i] == e)
                return _events.Has(i);
        return false;
    }

    /// <summary>In HLT, but not in that of a default handler: there it has failed.</summary>
    private bool IsAtRest(int cpu) =>
        DirectStart.ActivityOf(_machine.Cpus[cpu]) == Activity.Halted && ScenarioMachine.DefaultHandlerAt(DirectStart.Rip(_machine.Cpus[cpu]) - 1) == null;

    private void Raised(int index, int vector)
    {
        Record(ScenarioEventKind.Fault, index, vector);
        if (OnNote == null)
            return;
        string where = vector == (int)Vector.PageFault ? $" at {_scenario.Symbols.Describe(CpuRegisters.Read(_machine.Cpus[index], "cr2"))}" : "";
        OnNote(ExceptionNames.Of(vector) + where);
    }

    private void Stale(StaleExecution stale)
    {
        bool retired = stale.Outcome is StaleOutcome.Retired or StaleOutcome.ExemptByInt3;
        bool torn = retired && (_asksForTorn || OnNote != null) && !_versions.EverHeld(stale.Physical, stale.Fetched);
        if (stale.Outcome == StaleOutcome.Retired)
            Record(ScenarioEventKind.Stale, stale.Cpu.Value);
        if (torn)
            Record(ScenarioEventKind.Torn, stale.Cpu.Value);
        if (OnNote == null)
            return;
        string what = torn ? "torn: " : stale.Outcome switch
        {
            StaleOutcome.Retired => "stale: ",
            StaleOutcome.ExemptByInt3 => "excused by int3: ",
            StaleOutcome.Refetched => "fetched again: ",
            _ => "the erratum: ",
        };
        OnNote($"{what}fetched {StepRecorder.Hex(stale.Fetched)}, memory holds {StepRecorder.Hex(stale.Memory)}");
    }

    private string Show(object observed) => observed switch
    {
        ScenarioLocation location => $"{location}={Value(Read(location), location)};",
        ScenarioEvent e => $"{(Happened(e) ? "" : "~")}{e};",
        _ => "",
    };

    /// <summary>Addresses by name, small numbers in decimal, as herd prints them; larger ones in hexadecimal.</summary>
    private string Value(ulong value, ScenarioLocation location) =>
        location.Size == 8 && _scenario.Symbols.TryDescribe(value) is { } name ? name : value < 0x1_0000 ? value.ToString() : $"0x{value:x}";
}
