using System.Numerics;
using System.Runtime.CompilerServices;
using Emu.Cpus;

namespace Emu.Instructions;

/// <summary>
/// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM, "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM"). Both are strings
/// of bytes or words; what stands behind a string's end is invalid. A memory operand need not be aligned.
/// </summary>
public static unsafe class TextComparison
{
    /// <summary>Where the lengths come from.</summary>
    public interface ILength
    {
        /// <summary>Valid elements of the string, at most <paramref name="most"/>.</summary>
        /// <param name="register">0 for RAX, 2 for RDX.</param>
        static abstract int Of(CpuState* s, byte* text, int register, bool words, int most);
    }

    /// <summary>The absolute value of EAX or EDX.</summary>
    public readonly struct Explicit32 : ILength
    {
        public static int Of(CpuState* s, byte* text, int register, bool words, int most) => Saturate((int)s->Registers[register], most);
    }

    /// <summary>The absolute value of RAX or RDX, with REX.W.</summary>
    public readonly struct Explicit64 : ILength
    {
        public static int Of(CpuState* s, byte* text, int register, bool words, int most) => Saturate((long)s->Registers[register], most);
    }

    /// <summary>Up to the first zero.</summary>
    public readonly struct Implicit : ILength
    {
        public static int Of(CpuState* s, byte* text, int register, bool words, int most)
        {
            int n = 0;
            while (n < most && Element(text, n, words, signed: false) != 0)
                n++;
            return n;
        }
    }

    /// <summary>The index into ECX.</summary>
    public readonly struct Index<TLength> : ILongVectorOperation where TLength : struct, ILength
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            uint result = Compare<TLength>(s, destination, source, immediate, out int most);
            s->Registers[1] = result == 0 ? (ulong)most
                : (immediate & 0x40) != 0 ? (ulong)BitOperations.Log2(result) : (ulong)BitOperations.TrailingZeroCount(result);
        }
    }

    /// <summary>The mask into XMM0: of bits, or of whole elements.</summary>
    public readonly struct Mask<TLength> : ILongVectorOperation where TLength : struct, ILength
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Execute(CpuState* s, byte* destination, byte* source, int immediate)
        {
            UInt128 mask = Compare<TLength>(s, destination, source, immediate, out int most);
            if ((immediate & 0x40) != 0)
            {
                uint bits = (uint)mask;
                int width = 128 / most;
                mask = 0;
                for (int i = 0; i < most; i++)
                    if ((bits >> i & 1) != 0)
                        mask |= ((UInt128.One << width) - 1) << (i * width);
            }
            *(UInt128*)FloatingRegisters.Xmm(s, 0) = mask;
        }
    }

    /// <summary>IntRes2, and the flags.</summary>
    private static uint Compare<TLength>(CpuState* s, byte* a, byte* b, int immediate, out int most) where TLength : struct, ILength
    {
        bool words = (immediate & 1) != 0;
        most = words ? 8 : 16;
        int lengthA = TLength.Of(s, a, 0, words, most), lengthB = TLength.Of(s, b, 2, words, most);
        uint all = (1U << most) - 1;
        uint result = Aggregate(a, lengthA, b, lengthB, most, immediate);
        // Polarity: "negative" inverts all, "masked negative" what is valid in the second string.
        if ((immediate & 0x30) == 0x10)
            result ^= all;
        else if ((immediate & 0x30) == 0x30)
            result ^= (1U << lengthB) - 1;
        // SDM: "CFlag - reset if IntRes2 is equal to zero; ZFlag - set if the second string ends; SFlag - if the first does; OFlag - IntRes2[0]".
        Flags.SetArithmetic(s, (result != 0 ? Rflags.Cf : 0) | (lengthB < most ? Rflags.Zf : 0) | (lengthA < most ? Rflags.Sf : 0)
            | ((result & 1) != 0 ? Rflags.Of : 0));
        return result;
    }

    /// <summary>IntRes1.</summary>
    private static uint Aggregate(byte* a, int lengthA, byte* b, int lengthB, int most, int immediate)
    {
        bool words = (immediate & 1) != 0, signed = (immediate & 2) != 0;
        uint result = 0;
        for (int j = 0; j < most; j++)
        {
            bool bit;
            switch (immediate >> 2 & 3)
            {
                case 0: // Equal any: the second string's element is one of the first's.
                    bit = false;
                    for (int i = 0; i < lengthA && j < lengthB; i++)
                        bit |= Element(a, i, words, signed) == Element(b, j, words, signed);
                    break;
                case 1: // Ranges: it lies between two of the first's. Half a pair is none.
                    bit = false;
                    for (int i = 0; i + 1 < lengthA && j < lengthB; i += 2)
                        bit |= Element(a, i, words, signed) <= Element(b, j, words, signed) && Element(b, j, words, signed) <= Element(a, i + 1, words, signed);
                    break;
                case 2: // Equal each: both ended, or equal.
                    bit = j < lengthA && j < lengthB ? Element(a, j, words, signed) == Element(b, j, words, signed) : j >= lengthA && j >= lengthB;
                    break;
                default: // Equal ordered: the first string begins here, as far as the register goes.
                    bit = true;
                    for (int i = 0; i < lengthA && i + j < most; i++)
                        bit &= i + j < lengthB && Element(a, i, words, signed) == Element(b, i + j, words, signed);
                    break;
            }
            result |= (bit ? 1U : 0) << j;
        }
        return result;
    }

    private static int Element(byte* text, int i, bool words, bool signed) => (words, signed) switch
    {
        (false, false) => text[i],
        (false, true) => (sbyte)text[i],
        (true, false) => ((ushort*)text)[i],
        (true, true) => ((short*)text)[i],
    };

    private static int Saturate(long length, int most) => length == long.MinValue ? most : (int)Math.Min(Math.Abs(length), most);
}
