using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Interrupts;
using Emu.Machines;
using Emu.Memory;

namespace Emu.Exploration;

/// <summary>Follows one run of an explored machine, for tables; exploring itself has none.</summary>
internal interface ITrace
{
    void Begin(ExploredCpu cpu);

    void Commit(ExploredCpu cpu);

    void Forget();

    void Interrupted(ExploredCpu cpu);

    void Serialised(ExploredCpu cpu);

    void Fetched(ExploredCpu cpu, ulong unit, ReadOnlySpan<byte> content, int takenAt, bool old);

    void Drained(ExploredCpu cpu, PendingStore store);

    void Delivered(InterruptMessage message);

    void Sent(InterruptMessage message);

    void Stale(ExploredCpu cpu, StaleOutcome outcome, bool torn);

    void ReturnsInside(ExploredCpu cpu, ulong start);

    void Unsynchronised(ExploredCpu cpu, ulong linear, ulong physical, ReadOnlySpan<byte> bytes, IReadOnlyList<CodeVersion> versions, XmcVerdict verdict);
}

/// <summary>
/// A machine whose next event is chosen from outside, which can go back to where it was, and which knows a hash of its state. Time stands still: no
/// timer fires, and the time-stamp counter does not advance. Translations are never stale: a change of a paging structure is seen at once.
/// </summary>
internal sealed unsafe class ExploredMachine : IDisposable
{
    /// <summary>Instructions that a CPU runs on its own at most before others get a chance.</summary>
    public const int LongestPrivateRun = 20_000;

    private readonly SubjectRun _run;
    private readonly Stepper _stepper;
    private readonly ulong[] _stops;
    private readonly ulong[] _hashes;

    public ExploredMachine(Subject subject, SharedBytes? shared)
    {
        Subject = subject;
        _run = subject.Start();
        Machine = _run.Machine;
        if (Machine.Cpus.Count > AccessMap.MaximumCpus)
            throw new ArgumentException($"{Machine.Cpus.Count} CPUs: an exploration tells at most {AccessMap.MaximumCpus} apart");
        PhysicalMemory memory = Machine.Memory;
        Journal = new MemoryJournal(memory);
        // Decoded code is checked against its bytes at every step: nobody needs to be told of stores to it.
        for (int i = 0; i < memory.PageCount; i++)
            memory.Flags[i] &= ~PageFlags.Code;
        Shared = shared ?? new SharedBytes(memory) { Unit = UnitOf(subject.Profile) };
        if (_run.AsksWhereInterrupted)
            Shared.Exposed = Shared.ExposedToNmi = uint.MaxValue;
        Accesses = new AccessMap(memory);
        _stops = [.. subject.Stops];
        _stepper = new Stepper(new InstructionDecoder(Machine.Options.Model));
        memory.Journal = Journal;
        Machine.Fabric.OnSend = m => Trace?.Sent(m);
        Cpus = [.. Machine.Cpus.Select(c => new ExploredCpu(this, c, _stepper, Shared.Unit, Journal))];
        foreach (Cpu cpu in Machine.Cpus)
            CpuMode.FlushTlb(cpu.State, keepGlobal: false);
        Shared.Watch(memory);
        _hashes = new ulong[Cpus.Count];
        _root = new MachineCapture(this);
        Save(_root, all: true);
    }

    public Machine Machine { get; }
    public Subject Subject { get; }
    public SubjectRun Run => _run;
    public MemoryJournal Journal { get; }
    public SharedBytes Shared { get; private set; }
    public AccessMap Accesses { get; }
    public IReadOnlyList<ExploredCpu> Cpus { get; }
    public Chooser Chooser { get; } = new();
    public ITrace? Trace { get; set; }

    /// <summary>Events executed: instructions, interrupts taken, stores drained, messages delivered.</summary>
    public long Events { get; set; }

    /// <summary>What stopped this path for good, such as executing where no memory is.</summary>
    public string? Problem { get; set; }

    /// <summary>A fault of the protocol that ends this path.</summary>
    public Finding? Finding { get; set; }

    /// <summary>Bytes that one fetch event reads, as <see cref="PrefetchQueue.Unit"/>; where nothing is fetched ahead there is no sense in more than one.</summary>
    public static int UnitOf(FetchProfile profile)
    {
        if (profile.Depth == 0)
            return 1;
        using var queue = new PrefetchQueue(profile);
        return queue.Unit;
    }

    /// <summary>Goes back to where the exploration begins, knowing of these shared bytes, and runs each CPU to its first choice.</summary>
    public void Begin(SharedBytes shared)
    {
        Restore(_root);
        Shared = shared;
        shared.Watch(Machine.Memory);
        Problem = null;
        Finding = null;
        foreach (ExploredCpu cpu in Cpus)
        {
            cpu.RunStraight();
            _hashes[cpu.Index] = cpu.Hash();
        }
    }

    /// <summary>Everything that can happen next.</summary>
    public void Enabled(List<Step> steps)
    {
        steps.Clear();
        if (Problem != null || Finding != null)
            return;
        foreach (ExploredCpu cpu in Cpus)
        {
            if (cpu.Cpu.StoreBuffer.Count != 0)
                steps.Add(new Step((byte)cpu.Index, StepKind.Drain, 0, default));
            if (cpu.Pause is Pause.Choice or Pause.Interrupt or Pause.Private || (cpu.Pause == Pause.StoreBuffer && cpu.Cpu.StoreBuffer.Count == 0))
                steps.Add(new Step((byte)cpu.Index, StepKind.Execute, 0, default));
        }
        IReadOnlyList<InterruptMessage> pending = Machine.Fabric.Pending;
        for (int i = 0; i < pending.Count; i++)
        {
            if (!IsWorthDelivering(pending, i))
                continue;
            steps.Add(new Step((byte)pending[i].Target.Value, StepKind.Deliver, (byte)i, default));
            if (OthersFollow(pending, i) && Cpus[pending[i].Target.Value].WouldTake(pending[i]))
                steps.Add(new Step((byte)pending[i].Target.Value, StepKind.Arrive, (byte)i, default));
        }
    }

    /// <summary>Lets an event happen.</summary>
    public void Apply(in Step step)
    {
        Chooser.Begin(step.Picks);
        ExploredCpu cpu = Cpus[step.Cpu];
        int patches = Journal.PatchCount;
        switch (step.Kind)
        {
            case StepKind.Execute:
                cpu.Execute();
                break;
            case StepKind.Drain:
                cpu.Drain();
                break;
            default:
                InterruptMessage message = Machine.Fabric.Pending[step.Message];
                Trace?.Delivered(message);
                Machine.Fabric.Deliver(message);
                Events++;
                cpu.Delivered(take: step.Kind == StepKind.Deliver);
                break;
        }
        if (Journal.TablesChanged)
            ForgetTranslations();
        _hashes[step.Cpu] = cpu.Hash();
        // A patch changes what the others may fetch.
        if (patches != Journal.PatchCount)
            foreach (ExploredCpu other in Cpus)
                _hashes[other.Index] = other.Hash();
        if (Finding == null)
            Finding = _run.After(this, cpu);
    }

    /// <summary>Equal for states from which the same can follow.</summary>
    public ulong Hash()
    {
        ulong hash = StateMixer.Mix(Journal.Hash, _run.Happened);
        foreach (ulong h in _hashes)
            hash = StateMixer.Mix(hash, h);
        // Whether memory ever held some bytes together depends on the order of all changes, also of those that every CPU has noticed.
        for (int i = 0; _run.AsksForTorn && i < Journal.PatchCount; i++)
        {
            ref readonly JournalEntry e = ref Journal.Patch(i);
            hash = StateMixer.Mix(StateMixer.Mix(hash, e.Address << 4 ^ (ulong)e.Size), e.Old);
        }
        // Any order is possible between messages of different senders or targets.
        ulong messages = 0;
        IReadOnlyList<InterruptMessage> pending = Machine.Fabric.Pending;
        for (int i = 0; i < pending.Count; i++)
        {
            InterruptMessage m = pending[i];
            int before = 0;
            for (int j = 0; j < i; j++)
                if (pending[j].Source == m.Source && pending[j].Target == m.Target)
                    before++;
            messages += StateMixer.Mix((ulong)m.Source.Value << 16 ^ (ulong)m.Target.Value << 8 ^ m.Vector, (ulong)m.Mode << 8 ^ (ulong)before);
        }
        hash = StateMixer.Mix(hash, messages);
        // The state may be that of a way on which nothing was wrong.
        if (Finding is { } finding)
            foreach (char c in finding.Text)
                hash = StateMixer.Mix(hash, c);
        // 0 marks a free place in the table of states.
        return hash == 0 ? 1 : hash;
    }

    /// <summary>Keeps the state before an event of a CPU; with <paramref name="all"/>, of all CPUs.</summary>
    public void Save(MachineCapture capture, bool all, int cpu = 0)
    {
        for (int i = 0; i < Cpus.Count; i++)
        {
            if (!all && i != cpu)
                continue;
            Cpus[i].Save(capture.Cpus[i] ??= new ExploredCpu.CpuCapture(Cpus[i]));
        }
        capture.Cpu = all ? -1 : cpu;
        capture.Mark = Journal.Count;
        capture.Happened = _run.Happened;
        capture.Messages = Machine.Fabric.Capture(capture.Messages);
        _hashes.CopyTo(capture.Hashes, 0);
    }

    /// <summary>Goes back to it. Only the CPU whose event it was, and memory, can have changed since.</summary>
    public void Restore(MachineCapture capture)
    {
        Journal.Undo(capture.Mark);
        if (Journal.TablesChanged)
            ForgetTranslations();
        for (int i = 0; i < Cpus.Count; i++)
            if (capture.Cpu < 0 || i == capture.Cpu)
                Cpus[i].Restore(capture.Cpus[i]!);
        _run.Happened = capture.Happened;
        Machine.Fabric.Apply(capture.Messages);
        capture.Hashes.CopyTo(_hashes, 0);
        Problem = null;
        Finding = null;
    }

    public bool IsStopped(ExploredCpu cpu)
    {
        ulong rip = cpu.LinearRip;
        foreach (ulong stop in _stops)
            if (stop == rip)
                return true;
        return Problem != null || Finding != null;
    }

    /// <summary>An instruction that touches patched code is about to execute: the rule of cross-modifying code is asked.</summary>
    public void Executing(ExploredCpu cpu, ulong linear, ulong physical, ReadOnlySpan<byte> bytes)
    {
        if (!_run.Checks || cpu.Fetch.Since(linear, physical, bytes.Length) is not { } versions)
            return;
        XmcVerdict verdict = XmcRule.JudgeFetched(cpu.Cpu.Profile, linear, [.. versions.Select(v => v.Bytes)], bytes);
        if (verdict.Excused)
            return;
        Trace?.Unsynchronised(cpu, linear, physical, bytes, versions, verdict);
        Finding ??= _run.Unsynchronised(cpu, linear, verdict);
    }

    /// <summary>What it was fetched as is not what memory holds.</summary>
    public void Stale(ExploredCpu cpu, ulong linear, ulong physical, ReadOnlySpan<byte> fetched, ReadOnlySpan<byte> memory, StaleOutcome outcome)
    {
        bool torn = !cpu.Fetch.EverHeld(physical, fetched);
        Trace?.Stale(cpu, outcome, torn);
        _run.Stale(cpu, outcome, torn);
    }

    public void Interrupted(ExploredCpu cpu, ulong savedRip)
    {
        Trace?.Interrupted(cpu);
        _run.Interrupted(cpu, savedRip);
    }

    /// <summary>A handler has returned: if to the inside of an instruction that was patched meanwhile, that is told.</summary>
    public void Returned(ExploredCpu cpu, in PatchedRun run)
    {
        if (run.Covers(cpu, cpu.LinearRip) is not { } start)
            return;
        Trace?.ReturnsInside(cpu, start);
        Finding ??= _run.ReturnsInside(cpu, start);
    }

    public void Raised(ExploredCpu cpu, Vector vector) => _run.Raised(cpu, vector);

    public void Dispose()
    {
        foreach (ExploredCpu cpu in Cpus)
            cpu.Dispose();
        _root.Dispose();
        _stepper.Dispose();
        Machine.Dispose();
    }

    private readonly MachineCapture _root;

    /// <summary>
    /// A message that could not be taken now is delivered when it can be: the order of what happens in between does not depend on it, unless it would
    /// merge with an equal one that waits as well.
    /// </summary>
    private bool IsWorthDelivering(IReadOnlyList<InterruptMessage> pending, int index)
    {
        InterruptMessage message = pending[index];
        for (int i = 0; i < index; i++)
            if (pending[i].Source == message.Source && pending[i].Target == message.Target)
                return false;
        if (Cpus[message.Target.Value].WouldTake(message))
            return true;
        for (int i = 0; i < pending.Count; i++)
            if (i != index && pending[i].Target == message.Target && pending[i].Vector == message.Vector && pending[i].Mode == message.Mode)
                return true;
        return Cpus[message.Target.Value].Apic.IsRequested(message.Vector);
    }

    /// <summary>A message waits that could merge with this one before it is taken, or that only now can overtake it in importance.</summary>
    private static bool OthersFollow(IReadOnlyList<InterruptMessage> pending, int index)
    {
        InterruptMessage message = pending[index];
        for (int i = 0; i < pending.Count; i++)
        {
            InterruptMessage other = pending[i];
            if (i != index && other.Target == message.Target && (other.Source == message.Source || (other.Vector == message.Vector && other.Mode == message.Mode)))
                return true;
        }
        return false;
    }

    private void ForgetTranslations()
    {
        Journal.TablesChanged = false;
        foreach (ExploredCpu cpu in Cpus)
            CpuMode.FlushTlb(cpu.State, keepGlobal: false);
    }
}

/// <summary>A state of an explored machine to go back to; kept and used again by the search.</summary>
internal sealed class MachineCapture(ExploredMachine machine) : IDisposable
{
    public ExploredCpu.CpuCapture?[] Cpus { get; } = new ExploredCpu.CpuCapture?[machine.Cpus.Count];
    public ulong[] Hashes { get; } = new ulong[machine.Cpus.Count];
    public InterruptMessage[] Messages = [];
    public int Cpu;
    public int Mark;
    public ulong Happened;

    public void Dispose()
    {
        foreach (ExploredCpu.CpuCapture? cpu in Cpus)
            cpu?.Dispose();
    }
}
