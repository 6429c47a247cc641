using Emu.Cpus;
using Iced.Intel;

namespace Emu.Differ.Cases;

/// <summary>Numbers at which floating-point arithmetic may tip over, and states of x87, MMX and SSE.</summary>
public static unsafe class FloatingValues
{
    /// <summary>Signs left out: zero, smallest and largest denormal, smallest normal and its neighbour, 1 and its neighbours, 2, 3, powers of two at which integers end, largest, infinity, a QNaN, two SNaNs, the real indefinite.</summary>
    private static readonly uint[] s_singles =
    [
        0, 1, 0x007F_FFFF, 0x0080_0000, 0x0080_0001, 0x3F7F_FFFF, 0x3F80_0000, 0x3F80_0001, 0x3F00_0000, 0x3EFF_FFFF, 0x3FC0_0000, 0x4000_0000, 0x4040_0000,
        0x46FF_FE00, 0x4700_0000, 0x4EFF_FFFF, 0x4F00_0000, 0x4F80_0000, 0x5EFF_FFFF, 0x5F00_0000, 0x5F80_0000, 0x4B7F_FFFF, 0x4B80_0000, 0x7F7F_FFFF, 0x7F00_0000,
        0x7F80_0000, 0x7FC1_2345, 0x7FA0_0001, 0x7F80_0001, 0x7FC0_0000, 0x1F80_0000, 0x2000_0000,
    ];

    private static readonly ulong[] s_doubles =
    [
        0, 1, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x0010_0000_0000_0001, 0x3FEF_FFFF_FFFF_FFFF, 0x3FF0_0000_0000_0000, 0x3FF0_0000_0000_0001,
        0x3FE0_0000_0000_0000, 0x3FF8_0000_0000_0000, 0x4000_0000_0000_0000, 0x4008_0000_0000_0000, 0x40DF_FFC0_0000_0000, 0x41DF_FFFF_FFC0_0000,
        0x41DF_FFFF_FFE0_0000, 0x41E0_0000_0000_0000, 0x43DF_FFFF_FFFF_FFFF, 0x43E0_0000_0000_0000, 0x433F_FFFF_FFFF_FFFF, 0x36A0_0000_0000_0000,
        0x3810_0000_0000_0000, 0x380F_FFFF_FFFF_FFFF, 0x47EF_FFFF_E000_0000, 0x47EF_FFFF_F000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0x7FE0_0000_0000_0000,
        0x7FF0_0000_0000_0000, 0x7FF8_1234_5678_9ABC, 0x7FF4_0000_0000_0001, 0x7FF0_0000_0000_0001, 0x7FF8_0000_0000_0000, 0x1FF0_0000_0000_0000,
    ];

    /// <summary>Exponent and significand, also of those that no operation makes: pseudo-denormals, unnormals, pseudo-infinities and pseudo-NaNs.</summary>
    private static readonly (ushort Exponent, ulong Significand)[] s_extended =
    [
        (0, 0), (0, 1), (0, 0x7FFF_FFFF_FFFF_FFFF), (0, 0x8000_0000_0000_0000), (0, 0x8000_0000_0000_0001), (1, 0x8000_0000_0000_0000), (1, 0x8000_0000_0000_0001),
        (0x3FFE, 0xFFFF_FFFF_FFFF_FFFF), (0x3FFF, 0x8000_0000_0000_0000), (0x3FFF, 0x8000_0000_0000_0001), (0x3FFF, 0xC000_0000_0000_0000), (0x4000, 0x8000_0000_0000_0000),
        (0x4000, 0xC000_0000_0000_0000), (0x3FFE, 0x8000_0000_0000_0000), (0x3FFE, 0xC90F_DAA2_2168_C235), (0x4000, 0xC90F_DAA2_2168_C235), (0x4002, 0xA000_0000_0000_0000),
        (0x403E, 0x8000_0000_0000_0000), (0x403D, 0xFFFF_FFFF_FFFF_FFFF), (0x403E, 0xFFFF_FFFF_FFFF_FFFF), (0x401E, 0x8000_0000_0000_0000), (0x400E, 0x8000_0000_0000_0000),
        (0x3F81, 0x8000_0000_0000_0000), (0x3F6A, 0x8000_0000_0000_0000), (0x407E, 0xFFFF_FF00_0000_0000), (0x407E, 0xFFFF_FF80_0000_0000), (0x3C01, 0x8000_0000_0000_0000),
        (0x43FE, 0xFFFF_FFFF_FFFF_F800), (0x43FE, 0xFFFF_FFFF_FFFF_FC00), (0x403A, 0xDE0B_6B3A_763F_FFF0), (0x403A, 0xDE0B_6B3A_7640_0000),
        (0x7FFE, 0xFFFF_FFFF_FFFF_FFFF), (0x7FFF, 0x8000_0000_0000_0000), (0x7FFF, 0xC000_0000_0000_0000), (0x7FFF, 0xC123_4567_89AB_CDEF), (0x7FFF, 0x8000_0000_0000_0001),
        (0x7FFF, 0xA000_0000_0000_0000), (0x3FFF, 0x4000_0000_0000_0000), (0x4000, 0), (0x7FFF, 0), (0x7FFF, 0x4000_0000_0000_0001), (0x1FFF, 0x8000_0000_0000_0000),
    ];

    /// <summary>Whether instructions of a code have to do with x87, MMX or SSE.</summary>
    public static bool IsFloating(Code code)
    {
        foreach (CpuidFeature feature in code.CpuidFeatures())
            if (feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387 or CpuidFeature.MMX or CpuidFeature.SSE or CpuidFeature.SSE2
                or CpuidFeature.SSE3 or CpuidFeature.SSSE3 or CpuidFeature.SSE4_1 or CpuidFeature.SSE4_2 or CpuidFeature.AES or CpuidFeature.PCLMULQDQ
                or CpuidFeature.SHA or CpuidFeature.FXSR or CpuidFeature.XSAVE or CpuidFeature.XSAVEC or CpuidFeature.XSAVEOPT)
                return true;
        return false;
    }

    public static uint Single(ref Dice dice) => dice.Below(4) switch
    {
        0 or 1 => s_singles[dice.Below(s_singles.Length)] | Sign(ref dice) << 31,
        2 => (uint)dice.Next() & 0x807F_FFFF | (uint)(127 - 12 + dice.Below(24)) << 23,
        _ => (uint)dice.Next(),
    };

    public static ulong Double(ref Dice dice) => dice.Below(4) switch
    {
        0 or 1 => s_doubles[dice.Below(s_doubles.Length)] | (ulong)Sign(ref dice) << 63,
        2 => dice.Next() & 0x800F_FFFF_FFFF_FFFF | (ulong)(1023 - 25 + dice.Below(50)) << 52,
        _ => dice.Next(),
    };

    /// <summary>An 80-bit number.</summary>
    public static (ushort Exponent, ulong Significand) Extended(ref Dice dice)
    {
        ushort sign = (ushort)(Sign(ref dice) << 15);
        switch (dice.Below(8))
        {
            case < 3:
                (ushort exponent, ulong significand) = s_extended[dice.Below(s_extended.Length)];
                return ((ushort)(exponent | sign), significand);
            case < 6:
                return ((ushort)(sign | 0x3FFF - 34 + dice.Below(68)), dice.Next() | 1UL << 63);
            case 6:
                // Few bits, so that results are exact.
                return ((ushort)(sign | 0x3FFF - 8 + dice.Below(16)), (ulong)(dice.Below(64) | 64) << 57);
            default:
                return ((ushort)(sign | (int)(dice.Next() & 0x7FFF)), dice.Next() | 1UL << 63);
        }
    }

    /// <summary>8 bytes of a vector or memory operand with elements of a kind.</summary>
    public static ulong Lanes(ref Dice dice, MemorySize element) => element switch
    {
        MemorySize.Float32 => Single(ref dice) | (ulong)Single(ref dice) << 32,
        MemorySize.Float64 => Double(ref dice),
        MemorySize.Float80 => Extended(ref dice).Significand,
        _ => dice.Value(),
    };

    /// <summary>Fills all registers for an instruction whose operands are of a kind.</summary>
    public static void Fill(ref FloatingState s, MemorySize element, ref Dice dice)
    {
        for (int i = 0; i < 32; i++)
            s.Xmm[i] = Lanes(ref dice, dice.Percent(75) ? element : dice.Pick<MemorySize>([MemorySize.Float32, MemorySize.Float64, MemorySize.UInt64]));
        bool integers = dice.Percent(element is MemorySize.Float32 or MemorySize.Float64 or MemorySize.Float80 ? 15 : 50);
        for (int i = 0; i < 8; i++)
        {
            (ushort exponent, ulong significand) = Extended(ref dice);
            s.X87[2 * i] = integers ? dice.Value() : significand;
            s.X87[2 * i + 1] = integers ? (ushort)0xFFFF : exponent;
        }
        s.Mxcsr = Exceptions(ref dice, 25) | Masks(ref dice) << 7 | (uint)dice.Below(4) << 13 | (dice.Percent(15) ? 0x8000U : 0) | (dice.Percent(15) ? 0x40U : 0);
        uint masks = Masks(ref dice), flags = Exceptions(ref dice, 20);
        uint precision = dice.Below(5) switch { 0 => 0, 1 => 2, _ => 3 };
        s.Control = (ushort)(masks | 0x40 | precision << 8 | (uint)dice.Below(4) << 10);
        if (!dice.Percent(10))
            flags &= masks;
        s.Status = (ushort)(flags | (uint)dice.Below(8) << X87Status.TopShift | (dice.Percent(30) ? (uint)dice.Next() & 0x4740 : 0));
        if ((flags & ~masks) != 0)
            s.Status |= X87Status.Summary | X87Status.Busy;
        s.Tags = dice.Below(5) switch { 0 => (byte)dice.Next(), 1 => 0, _ => 0xFF };
        s.Opcode = (ushort)(dice.Next() & 0x7FF);
        s.InstructionPointer = dice.Next() & uint.MaxValue;
        s.DataPointer = dice.Next() & uint.MaxValue;
    }

    private static uint Sign(ref Dice dice) => (uint)dice.Below(2);

    private static uint Masks(ref Dice dice) => dice.Percent(75) ? 0x3FU : (uint)dice.Next() & 0x3F;

    private static uint Exceptions(ref Dice dice, int percent) => dice.Percent(percent) ? (uint)dice.Next() & 0x3F : 0;
}
