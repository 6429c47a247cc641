using Emu.Cpus;
using Iced.Intel;

namespace Emu.Differ.Cases;

/// <summary>Bytes that a case puts into memory over the background.</summary>
public readonly record struct MemoryPatch(ulong Address, byte[] Bytes);

/// <summary>
/// One or two instructions, and the state they start from. Everything that is not said has its default: registers 0, flags 2, memory the
/// background of the <see cref="Arena"/>. Its text is one line, which replays it.
/// </summary>
public sealed class Case
{
    public const int MaximumBytes = 32;

    public CodeMode Mode { get; set; }

    /// <summary>The instructions; <see cref="Length"/> bytes count.</summary>
    public byte[] Code { get; } = new byte[MaximumBytes];
    public int Length { get; set; }

    /// <summary>Instructions in <see cref="Code"/>.</summary>
    public int Count { get; set; } = 1;

    /// <summary>Selector of CS in real-address mode.</summary>
    public ushort Cs { get; set; }

    public ulong Rip { get; set; }

    /// <summary>RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.</summary>
    public ulong[] Registers { get; } = new ulong[16];

    public ulong Flags { get; set; } = 2;

    /// <summary>x87, MMX and SSE registers.</summary>
    public FloatingState Floating = FloatingImage.Default;

    public List<MemoryPatch> Memory { get; } = [];

    /// <summary>The instructions as decoded; valid after <see cref="Decode"/>.</summary>
    public Instruction First, Second;

    /// <summary>Linear address of the first byte.</summary>
    public ulong LinearRip => Mode == CodeMode.Real16 ? Rip + ((ulong)Cs << 4) : Rip;

    /// <summary>The instruction that decides how the case ends.</summary>
    public ref readonly Instruction Last => ref Count == 2 ? ref Second : ref First;

    public void Clear(CodeMode mode)
    {
        Mode = mode;
        Length = 0;
        Count = 1;
        Cs = 0;
        Array.Clear(Registers);
        Flags = mode.DefaultFlags();
        Floating = FloatingImage.Default;
        Memory.Clear();
    }

    /// <summary>Takes over the instructions of a case, and where they stand.</summary>
    public void TakeInstructions(Case from)
    {
        from.Code.CopyTo(Code, 0);
        Length = from.Length;
        Count = from.Count;
        Cs = from.Cs;
        Rip = from.Rip;
        First = from.First;
        Second = from.Second;
    }

    public Case Copy()
    {
        var copy = new Case();
        copy.Clear(Mode);
        Code.CopyTo(copy.Code, 0);
        copy.Length = Length;
        copy.Count = Count;
        copy.Cs = Cs;
        copy.Rip = Rip;
        Registers.CopyTo(copy.Registers, 0);
        copy.Flags = Flags;
        copy.Floating = Floating;
        copy.Memory.AddRange(Memory);
        copy.First = First;
        copy.Second = Second;
        return copy;
    }

    /// <summary>Decodes the bytes; false when they are not one or two whole instructions.</summary>
    public bool Decode()
    {
        Decoder decoder = Decoder.Create(Mode.Bits(), new ByteArrayCodeReader(Code, 0, Length), Rip);
        decoder.Decode(out First);
        Count = 1;
        if (decoder.LastError == DecoderError.NoMoreBytes)
            return false;
        if (First.IsInvalid || First.Length == Length)
            return true;
        decoder.Decode(out Second);
        Count = 2;
        return decoder.LastError != DecoderError.NoMoreBytes && First.Length + Second.Length == Length;
    }
}
