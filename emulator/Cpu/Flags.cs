using System.Numerics;
using System.Runtime.CompilerServices;

namespace Emu.Cpus;

/// <summary>
/// The six arithmetic flags, computed only when somebody looks. Two words say all:
/// <list type="bullet">
/// <item><see cref="CpuState.FlagResult"/>: the result, sign-extended to 64 bits: ZF is "it is zero", SF its top bit, PF the parity of its low byte.</item>
/// <item><see cref="CpuState.FlagAux"/>: bit 63 the carry out of the top bit (CF), bit 62 the carry into it (OF is their exclusive or), bit 3 AF;
/// bits 8-15 are mixed into the byte of which PF is the parity and bit 16 into SF, so that any combination of flags has a representation.</item>
/// </list>
/// </summary>
public static unsafe class Flags
{
    private const ulong CarryOut = 1UL << 63;
    private const ulong CarryIn = 1UL << 62;
    private const ulong Adjust = 1UL << 3;
    private const int ParityShift = 8;
    private const int SignShift = 16;

    /// <summary>After an addition: all six flags from the operands and the result, <paramref name="bits"/> wide, all zero-extended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetAdd(CpuState* s, int bits, ulong a, ulong b, ulong result)
    {
        ulong carries = (a & b) | ((a | b) & ~result);
        s->FlagAux = ((carries << (64 - bits)) & (CarryOut | CarryIn)) | (carries & Adjust);
        s->FlagResult = SignExtend(bits, result);
    }

    /// <summary>After a subtraction a - b (CMP, SUB, NEG with a = 0, SBB with the full result).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetSubtract(CpuState* s, int bits, ulong a, ulong b, ulong result)
    {
        ulong borrows = (~a & b) | ((~a | b) & result);
        s->FlagAux = ((borrows << (64 - bits)) & (CarryOut | CarryIn)) | (borrows & Adjust);
        s->FlagResult = SignExtend(bits, result);
    }

    /// <summary>After AND, OR, XOR, TEST: CF = OF = 0; AF is undefined and cleared here.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetLogic(CpuState* s, int bits, ulong result)
    {
        s->FlagAux = 0;
        s->FlagResult = SignExtend(bits, result);
    }

    /// <summary>Result flags as given, and CF, OF and AF as given (shifts, multiplications).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetResult(CpuState* s, int bits, ulong result, bool carry, bool overflow, bool adjust = false)
    {
        s->FlagAux = CarryBits(carry, overflow) | (adjust ? Adjust : 0);
        s->FlagResult = SignExtend(bits, result);
    }

    /// <summary>Result flags as given; bit 63 of <paramref name="carries"/> is CF, bit 62 is CF ^ OF, the rest is ignored; AF is cleared (shifts).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetCarries(CpuState* s, int bits, ulong carries, ulong result)
    {
        s->FlagAux = carries & (CarryOut | CarryIn);
        s->FlagResult = SignExtend(bits, result);
    }

    /// <summary>Changes CF only.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetCarry(CpuState* s, bool carry) => SetCarryOverflow(s, carry, Overflow(s));

    /// <summary>Changes CF and OF only (rotates).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetCarryOverflow(CpuState* s, bool carry, bool overflow) =>
        s->FlagAux = (s->FlagAux & ~(CarryOut | CarryIn)) | CarryBits(carry, overflow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Carry(CpuState* s) => (long)s->FlagAux < 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Overflow(CpuState* s) => (long)(s->FlagAux ^ (s->FlagAux << 1)) < 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Zero(CpuState* s) => s->FlagResult == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Sign(CpuState* s) => (((s->FlagResult >> 63) ^ (s->FlagAux >> SignShift)) & 1) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Parity(CpuState* s) => (BitOperations.PopCount((s->FlagResult ^ (s->FlagAux >> ParityShift)) & 0xFF) & 1) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AdjustFlag(CpuState* s) => (s->FlagAux & Adjust) != 0;

    /// <summary>RFLAGS as PUSHF would store it, VM and RF included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Get(CpuState* s)
    {
        return s->SystemFlags | Rflags.Reserved1 | Bit(Carry(s), 0) | Bit(Parity(s), 2) | Bit(AdjustFlag(s), 4) | Bit(Zero(s), 6) | Bit(Sign(s), 7) | Bit(Overflow(s), 11);
    }

    /// <summary>Sets all of RFLAGS without any check; the caller knows which bits may change, and calls <see cref="CpuMode.Update"/> when AC or VM did.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(CpuState* s, ulong rflags)
    {
        s->SystemFlags = (rflags & ~Rflags.Arithmetic) | Rflags.Reserved1;
        SetArithmetic(s, rflags);
    }

    /// <summary>Sets the six arithmetic flags to any combination.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetArithmetic(CpuState* s, ulong rflags)
    {
        ulong zero = rflags >> 6 & 1, sign = rflags >> 7 & 1, parity = rflags >> 2 & 1, carry = rflags & 1, overflow = rflags >> 11 & 1;
        // A zero result has even parity and a clear sign, a result of 1 odd parity and a clear sign; the rest is mixed in. No branches: flags that
        // come from a frame on the stack are hard to guess.
        s->FlagResult = zero ^ 1;
        s->FlagAux = carry << 63 | (carry ^ overflow) << 62 | (rflags & Rflags.Af) >> 1 | (parity ^ zero) << ParityShift | sign << SignShift;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Bit(bool flag, int position) => (flag ? 1UL : 0) << position;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong CarryBits(bool carry, bool overflow) => (carry ? CarryOut : 0) | (carry != overflow ? CarryIn : 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong SignExtend(int bits, ulong value) => bits switch
    {
        8 => (ulong)(sbyte)value,
        16 => (ulong)(short)value,
        32 => (ulong)(int)value,
        _ => value,
    };
}
