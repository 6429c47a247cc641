using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Float;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>FLD, FST, FSTP, FILD, FIST, FISTP, FISTTP, FBLD, FBSTP, FXCH, FCMOVcc and the constants.</summary>
public static unsafe class X87Moves
{
    /// <summary>FLD m32, m64: denormals are reported, signaling NaNs too, and made quiet.</summary>
    public readonly struct Load : IX87MemoryOperation
    {
        public static void Execute<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth
        {
            if (!X87.NeedRoom(s))
                return;
            Number n = W.Bits == 32 ? Number.Unpack<Binary32>(value) : Number.Unpack<Binary64>(value);
            FloatFlags raised = n.Kind == NumberKind.SignalingNaN ? FloatFlags.Invalid : n.Denormal ? FloatFlags.Denormal : FloatFlags.None;
            X87.Signal(s, raised, c1: false);
            // With DE unmasked the number is loaded all the same; with IE unmasked it is not.
            if ((raised & ~(FloatFlags)s->Floating.Control & FloatFlags.Invalid) == 0)
                X87.Push(s, n.Quieted());
        }
    }

    /// <summary>FILD: exact.</summary>
    public readonly struct LoadInteger : IX87MemoryOperation
    {
        public static void Execute<W>(CpuState* s, Op* op, ulong value) where W : struct, IWidth
        {
            if (!X87.NeedRoom(s))
                return;
            X87.Signal(s, FloatFlags.None, c1: false);
            X87.Push(s, Number.FromInteger(Width.SignExtend<W>(value)));
        }
    }

    /// <summary>FLD m80, and FBLD where the width is W8: ten bytes, without an exception of their own.</summary>
    public readonly struct LoadTenBytes : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory => LoadTen(s, op, W.Bits == 8);
    }

    /// <summary>FSTP m80, and FBSTP where the width is W8.</summary>
    public readonly struct StoreTenBytes : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory => StoreTen(s, op, W.Bits == 8);
    }

    /// <summary>Where alignment is checked, 80-bit operands are aligned to 8 bytes (SDM Vol. 3A, "Alignment Requirements by Data Type").</summary>
    private static bool IsAligned(CpuState* s, Op* op, ulong linear) => Access.CheckAlignment(s, linear, 8, Full.Kind(op));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool LoadTen(CpuState* s, Op* op, bool isDecimal)
    {
        byte* bytes = stackalloc byte[16];
        *(ulong*)(bytes + 8) = 0;
        if (!X87.CheckPending(s) || !Full.Linear(s, op, 10, AccessKind.Read, out ulong linear) || !IsAligned(s, op, linear) || !Access.LoadBlock(s, linear, 10, Full.Kind(op), bytes))
            return false;
        X87.RememberMemory(s, op);
        if (!X87.NeedRoom(s))
            return true;
        X87.Signal(s, FloatFlags.None, c1: false);
        if (isDecimal)
        {
            X87.Push(s, Bcd.Read(bytes));
            return true;
        }
        X87.MoveTop(s, -1);
        ulong* r = X87.Register(s, 0);
        (r[0], r[1]) = (((ulong*)bytes)[0], ((ulong*)bytes)[1]);
        s->Floating.Tags |= (byte)(1 << X87.Top(s));
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool StoreTen(CpuState* s, Op* op, bool isDecimal)
    {
        if (!X87.CheckPending(s))
            return false;
        byte* bytes = stackalloc byte[16];
        FloatContext c = X87.Context(s);
        bool empty = X87.IsEmpty(s, 0);
        ulong* r = X87.Register(s, 0);
        bool stored = true;
        if (isDecimal)
            stored = Bcd.TryWrite(empty ? Number.Indefinite : Number.UnpackExtended(r[0], r[1]), bytes, ref c);
        else
            (((ulong*)bytes)[0], ((ulong*)bytes)[1]) = empty ? (0xC000_0000_0000_0000, 0xFFFFUL) : (r[0], r[1]);
        if (empty)
            stored = (c.Masked & FloatFlags.Invalid) != 0;
        if (stored && !(Full.Linear(s, op, 10, AccessKind.Write, out ulong linear) && IsAligned(s, op, linear) && Access.StoreBlock(s, linear, 10, Full.Kind(op), bytes)))
            return false;
        X87.RememberMemory(s, op);
        if (empty)
            X87.StackFault(s, overflow: false);
        else
            X87.Signal(s, c.Raised, c.RoundedUp);
        if (stored)
            X87.Pop(s);
        return true;
    }

    /// <summary>FST m32, m64.</summary>
    public readonly struct Store : IX87Store
    {
        public static bool Pops => false;

        public static bool TryConvert<W>(in Number n, ref FloatContext c, out ulong value) where W : struct, IWidth => ToFloat<W>(n, ref c, out value);

        public static ulong Indefinite<W>() where W : struct, IWidth => FloatIndefinite<W>();
    }

    /// <summary>FSTP m32, m64.</summary>
    public readonly struct StorePop : IX87Store
    {
        public static bool Pops => true;

        public static bool TryConvert<W>(in Number n, ref FloatContext c, out ulong value) where W : struct, IWidth => ToFloat<W>(n, ref c, out value);

        public static ulong Indefinite<W>() where W : struct, IWidth => FloatIndefinite<W>();
    }

    /// <summary>FIST.</summary>
    public readonly struct StoreInteger : IX87Store
    {
        public static bool Pops => false;

        public static bool TryConvert<W>(in Number n, ref FloatContext c, out ulong value) where W : struct, IWidth => ToInteger<W>(n, ref c, out value);

        public static ulong Indefinite<W>() where W : struct, IWidth => 1UL << (W.Bits - 1);
    }

    /// <summary>FISTP.</summary>
    public readonly struct StoreIntegerPop : IX87Store
    {
        public static bool Pops => true;

        public static bool TryConvert<W>(in Number n, ref FloatContext c, out ulong value) where W : struct, IWidth => ToInteger<W>(n, ref c, out value);

        public static ulong Indefinite<W>() where W : struct, IWidth => 1UL << (W.Bits - 1);
    }

    /// <summary>FISTTP: truncated, whatever the rounding control says.</summary>
    public readonly struct StoreTruncatedPop : IX87Store
    {
        public static bool Pops => true;

        public static bool TryConvert<W>(in Number n, ref FloatContext c, out ulong value) where W : struct, IWidth
        {
            c.Rounding = Rounding.Zero;
            return ToInteger<W>(n, ref c, out value);
        }

        public static ulong Indefinite<W>() where W : struct, IWidth => 1UL << (W.Bits - 1);
    }

    private static bool ToFloat<W>(in Number n, ref FloatContext c, out ulong value) where W : struct, IWidth
    {
        // A denormal operand is not reported: FST has no #D.
        Number r = n;
        if (n.Kind >= NumberKind.QuietNaN)
            r = Operations.NaN<X87NaNs>(n, n, ref c);
        else if (W.Bits == 32)
            Rounder.Round<Binary32>(ref r, ref c);
        else
            Rounder.Round<Binary64>(ref r, ref c);
        if ((c.Unmasked & (FloatFlags.Overflow | FloatFlags.Underflow)) != 0)
        {
            // Nothing is stored, so nothing was rounded.
            c.Raised &= ~FloatFlags.Precision;
            c.RoundedUp = false;
            value = 0;
            return false;
        }
        value = W.Bits == 32 ? r.Pack<Binary32>() : r.Pack<Binary64>();
        return (c.Unmasked & FloatFlags.Invalid) == 0;
    }

    private static ulong FloatIndefinite<W>() where W : struct, IWidth => W.Bits == 32 ? 0xFFC0_0000 : 0xFFF8_0000_0000_0000;

    private static bool ToInteger<W>(in Number n, ref FloatContext c, out ulong value) where W : struct, IWidth
    {
        if (Rounder.TryRoundToInteger(n, W.Bits, ref c, out long integer))
        {
            value = (ulong)integer;
            return true;
        }
        c.Raised |= FloatFlags.Invalid;
        value = 1UL << (W.Bits - 1);
        return (c.Masked & FloatFlags.Invalid) != 0;
    }

    /// <summary>FLD ST(i).</summary>
    public readonly struct LoadRegister : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            int i = op->Reg0;
            if (X87.IsEmpty(s, i))
            {
                if (X87.StackFault(s, overflow: false))
                    X87.Push(s, Number.Indefinite);
                return;
            }
            if (!X87.NeedRoom(s))
                return;
            X87.Signal(s, FloatFlags.None, c1: false);
            X87.MoveTop(s, -1);
            X87.Copy(s, 0, (i + 1) & 7);
        }
    }

    /// <summary>FST ST(i).</summary>
    public readonly struct StoreRegister : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op) => CopyTop(s, op->Reg0);
    }

    /// <summary>FSTP ST(i).</summary>
    public readonly struct StoreRegisterPop : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (CopyTop(s, op->Reg0))
                X87.Pop(s);
        }
    }

    /// <summary>D9 D8 and up, FSTP without a check, which no manual describes: an empty ST(0) is popped and nothing else (seen on a CPU).</summary>
    public readonly struct StoreRegisterPopUnchecked : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            X87.Signal(s, FloatFlags.None, c1: false);
            if (!X87.IsEmpty(s, 0))
                X87.Copy(s, op->Reg0, 0);
            X87.Pop(s);
        }
    }

    private static bool CopyTop(CpuState* s, int to)
    {
        if (X87.IsEmpty(s, 0))
            return X87.Underflow(s, to);
        X87.Signal(s, FloatFlags.None, c1: false);
        X87.Copy(s, to, 0);
        return true;
    }

    /// <summary>FXCH: an empty register takes part as an indefinite.</summary>
    public readonly struct Exchange : IX87Operation
    {
        public static void Execute(CpuState* s, Op* op)
        {
            int i = op->Reg0;
            bool emptyTop = X87.IsEmpty(s, 0), empty = X87.IsEmpty(s, i);
            if (emptyTop || empty)
            {
                if (!X87.StackFault(s, overflow: false))
                    return;
                if (emptyTop)
                    X87.Write(s, 0, Number.Indefinite);
                if (empty)
                    X87.Write(s, i, Number.Indefinite);
            }
            else
            {
                X87.Signal(s, FloatFlags.None, c1: false);
            }
            ulong* a = X87.Register(s, 0), b = X87.Register(s, i);
            (a[0], a[1], b[0], b[1]) = (b[0], b[1], a[0], a[1]);
        }
    }

    /// <summary>FCMOVcc: both registers must hold something, whatever the condition.</summary>
    public readonly struct ConditionalMove<T> : IX87Operation where T : struct, ICondition
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (X87.IsEmpty(s, 0) || X87.IsEmpty(s, op->Reg0))
            {
                X87.Underflow(s, 0);
                return;
            }
            if (T.Holds(s))
                X87.Copy(s, 0, op->Reg0);
        }
    }

    /// <summary>A constant of x87, with 128 bits.</summary>
    public interface IConstant
    {
        static abstract Number Value { get; }
    }

    public readonly struct One : IConstant
    {
        public static Number Value => Number.One(false);
    }

    public readonly struct Zero : IConstant
    {
        public static Number Value => Number.Zero(false);
    }

    public readonly struct Pi : IConstant
    {
        public static Number Value => Number.Finite(false, 1, 0xC90F_DAA2_2168_C234, 0xC4C6_628B_80DC_1CD1);
    }

    public readonly struct Log2Of10 : IConstant
    {
        public static Number Value => Number.Finite(false, 1, 0xD49A_784B_CD1B_8AFE, 0x492B_F6FF_4DAF_DB4C);
    }

    public readonly struct Log2OfE : IConstant
    {
        public static Number Value => Number.Finite(false, 0, 0xB8AA_3B29_5C17_F0BB, 0xBE87_FED0_691D_3E88);
    }

    public readonly struct Log10Of2 : IConstant
    {
        public static Number Value => Number.Finite(false, -2, 0x9A20_9A84_FBCF_F798, 0x8F89_59AC_0B7C_9178);
    }

    public readonly struct LnOf2 : IConstant
    {
        public static Number Value => Number.Finite(false, -1, 0xB172_17F7_D1CF_79AB, 0xC9E3_B398_03F2_F6AF);
    }

    /// <summary>FLD1, FLDZ, FLDPI and others: rounded as the rounding control says, without being reported as inexact.</summary>
    public readonly struct LoadConstant<T> : IX87Operation where T : struct, IConstant
    {
        public static void Execute(CpuState* s, Op* op)
        {
            if (!X87.NeedRoom(s))
                return;
            FloatContext c = X87.Context(s);
            Number n = T.Value;
            Rounder.RoundFully(ref n, ref c);
            X87.Signal(s, FloatFlags.None, c1: false);
            X87.Push(s, n);
        }
    }
}
