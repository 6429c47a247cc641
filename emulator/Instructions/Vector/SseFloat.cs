using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using Emu.Float;

namespace Emu.Instructions;

/// <summary>MXCSR, and the exceptions of SSE floating point.</summary>
public static unsafe class SseFloat
{
    private const uint DenormalsAreZero = 1 << 6, FlushToZero = 1 << 15;

    /// <summary>
    /// True where host arithmetic on normal numbers with a normal result gives the same bits and flags: round to nearest, all exceptions masked, neither FZ
    /// nor DAZ, and PE, the only flag that could be raised, is already set.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPlain(CpuState* s) => (s->Floating.Mxcsr & 0xFFE0) == 0x1FA0;

    /// <summary>Rounding, masks and modes as MXCSR has them; nothing raised yet.</summary>
    public static FloatContext Context(CpuState* s)
    {
        uint mxcsr = s->Floating.Mxcsr;
        return new FloatContext
        {
            Rounding = (Rounding)(mxcsr >> 13 & 3),
            Masked = (FloatFlags)(mxcsr >> 7) & FloatFlags.All,
            DenormalsAreZero = (mxcsr & DenormalsAreZero) != 0,
            FlushToZero = (mxcsr & FlushToZero) != 0,
        };
    }

    /// <summary>
    /// Ends an operation: sets the flags. False when an unmasked one keeps the result from being written, with "#XM if CR4.OSXMMEXCPT[bit 10] = 1, #UD if
    /// it is 0" recorded. Where an exception that is found before there are results is unmasked, no element reports another kind.
    /// </summary>
    public static bool Finish(CpuState* s, ref FloatContext c)
    {
        FloatFlags raised = (c.Unmasked & FloatFlags.BeforeResult) != 0 ? c.Raised & FloatFlags.BeforeResult : c.Raised;
        s->Floating.Mxcsr |= (uint)raised;
        if (c.Unmasked == 0)
            return true;
        return Access.Raise(s, (s->Paging.Cr4 & ControlBits.Cr4OsXmmExcpt) != 0 ? Vector.SimdFloatingPoint : Vector.InvalidOpcode);
    }

    /// <summary>Takes an operand apart; denormals are zero where DAZ says so.</summary>
    public static Number Unpack<F>(ulong bits, ref FloatContext c) where F : struct, IFloatFormat
    {
        Number n = Number.Unpack<F>(bits);
        return n.Denormal && c.DenormalsAreZero ? Number.Zero(n.Negative) : n;
    }

    /// <summary>Neither zero, denormal, infinite nor NaN; nor the smallest normal number, to which a tiny result may have been rounded, with UE.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsNormal<W>(ulong bits) where W : struct, IWidth =>
        W.Bits == 32
            ? (((uint)bits + 0x0080_0000) & 0x7F00_0000) != 0 && ((uint)bits & 0x7FFF_FFFF) != 0x0080_0000
            : ((bits + 0x0010_0000_0000_0000) & 0x7FE0_0000_0000_0000) != 0 && (bits & 0x7FFF_FFFF_FFFF_FFFF) != 0x0010_0000_0000_0000;

    /// <summary>Elements that are not what <see cref="IsNormal"/> says: all ones in each of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Abnormal<W>(Vector128<byte> v) where W : struct, IWidth =>
        W.Bits == 32
            ? (Vector128.Equals((v.AsUInt32() + Vector128.Create(0x0080_0000U)) & Vector128.Create(0x7F00_0000U), Vector128<uint>.Zero)
                | Vector128.Equals(v.AsUInt32() & Vector128.Create(0x7FFF_FFFFU), Vector128.Create(0x0080_0000U))).AsByte()
            : (Vector128.Equals((v.AsUInt64() + Vector128.Create(0x0010_0000_0000_0000UL)) & Vector128.Create(0x7FE0_0000_0000_0000UL), Vector128<ulong>.Zero)
                | Vector128.Equals(v.AsUInt64() & Vector128.Create(0x7FFF_FFFF_FFFF_FFFFUL), Vector128.Create(0x0010_0000_0000_0000UL))).AsByte();

    /// <summary>An element of a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Element<F>(Vector128<byte> v, int i) where F : struct, IFloatFormat => F.Bits == 32 ? v.AsUInt32()[i] : v.AsUInt64()[i];

    public static Vector128<byte> WithElement<F>(Vector128<byte> v, int i, ulong bits) where F : struct, IFloatFormat =>
        F.Bits == 32 ? v.AsUInt32().WithElement(i, (uint)bits).AsByte() : v.AsUInt64().WithElement(i, bits).AsByte();
}
