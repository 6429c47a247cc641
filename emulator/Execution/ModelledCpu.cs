using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Memory;

namespace Emu.Execution;

/// <summary>Instruction bytes that were executed, or were about to be, although memory held others by then.</summary>
/// <param name="Outcome">What the profile's rule made of it.</param>
/// <param name="Writer">Who last wrote bytes that differ, and through which linear address.</param>
public sealed record StaleExecution(CpuIndex Cpu, ulong Time, ulong Rip, ulong Physical, byte[] Fetched, byte[] Memory, StaleOutcome Outcome, Writer Writer);

/// <summary>What a profile makes of stale bytes.</summary>
public enum StaleOutcome
{
    /// <summary>Harmless: a breakpoint is involved, and the profile exempts it.</summary>
    ExemptByInt3,

    /// <summary>Executed as fetched.</summary>
    Retired,

    /// <summary>Fetched again.</summary>
    Refetched,

    /// <summary>#GP(0), the erratum.</summary>
    GeneralProtection,
}

/// <summary>
/// A CPU of the modelled machine as its agents: fetch fills the prefetch queue, execute retires the oldest instruction from it, drain empties
/// the store buffer. Nothing happens outside these events; who orders them is the schedule's business.
/// </summary>
public sealed unsafe class ModelledCpu : IDisposable
{
    private readonly Stepper _stepper;
    private readonly CodeCache _cache;
    private readonly CodeHistory _history;
    private readonly CpuState* _s;
    private readonly bool _fetchesOnDemand;
    private readonly bool _comparesLinear;
    private bool _flushed = true;
    private int _sinceDrain;

    public ModelledCpu(Cpu cpu, Stepper stepper, CodeCache cache, CodeHistory history)
    {
        Cpu = cpu;
        _stepper = stepper;
        _cache = cache;
        _history = history;
        _s = cpu.State;
        Queue = new PrefetchQueue(cpu.Profile);
        _fetchesOnDemand = cpu.Profile.Depth == 0;
        _comparesLinear = cpu.Profile.CompareBy == CompareBy.Linear;
        cpu.OnSerialise = Serialised;
        cpu.StoreBuffer.OnDrain = Drained;
    }

    public Cpu Cpu { get; }
    public PrefetchQueue Queue { get; }

    /// <summary>Point in the history of code at which this CPU last serialised.</summary>
    public ulong SerialisedAt { get; private set; }

    /// <summary>Told of every execution of stale bytes.</summary>
    public Action<StaleExecution>? OnStale { get; set; }

    /// <summary>Who checks cross-modifying code.</summary>
    public XmcMonitor? Monitor { get; set; }

    /// <summary>Who wants to know that addresses are reached.</summary>
    public ExecutionWatch? Watch { get; set; }

    /// <summary>Linear address of the next instruction.</summary>
    public ulong LinearRip
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (_s->ModeKey & ModeKey.CodeSizeMask) == 2 ? _s->Rip : (_s->Cs.Base + _s->Rip) & uint.MaxValue;
    }

    /// <summary>True when less than half of the queue is filled, as it is behind a branch: time for a fetch event.</summary>
    public bool WantsToFetch => _flushed || Queue.Start != LinearRip || Queue.IsHalfEmpty;

    /// <summary>True when its queue holds bytes that memory holds no more.</summary>
    public bool HoldsStaleBytes() => !_flushed && Queue.Start == LinearRip && !MatchesEach(Queue.Ready);

    /// <summary>Units that a fetch event may read now, by linear address.</summary>
    public int FetchCandidates(Span<ulong> units)
    {
        Resync();
        return _fetchesOnDemand ? 0 : Queue.Candidates(units);
    }

    /// <summary>The unit that the next instruction lacks, which executing it would fetch; null where it is all in the queue.</summary>
    internal ulong? Lacking()
    {
        Resync();
        if (Queue.Ready >= InstructionDecoder.MaximumLength || (Queue.Ready != 0 && _stepper.Decode(_s, Queue.Bytes, Queue.Ready) != null))
            return null;
        return Queue.NextInOrder();
    }

    /// <summary>Versions among which a fetch of this unit may choose; 0 when it cannot be fetched.</summary>
    public int Versions(ulong unit)
    {
        byte* host = Locate(unit, out ulong physical);
        if (host == null)
            return 0;
        // Its own store, which the fetch will see in memory, is newer than all of them.
        return Queue.Profile.Retention == Retention.Queue || OwnStoreWaits(unit, physical, Queue.Unit) ? 1 : _history.Versions(physical, Queue.Unit, SerialisedAt, Cpu.Index.Value, OwnLinear(unit));
    }

    /// <summary>The fetch event: reads one unit into the queue. False when nothing can be read there (no translation, no RAM).</summary>
    /// <param name="version">0 for what memory holds now; older ones as <see cref="Versions"/> counts them.</param>
    public bool Fetch(ulong unit, int version = 0)
    {
        Resync();
        byte* host = Locate(unit, out ulong physical);
        if (host == null)
            return false;
        DrainOwnStores(unit, physical, Queue.Unit);
        if (version == 0)
        {
            Queue.Take(unit, physical, host);
            return true;
        }
        byte* old = stackalloc byte[64];
        _history.Read(physical, Queue.Unit, version, old);
        Queue.Take(unit, physical, old);
        return true;
    }

    /// <summary>All fetch events that are possible, in order and of the newest version.</summary>
    public void FetchAll()
    {
        Resync();
        if (_fetchesOnDemand)
            return;
        while (Queue.NextInOrder() is { } unit)
        {
            ulong at = Queue.From(unit);
            if (Queue.Ahead(at) >= Queue.Profile.Depth)
                return;
            byte* host = Locate(at, out ulong physical);
            int before = Queue.Ready;
            if (host == null)
                return;
            DrainOwnStores(at, physical, Page.Size - (int)(at & Page.OffsetMask));
            Queue.Fill(at, physical, host);
            if (Queue.Ready == before)
                return;
        }
    }

    /// <summary>Where less than half of the queue is filled: all fetch events that are possible, in order, each of a random version.</summary>
    public void FetchAhead(DeterministicRandom random)
    {
        Resync();
        if (!Queue.IsHalfEmpty)
            return;
        if (Queue.Profile.Retention == Retention.Queue)
        {
            FetchAll();
            return;
        }
        Span<ulong> units = stackalloc ulong[64];
        int n = FetchCandidates(units);
        for (int i = 0; i < n; i++)
            if (!FetchAny(units[i], random))
                return;
    }

    /// <summary>A fetch event of a random version: half of the time the newest, and of the rest half of the time the oldest.</summary>
    public bool FetchAny(ulong unit, DeterministicRandom random)
    {
        int versions = Versions(unit);
        if (versions <= 1)
            return versions != 0 && Fetch(unit);
        return Fetch(unit, random.OneIn(2) ? 0 : random.OneIn(2) ? versions - 1 : random.Next(versions));
    }

    /// <summary>The drain event: the oldest store reaches memory.</summary>
    public bool Drain() => Cpu.StoreBuffer.DrainOne();

    /// <summary>
    /// The execute event: takes what is due between instructions, then the oldest instruction of the queue, fetching what it still lacks.
    /// False when the CPU does not execute (halted, shut down, waiting, or stopped).
    /// </summary>
    /// <param name="retired">An instruction retired; not so when it faulted or an event was taken instead.</param>
    public bool Execute(out bool retired)
    {
        retired = false;
        CpuState* s = _s;
        if (s->Exit == ExitReason.Unsupported || !Events.Service(Cpu))
            return false;
        if (((ulong)s->DebugArmed | s->PendingDebug) != 0 && DebugRegisters.BreaksBefore(s, LinearRip))
            return true;
        Resync();
        if (_fetchesOnDemand && Queue.Ready != 0)
            Queue.Flush(Queue.Start);
        Stepper.Entry* decoded;
        while ((decoded = Queue.Ready == 0 ? null : _stepper.Decode(s, Queue.Bytes, Math.Min(Queue.Ready, InstructionDecoder.MaximumLength))) == null)
        {
            if (Queue.Ready >= InstructionDecoder.MaximumLength)
                return Faulted(Vector.GeneralProtection);
            if (!DemandFetch())
                return CannotFetch();
        }
        int length = decoded->Length;
        if (Stepper.IsBeyondLimit(s, length))
            return Faulted(Vector.GeneralProtection);
        if (Cpu.StoreBuffer.Count != 0 && OwnStoreTouches(length))
        {
            // The fetch that follows finds what the stores wrote.
            Cpu.StoreBuffer.DrainAll();
            return Execute(out retired);
        }
        Monitor?.Check(Cpu, Queue.Start, Queue.Bytes, length, Queue.PhysicalOf(Queue.Start));
        if (!Matches(length) && !Mismatch(length))
            return true;
        Watch?.Check(Cpu, Queue.Start);
        int shadow = s->InterruptShadow;
        bool trap = (s->SystemFlags & Rflags.Tf) != 0;
        _flushed = false;
        ulong next = Queue.Start + (ulong)length;
        retired = _stepper.Execute(s, decoded);
        if (!_flushed && LinearRip == next)
            Queue.Advance(length);
        if (s->Exit == ExitReason.None && !trap && shadow == 0 && ((ulong)s->DebugArmed | s->PendingDebug) == 0)
        {
            // The usual case; AfterStep is for what comes of faults, traps and shadows.
            s->Retired += retired ? 1UL : 0;
            return true;
        }
        Events.AfterStep(Cpu, retired, shadow, trap);
        if (retired)
            s->Retired++;
        return s->Exit != ExitReason.Unsupported;
    }

    /// <summary>A quantum under the round-robin policy: fetches as far ahead as the profile allows when the queue is half empty, and drains one store every other instruction.</summary>
    /// <returns>Instructions retired.</returns>
    public long Run(long budget)
    {
        long done = 0;
        _s->Budget = budget;
        _s->YieldRequested = 0;
        int events = 0;
        while (_s->Budget > 0 && _s->YieldRequested == 0)
        {
            Resync();
            if (Queue.IsHalfEmpty)
                FetchAll();
            if (!Execute(out bool retired))
                break;
            if (retired)
                (done, events) = (done + 1, 0);
            else if (++events > Events.MostInARow)
                (done, _s->Budget) = (done + 1, _s->Budget - 1);
            if (Cpu.StoreBuffer.Count > 0 && (++_sinceDrain & 1) == 0)
                Drain();
        }
        _s->Budget = 0;
        // A CPU that does nothing more has all the time to empty its buffer.
        if (_s->Activity != Activity.Active)
            Cpu.StoreBuffer.DrainAll();
        return done;
    }

    /// <summary>Copies what the CPU's agents hold beyond registers and store buffer.</summary>
    public (byte[] Queue, ulong SerialisedAt) Save()
    {
        // What is to be flushed is flushed now, so that it need not be remembered apart.
        Resync();
        return (Queue.Save(), SerialisedAt);
    }

    /// <summary>Takes it back.</summary>
    public void Restore(byte[] queue, ulong serialisedAt)
    {
        Queue.Restore(queue);
        SerialisedAt = serialisedAt;
        _flushed = false;
    }

    public void Dispose() => Queue.Dispose();

    private void Serialised()
    {
        _flushed = true;
        SerialisedAt = _history.Now;
    }

    /// <summary>The CPU's own store reached bytes that it had prefetched: they are fetched again (SDM, "Self-Modifying Code").</summary>
    private void Drained(PendingStore store)
    {
        if (Queue.Ready != 0 && Queue.Overlaps(_comparesLinear ? store.Linear : store.Address, store.Size, _comparesLinear))
            _flushed = true;
    }

    /// <summary>Follows the instruction pointer: what was flushed is dropped, and a jump is followed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Resync()
    {
        ulong linear = LinearRip;
        if (_flushed || Queue.Start != linear)
            Redirect(linear);
    }

    private void Redirect(ulong linear)
    {
        if (_flushed)
            Queue.Flush(linear);
        else
            Queue.Branch(linear);
        _flushed = false;
    }

    private bool DemandFetch()
    {
        int before = Queue.Ready;
        return Queue.NextInOrder() is { } unit && Fetch(unit) && Queue.Ready > before;
    }

    /// <summary>The queue goes on beyond 4 GiB, where addresses of 32 bits begin again at 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong InForce(ulong linear) => (_s->ModeKey & ModeKey.CodeSizeMask) == 2 ? linear : (uint)linear;

    /// <summary>Host address of code, without any effect when there is none. The page is watched from now on.</summary>
    private byte* Locate(ulong linear, out ulong physical)
    {
        physical = 0;
        linear = InForce(linear);
        TlbEntry* e = Access.Translate(_s, linear, 1, AccessKind.Execute);
        if (e == null)
            return null;
        physical = (e->PhysicalAndFlags & Page.Mask) | (linear & Page.OffsetMask);
        byte* host = Cpu.Memory.Pointer(physical);
        if (host == null)
            return null;
        if ((Cpu.Memory.Flags[Cpu.Memory.Offset(physical) >> Page.Shift] & PageFlags.Code) == 0)
            _cache.WatchPage(physical);
        return host;
    }

    /// <summary>A fetch does not miss the CPU's own earlier stores (SDM, "Self-Modifying Code"): those that it would overtake reach memory first.</summary>
    private void DrainOwnStores(ulong linear, ulong physical, int length)
    {
        if (OwnStoreWaits(linear, physical, length))
            Cpu.StoreBuffer.DrainAll();
    }

    private bool OwnStoreWaits(ulong linear, ulong physical, int length)
    {
        return Cpu.StoreBuffer.Count != 0 && Cpu.StoreBuffer.Overlaps(_comparesLinear ? linear : physical, length, _comparesLinear);
    }

    /// <summary>
    /// True when a store of this CPU that still waits in its buffer changes the instruction that it is about to execute: a write to code that is
    /// prefetched empties the queue (SDM, "Self-Modifying Code"), and not only when it has reached memory.
    /// </summary>
    private bool OwnStoreTouches(int length) =>
        Cpu.StoreBuffer.Overlaps(_comparesLinear ? Queue.Start : Queue.PhysicalOf(Queue.Start), length, _comparesLinear);

    private ulong? OwnLinear(ulong unit) => _comparesLinear ? unit : null;

    private bool Matches(int length)
    {
        ulong physical = Queue.PhysicalOf(Queue.Start);
        byte* memory = Cpu.Memory.Pointer(physical);
        if ((physical & Page.OffsetMask) <= Page.Size - 16)
        {
            uint equal = Vector128.Equals(Vector128.Load(Queue.Bytes), Vector128.Load(memory)).ExtractMostSignificantBits();
            return (~equal & ((1u << length) - 1)) == 0;
        }
        return MatchesEach(length);
    }

    /// <summary>The same of any number of bytes, which may lie in two pages.</summary>
    private bool MatchesEach(int length)
    {
        for (int i = 0; i < length; i++)
            if (Queue.Bytes[i] != *Cpu.Memory.Pointer(Queue.PhysicalOf(Queue.Start + (ulong)i)))
                return false;
        return true;
    }

    /// <summary>Applies the profile's rule to stale bytes. True when the instruction executes as fetched.</summary>
    private bool Mismatch(int length)
    {
        byte[] fetched = new ReadOnlySpan<byte>(Queue.Bytes, length).ToArray();
        byte[] memory = new byte[length];
        for (int i = 0; i < length; i++)
            memory[i] = *Cpu.Memory.Pointer(Queue.PhysicalOf(Queue.Start + (ulong)i));
        const byte int3 = 0xCC;
        FetchProfile profile = Queue.Profile;
        StaleOutcome outcome = profile.Int3Exempt && (fetched[0] == int3 || memory[0] == int3) ? StaleOutcome.ExemptByInt3 : profile.OnMismatch switch
        {
            MismatchRule.Stale => StaleOutcome.Retired,
            MismatchRule.Refetch => StaleOutcome.Refetched,
            _ => StaleOutcome.GeneralProtection,
        };
        int first = fetched.AsSpan().CommonPrefixLength(memory);
        Writer writer = first == length ? Writer.Nobody : _history.LastWriter(Queue.PhysicalOf(Queue.Start + (ulong)first), 1);
        OnStale?.Invoke(new StaleExecution(Cpu.Index, Cpu.Clock.Now(Cpu.Index), _s->Rip, Queue.PhysicalOf(Queue.Start), fetched, memory, outcome, writer));
        if (outcome == StaleOutcome.Refetched)
            Queue.Flush(Queue.Start);
        if (outcome == StaleOutcome.GeneralProtection)
            Faulted(Vector.GeneralProtection);
        return outcome is StaleOutcome.ExemptByInt3 or StaleOutcome.Retired;
    }

    private bool Faulted(Vector vector)
    {
        Access.Raise(_s, vector);
        _s->Exit = ExitReason.Fault;
        Events.Finish(Cpu);
        Resync();
        return true;
    }

    private bool CannotFetch()
    {
        ulong linear = InForce(Queue.Start + (ulong)Queue.Ready);
        if (CodeFetch.Translate(Cpu, linear, out _) == null && _s->Exit == ExitReason.Unsupported)
            return false;
        _s->Exit = ExitReason.Fault;
        Events.Finish(Cpu);
        Resync();
        return true;
    }
}
