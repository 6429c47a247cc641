using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>A condition code of Jcc, SETcc and CMOVcc (SDM, "EFLAGS Condition Codes").</summary>
public unsafe interface ICondition
{
    static abstract bool Holds(CpuState* s);
}

/// <summary>The eight conditions; <see cref="Not{T}"/> makes the other eight.</summary>
public static unsafe class Conditions
{
    public readonly struct Overflow : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Overflow(s);
    }

    public readonly struct Below : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Carry(s);
    }

    public readonly struct Equal : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Zero(s);
    }

    public readonly struct BelowOrEqual : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Carry(s) | Flags.Zero(s);
    }

    public readonly struct Sign : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Sign(s);
    }

    public readonly struct Parity : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Parity(s);
    }

    public readonly struct Less : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Sign(s) != Flags.Overflow(s);
    }

    public readonly struct LessOrEqual : ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => Flags.Zero(s) | (Flags.Sign(s) != Flags.Overflow(s));
    }

    public readonly struct Not<T> : ICondition where T : struct, ICondition
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Holds(CpuState* s) => !T.Holds(s);
    }
}
