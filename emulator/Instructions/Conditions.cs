using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>A condition code of Jcc, SETcc and CMOVcc (SDM, "EFLAGS Condition Codes").</summary>
public unsafe interface ICondition
{
    static abstract bool Holds(CpuState* s);

    /// <summary>The condition behind a comparison of a with b, straight from the operands.</summary>
    static abstract bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth;

    /// <summary>The condition behind a logical operation, straight from its result.</summary>
    static abstract bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth;
}

/// <summary>The eight conditions; <see cref="Not{T}"/> makes the other eight.</summary>
public static unsafe class Conditions
{
    public readonly struct Overflow : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Overflow(s);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => Width.SignExtend<W>((a ^ b) & (a ^ (a - b))) < 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => false;
    }

    public readonly struct Below : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Carry(s);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => a < b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => false;
    }

    public readonly struct Equal : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Zero(s);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => a == b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => result == 0;
    }

    public readonly struct BelowOrEqual : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Carry(s) | Flags.Zero(s);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => a <= b;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => result == 0;
    }

    public readonly struct Sign : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Sign(s);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => Width.SignExtend<W>(a - b) < 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => Width.SignExtend<W>(result) < 0;
    }

    public readonly struct Parity : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Parity(s);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => IsEven(a - b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => IsEven(result);
    }

    public readonly struct Less : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Sign(s) != Flags.Overflow(s);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => Width.SignExtend<W>(a) < Width.SignExtend<W>(b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => Width.SignExtend<W>(result) < 0;
    }

    public readonly struct LessOrEqual : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Zero(s) | (Flags.Sign(s) != Flags.Overflow(s));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => Width.SignExtend<W>(a) <= Width.SignExtend<W>(b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => Width.SignExtend<W>(result) <= 0;
    }

    public readonly struct Not<T> : ICondition where T : struct, ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => !T.Holds(s);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterCompare<W>(ulong a, ulong b) where W : struct, IWidth => !T.HoldsAfterCompare<W>(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool HoldsAfterLogic<W>(ulong result) where W : struct, IWidth => !T.HoldsAfterLogic<W>(result);
    }

    private static bool IsEven(ulong value) => (System.Numerics.BitOperations.PopCount(value & 0xFF) & 1) == 0;
}
