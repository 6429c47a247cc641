using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Emu.Cpus;
using Emu.Float;
using Iced.Intel;

namespace Emu.Instructions;

/// <summary>A conversion of two or four numbers.</summary>
public interface IPackedConversion
{
    /// <summary>Its source is 8 bytes of memory, and need not be aligned.</summary>
    static abstract bool IsNarrow { get; }
    static abstract Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c);
}

/// <summary>Conversions of two or four numbers: CVTPS2PD, CVTPD2PS, CVTDQ2PS, CVTDQ2PD, CVT(T)PS2DQ, CVT(T)PD2DQ, and those with MMX registers.</summary>
public static unsafe class SseConvertPacked
{
    private static Vector128<byte> Two(ulong low, ulong high) => Vector128.Create(low, high).AsByte();

    private static Vector128<byte> Four(ulong a, ulong b, ulong c = 0, ulong d = 0) => Vector128.Create((uint)a, (uint)b, (uint)c, (uint)d).AsByte();

    public readonly struct SinglesToDoubles : IPackedConversion
    {
        public static bool IsNarrow => true;

        public static Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c)
        {
            Vector128<uint> v = source.AsUInt32();
            return Two(SseConvert.Convert<Binary32, Binary64>(v[0], ref c), SseConvert.Convert<Binary32, Binary64>(v[1], ref c));
        }
    }

    public readonly struct DoublesToSingles : IPackedConversion
    {
        public static bool IsNarrow => false;

        public static Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c)
        {
            Vector128<ulong> v = source.AsUInt64();
            return Four(SseConvert.Convert<Binary64, Binary32>(v[0], ref c), SseConvert.Convert<Binary64, Binary32>(v[1], ref c));
        }
    }

    /// <summary>CVTDQ2PS: four.</summary>
    public readonly struct IntegersToSingles : IPackedConversion
    {
        public static bool IsNarrow => false;

        public static Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c)
        {
            Vector128<int> v = source.AsInt32();
            return Four(Single(v[0], ref c), Single(v[1], ref c), Single(v[2], ref c), Single(v[3], ref c));
        }

        public static ulong Single(int v, ref FloatContext c) => SseConvert.FromInteger<Binary32>(v, ref c);
    }

    /// <summary>CVTPI2PS: two.</summary>
    public readonly struct TwoIntegersToSingles : IPackedConversion
    {
        public static bool IsNarrow => true;

        public static Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c)
        {
            Vector128<int> v = source.AsInt32();
            return Four(IntegersToSingles.Single(v[0], ref c), IntegersToSingles.Single(v[1], ref c));
        }
    }

    /// <summary>CVTDQ2PD, CVTPI2PD: exact.</summary>
    public readonly struct IntegersToDoubles : IPackedConversion
    {
        public static bool IsNarrow => true;

        public static Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c)
        {
            Vector128<int> v = source.AsInt32();
            return Two(BitConverter.DoubleToUInt64Bits(v[0]), BitConverter.DoubleToUInt64Bits(v[1]));
        }
    }

    /// <summary>Whether the rounding control counts.</summary>
    public interface IRounding
    {
        static abstract bool Truncates { get; }
    }

    public readonly struct Rounded : IRounding
    {
        public static bool Truncates => false;
    }

    public readonly struct Truncated : IRounding
    {
        public static bool Truncates => true;
    }

    /// <summary>CVT(T)PS2DQ: four. CVT(T)PS2PI takes the lower half of it; what it does not convert must not be reported, see <see cref="TwoSinglesToIntegers{R}"/>.</summary>
    public readonly struct SinglesToIntegers<R> : IPackedConversion where R : struct, IRounding
    {
        public static bool IsNarrow => false;

        public static Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c)
        {
            Vector128<uint> v = source.AsUInt32();
            return Four(Integer(v[0], ref c), Integer(v[1], ref c), Integer(v[2], ref c), Integer(v[3], ref c));
        }

        public static ulong Integer(uint bits, ref FloatContext c)
        {
            if (R.Truncates)
                c.Rounding = Rounding.Zero;
            return SseConvert.ToInteger<Binary32>(bits, 32, ref c);
        }
    }

    /// <summary>CVT(T)PS2PI: two.</summary>
    public readonly struct TwoSinglesToIntegers<R> : IPackedConversion where R : struct, IRounding
    {
        public static bool IsNarrow => true;

        public static Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c)
        {
            Vector128<uint> v = source.AsUInt32();
            return Four(SinglesToIntegers<R>.Integer(v[0], ref c), SinglesToIntegers<R>.Integer(v[1], ref c));
        }
    }

    /// <summary>CVT(T)PD2DQ, CVT(T)PD2PI.</summary>
    public readonly struct DoublesToIntegers<R> : IPackedConversion where R : struct, IRounding
    {
        public static bool IsNarrow => false;

        public static Vector128<byte> Apply(Vector128<byte> source, ref FloatContext c)
        {
            if (R.Truncates)
                c.Rounding = Rounding.Zero;
            Vector128<ulong> v = source.AsUInt64();
            return Four(SseConvert.ToInteger<Binary64>(v[0], 32, ref c), SseConvert.ToInteger<Binary64>(v[1], 32, ref c));
        }
    }

    /// <summary>Which registers a conversion uses.</summary>
    private const ulong SourceIsMmx = 1, DestinationIsMmx = 2, KeepsUpperHalf = 4;

    public static void Lower<T>(ref Lowering l) where T : struct, IPackedConversion
    {
        bool mmxDestination = l.Instruction.Op0Register.IsMM(), mmxSource = l.IsRegister(1) && l.Instruction.Op1Register.IsMM();
        l.Op->Immediate = (mmxSource ? SourceIsMmx : 0) | (mmxDestination ? DestinationIsMmx : 0) | (l.Instruction.Mnemonic == Mnemonic.Cvtpi2ps ? KeepsUpperHalf : 0);
        SseForms.Select<Registers<T>, Memory<T>>(ref l, 8);
    }

    private readonly struct Registers<T> : IStep where T : struct, IPackedConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if (op->Immediate != 0 && !X87.CheckPending(s))
                return false;
            if ((op->Immediate & SourceIsMmx) != 0)
                s->ScratchLow = *(ulong*)FloatingRegisters.Mmx(s, op->Reg1);
            else
                Vector128.Load(FloatingRegisters.Xmm(s, op->Reg1)).Store((byte*)&s->ScratchLow);
            return Convert<T>(s, op, enterMmx: op->Immediate != 0);
        }
    }

    private readonly struct Memory<T> : IStep where T : struct, IPackedConversion
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static bool Do<W, M>(CpuState* s, Op* op) where W : struct, IWidth where M : struct, IMemory
        {
            if ((op->Immediate & DestinationIsMmx) != 0 && !X87.CheckPending(s))
                return false;
            if (T.IsNarrow)
            {
                if (!M.Load<W64>(s, op, out ulong b))
                    return false;
                s->ScratchLow = b;
            }
            else
            {
                if (!M.LoadVector<Aligned>(s, op, out Vector128<byte> b))
                    return false;
                b.Store((byte*)&s->ScratchLow);
            }
            return Convert<T>(s, op, enterMmx: (op->Immediate & DestinationIsMmx) != 0);
        }
    }

    /// <summary>Converts what is in the scratch of the state.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Convert<T>(CpuState* s, Op* op, bool enterMmx) where T : struct, IPackedConversion
    {
        FloatContext c = SseFloat.Context(s);
        Vector128<byte> r = T.Apply(Vector128.Load((byte*)&s->ScratchLow), ref c);
        if (!SseFloat.Finish(s, ref c))
            return false;
        if (enterMmx)
        {
            // SDM, "Effect of MMX Instructions on the x87 Tag Word": all valid, TOS 0.
            s->Floating.Tags = 0xFF;
            s->Floating.Status &= 0xFFFF ^ (7 << X87Status.TopShift);
        }
        if ((op->Immediate & DestinationIsMmx) != 0)
        {
            ulong* place = (ulong*)FloatingRegisters.Mmx(s, op->Reg0);
            (place[0], place[1]) = (r.AsUInt64()[0], 0xFFFF);
        }
        else if ((op->Immediate & KeepsUpperHalf) != 0)
        {
            *(ulong*)FloatingRegisters.Xmm(s, op->Reg0) = r.AsUInt64()[0];
        }
        else
        {
            r.Store(FloatingRegisters.Xmm(s, op->Reg0));
        }
        return true;
    }
}
