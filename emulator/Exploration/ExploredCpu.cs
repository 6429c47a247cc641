using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Exploration;

/// <summary>Why a CPU stands where it stands.</summary>
internal enum Pause : byte
{
    /// <summary>Its next instruction touches what others touch: when it runs is a choice.</summary>
    Choice,

    /// <summary>Its next instruction waits until the store buffer is empty.</summary>
    StoreBuffer,

    /// <summary>It takes an interrupt next.</summary>
    Interrupt,

    /// <summary>Nothing to execute: HLT, MWAIT, or where the exploration ends.</summary>
    Rest,

    /// <summary>It has run for long without touching anything that others touch.</summary>
    Private,
}

/// <summary>
/// A CPU under exploration. It runs straight on through everything that concerns nobody else, and stops before the first instruction that does:
/// each is tried, and taken back when it turns out to touch shared bytes.
/// </summary>
internal sealed unsafe partial class ExploredCpu : CpuObserver
{
    private readonly ExploredMachine _machine;
    private readonly Stepper _stepper;
    private readonly CpuState* _s;
    private readonly byte* _bytes;
    private readonly CpuState* _before;
    private readonly LocalApic _apic;
    /// <summary>The handlers that run, each followed in what it does to what it interrupted; the innermost is the last.</summary>
    private readonly InterruptedProgram[] _programs = [new(), new(), new(), new()];

    /// <summary>Linear addresses that the instruction loaded from and stored to; 0 where it did not.</summary>
    private ulong _load, _store;

    /// <summary>The instruction that runs is known to be a choice, and may touch what it likes.</summary>
    private bool _permitted;

    /// <summary>It is not, and has.</summary>
    private bool _conflict;
    private Pause _conflictKind;
    private ulong _stackPointer;

    public ExploredCpu(ExploredMachine machine, Cpu cpu, Stepper stepper, int unit, MemoryJournal journal)
    {
        _machine = machine;
        Cpu = cpu;
        _s = cpu.State;
        _stepper = stepper;
        _apic = (LocalApic)cpu.Apic;
        Fetch = new LazyFetch(cpu.Profile, unit, cpu.Index.Value, journal, cpu.Memory);
        _bytes = (byte*)NativeMemory.AllocZeroed(128);
        _before = (CpuState*)NativeMemory.AllocZeroed((nuint)sizeof(CpuState));
        cpu.Observer = this;
        cpu.StoreBuffer.Policy = new Stores(this);
        cpu.StoreBuffer.OnDrain = store =>
        {
            if (!_conflict)
                Fetch.OwnStore(store);
        };
        cpu.OnSerialise = () =>
        {
            // A handler before it may still run what it fetched earlier.
            if (_machine.Shared.Units.Count != 0 && IsInterruptible)
                Conflict(Pause.Choice);
            if (!_conflict)
            {
                Fetch.Serialise();
                _machine.Trace?.Serialised(this);
            }
        };
        Fetch.Serialise();
    }

    public Cpu Cpu { get; }
    public CpuState* State => _s;
    public LazyFetch Fetch { get; }
    public LocalApic Apic => _apic;
    public int Index => _s->Index;

    /// <summary>Why it stands.</summary>
    public Pause Pause { get; private set; }

    /// <summary>The instruction that runs was a choice; for traces, as what follows.</summary>
    public bool IsPermitted => _permitted;

    /// <summary>Where the event that runs last loaded what others store.</summary>
    public ulong? SharedLoad { get; private set; }

    /// <summary>It reached a device.</summary>
    public bool ReachedDevice { get; private set; }

    /// <summary>0, 1, 2 for code of 16, 32, 64 bits.</summary>
    public int CodeMode => (int)(_s->ModeKey & ModeKey.CodeSizeMask);

    /// <summary>Physical address of code, for traces.</summary>
    public ulong? PhysicalOfCode(ulong linear) => Physical(linear);

    /// <summary>Linear address of the next instruction.</summary>
    public ulong LinearRip => (_s->ModeKey & ModeKey.CodeSizeMask) == 2 ? _s->Rip : (_s->Cs.Base + _s->Rip) & uint.MaxValue;

    /// <summary>True when it would take an NMI or an interrupt next.</summary>
    public bool InterruptIsDue => DirectStart.InterruptIsDue(Cpu);

    /// <summary>True when an interrupt of this vector, or an NMI, would be taken at once if it arrived now.</summary>
    public bool WouldTake(in InterruptMessage message)
    {
        if (_s->Activity is Activity.Shutdown || _s->InterruptShadow != 0)
            return false;
        return message.Mode switch
        {
            DeliveryMode.Fixed or DeliveryMode.LowestPriority => (_s->SystemFlags & Rflags.If) != 0 && message.Vector >> 4 > _apic.ProcessorPriority >> 4,
            DeliveryMode.Nmi => _s->NmiBlocked == 0,
            _ => true,
        };
    }

    /// <summary>The execute event: takes the interrupt that is due, or executes the instruction at which the CPU stands; then goes straight on.</summary>
    public void Execute()
    {
        _permitted = true;
        SharedLoad = null;
        ReachedDevice = false;
        DirectStart.ForgetFault(Cpu);
        _stackPointer = _s->Registers[4];
        _machine.Trace?.Begin(this);
        if (InterruptIsDue)
            TakeInterrupt();
        else
            RunOne();
        Finished();
        _machine.Events++;
        _permitted = false;
        RunStraight();
    }

    /// <summary>The drain event. What waited for the buffer to be empty goes on when it is.</summary>
    public void Drain()
    {
        _permitted = true;
        PendingStore store = Cpu.StoreBuffer[0];
        Cpu.StoreBuffer.DrainOne();
        _machine.Trace?.Drained(this, store);
        _machine.Events++;
        _permitted = false;
        if (Cpu.StoreBuffer.Count == 0 && Pause == Pause.StoreBuffer)
            RunStraight();
        // What it changed is fetched again, from now on and not only when the CPU goes on.
        else if (Fetch.Flushed && _s->Activity == Activity.Active)
            LookAhead();
    }

    /// <summary>A message has arrived: takes it if it can, and is to.</summary>
    public void Delivered(bool take)
    {
        if (!take)
        {
            if (InterruptIsDue)
                Pause = Pause.Interrupt;
            return;
        }
        if (InterruptIsDue || (Cpu.Mailbox & (Mail.Init | Mail.Sipi)) != 0)
            Execute();
    }

    /// <summary>Runs until something that concerns others comes next.</summary>
    public void RunStraight()
    {
        int left = ExploredMachine.LongestPrivateRun;
        var round = new PrivateRound();
        while (true)
        {
            if (_s->Activity != Activity.Active)
            {
                // One that came while interrupts were held off wakes it at once.
                if (InterruptIsDue)
                {
                    Pause = Pause.Interrupt;
                    break;
                }
                if (_s->Activity != Activity.Waiting || !Events.Service(Cpu))
                {
                    Pause = Pause.Rest;
                    break;
                }
            }
            if (InterruptIsDue)
            {
                Pause = Pause.Interrupt;
                break;
            }
            if (_machine.IsStopped(this))
            {
                Pause = Pause.Rest;
                break;
            }
            if (IsExposed || left-- == 0 || (left < PrivateRound.Begins && round.IsComplete(StateMixer.Mix(StateMixer.OfCpu(_s), _machine.Journal.Hash))))
            {
                Pause = IsExposed ? Pause.Choice : Pause.Private;
                LookAhead();
                break;
            }
            if (!TryOne())
            {
                Pause = _conflictKind;
                break;
            }
            _machine.Events++;
        }
        ClearDeadStack();
    }

    /// <summary>A handler could interrupt here to which it matters where.</summary>
    private bool IsExposed
    {
        get
        {
            SharedBytes shared = _machine.Shared;
            if (((shared.Exposed | shared.ExposedToNmi) >> Index & 1) == 0 || _s->InterruptShadow != 0)
                return false;
            return ((shared.Exposed >> Index & 1) != 0 && (_s->SystemFlags & Rflags.If) != 0) || ((shared.ExposedToNmi >> Index & 1) != 0 && _s->NmiBlocked == 0);
        }
    }

    private void Expose(InterruptedProgram program)
    {
        SharedBytes shared = _machine.Shared;
        uint bit = 1u << Index;
        if (((program.IsNmi ? shared.ExposedToNmi : shared.Exposed) & bit) != 0)
            return;
        if (program.IsNmi)
            shared.ExposedToNmi |= bit;
        else
            shared.Exposed |= bit;
        _machine.Accesses.IsNew = true;
    }

    /// <summary>One instruction, unless it concerns others: then nothing happened, and the answer is false.</summary>
    private bool TryOne()
    {
        Buffer.MemoryCopy(_s, _before, sizeof(CpuState), sizeof(CpuState));
        int mark = _machine.Journal.Count;
        StoreBuffer stores = Cpu.StoreBuffer;
        int waiting = stores.Count;
        Span<PendingStore> kept = waiting == 0 ? default : _kept;
        if (waiting != 0)
            stores.CopyTo(kept);
        _conflict = false;
        _stackPointer = _s->Registers[4];
        Fetch.Follow(LinearRip);
        (bool flushed, int serialised, ulong start) = (Fetch.Flushed, Fetch.SerialisedAt, Fetch.Start);
        ulong run = _runStart;
        int interrupts = _interrupts;
        DirectStart.ForgetFault(Cpu);
        _machine.Trace?.Begin(this);
        RunOne();
        if (!_conflict)
        {
            Finished();
            return true;
        }
        _machine.Trace?.Forget();
        _interrupts = interrupts;
        _runStart = run;
        CopyState(_before, _s);
        Fetch.TakeBack(flushed, serialised, start);
        _machine.Journal.Undo(mark);
        if (waiting != 0 || stores.Count != 0)
            stores.Restore(_kept.AsSpan(0, waiting));
        Cpu.StopMessage = null;
        _conflict = false;
        return false;
    }

    /// <summary>An instruction or an interrupt is done: what it raised is told.</summary>
    private void Finished()
    {
        if (DirectStart.FaultSince(Cpu) is { } fault)
            _machine.Raised(this, fault);
        if (_trapped)
            _machine.Raised(this, Vector.Breakpoint);
        _trapped = false;
        _machine.Trace?.Commit(this);
    }

    /// <summary>The instruction was INT3, and went to its handler.</summary>
    private bool _trapped;

    private readonly PendingStore[] _kept = new PendingStore[FetchProfileFields.MaximumStoreBuffer];

    /// <summary>Brings a state back, and drops translations that other paging registers gave.</summary>
    private void CopyState(CpuState* from, CpuState* to)
    {
        bool samePaging = from->Paging.Cr3 == to->Paging.Cr3 && from->Paging.Cr0 == to->Paging.Cr0 && from->Paging.Cr4 == to->Paging.Cr4
            && from->Paging.Efer == to->Paging.Efer;
        Buffer.MemoryCopy(from, to, sizeof(CpuState), sizeof(CpuState));
        if (!samePaging)
            CpuMode.FlushTlb(to, keepGlobal: false);
    }

    private void TakeInterrupt()
    {
        ulong stack = _s->Registers[4];
        ulong rip = LinearRip;
        bool nested = _interrupts < _interruptedStack.Length;
        int blocked = _s->NmiBlocked;
        Buffer.MemoryCopy(_s, _before, sizeof(CpuState), sizeof(CpuState));
        Events.Service(Cpu);
        if (_machine.Shared.NoteInterrupt(Index, _s->NmiBlocked != blocked))
            _machine.Accesses.IsNew = true;
        if (_s->Activity == Activity.Active && nested && _s->Registers[4] != stack)
        {
            _programs[_interrupts].Enter(_s, rip, _before, PatchedRun.At(this, _runStart, rip));
            _interruptedStack[_interrupts++] = stack;
        }
        _runStart = 0;
        NoteStackSwitch(stack);
        _machine.Interrupted(this, rip);
    }

    private bool IsInterruptible => _machine.Shared.IsInterruptible(Index, (_s->SystemFlags & Rflags.If) != 0);

    private void Conflict(Pause kind)
    {
        if (_permitted || _conflict)
            return;
        _conflict = true;
        _conflictKind = kind;
    }

    public override void Loads(ulong physical, ulong linear, int size)
    {
        SharedBytes shared = _machine.Shared;
        _machine.Accesses.Load(physical, size, AgentAt(linear), shared);
        _load = linear;
        if (linear < _stackPointer && linear >= _stackPointer - NearStack && !shared.BelowStack)
        {
            shared.BelowStack = true;
            _machine.Accesses.IsNew = true;
        }
        Sharing sharing = shared.Of(physical, size) & (Sharing.Cpus | Sharing.Contexts);
        if (sharing == 0)
            return;
        if (!_permitted)
            Conflict(Pause.Choice);
        else if ((sharing & Sharing.Cpus) != 0)
            SharedLoad = physical;
    }

    public override bool ReachesDevice()
    {
        ReachedDevice = true;
        Conflict(Pause.Choice);
        return _permitted;
    }

    /// <summary>A copy of what <see cref="Save"/> saves; kept and used again by the search.</summary>
    internal sealed class CpuCapture : IDisposable
    {
        public CpuCapture(ExploredCpu cpu)
        {
            State = (CpuState*)NativeMemory.Alloc((nuint)sizeof(CpuState));
            Fetch = new LazyFetch(cpu.Cpu.Profile, cpu.Fetch.Unit, cpu.Index, cpu._machine.Journal, cpu.Cpu.Memory, forCopy: true);
        }

        public CpuState* State { get; }
        public ApicCapture Apic;
        public PendingStore[] Stores { get; } = new PendingStore[FetchProfileFields.MaximumStoreBuffer];
        public int StoreCount;
        public Mail Mailbox;
        public byte SipiVector;
        public LazyFetch Fetch { get; }
        public ulong[] InterruptedStack { get; } = new ulong[4];
        public int Interrupts;
        public ulong RunStart;
        public InterruptedProgram[] Programs { get; } = [new(), new(), new(), new()];
        public Region[] Regions { get; } = new Region[4];
        public int RegionCount;
        public Pause Pause;

        public void Dispose() => NativeMemory.Free(State);
    }

    private sealed class Stores(ExploredCpu cpu) : StorePolicy
    {
        public override bool Waits(ulong address, ulong linear, int size)
        {
            SharedBytes shared = cpu._machine.Shared;
            cpu._machine.Accesses.Store(address, size, cpu.AgentAt(linear), shared);
            cpu.NoteStack(linear);
            cpu._store = linear;
            Sharing sharing = shared.Of(address, size);
            StoreBuffer buffer = cpu.Cpu.StoreBuffer;
            // An interrupt handler comes before or after it: the handler sees that if it looks there, and others by what the handler stores.
            if ((sharing & Sharing.Contexts) != 0 || (sharing != Sharing.None && cpu.IsInterruptible))
                cpu.Conflict(Pause.Choice);
            if ((sharing & (Sharing.Cpus | Sharing.Code)) == 0)
                return buffer.Count != 0 && buffer.Overlaps(address, size, linear: false);
            if (buffer.Capacity == 0)
                cpu.Conflict(Pause.Choice);
            return true;
        }

        public override void Draining() => cpu.Conflict(Pause.StoreBuffer);
    }

    /// <summary>Copies everything out that an event of this CPU, or a message to it, changes; RAM apart.</summary>
    public void Save(CpuCapture capture)
    {
        Buffer.MemoryCopy(_s, capture.State, sizeof(CpuState), sizeof(CpuState));
        capture.Apic = _apic.Capture();
        capture.StoreCount = Cpu.StoreBuffer.Count;
        if (capture.StoreCount != 0)
            Cpu.StoreBuffer.CopyTo(capture.Stores);
        capture.Mailbox = Cpu.Mailbox;
        capture.SipiVector = Cpu.SipiVector;
        capture.Fetch.CopyFrom(Fetch);
        capture.Interrupts = _interrupts;
        capture.RunStart = _runStart;
        _interruptedStack.CopyTo(capture.InterruptedStack, 0);
        for (int i = 0; i < _interrupts; i++)
            capture.Programs[i].CopyFrom(_programs[i]);
        capture.RegionCount = _regionCount;
        _regions.CopyTo(capture.Regions, 0);
        capture.Pause = Pause;
    }

    public void Restore(CpuCapture capture)
    {
        CopyState(capture.State, _s);
        _apic.Apply(capture.Apic);
        Cpu.StoreBuffer.Restore(capture.Stores.AsSpan(0, capture.StoreCount));
        Cpu.SetMailbox(capture.Mailbox, capture.SipiVector);
        Fetch.CopyFrom(capture.Fetch);
        _interrupts = capture.Interrupts;
        _runStart = capture.RunStart;
        capture.InterruptedStack.CopyTo(_interruptedStack, 0);
        for (int i = 0; i < _interrupts; i++)
            _programs[i].CopyFrom(capture.Programs[i]);
        _regionCount = capture.RegionCount;
        capture.Regions.CopyTo(_regions, 0);
        Pause = capture.Pause;
    }

    /// <summary>Equal where this CPU goes on in the same way.</summary>
    public ulong Hash()
    {
        ulong hash = StateMixer.OfCpu(_s);
        ApicCapture apic = _apic.Capture();
        ulong* words = (ulong*)&apic;
        for (int i = 0; i < sizeof(ApicCapture) / 8; i++)
            hash = StateMixer.Mix(hash, words[i]);
        StoreBuffer stores = Cpu.StoreBuffer;
        for (int i = 0; i < stores.Count; i++)
        {
            PendingStore store = stores[i];
            hash = StateMixer.Mix(StateMixer.Mix(hash, store.Address ^ (ulong)store.Size << 56), store.Value);
        }
        hash = StateMixer.Mix(hash, (ulong)Cpu.Mailbox ^ (ulong)_interrupts << 8 ^ (Fetch.Flushed ? 1UL << 16 : 0));
        if (_runStart != 0)
            hash = StateMixer.Mix(hash, _runStart);
        for (int i = 0; i < _interrupts; i++)
            if (!_programs[i].Run.IsNone)
                hash = StateMixer.Mix(hash, _programs[i].Run.Hash);
        return StateMixer.Mix(hash, Fetch.Hash(_machine.Shared.Units, _machine.Run.Checks));
    }

    public void Dispose()
    {
        Cpu.Observer = null;
        Cpu.StoreBuffer.Policy = null;
        NativeMemory.Free(_bytes);
        NativeMemory.Free(_before);
    }
}
