namespace Emu.Float;

/// <summary>Rounding control, encoded as in the x87 control word and in MXCSR.</summary>
public enum Rounding : byte
{
    /// <summary>To the nearest, ties to even.</summary>
    Nearest = 0,

    /// <summary>Towards minus infinity.</summary>
    Down = 1,

    /// <summary>Towards plus infinity.</summary>
    Up = 2,

    /// <summary>Towards zero.</summary>
    Zero = 3,
}

/// <summary>The six exceptions, at the positions of their flags in the x87 status word and in MXCSR.</summary>
[Flags]
public enum FloatFlags : byte
{
    None = 0,
    Invalid = 1,

    /// <summary>An operand was denormal.</summary>
    Denormal = 2,
    ZeroDivide = 4,
    Overflow = 8,
    Underflow = 0x10,

    /// <summary>The result was rounded.</summary>
    Precision = 0x20,

    /// <summary>Found before a result is computed; when one of these is unmasked there is none.</summary>
    BeforeResult = Invalid | Denormal | ZeroDivide,
    All = 0x3F,
}

/// <summary>How an operation rounds, and what it reports. One for each instruction.</summary>
public struct FloatContext
{
    public Rounding Rounding;

    /// <summary>Exceptions that are masked: they have a default result.</summary>
    public FloatFlags Masked;

    /// <summary>Exceptions that have been raised so far.</summary>
    public FloatFlags Raised;

    /// <summary>Bits to which results in <see cref="Extended"/> format are rounded: 24, 53 or 64 (SDM, "Precision Control Field").</summary>
    public byte Precision;

    /// <summary>MXCSR.DAZ.</summary>
    public bool DenormalsAreZero;

    /// <summary>MXCSR.FZ.</summary>
    public bool FlushToZero;

    /// <summary>The last rounding increased the magnitude: C1 of the x87 status word.</summary>
    public bool RoundedUp;

    /// <summary>Raised and not masked.</summary>
    public readonly FloatFlags Unmasked => Raised & ~Masked;
}
