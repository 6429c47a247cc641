using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Emu.Fetch;
using Emu.Memory;

namespace Emu.Cpus;

/// <summary>What a CPU needs of its local APIC; the APIC itself lives above, in Interrupts.</summary>
public interface ILocalApic
{
    /// <summary>INTA: moves the highest request from IRR to ISR and returns its vector; the spurious vector when it has gone.</summary>
    byte AcknowledgeInterrupt();

    /// <summary>CR8: bits 7:4 of TPR.</summary>
    ulong TaskPriority { get; set; }

    /// <summary>Reads 1, 2, 4 or 8 bytes of the register page; false when the registers do not answer at this physical address.</summary>
    bool TryReadPage(ulong physical, int size, out ulong value);

    /// <summary>Writes 1, 2, 4 or 8 bytes of the register page; false when the registers do not answer at this physical address.</summary>
    bool TryWritePage(ulong physical, int size, ulong value);

    /// <summary>RDMSR of 0x800 to 0x8FF; false is #GP(0).</summary>
    bool TryReadMsr(uint msr, out ulong value);

    /// <summary>WRMSR to 0x800 to 0x8FF; false is #GP(0).</summary>
    bool TryWriteMsr(uint msr, ulong value);

    /// <summary>WRMSR to IA32_APIC_BASE; false is #GP(0) (illegal transition or reserved bit).</summary>
    bool TryWriteApicBase(ulong value);

    /// <summary>IA32_TSC_DEADLINE.</summary>
    ulong TscDeadline { get; set; }

    /// <summary>Called by INIT and reset.</summary>
    void Reset(bool init);
}

/// <summary>Where a CPU learns the time: retired instructions of the whole machine (one per nanosecond).</summary>
public interface IClock
{
    /// <summary>Instructions retired by all CPUs up to now, the one that asks included.</summary>
    ulong Now(CpuIndex cpu);
}

/// <summary>Sees what an instruction does beyond registers; the eyes of an explorer.</summary>
public abstract class CpuObserver
{
    /// <summary>RAM is about to be read, the CPU's own waiting stores included.</summary>
    public abstract void Loads(ulong physical, ulong linear, int size);

    /// <summary>A device, a port or a register of the local APIC is about to be reached. False withholds the access: a read gives 0, a write is lost.</summary>
    public abstract bool ReachesDevice();
}

/// <summary>Events that the interrupt fabric posts to a CPU. The CPU looks at them between two instructions.</summary>
[Flags]
public enum Mail
{
    None = 0,
    Init = 1,
    Sipi = 2,
    Nmi = 4,

    /// <summary>SMI and ExtINT messages are reported, not modelled.</summary>
    Smi = 8,
}

/// <summary>
/// A logical CPU: its state, and what it is wired to. The state is native and blittable (<see cref="State"/>), this object is for
/// slow paths.
/// </summary>
public sealed unsafe class Cpu : IDisposable
{
    /// <summary>Bytes of the jump cache, whose entries Instructions defines.</summary>
    public const int JumpCacheBytes = 4096 * 24;

    private GCHandle _handle;

    /// <summary>Makes a CPU in its power-up state; <see cref="Apic"/> and <see cref="Clock"/> are wired by the machine.</summary>
    public Cpu(CpuIndex index, CpuModel model, PhysicalMemory memory, Bus bus, FetchProfile profile, int storeBufferCapacity)
    {
        Index = index;
        Model = model;
        Memory = memory;
        Bus = bus;
        Profile = profile;
        StoreBuffer = new StoreBuffer(index, memory, storeBufferCapacity);
        State = (CpuState*)NativeMemory.AlignedAlloc((nuint)sizeof(CpuState), 64);
        NativeMemory.Clear(State, (nuint)sizeof(CpuState));
        Tlb* tlbs = (Tlb*)NativeMemory.AlignedAlloc((nuint)(3 * sizeof(Tlb)), 64);
        for (int i = 0; i < 3; i++)
            tlbs[i].Initialise();
        State->Tlbs = tlbs;
        State->Tlb = tlbs;
        State->JumpCache = NativeMemory.AllocZeroed(JumpCacheBytes);
        Known = (KnownTransfers*)NativeMemory.AllocZeroed((nuint)sizeof(KnownTransfers));
        State->Index = index.Value;
        Clock = new OwnClock(this);
        _handle = GCHandle.Alloc(this);
        State->Handle = GCHandle.ToIntPtr(_handle);
        Reset.PowerUp(this);
    }

    public CpuIndex Index { get; }
    public CpuModel Model { get; }
    public PhysicalMemory Memory { get; }
    public Bus Bus { get; }
    public FetchProfile Profile { get; }
    public StoreBuffer StoreBuffer { get; }
    public CpuState* State { get; }

    /// <summary>The local APIC; until the machine wires one, <see cref="AbsentApic"/>.</summary>
    public ILocalApic Apic { get; set; } = new AbsentApic();

    /// <summary>The time; until the machine wires a clock, the CPU's own retired instructions.</summary>
    public IClock Clock { get; set; }

    /// <summary>How many CPUs CPUID tells of; set by the machine.</summary>
    public CpuTopology Topology { get; set; } = new(1);

    /// <summary>The initial APIC ID.</summary>
    public ApicId ApicId => new((uint)Index.Value);

    /// <summary>Undelivered events from the fabric.</summary>
    public Mail Mailbox { get; private set; }

    /// <summary>
    /// True when an unmasked interrupt of sufficient priority waits (IRR against PPR), or the 8259 asserts INTR through LINT0. The local APIC keeps it
    /// here, where the loops look between any two chains of blocks.
    /// </summary>
    public bool HasInterrupt { get; set; }

    /// <summary>Vector of the last start-up IPI: execution starts at vector × 0x1000.</summary>
    public byte SipiVector { get; private set; }

    /// <summary>Why the CPU cannot go on; set with <see cref="ExitReason.Unsupported"/>.</summary>
    public string? StopMessage { get; set; }

    /// <summary>Gates and returns that passed all checks lately, and whose checks need not be made again while their bytes are the same.</summary>
    internal KnownTransfers* Known { get; }

    /// <summary>Called by every event that serialises: empties the prefetch queue. The store buffer is drained by <see cref="Serialise"/> itself.</summary>
    public Action? OnSerialise { get; set; }

    /// <summary>The pin FERR#: called when an x87 exception is to be reported outside.</summary>
    public Action? OnNumericError { get; set; }

    /// <summary>Called when an event or an interrupt waits for this CPU.</summary>
    public Action<Cpu>? OnAlert { get; set; }

    /// <summary>Called before an instruction at a watched linear address; false where it is watched no more.</summary>
    public Func<ulong, bool>? OnReach { get; set; }

    /// <summary>What serialised last.</summary>
    public SerialisingEvent LastSerialisation { get; private set; }

    /// <summary>Sees accesses, while one is attached.</summary>
    public CpuObserver? Observer { get; set; }

    /// <summary>The managed CPU of a state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Cpu Of(CpuState* state) => Unsafe.As<Cpu>(GCHandle.FromIntPtr(state->Handle).Target!);

    /// <summary>
    /// The pin IGNNE#, which is asserted only while FERR# is: waiting x87 instructions execute from now on, until the exception is cleared.
    /// </summary>
    public void IgnoreNumericError()
    {
        ref FloatingState f = ref State->Floating;
        if ((f.Error & NumericError.Reported) == 0)
            return;
        f.Error |= NumericError.Ignored;
        if (State->Activity == Activity.Frozen)
            State->Activity = Activity.Active;
    }

    /// <summary>
    /// Posts an event and makes the CPU look. A SIPI counts only for a CPU that waits for one, or is about to: at any other time it is lost
    /// (SDM, "MP Initialization Protocol Algorithm").
    /// </summary>
    public void Post(Mail mail, byte sipiVector = 0)
    {
        if ((mail & Mail.Init) != 0)
            Mailbox &= ~Mail.Sipi;
        if ((mail & Mail.Sipi) != 0)
        {
            if (State->Activity != Activity.WaitForSipi && (Mailbox & Mail.Init) == 0)
                return;
            SipiVector = sipiVector;
        }
        Mailbox |= mail;
        Alert();
    }

    /// <summary>Takes an event out of the mailbox; false when it is not there.</summary>
    public bool Take(Mail mail)
    {
        if ((Mailbox & mail) == 0)
            return false;
        Mailbox &= ~mail;
        return true;
    }

    /// <summary>Makes the running chain return after the present instruction, so that events are looked at.</summary>
    public void RequestExit() => State->ExitRequested |= CpuState.LookAround;

    /// <summary>The same, for what may also wake the CPU: whoever runs alone meanwhile is told.</summary>
    public void Alert()
    {
        RequestExit();
        OnAlert?.Invoke(this);
    }

    /// <summary>
    /// A serialising event (SDM, "Serializing Instructions"): all earlier stores reach memory and prefetched code is discarded.
    /// </summary>
    public void Serialise(SerialisingEvent by = SerialisingEvent.Start)
    {
        StoreBuffer.DrainAll();
        LastSerialisation = by;
        OnSerialise?.Invoke();
    }

    /// <summary>Forgets all remembered branch targets.</summary>
    public void ClearJumpCache() => NativeMemory.Clear(State->JumpCache, JumpCacheBytes);

    /// <summary>Restores the mailbox of a snapshot.</summary>
    public void SetMailbox(Mail mailbox, byte sipiVector)
    {
        Mailbox = mailbox;
        SipiVector = sipiVector;
    }

    private sealed class OwnClock(Cpu cpu) : IClock
    {
        public ulong Now(CpuIndex index) => cpu.State->Retired;
    }

    public void Dispose()
    {
        if (!_handle.IsAllocated)
            return;
        _handle.Free();
        NativeMemory.AlignedFree(State->Tlbs);
        NativeMemory.Free(State->JumpCache);
        NativeMemory.Free(Known);
        NativeMemory.AlignedFree(State);
    }
}
