using Iced.Intel;
using Kind = Iced.Intel.OpCodeOperandKind;

namespace Emu.Differ.Cases;

/// <summary>Makes random instances of an instruction code: operands by its table entry, bytes by Iced's encoder, prefixes by chance.</summary>
public sealed class InstructionMaker
{
    private static readonly Register[] s_bytes64 =
    [
        Register.AL, Register.CL, Register.DL, Register.BL, Register.AH, Register.CH, Register.DH, Register.BH, Register.SPL, Register.BPL,
        Register.SIL, Register.DIL, Register.R8L, Register.R9L, Register.R13L, Register.R15L,
    ];

    private static readonly Register[] s_segments = [Register.ES, Register.CS, Register.SS, Register.DS, Register.FS, Register.GS];

    private readonly Encoder _encoder;
    private readonly Buffer _buffer = new();

    public InstructionMaker(CodeMode mode)
    {
        Mode = mode;
        _encoder = Encoder.Create(mode.Bits(), _buffer);
    }

    private sealed class Buffer : CodeWriter
    {
        public readonly byte[] Bytes = new byte[32];
        public int Length;

        public override void WriteByte(byte value) => Bytes[Length++] = value;
    }

    public CodeMode Mode { get; }

    public static bool CanMake(Kind kind) => kind is
        Kind.mem_offs or Kind.mem or Kind.r8_or_mem or Kind.r16_or_mem or Kind.r32_or_mem or Kind.r64_or_mem or Kind.r8_reg or Kind.r8_opcode
        or Kind.r16_reg or Kind.r16_reg_mem or Kind.r16_rm or Kind.r16_opcode or Kind.r32_reg or Kind.r32_reg_mem or Kind.r32_rm
        or Kind.r32_opcode or Kind.r32_vvvv or Kind.r64_reg or Kind.r64_reg_mem or Kind.r64_rm or Kind.r64_opcode or Kind.r64_vvvv
        or Kind.seg_reg or Kind.es or Kind.cs or Kind.ss or Kind.ds or Kind.fs or Kind.gs or Kind.al or Kind.cl or Kind.ax or Kind.dx or Kind.eax
        or Kind.rax or Kind.imm8 or Kind.imm8_const_1 or Kind.imm8sex16 or Kind.imm8sex32 or Kind.imm8sex64 or Kind.imm16 or Kind.imm32
        or Kind.imm32sex64 or Kind.imm64 or Kind.seg_rSI or Kind.es_rDI or Kind.seg_rBX_al or Kind.br16_1 or Kind.br32_1 or Kind.br64_1
        or Kind.mm_reg or Kind.mm_rm or Kind.mm_or_mem or Kind.xmm_reg or Kind.xmm_rm or Kind.xmm_or_mem or Kind.st0 or Kind.sti_opcode
        or Kind.seg_rDI or Kind.br16_2 or Kind.br32_4 or Kind.br64_4 or Kind.cr_reg or Kind.dr_reg or Kind.tr_reg or Kind.farbr2_2 or Kind.farbr4_2;

    /// <summary>
    /// Makes an instance at <paramref name="rip"/> and decodes it again from its bytes. False when this attempt cannot be encoded.
    /// </summary>
    public bool TryMake(Code code, ref Dice dice, ulong rip, out Instruction instruction, Span<byte> bytes)
    {
        OpCodeInfo info = code.ToOpCode();
        var i = new Instruction { Code = code };
        int addressBytes = AddressBytes(ref dice);
        for (int operand = 0; operand < info.OpCount; operand++)
        {
            Kind kind = info.GetOpKind(operand);
            if (!SetOperand(ref i, operand, kind, ref dice, rip, addressBytes))
            {
                instruction = default;
                return false;
            }
        }
        bool memory = HasMemory(i);
        if (memory && !info.IgnoresSegment && dice.Percent(12))
            i.SegmentPrefix = Mode.Is64() ? dice.Pick<Register>([Register.FS, Register.GS]) : dice.Pick<Register>(s_segments);
        if (info.CanUseLockPrefix && i.Op0Kind == OpKind.Memory && dice.Percent(25))
            i.HasLockPrefix = true;
        if (info.CanUseRepPrefix && code.Mnemonic() != Mnemonic.Pause && dice.Percent(50))
            i.HasRepPrefix = true;
        else if (info.CanUseRepnePrefix && dice.Percent(50))
            i.HasRepnePrefix = true;

        _buffer.Length = 0;
        if (!_encoder.TryEncode(i, rip, out _, out _))
        {
            instruction = default;
            return false;
        }
        int length = _buffer.Length;
        _buffer.Bytes.AsSpan(0, length).CopyTo(bytes);
        // Where a prefix is part of the opcode, the manual does not say what several of them make.
        if (dice.Percent(4) && info.MandatoryPrefix == MandatoryPrefix.None)
            AddPrefix(ref dice, bytes, ref length);
        return Decode(bytes[..length], rip, out instruction);
    }

    private bool Decode(ReadOnlySpan<byte> bytes, ulong rip, out Instruction instruction)
    {
        Decoder decoder = Decoder.Create(Mode.Bits(), new ByteArrayCodeReader(bytes.ToArray()), rip);
        decoder.Decode(out instruction);
        return !instruction.IsInvalid && instruction.Length == bytes.Length;
    }

    /// <summary>A prefix that may change the instruction's meaning or none; who uses it looks at what it has become.</summary>
    private void AddPrefix(ref Dice dice, Span<byte> bytes, ref int length)
    {
        ReadOnlySpan<byte> legacy = [0x66, 0x67, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0xF2, 0xF3];
        // A REX prefix only directly before the opcode: Unicorn obeys one that other prefixes follow, which the CPU ignores.
        bool rex = Mode.Is64() && !legacy.Contains(bytes[0]) && bytes[0] != 0xF0 && (bytes[0] & 0xF0) != 0x40;
        // Nor both REP prefixes, of which the manual defines no combination.
        if (bytes[..length].ContainsAny((byte)0xF2, (byte)0xF3))
            legacy = legacy[..8];
        byte prefix = rex && dice.Percent(60) ? (byte)(0x40 + dice.Below(16)) : dice.Pick(legacy);
        if (length >= 15)
            return;
        bytes[..length].CopyTo(bytes[1..]);
        bytes[0] = prefix;
        length++;
    }

    private int AddressBytes(ref Dice dice) => Mode.Bits() switch
    {
        16 => dice.Percent(75) ? 2 : 4,
        32 => dice.Percent(90) ? 4 : 2,
        _ => dice.Percent(90) ? 8 : 4,
    };

    private bool SetOperand(ref Instruction i, int operand, Kind kind, ref Dice dice, ulong rip, int addressBytes)
    {
        switch (kind)
        {
            case Kind.mem:
                SetMemory(ref i, operand, ref dice, rip, addressBytes);
                return true;
            case Kind.mem_offs:
                i.SetOpKind(operand, OpKind.Memory);
                i.MemoryDisplSize = addressBytes;
                i.MemoryDisplacement64 = DataAddresses.Pick(Mode, ref dice, addressBytes, 1) - 0;
                return true;
            case Kind.r8_or_mem or Kind.r16_or_mem or Kind.r32_or_mem or Kind.r64_or_mem or Kind.mm_or_mem or Kind.xmm_or_mem:
                if (dice.Percent(50))
                    SetMemory(ref i, operand, ref dice, rip, addressBytes);
                else
                    SetRegister(ref i, operand, PickRegister(kind, ref dice));
                return true;
            case Kind.al:
                SetRegister(ref i, operand, Register.AL);
                return true;
            case Kind.cl:
                SetRegister(ref i, operand, Register.CL);
                return true;
            case Kind.ax:
                SetRegister(ref i, operand, Register.AX);
                return true;
            case Kind.dx:
                SetRegister(ref i, operand, Register.DX);
                return true;
            case Kind.eax:
                SetRegister(ref i, operand, Register.EAX);
                return true;
            case Kind.rax:
                SetRegister(ref i, operand, Register.RAX);
                return true;
            case Kind.es or Kind.cs or Kind.ss or Kind.ds or Kind.fs or Kind.gs:
                SetRegister(ref i, operand, s_segments[kind - Kind.es]);
                return true;
            case Kind.seg_reg:
                SetRegister(ref i, operand, dice.Pick<Register>(s_segments));
                // MOV to CS does not exist.
                return operand != 0 || i.Op0Register != Register.CS;
            case Kind.seg_rSI:
                i.SetOpKind(operand, addressBytes switch { 2 => OpKind.MemorySegSI, 4 => OpKind.MemorySegESI, _ => OpKind.MemorySegRSI });
                return true;
            case Kind.seg_rDI:
                i.SetOpKind(operand, addressBytes switch { 2 => OpKind.MemorySegDI, 4 => OpKind.MemorySegEDI, _ => OpKind.MemorySegRDI });
                return true;
            case Kind.es_rDI:
                i.SetOpKind(operand, addressBytes switch { 2 => OpKind.MemoryESDI, 4 => OpKind.MemoryESEDI, _ => OpKind.MemoryESRDI });
                return true;
            case Kind.seg_rBX_al:
                i.SetOpKind(operand, OpKind.Memory);
                i.MemoryBase = addressBytes switch { 2 => Register.BX, 4 => Register.EBX, _ => Register.RBX };
                i.MemoryIndex = Register.AL;
                return true;
            default:
                return SetImmediateOrBranch(ref i, operand, kind, ref dice, rip) || SetPlainRegister(ref i, operand, kind, ref dice);
        }
    }

    private bool SetPlainRegister(ref Instruction i, int operand, Kind kind, ref Dice dice)
    {
        if (kind == Kind.tr_reg)
            return false;
        SetRegister(ref i, operand, PickRegister(kind, ref dice));
        return true;
    }

    private static bool SetImmediateOrBranch(ref Instruction i, int operand, Kind kind, ref Dice dice, ulong rip)
    {
        ulong value = dice.Value();
        switch (kind)
        {
            case Kind.imm8:
                // Where an instruction has two immediates (ENTER), the second has a kind of its own.
                if (operand == 1 && i.Op0Kind == OpKind.Immediate16)
                {
                    i.SetOpKind(operand, OpKind.Immediate8_2nd);
                    i.Immediate8_2nd = (byte)dice.Below(5);
                    return true;
                }
                i.SetOpKind(operand, OpKind.Immediate8);
                i.Immediate8 = (byte)value;
                return true;
            case Kind.imm8_const_1:
                i.SetOpKind(operand, OpKind.Immediate8);
                i.Immediate8 = 1;
                return true;
            case Kind.imm8sex16:
                i.SetOpKind(operand, OpKind.Immediate8to16);
                i.Immediate8to16 = (sbyte)value;
                return true;
            case Kind.imm8sex32:
                i.SetOpKind(operand, OpKind.Immediate8to32);
                i.Immediate8to32 = (sbyte)value;
                return true;
            case Kind.imm8sex64:
                i.SetOpKind(operand, OpKind.Immediate8to64);
                i.Immediate8to64 = (sbyte)value;
                return true;
            case Kind.imm16:
                i.SetOpKind(operand, OpKind.Immediate16);
                i.Immediate16 = i.Mnemonic == Mnemonic.Enter && dice.Percent(80) ? (ushort)dice.Below(64) : (ushort)value;
                return true;
            case Kind.imm32:
                i.SetOpKind(operand, OpKind.Immediate32);
                i.Immediate32 = (uint)value;
                return true;
            case Kind.imm32sex64:
                i.SetOpKind(operand, OpKind.Immediate32to64);
                i.Immediate32to64 = (int)value;
                return true;
            case Kind.imm64:
                i.SetOpKind(operand, OpKind.Immediate64);
                i.Immediate64 = value;
                return true;
            case Kind.farbr2_2:
                i.SetOpKind(operand, OpKind.FarBranch16);
                i.FarBranch16 = (ushort)value;
                i.FarBranchSelector = (ushort)CaseGenerator.CodeSelector(ref dice);
                return true;
            case Kind.farbr4_2:
                i.SetOpKind(operand, OpKind.FarBranch32);
                // Into the code, mostly.
                i.FarBranch32 = dice.Percent(80) ? (uint)(rip + 64 + (ulong)dice.Below(0x1000)) : (uint)value;
                i.FarBranchSelector = (ushort)CaseGenerator.CodeSelector(ref dice);
                return true;
            case Kind.br16_1 or Kind.br16_2:
                i.SetOpKind(operand, OpKind.NearBranch16);
                i.NearBranch16 = (ushort)(rip + Distance(kind == Kind.br16_1, value));
                return true;
            case Kind.br32_1 or Kind.br32_4:
                i.SetOpKind(operand, OpKind.NearBranch32);
                i.NearBranch32 = (uint)(rip + Distance(kind == Kind.br32_1, value));
                return true;
            case Kind.br64_1 or Kind.br64_4:
                i.SetOpKind(operand, OpKind.NearBranch64);
                i.NearBranch64 = rip + Distance(kind == Kind.br64_1, value);
                return true;
            default:
                return false;
        }
    }

    /// <summary>A displacement that a short or near branch can have; the encoder subtracts the length.</summary>
    private static ulong Distance(bool isShort, ulong value) => isShort ? (ulong)((sbyte)value / 2) + 8 : (ulong)(long)(int)value / 2;

    private void SetMemory(ref Instruction i, int operand, ref Dice dice, ulong rip, int addressBytes)
    {
        i.SetOpKind(operand, OpKind.Memory);
        if (addressBytes == 2)
        {
            int form = dice.Below(9);
            i.MemoryBase = form switch { 0 or 1 or 7 => Register.BX, 2 or 3 or 6 => Register.BP, 4 => Register.SI, 5 => Register.DI, _ => Register.None };
            i.MemoryIndex = form switch { 0 or 2 => Register.SI, 1 or 3 => Register.DI, _ => Register.None };
            i.MemoryDisplSize = i.MemoryBase == Register.None ? 2 : dice.Below(3);
            i.MemoryDisplacement64 = i.MemoryBase == Register.None ? DataAddresses.Pick(Mode, ref dice, 2, 1) : Displacement(i.MemoryDisplSize, ref dice);
            i.MemoryDisplacement64 &= 0xFFFF;
            return;
        }
        Register first = addressBytes == 8 ? Register.RAX : Register.EAX;
        int count = Mode.Is64() ? 16 : 8;
        int shape = dice.Below(10);
        if (shape == 0)
        {
            // Absolute; in 64-bit mode also relative to RIP.
            ulong target = DataAddresses.Pick(Mode, ref dice, 4, 1);
            if (Mode.Is64() && dice.Percent(50))
                i.MemoryBase = addressBytes == 8 ? Register.RIP : Register.EIP;
            i.MemoryDisplSize = Mode.Is64() && addressBytes == 8 ? 8 : 4;
            i.MemoryDisplacement64 = target;
            return;
        }
        if (shape != 1)
            i.MemoryBase = first + dice.Below(count);
        if (shape is 1 or >= 6)
        {
            int index = dice.Below(count - 1);
            i.MemoryIndex = first + (index >= 4 ? index + 1 : index); // not RSP
            i.MemoryIndexScale = 1 << dice.Below(4);
        }
        i.MemoryDisplSize = dice.Below(3) switch { 0 => 0, 1 => 1, _ => addressBytes == 8 ? 8 : 4 };
        if (i.MemoryBase == Register.None)
            i.MemoryDisplSize = addressBytes == 8 ? 8 : 4;
        i.MemoryDisplacement64 = Displacement(i.MemoryDisplSize == 8 ? 4 : i.MemoryDisplSize, ref dice);
        if (addressBytes == 4)
            i.MemoryDisplacement64 = (uint)i.MemoryDisplacement64;
    }

    private static ulong Displacement(int size, ref Dice dice) => size switch
    {
        0 => 0,
        1 => (ulong)(long)(sbyte)dice.Next(),
        2 => (ushort)dice.Next(),
        _ => dice.Percent(70) ? (ulong)(long)(short)dice.Next() : (ulong)(long)(int)dice.Next(),
    };

    private Register PickRegister(Kind kind, ref Dice dice)
    {
        bool wide = Mode.Is64();
        int number = dice.Below(wide ? 16 : 8);
        switch (kind)
        {
            case Kind.mm_reg or Kind.mm_rm or Kind.mm_or_mem:
                return Register.MM0 + (number & 7);
            case Kind.xmm_reg or Kind.xmm_rm or Kind.xmm_or_mem:
                return Register.XMM0 + number;
            case Kind.cr_reg:
                return dice.Pick<Register>([Register.CR0, Register.CR2, Register.CR3, Register.CR4]);
            case Kind.dr_reg:
                return dice.Pick<Register>([Register.DR0, Register.DR1, Register.DR2, Register.DR3, Register.DR6, Register.DR7]);
            case Kind.st0:
                return Register.ST0;
            case Kind.sti_opcode:
                return Register.ST0 + (number & 7);
            case Kind.r8_or_mem or Kind.r8_reg or Kind.r8_opcode:
                return wide ? dice.Pick<Register>(s_bytes64) : s_bytes64[number];
            case Kind.r16_or_mem or Kind.r16_reg or Kind.r16_reg_mem or Kind.r16_rm or Kind.r16_opcode:
                return Register.AX + number;
            case Kind.r64_or_mem or Kind.r64_reg or Kind.r64_reg_mem or Kind.r64_rm or Kind.r64_opcode or Kind.r64_vvvv:
                return Register.RAX + number;
            default:
                return Register.EAX + number;
        }
    }

    private static void SetRegister(ref Instruction i, int operand, Register register)
    {
        i.SetOpKind(operand, OpKind.Register);
        i.SetOpRegister(operand, register);
    }

    private static bool HasMemory(in Instruction i)
    {
        for (int o = 0; o < i.OpCount; o++)
            if (i.GetOpKind(o) is OpKind.Memory or OpKind.MemorySegSI or OpKind.MemorySegESI or OpKind.MemorySegRSI or OpKind.MemorySegDI or OpKind.MemorySegEDI or OpKind.MemorySegRDI)
                return true;
        return false;
    }
}
