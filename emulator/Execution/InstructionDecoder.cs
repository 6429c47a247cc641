using Emu.Cpus;
using Emu.Instructions;
using Iced.Intel;

namespace Emu.Execution;

/// <summary>Iced's decoder over native bytes, one for each code size, kept for reuse.</summary>
public sealed unsafe class InstructionDecoder
{
    /// <summary>"The maximum length of an instruction is 15 bytes"; a longer one is #GP(0).</summary>
    public const int MaximumLength = 15;

    /// <summary>Length of an instruction that has more bytes than it may have.</summary>
    private const int TooLong = MaximumLength + 1;

    private sealed class PointerReader : CodeReader
    {
        public byte* Next;
        public byte* End;

        public override int ReadByte() => Next < End ? *Next++ : -1;
    }

    private readonly PointerReader _reader = new();
    private readonly Decoder[] _decoders;
    private readonly CpuModel _model;

    public InstructionDecoder(CpuModel model)
    {
        _model = model;
        _decoders = [Decoder.Create(16, _reader), Decoder.Create(32, _reader), Decoder.Create(64, _reader)];
    }

    /// <summary>Decodes one instruction from up to <paramref name="length"/> bytes. False when they are too few for it.</summary>
    public bool TryDecode(byte* bytes, int length, ulong rip, uint modeKey, out Instruction instruction)
    {
        _reader.Next = bytes;
        _reader.End = bytes + Math.Min(length, MaximumLength);
        Decoder decoder = _decoders[modeKey & ModeKey.CodeSizeMask];
        decoder.IP = rip;
        decoder.Decode(out instruction);
        if (instruction.Code == Code.Pause && instruction.Length > 2)
            CorrectPause(bytes, ref instruction);
        else if (instruction.Mnemonic is >= Mnemonic.F2xm1 and <= Mnemonic.Fyl2xp1)
            KeepX87Opcode(bytes, ref instruction);
        if (instruction.IsInvalid && length >= MaximumLength && instruction.Length == MaximumLength && NeedsMore(decoder, bytes))
            instruction.Length = TooLong;
        return decoder.LastError != DecoderError.NoMoreBytes || length >= MaximumLength;
    }

    /// <summary>
    /// Iced gives up after 15 bytes without a word whether they are no instruction or the beginning of a longer one. Without their first, a prefix, the
    /// rest asks for more bytes if it is the latter.
    /// </summary>
    private bool NeedsMore(Decoder decoder, byte* bytes)
    {
        _reader.Next = bytes + 1;
        _reader.End = bytes + MaximumLength;
        decoder.Decode(out _);
        return decoder.LastError == DecoderError.NoMoreBytes;
    }

    /// <summary>With REX.B, opcode 90 is XCHG r8, rAX, and so it is behind F3 (seen on a CPU); Iced 1.22 takes it for PAUSE.</summary>
    private static void CorrectPause(byte* bytes, ref Instruction pause)
    {
        int length = pause.Length;
        byte rex = bytes[length - 2];
        if ((rex & 0xF1) != 0x41 || pause.CodeSize != CodeSize.Code64)
            return;
        bool narrow = new ReadOnlySpan<byte>(bytes, length - 2).Contains((byte)0x66);
        Instruction exchange = (rex & 8) != 0 ? Instruction.Create(Code.Xchg_r64_RAX, Register.R8, Register.RAX)
            : narrow ? Instruction.Create(Code.Xchg_r16_AX, Register.R8W, Register.AX)
            : Instruction.Create(Code.Xchg_r32_EAX, Register.R8D, Register.EAX);
        exchange.CodeSize = pause.CodeSize;
        exchange.Length = length;
        exchange.NextIP = pause.NextIP;
        pause = exchange;
    }

    /// <summary>
    /// Iced does not tell the ModRM byte of a memory operand: with a SIB byte that was not needed it is another. FOP wants it, and it stands where an immediate
    /// would, of which x87 instructions have none.
    /// </summary>
    private static void KeepX87Opcode(byte* bytes, ref Instruction instruction)
    {
        // No prefix is D8 to DF.
        for (int i = 0; i < instruction.Length - 1; i++)
        {
            if ((bytes[i] & 0xF8) == 0xD8)
            {
                instruction.Immediate16 = (ushort)((bytes[i] & 7) << 8 | bytes[i + 1]);
                return;
            }
        }
    }

    /// <summary>Fills in an operation for a decoded instruction and says how control goes on.</summary>
    /// <param name="flagsDead">Nobody will see the flags that it sets.</param>
    public FlowKind Lower(in Instruction instruction, Op* op, uint modeKey, bool flagsDead = false)
    {
        var lowering = new Lowering(instruction, op, modeKey, _model) { FlagsDead = flagsDead };
        if (instruction.IsInvalid)
        {
            // All bytes that tell it from an instruction: when one of them changes it may be one.
            op->Length = (byte)Math.Clamp(instruction.Length, 1, MaximumLength);
            if (instruction.Length == TooLong)
                Refusals.TooLong(ref lowering);
            else
                Refusals.Undefined(ref lowering);
        }
        else
        {
            InstructionTable.Lower(ref lowering);
        }
        return lowering.Flow;
    }

    /// <summary>The step type of an instruction; null where it is no step that can be joined to others.</summary>
    public StepType? StepTypeOf(in Instruction instruction, uint modeKey, bool flagsDead)
    {
        Op scratch = default;
        var lowering = new Lowering(instruction, &scratch, modeKey, _model) { FlagsDead = flagsDead, WantsStepType = true };
        InstructionTable.Lower(ref lowering);
        return lowering.Flow == FlowKind.Next ? lowering.StepType : null;
    }
}
