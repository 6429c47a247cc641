using Emu.Cpus;

namespace Emu.Differ.Cases;

/// <summary>x87, MMX and SSE registers as a case starts with them, and in the form of FXSAVE (SDM, "Non-64-bit-Mode Layout of FXSAVE Map", with REX.W).</summary>
public static unsafe class FloatingImage
{
    public const int Bytes = 512;

    private const int Registers = 32, Vectors = 160;

    /// <summary>Registers of a case that says nothing about them: all zero, x87 and MXCSR as FNINIT and reset leave them.</summary>
    public static FloatingState Default { get; } = new()
    {
        Control = FloatingState.ControlAfterInit,
        Mxcsr = FloatingState.MxcsrAfterPowerUp,
        Xcr0 = 3, // x87 and SSE, which every oracle has
    };

    /// <summary>The register that is ST(0).</summary>
    public static int Top(in FloatingState s) => s.Status >> X87Status.TopShift & 7;

    /// <summary>Writes what FXRSTOR reads.</summary>
    public static void Write(in FloatingState s, byte* image)
    {
        new Span<byte>(image, Bytes).Clear();
        *(ushort*)image = s.Control;
        *(ushort*)(image + 2) = s.Status;
        image[4] = s.Tags;
        *(ushort*)(image + 6) = s.Opcode;
        *(ulong*)(image + 8) = s.InstructionPointer;
        *(ulong*)(image + 16) = s.DataPointer;
        *(uint*)(image + 24) = s.Mxcsr;
        for (int i = 0; i < 8; i++)
        {
            int r = (Top(s) + i) & 7;
            *(ulong*)(image + Registers + 16 * i) = s.X87[2 * r];
            *(ulong*)(image + Registers + 16 * i + 8) = s.X87[2 * r + 1];
        }
        for (int i = 0; i < 32; i++)
            *(ulong*)(image + Vectors + 8 * i) = s.Xmm[i];
    }

    /// <summary>Reads what FXSAVE wrote.</summary>
    public static void Read(ref FloatingState s, byte* image)
    {
        s.Control = *(ushort*)image;
        s.Status = *(ushort*)(image + 2);
        s.Tags = image[4];
        s.Opcode = *(ushort*)(image + 6);
        s.InstructionPointer = *(ulong*)(image + 8);
        s.DataPointer = *(ulong*)(image + 16);
        s.Mxcsr = *(uint*)(image + 24);
        for (int i = 0; i < 8; i++)
        {
            int r = (Top(s) + i) & 7;
            s.X87[2 * r] = *(ulong*)(image + Registers + 16 * i);
            s.X87[2 * r + 1] = *(ushort*)(image + Registers + 16 * i + 8);
        }
        for (int i = 0; i < 32; i++)
            s.Xmm[i] = *(ulong*)(image + Vectors + 8 * i);
    }
}
