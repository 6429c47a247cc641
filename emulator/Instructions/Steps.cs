using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// An instruction in one form of its operands which always goes on to the next one: so several of them can be joined into one handler.
/// </summary>
public unsafe interface IStep
{
    /// <summary>Executes; false when the memory operand could not be served, and nothing has changed.</summary>
    static abstract bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory;
}

/// <summary>A step as a handler of its own.</summary>
public readonly unsafe struct Step<T> : IForm where T : struct, IStep
{
    public static Op* Run<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
        T.Do<W, M>(s, op) ? M.Next(s, op) : M.Failed(s, op);
}

/// <summary>What a joined handler runs from an operation on, to the end of the chain.</summary>
public unsafe interface IRun
{
    static abstract Op* Run(CpuState* s, Op* op);
}

/// <summary>The end of a joined handler: the next operation's own.</summary>
public readonly unsafe struct Dispatch : IRun
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Run(CpuState* s, Op* op)
    {
#if DEBUG
        return op;
#else
        return op->Handler(s, op);
#endif
    }
}

/// <summary>One step, and then the rest.</summary>
public readonly unsafe struct Then<T, W, M, TRest> : IRun where T : struct, IStep where W : struct, IWidth where M : struct, IMemory where TRest : struct, IRun
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* Run(CpuState* s, Op* op) => T.Do<W, M>(s, op) ? TRest.Run(s, op + 1) : M.Failed(s, op);
}
