using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>SSE4.1: PMOVSXxx, PMOVZXxx, PTEST, PBLENDVB, BLENDVPS, BLENDVPD.</summary>
public static unsafe class PackedSelect
{
    /// <summary>PMOVSXxx: the lowest elements, sign-extended.</summary>
    public readonly struct SignExtend<TFrom, TTo> : IVectorOperation where TFrom : unmanaged where TTo : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            if (sizeof(TFrom) == 1)
                b = Vector128.WidenLower(b.AsSByte()).AsByte();
            if (sizeof(TFrom) <= 2 && sizeof(TTo) >= 4)
                b = Vector128.WidenLower(b.AsInt16()).AsByte();
            if (sizeof(TTo) == 8)
                b = Vector128.WidenLower(b.AsInt32()).AsByte();
            return b;
        }
    }

    /// <summary>PMOVZXxx: the lowest elements, zero-extended.</summary>
    public readonly struct ZeroExtend<TFrom, TTo> : IVectorOperation where TFrom : unmanaged where TTo : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth
        {
            if (sizeof(TFrom) == 1)
                b = Vector128.WidenLower(b).AsByte();
            if (sizeof(TFrom) <= 2 && sizeof(TTo) >= 4)
                b = Vector128.WidenLower(b.AsUInt16()).AsByte();
            if (sizeof(TTo) == 8)
                b = Vector128.WidenLower(b.AsUInt32()).AsByte();
            return b;
        }
    }

    /// <summary>PTEST.</summary>
    public static void Test(ref Lowering l) => VectorForms.Select<TestRegisters, TestMemory, SseUnit, W128>(ref l);

    /// <summary>PBLENDVB, BLENDVPS, BLENDVPD: an element comes from the source where its sign bit in XMM0 is set.</summary>
    public static void BlendBySign<T>(ref Lowering l) where T : unmanaged =>
        VectorForms.Select<BlendRegisters<T>, BlendMemory<T>, SseUnit, W128>(ref l);

    private readonly struct TestRegisters : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            SetFlags(s, VectorRegister.Read<W>(s, op->Reg0), VectorRegister.Read<W>(s, op->Reg1));
            return true;
        }
    }

    private readonly struct TestMemory : IStep
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadVector<Aligned>(s, op, out Vector128<byte> b))
                return false;
            SetFlags(s, VectorRegister.Read<W>(s, op->Reg0), b);
            return true;
        }
    }

    /// <summary>"ZF if all bits of source AND destination are 0; CF if all bits of source AND NOT destination are 0"; the others are cleared.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void SetFlags(CpuState* s, Vector128<byte> a, Vector128<byte> b)
    {
        ulong zero = (a & b) == Vector128<byte>.Zero ? Rflags.Zf : 0;
        ulong carry = Vector128.AndNot(b, a) == Vector128<byte>.Zero ? Rflags.Cf : 0;
        Flags.SetArithmetic(s, zero | carry);
    }

    private readonly struct BlendRegisters<T> : IStep where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            VectorRegister.Write<W>(s, op->Reg0, Choose<T>(VectorRegister.Read<W>(s, 0), VectorRegister.Read<W>(s, op->Reg0), VectorRegister.Read<W>(s, op->Reg1)));
            return true;
        }
    }

    private readonly struct BlendMemory<T> : IStep where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!M.LoadVector<Aligned>(s, op, out Vector128<byte> b))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, Choose<T>(VectorRegister.Read<W>(s, 0), VectorRegister.Read<W>(s, op->Reg0), b));
            return true;
        }
    }

    /// <param name="mask">Elements of a signed type.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Choose<T>(Vector128<byte> mask, Vector128<byte> a, Vector128<byte> b) where T : unmanaged =>
        Vector128.ConditionalSelect(Vector128.LessThan(mask.As<byte, T>(), Vector128<T>.Zero).AsByte(), b, a);
}
