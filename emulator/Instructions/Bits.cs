using System.Numerics;
using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>An operation from a source into a register; it may leave the register as it was.</summary>
public unsafe interface IScan
{
    /// <param name="a">Source.</param>
    /// <param name="into">Offset of the destination register.</param>
    static abstract void Execute<W>(CpuState* s, ulong a, byte into) where W : struct, IWidth;
}

/// <summary>
/// BSF, BSR, TZCNT, LZCNT, POPCNT, BSWAP, MOVBE. A source of zero leaves the destination of BSF and BSR as it was: "the destination is unmodified"
/// (AMD APM; Intel's processors do the same). Undefined flags: BSF and BSR set them by the source, TZCNT and LZCNT by the result.
/// </summary>
public static unsafe class Bits
{
    public readonly struct Bsf : IScan
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Execute<W>(CpuState* s, ulong a, byte into) where W : struct, IWidth
        {
            Flags.SetLogic(s, W.Bits, a);
            if (a != 0)
                Width.Write<W>(s, into, (ulong)BitOperations.TrailingZeroCount(a));
        }
    }

    public readonly struct Bsr : IScan
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Execute<W>(CpuState* s, ulong a, byte into) where W : struct, IWidth
        {
            Flags.SetLogic(s, W.Bits, a);
            if (a != 0)
                Width.Write<W>(s, into, (ulong)(63 - BitOperations.LeadingZeroCount(a)));
        }
    }

    public readonly struct Tzcnt : IScan
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Execute<W>(CpuState* s, ulong a, byte into) where W : struct, IWidth
        {
            ulong r = a == 0 ? (ulong)W.Bits : (ulong)BitOperations.TrailingZeroCount(a);
            Flags.SetResult(s, W.Bits, r, a == 0, false);
            Width.Write<W>(s, into, r);
        }
    }

    public readonly struct Lzcnt : IScan
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Execute<W>(CpuState* s, ulong a, byte into) where W : struct, IWidth
        {
            ulong r = (ulong)(BitOperations.LeadingZeroCount(a) - (64 - W.Bits));
            Flags.SetResult(s, W.Bits, r, a == 0, false);
            Width.Write<W>(s, into, r);
        }
    }

    public readonly struct Popcnt : IScan
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Execute<W>(CpuState* s, ulong a, byte into) where W : struct, IWidth
        {
            // "OF, SF, ZF, AF, CF, PF are all cleared. ZF is set if SRC = 0."
            Flags.SetArithmetic(s, a == 0 ? Rflags.Zf : 0);
            Width.Write<W>(s, into, (ulong)BitOperations.PopCount(a));
        }
    }

    /// <summary>MOVBE load.</summary>
    public readonly struct Movbe : IScan
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Execute<W>(CpuState* s, ulong a, byte into) where W : struct, IWidth => Width.Write<W>(s, into, Swap<W>(a));
    }

    /// <summary>Selects handlers for <c>op reg, r/m</c>.</summary>
    public static void Scan<T>(ref Lowering l) where T : struct, IScan
    {
        l.Op->Reg0 = l.RegisterOf(0);
        if (l.IsMemory(1))
        {
            l.SelectStep<ScanMemory<T>>(l.SizeOf(0), l.Memory());
            return;
        }
        l.Op->Reg1 = l.RegisterOf(1);
        l.SelectStep<ScanRegister<T>>(l.SizeOf(0));
    }

    /// <summary>BSWAP.</summary>
    public static void Bswap(ref Lowering l)
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.SelectStep<SwapRegister>(l.SizeOf(0));
    }

    /// <summary>MOVBE.</summary>
    public static void LowerMovbe(ref Lowering l)
    {
        if (!l.IsMemory(0))
        {
            Scan<Movbe>(ref l);
            return;
        }
        l.Op->Reg0 = l.RegisterOf(1);
        l.SelectStep<SwapStore>(l.SizeOf(1), l.Memory());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Swap<W>(ulong a) where W : struct, IWidth => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(a) >> (64 - W.Bits);

    private readonly struct ScanRegister<T> : IStep where T : struct, IScan
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            T.Execute<W>(s, Width.Read<W>(s, op->Reg1), op->Reg0);
            return true;
        }
    }

    private readonly struct ScanMemory<T> : IStep where T : struct, IScan
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.Load<W>(s, op, out ulong a))
                return false;
            T.Execute<W>(s, a, op->Reg0);
            return true;
        }
    }

    private readonly struct SwapRegister : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            // "When the BSWAP instruction references a 16-bit register, the result is undefined": zero, as Intel's processors have it.
            Width.Write<W>(s, op->Reg0, W.Bits == 16 ? 0 : Swap<W>(Width.Read<W>(s, op->Reg0)));
            return true;
        }
    }

    private readonly struct SwapStore : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory =>
            M.Store<W>(s, op, Swap<W>(Width.Read<W>(s, op->Reg0)));
    }
}
