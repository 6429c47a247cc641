using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>CBW, CWDE, CDQE: the accumulator into itself. CWD, CDQ, CQO: its sign into the data register.</summary>
public static unsafe class SignConversions
{
    /// <summary>CBW, CWDE, CDQE; <paramref name="size"/> is that of the result.</summary>
    public static void Widen(ref Lowering l, int size) => l.SelectStep<Accumulator>(size);

    /// <summary>CWD, CDQ, CQO; <paramref name="size"/> is that of each half.</summary>
    public static void Spread(ref Lowering l, int size) => l.SelectStep<Data>(size);

    private readonly struct Accumulator : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            long a = W.Bits switch
            {
                16 => (sbyte)s->Registers[0],
                32 => (short)s->Registers[0],
                _ => (int)s->Registers[0],
            };
            Width.Write<W>(s, 0, (ulong)a);
            return true;
        }
    }

    private readonly struct Data : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Width.Write<W>(s, 16, (ulong)(Width.SignExtend<W>(s->Registers[0]) >> 63));
            return true;
        }
    }
}
