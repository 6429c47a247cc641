using Emu.Cpus;
using Emu.Instructions;

namespace Emu.Execution;

/// <summary>
/// Tells when a CPU reaches chosen linear addresses. Where blocks are executed, an operation that tells stands before the instruction in its block; so nothing is asked
/// anywhere else, and without a watch nothing at all. Where instructions are executed one at a time, each is looked up. Blocks begin and end where they would without, and
/// the execution is what it would be: one seed, one run hash.
/// <para>An instruction that faults and is executed again, or a repeated string instruction that is interrupted, is reached each time.</para>
/// </summary>
public sealed unsafe class ExecutionWatch
{
    private const int FilterBits = 1 << 16;

    private readonly CodeCache _cache;
    private readonly HashSet<ulong> _addresses = [];

    /// <summary>Bit i: an address with this hash is watched, or was.</summary>
    private readonly ulong[] _filter = new ulong[FilterBits / 64];

    /// <summary>By CPU: what was told last, and when.</summary>
    private readonly (ulong Linear, ulong Time)[] _told;

    internal ExecutionWatch(CodeCache cache, Cpu[] cpus)
    {
        _cache = cache;
        _told = new (ulong, ulong)[cpus.Length];
        Array.Fill(_told, (ulong.MaxValue, ulong.MaxValue));
        foreach (Cpu cpu in cpus)
            cpu.OnReach = linear => Reach(cpu, linear);
    }

    /// <summary>
    /// Told of each arrival, before the instruction executes: the CPU's registers are as the instruction finds them. What is called here may look, add and remove addresses,
    /// write to the guest's memory and ask the machine to stop.
    /// </summary>
    public Action<Cpu, ulong>? OnReach { get; set; }

    /// <summary>How many addresses are watched.</summary>
    public int Count => _addresses.Count;

    /// <summary>Watches a linear address, in all address spaces: from the next time on that a CPU comes to the block that holds it.</summary>
    /// <returns>False when it was watched already.</returns>
    public bool Add(ulong linear)
    {
        if (!Note(linear))
            return false;
        _cache.RetireLinear(linear);
        return true;
    }

    /// <summary>The same where it is known which byte of memory it is, in all address spaces that will execute it: this does not look through all blocks.</summary>
    public bool Add(ulong linear, ulong physical)
    {
        if (!Note(linear))
            return false;
        _cache.Retire(physical);
        return true;
    }

    /// <summary>Watches it no more.</summary>
    public void Remove(ulong linear)
    {
        _addresses.Remove(linear);
        if (_addresses.Count == 0)
            Array.Clear(_filter);
    }

    /// <summary>True for a watched address.</summary>
    public bool Contains(ulong linear) => (_filter[Slot(linear) >> 6] >> (Slot(linear) & 63) & 1) != 0 && _addresses.Contains(linear);

    /// <summary>True when one of [first, first + length) is watched.</summary>
    internal bool Overlaps(ulong first, int length)
    {
        for (int i = 0; i < length; i++)
            if (Contains(first + (ulong)i))
                return true;
        return false;
    }

    /// <summary>A CPU is about to execute the instruction at this address.</summary>
    internal void Check(Cpu cpu, ulong linear)
    {
        if (Contains(linear))
            Reach(cpu, linear);
    }

    /// <summary>Makes an operation of a block one that tells; it stands for no instruction.</summary>
    internal static void Arm(Op* op) => op->Handler = op->Full = &Reached;

    private static Op* Reached(CpuState* s, Op* op)
    {
        Block* block = Op.BlockOf(op);
        // While it is told, the time is that before the instruction.
        void* current = s->CurrentOp;
        s->CurrentOp = op;
        bool watched = Cpu.Of(s).OnReach!(Op.RipOf(op));
        s->CurrentOp = current;
        // What was called changed this very code.
        if (block->Valid == 0 && s->ExitRequested != 0)
            return Chain.LeaveBefore(s, op);
        if (!watched)
            Disarm(block, op);
        return op + 1;
    }

    private static void Disarm(Block* block, Op* op)
    {
        if (op->Position == 0)
            block->FirstHandler = &Pass;
        if (op->Position != 0 || block->Valid != 0)
            op->Handler = &Pass;
    }

    private static Op* Pass(CpuState* s, Op* op) => Chain.Next(s, op);

    /// <summary>An instruction is reached; false where its address is watched no more.</summary>
    private bool Reach(Cpu cpu, ulong linear)
    {
        if (!Contains(linear))
            return false;
        // Where what was told changed the block, its successor comes by here before anything has executed.
        (ulong, ulong) now = (linear, cpu.Clock.Now(cpu.Index));
        if (_told[cpu.Index.Value] == now)
            return true;
        _told[cpu.Index.Value] = now;
        OnReach?.Invoke(cpu, linear);
        return Contains(linear);
    }

    private bool Note(ulong linear)
    {
        _filter[Slot(linear) >> 6] |= 1UL << (Slot(linear) & 63);
        return _addresses.Add(linear);
    }

    private static int Slot(ulong linear) => (int)(linear ^ linear >> 16) & (FilterBits - 1);
}
