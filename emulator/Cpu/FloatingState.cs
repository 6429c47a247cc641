using System.Runtime.InteropServices;

namespace Emu.Cpus;

/// <summary>
/// The registers of x87, MMX and SSE, part of <see cref="CpuState"/>. x87 registers are kept as the physical R0 to R7, ST(i) being
/// R[(TOP + i) mod 8], so that MMi is the significand of Ri (SDM, "MMX State" and "x87 FPU Data Registers").
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct FloatingState
{
    /// <summary>XMM0 to XMM15, low half first. 16 bytes each.</summary>
    public fixed ulong Xmm[32];

    /// <summary>R0 to R7, 16 bytes each: the significand, then sign and exponent in the low 16 bits of the second word, whose rest is zero.</summary>
    public fixed ulong X87[16];

    /// <summary>Offset and selector of the last non-control x87 instruction, and of its memory operand.</summary>
    public ulong InstructionPointer, DataPointer;
    public ushort InstructionSelector, DataSelector;

    /// <summary>The last 11 bits of the opcode of the last non-control x87 instruction.</summary>
    public ushort Opcode;

    public ushort Control;

    /// <summary>Status word; TOP in bits 13:11.</summary>
    public ushort Status;

    /// <summary>Abridged tags as FXSAVE stores them: bit i is 1 when Ri is not empty.</summary>
    public byte Tags;

    /// <summary>How far the report of a pending exception by FERR# has got, while <see cref="X87Status.Summary"/> is set and CR0.NE is not.</summary>
    public NumericError Error;
    public uint Mxcsr;

    /// <summary>XCR0: which components XSAVE and its kin handle.</summary>
    public ulong Xcr0;
    public ulong Xss;

    /// <summary>After power-up and INIT of x87 (FNINIT's values differ: those after power-up have no exception masked). SDM, "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT".</summary>
    public const ushort ControlAfterPowerUp = 0x40;

    /// <summary>After FNINIT.</summary>
    public const ushort ControlAfterInit = 0x37F;

    public const uint MxcsrAfterPowerUp = 0x1F80;

    /// <summary>After power-up: the tag word 5555h says that all registers hold zero.</summary>
    public static FloatingState AfterPowerUp { get; } = new() { Control = ControlAfterPowerUp, Tags = 0xFF, Mxcsr = MxcsrAfterPowerUp, Xcr0 = 1 };
}

/// <summary>
/// The pins of the report with CR0.NE = 0 (SDM Vol. 1, "MS-DOS* Compatibility Sub-mode in the P6 Family and Pentium 4 Processors"). Both fall when ES does.
/// </summary>
[Flags]
public enum NumericError : byte
{
    None = 0,

    /// <summary>FERR# is asserted: a waiting instruction has met the exception.</summary>
    Reported = 1,

    /// <summary>IGNNE# is asserted: waiting instructions execute all the same.</summary>
    Ignored = 2,
}

/// <summary>Bits of the x87 status word.</summary>
public static class X87Status
{
    public const ushort Invalid = 1;
    public const ushort Denormal = 2;
    public const ushort ZeroDivide = 4;
    public const ushort Overflow = 8;
    public const ushort Underflow = 0x10;
    public const ushort Precision = 0x20;
    public const ushort StackFault = 0x40;

    /// <summary>ES: an unmasked exception is pending; the next waiting x87 instruction raises #MF.</summary>
    public const ushort Summary = 0x80;
    public const ushort C0 = 0x100;
    public const ushort C1 = 0x200;
    public const ushort C2 = 0x400;
    public const ushort C3 = 0x4000;
    public const ushort Busy = 0x8000;
    public const int TopShift = 11;
}
