using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// A non-control x87 instruction on registers. It begins behind the checks for #NM and #MF, and always completes: an unmasked exception of its own is
/// left pending in the status word.
/// </summary>
public unsafe interface IX87Operation
{
    static abstract void Execute(CpuState* s, Op* op);
}

/// <summary>An x87 operation as a step: pending exceptions first, then it is remembered and executed. Op.Immediate holds its opcode.</summary>
public readonly unsafe struct X87Step<T> : IStep where T : struct, IX87Operation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
    {
        if (!X87.CheckPending(s))
            return false;
        X87.Remember(s, op);
        T.Execute(s, op);
        return true;
    }
}
