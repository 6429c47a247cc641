using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>
/// A non-control x87 instruction on registers. It begins behind the checks for #NM and #MF, and always completes: an unmasked exception of its own is
/// left pending in the status word.
/// </summary>
public unsafe interface IX87Operation
{
    static abstract void Execute(CpuState* s, Op* op);
}

/// <summary>A non-control x87 instruction with an operand from memory, which has been read: <see cref="IX87Operation"/>.</summary>
public unsafe interface IX87MemoryOperation
{
    static abstract void Execute<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth;
}

/// <summary>A non-control x87 instruction that stores ST(0).</summary>
public unsafe interface IX87Store
{
    static abstract bool Pops { get; }

    /// <summary>What is stored when the register is empty, and that is masked.</summary>
    static abstract ulong Indefinite<W>() where W : struct, IWidth;

    /// <summary>The value to be stored; false when an unmasked exception means that nothing is.</summary>
    static abstract bool TryConvert<W>(in Number n, ref FloatContext c, out ulong value) where W : struct, IWidth;
}

/// <summary>
/// An x87 operation as a step: pending exceptions first, then it is remembered and executed. Op.Immediate holds its opcode. Here and below, what has
/// locals whose address is taken is called, not inlined: the handler must still end in a tail jump.
/// </summary>
public readonly unsafe struct X87Step<T> : IStep where T : struct, IX87Operation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
    {
        if (!X87.CheckPending(s))
            return false;
        X87.Remember(s, op);
        Execute(s, op);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Execute(CpuState* s, Op* op) => T.Execute(s, op);
}

/// <summary>An x87 operation with an operand in memory as a step.</summary>
public readonly unsafe struct X87MemoryStep<T> : IStep where T : struct, IX87MemoryOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
    {
        if (!X87.CheckPending(s) || !M.Load<W>(s, op, out ulong value))
            return false;
        Execute<W>(s, op, value);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Execute<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth
    {
        X87.RememberMemory(s, op);
        T.Execute<W>(s, op, value);
    }
}

/// <summary>A store of ST(0) as a step: converted first, and flags and stack change when the store has been made.</summary>
public readonly unsafe struct X87StoreStep<T> : IStep where T : struct, IX87Store
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
    {
        if (!X87.CheckPending(s))
            return false;
        if (Convert<W>(s) && !M.Store<W>(s, op, s->ScratchLow))
            return false;
        Finish(s, op);
        return true;
    }

    // In CpuState.ScratchHigh: exceptions in the low byte, then these.
    private const ulong RoundedUp = 0x100, Stored = 0x200, Empty = 0x400;

    /// <summary>Leaves the value in <see cref="CpuState.ScratchLow"/>; false when nothing is to be stored.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Convert<W>(CpuState* s) where W : struct, IWidth
    {
        FloatContext c = X87.Context(s);
        bool empty = X87.IsEmpty(s, 0), stored;
        if (empty)
        {
            s->ScratchLow = T.Indefinite<W>();
            stored = (c.Masked & FloatFlags.Invalid) != 0;
        }
        else
        {
            stored = T.TryConvert<W>(X87.Read(s, 0), ref c, out ulong value);
            s->ScratchLow = value;
        }
        s->ScratchHigh = (ulong)c.Raised | (c.RoundedUp ? RoundedUp : 0) | (stored ? Stored : 0) | (empty ? Empty : 0);
        return stored;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Finish(CpuState* s, Op* op)
    {
        X87.RememberMemory(s, op);
        ulong outcome = s->ScratchHigh;
        if ((outcome & Empty) != 0)
            X87.StackFault(s, overflow: false);
        else
            X87.Signal(s, (FloatFlags)(byte)outcome, (outcome & RoundedUp) != 0);
        if (T.Pops && (outcome & Stored) != 0)
            X87.Pop(s);
    }
}
