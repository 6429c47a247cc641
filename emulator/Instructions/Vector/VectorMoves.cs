using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using Emu.Memory;

namespace Emu.Instructions;

/// <summary>
/// Moves between vector registers, general registers and memory. Hints that data will not be used again (MOVNTx) have no effect; their weaker order
/// is permitted, not required.
/// </summary>
public static unsafe class VectorMoves
{
    /// <summary>MOVAPS, MOVAPD, MOVDQA, MOVNTPS and the like with <see cref="Aligned"/>; MOVUPS, MOVDQU, LDDQU and the like with <see cref="Unaligned"/>; MOVQ of MMX, MOVNTQ.</summary>
    public static void Whole<A>(ref Lowering l) where A : struct, IAlignment
    {
        if (VectorForms.IsMmx(l, 0) || VectorForms.IsMmx(l, 1))
            Whole<A, MmxUnit, W64>(ref l);
        else
            Whole<A, SseUnit, W128>(ref l);
    }

    private static void Whole<A, TUnit, W>(ref Lowering l) where A : struct, IAlignment where TUnit : struct, IFloatingUnit where W : struct, IWidth
    {
        if (!l.IsMemory(0))
        {
            VectorForms.Select<Copy, Load<A>, TUnit, W>(ref l);
            return;
        }
        l.Op->Reg0 = l.VectorOf(1);
        l.SelectVector<Store<A>, TUnit, W>(l.Memory());
    }

    /// <summary>MOVD and MOVQ between vector registers and general registers or memory; MOVQ between XMM registers, which clears the upper half.</summary>
    public static void Scalar<TElement>(ref Lowering l) where TElement : struct, IWidth
    {
        if (VectorForms.IsMmx(l, 0) || VectorForms.IsMmx(l, 1))
            Scalar<TElement, MmxUnit, W64>(ref l);
        else
            Scalar<TElement, SseUnit, W128>(ref l);
    }

    private static void Scalar<TElement, TUnit, W>(ref Lowering l) where TElement : struct, IWidth where TUnit : struct, IFloatingUnit where W : struct, IWidth
    {
        if (l.IsMemory(0) || IsGeneral(l, 0))
        {
            VectorElements.Extract<TElement, TUnit, W>(ref l, 0);
        }
        else if (IsGeneral(l, 1))
        {
            l.Op->Reg0 = l.VectorOf(0);
            l.Op->Reg1 = l.RegisterOf(1);
            l.SelectVector<FromGeneral<TElement>, TUnit, W>(AddressForm.None);
        }
        else
        {
            VectorForms.Narrow<LowQuadword, TElement>(ref l);
        }
    }

    /// <summary>MOVSS, MOVSD: between registers the rest of the destination stays, from memory it is cleared.</summary>
    public static void ScalarFloat<TElement, TMerge>(ref Lowering l) where TElement : struct, IWidth where TMerge : struct, IVectorOperation
    {
        if (l.IsMemory(0))
            VectorElements.Extract<TElement, SseUnit, W128>(ref l, 0);
        else if (l.IsMemory(1))
            VectorForms.Narrow<Source, TElement>(ref l);
        else
            VectorForms.Binary<TMerge>(ref l);
    }

    /// <summary>MOVLPx, MOVHPx, MOVLHPS, MOVHLPS: one half; the other one stays.</summary>
    public static void Half<TMerge>(ref Lowering l, int offset) where TMerge : struct, IVectorOperation
    {
        if (l.IsMemory(0))
            VectorElements.Extract<W64, SseUnit, W128>(ref l, offset);
        else
            VectorForms.Narrow<TMerge, W64>(ref l);
    }

    /// <summary>MOVMSKPS, MOVMSKPD, PMOVMSKB: sign bits into a general register.</summary>
    public static void SignBits<T>(ref Lowering l) where T : unmanaged
    {
        l.Op->Reg0 = l.RegisterOf(0);
        l.Op->Reg1 = l.VectorOf(1);
        if (VectorForms.IsMmx(l, 1))
            l.SelectVector<Signs<T>, MmxUnit, W64>(AddressForm.None);
        else
            l.SelectVector<Signs<T>, SseUnit, W128>(AddressForm.None);
    }

    /// <summary>MOVQ2DQ, MOVDQ2Q.</summary>
    public static void BetweenFiles(ref Lowering l)
    {
        bool toMmx = VectorForms.IsMmx(l, 0);
        l.Op->Reg0 = l.VectorOf(0);
        l.Op->Reg1 = l.VectorOf(1);
        if (toMmx)
            l.SelectVector<CrossFile<W128>, SseUnit, W64>(AddressForm.None);
        else
            l.SelectVector<CrossFile<W64>, SseUnit, W128>(AddressForm.None);
    }

    /// <summary>MASKMOVDQU, MASKMOVQ: the bytes whose mask has its top bit set, to DS:[rDI] or another segment.</summary>
    public static void Masked(ref Lowering l)
    {
        bool mmx = VectorForms.IsMmx(l, 1);
        l.Op->Reg0 = l.VectorOf(1);
        l.Op->Reg1 = l.VectorOf(2);
        l.Op->Base = Lowering.OffsetOf(Iced.Intel.Register.RDI);
        l.Op->AddressSize = (byte)(l.Kind(0) switch { Iced.Intel.OpKind.MemorySegDI => 2, Iced.Intel.OpKind.MemorySegEDI => 4, _ => 8 });
        l.Op->Segment = (byte)(l.Instruction.MemorySegment - Iced.Intel.Register.ES);
        if (mmx)
            l.SelectVector<StoreMasked, MmxUnit, W64>(AddressForm.General);
        else
            l.SelectVector<StoreMasked, SseUnit, W128>(AddressForm.General);
    }

    private static bool IsGeneral(in Lowering l, int operand) => l.IsRegister(operand) && Iced.Intel.RegisterExtensions.IsGPR(l.Instruction.GetOpRegister(operand));

    public readonly struct Source : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => b;
    }

    public readonly struct LowQuadword : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            Vector128.CreateScalar(b.AsUInt64().ToScalar()).AsByte();
    }

    /// <summary>MOVSS between registers.</summary>
    public readonly struct MergeSingle : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth =>
            a.AsUInt32().WithElement(0, b.AsUInt32().ToScalar()).AsByte();
    }

    /// <summary>MOVSD between registers, MOVLPx from memory.</summary>
    public readonly struct MergeLow : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => a.WithLower(b.GetLower());
    }

    /// <summary>MOVHPx from memory, MOVLHPS.</summary>
    public readonly struct LowToHigh : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => a.WithUpper(b.GetLower());
    }

    /// <summary>MOVHLPS.</summary>
    public readonly struct HighToLow : IVectorOperation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => a.WithLower(b.GetUpper());
    }

    private readonly struct Copy : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, VectorRegister.Read<W>(s, op->Reg1));
            return true;
        }
    }

    private readonly struct Load<A> : IStep where A : struct, IAlignment
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s) || !VectorRegister.Load<W, M, A>(s, op, out Vector128<byte> value))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, value);
            return true;
        }
    }

    private readonly struct Store<A> : IStep where A : struct, IAlignment
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s) || !VectorRegister.Store<W, M, A>(s, op, VectorRegister.Read<W>(s, op->Reg0)))
                return false;
            VectorRegister.EnterMmx<W>(s);
            return true;
        }
    }

    private readonly struct FromGeneral<TElement> : IStep where TElement : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, Vector128.CreateScalar(Width.Read<TElement>(s, op->Reg1)).AsByte());
            return true;
        }
    }

    private readonly struct Signs<T> : IStep where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s))
                return false;
            uint bits = Vector128.ExtractMostSignificantBits(VectorRegister.Read<W>(s, op->Reg1).As<byte, T>());
            Width.Write<W64>(s, op->Reg0, bits);
            VectorRegister.EnterMmx<W>(s);
            return true;
        }
    }

    /// <summary>Both transitions to MMX apply to whichever register is one.</summary>
    private readonly struct CrossFile<TFrom> : IStep where TFrom : struct, IWidth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W64>(s))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, Vector128.CreateScalar(VectorRegister.Read<TFrom>(s, op->Reg1).AsUInt64().ToScalar()).AsByte());
            VectorRegister.EnterMmx<W64>(s);
            return true;
        }
    }

    /// <summary>
    /// The first and the last byte are checked whatever the mask: "exceptions associated with addressing memory and page faults may still be signaled", and a
    /// CPU signals them (seen on an AMD EPYC).
    /// </summary>
    private readonly struct StoreMasked : IStep
    {
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            int size = W.Bits / 8;
            if (!VectorRegister.IsReady<W>(s) || !Full.Linear(s, op, size, AccessKind.Write, out ulong linear))
                return false;
            ulong wrap = s->Is64Bit ? ulong.MaxValue : uint.MaxValue;
            if (!Access.ProbeWrite(s, linear, 1, Full.Kind(op)) || !Access.ProbeWrite(s, (linear + (ulong)(size - 1)) & wrap, 1, Full.Kind(op)))
                return false;
            Vector128<byte> bytes = VectorRegister.Read<W>(s, op->Reg0);
            uint mask = Vector128.ExtractMostSignificantBits(VectorRegister.Read<W>(s, op->Reg1));
            for (int i = 0; i < size; i++)
                if ((mask >> i & 1) != 0)
                    _ = Access.Store(s, (linear + (ulong)i) & wrap, 1, Full.Kind(op), bytes[i]);
            VectorRegister.EnterMmx<W>(s);
            return true;
        }
    }
}
