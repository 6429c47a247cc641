using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>PSLLx, PSRLx, PSRAx: all elements by one count, out of an immediate or out of the low quadword of the source. A count beyond the element shifts all out.</summary>
public static unsafe class PackedShifts
{
    /// <summary>A shift of all elements.</summary>
    public interface IVectorShift
    {
        static abstract Vector128<byte> Execute(Vector128<byte> a, ulong count);
    }

    public readonly struct LeftWords : IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => count > 15 ? default : (a.AsUInt16() << (int)count).AsByte();
    }

    public readonly struct LeftDoublewords : IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => count > 31 ? default : (a.AsUInt32() << (int)count).AsByte();
    }

    public readonly struct LeftQuadwords : IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => count > 63 ? default : (a.AsUInt64() << (int)count).AsByte();
    }

    public readonly struct RightWords : IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => count > 15 ? default : (a.AsUInt16() >>> (int)count).AsByte();
    }

    public readonly struct RightDoublewords : IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => count > 31 ? default : (a.AsUInt32() >>> (int)count).AsByte();
    }

    public readonly struct RightQuadwords : IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => count > 63 ? default : (a.AsUInt64() >>> (int)count).AsByte();
    }

    public readonly struct ArithmeticWords : IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => (a.AsInt16() >> (int)Math.Min(count, 15)).AsByte();
    }

    public readonly struct ArithmeticDoublewords : IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute(Vector128<byte> a, ulong count) => (a.AsInt32() >> (int)Math.Min(count, 31)).AsByte();
    }

    /// <summary>Selects handlers for <c>op v, v/m</c> and <c>op v, imm8</c>.</summary>
    public static void Lower<T>(ref Lowering l) where T : struct, IVectorShift
    {
        if (l.IsRegister(1) || l.IsMemory(1))
        {
            VectorForms.Binary<ByVector<T>>(ref l);
            return;
        }
        l.Op->Reg0 = l.VectorOf(0);
        l.Op->Immediate = l.Immediate(1, 1);
        if (VectorForms.IsMmx(l, 0))
            l.SelectVector<ByImmediate<T>, MmxUnit, W64>(AddressForm.None);
        else
            l.SelectVector<ByImmediate<T>, SseUnit, W128>(AddressForm.None);
    }

    private readonly struct ByVector<T> : IVectorOperation where T : struct, IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector128<byte> Execute<W>(Vector128<byte> a, Vector128<byte> b) where W : struct, IWidth => T.Execute(a, b.AsUInt64().ToScalar());
    }

    private readonly struct ByImmediate<T> : IStep where T : struct, IVectorShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (!VectorRegister.IsReady<W>(s))
                return false;
            VectorRegister.Write<W>(s, op->Reg0, T.Execute(VectorRegister.Read<W>(s, op->Reg0), op->Immediate));
            return true;
        }
    }
}
