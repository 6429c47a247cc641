using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>DPPS and DPPD: products, then sums, each rounded. An unmasked exception in one step is reported before the next (SDM, "DPPS": "Unmasked exceptions of the multiplication are signaled before the additions").</summary>
public static unsafe class SseDotProduct
{
    public static void Lower(ref Lowering l, int size) => SseForms.Select<Registers, Memory>(ref l, size);

    private readonly struct Registers : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            Vector128.Load(FloatingRegisters.Xmm(s, op->Reg1)).Store((byte*)&s->ScratchLow);
            return W.Bits == 32 ? Compute<Binary32>(s, op) : Compute<Binary64>(s, op);
        }
    }

    private readonly struct Memory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadVector<Aligned>(s, op, out Vector128<byte> b))
                return false;
            b.Store((byte*)&s->ScratchLow);
            return W.Bits == 32 ? Compute<Binary32>(s, op) : Compute<Binary64>(s, op);
        }
    }

    /// <summary>The source is in the scratch of the state. Upper half of the immediate: which products; lower half: where the sum goes.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Compute<F>(CpuState* s, Op* op) where F : struct, IFloatFormat
    {
        byte* place = FloatingRegisters.Xmm(s, op->Reg0);
        Vector128<byte> a = Vector128.Load(place), b = Vector128.Load((byte*)&s->ScratchLow), r = default;
        byte control = (byte)op->Immediate;
        int count = 128 / F.Bits;
        ulong* terms = stackalloc ulong[4];
        FloatContext c = SseFloat.Context(s);
        for (int i = 0; i < count; i++)
            terms[i] = (control >> (4 + i) & 1) != 0 ? SseArithmetic.Multiply.Element<F>(SseFloat.Element<F>(a, i), SseFloat.Element<F>(b, i), i, 0, ref c) : 0;
        if (!SseFloat.Finish(s, ref c))
            return false;
        // Pairs of neighbours, then their sums.
        for (int left = count; left > 1; left /= 2)
        {
            for (int i = 0; i < left / 2; i++)
                terms[i] = SseArithmetic.Add.Element<F>(terms[2 * i], terms[2 * i + 1], i, 0, ref c);
            if (!SseFloat.Finish(s, ref c))
                return false;
        }
        for (int i = 0; i < count; i++)
            r = SseFloat.WithElement<F>(r, i, (control >> i & 1) != 0 ? terms[0] : 0);
        r.Store(place);
        return true;
    }
}
