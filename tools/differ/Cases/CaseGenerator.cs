using Emu.Cpus;
using Emu.Differ.Ledgers;
using Iced.Intel;

namespace Emu.Differ.Cases;

/// <summary>Makes random cases of a mode: an instruction by the catalogue, and a state in which it has something to do.</summary>
public sealed class CaseGenerator
{
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7;
    private const ulong StatusFlags = 0x8D5, DirectionFlag = 0x400, OtherFlags = 0x24_7200; // AC, ID, NT, IOPL, IF
    private const ulong UserFlags = 0x24_4000; // those that a program may change

    /// <summary>Slots are this long, so that neighbours do not overwrite each other's instructions before they have run.</summary>
    private const int SlotBytes = 64;

    private const int StatesPerInstruction = 4;

    /// <summary>The instructions of the last case made, and their number.</summary>
    private readonly Case _instructions = new();
    private long _group = -1;

    private readonly Catalogue _catalogue;
    private readonly InstructionMaker _maker;
    private readonly Arena _arena;
    private readonly ulong _seed;
    private readonly Code[] _codes, _rare;
    private readonly int _perCode;
    private readonly Func<Instruction, Instruction, bool> _mayFollow;
    private readonly Code[] _followers;
    private readonly Code[] _plain;

    /// <param name="codes">Instruction codes to choose from.</param>
    /// <param name="perCode">So many cases of each code in turn; 0 to choose at random, half of the time among the quarter that was checked least.</param>
    /// <param name="mayFollow">Whether what the second instruction reads is defined after the first.</param>
    public CaseGenerator(CodeMode mode, ulong seed, Code[] codes, Func<Instruction, Instruction, bool> mayFollow, int perCode = 0)
    {
        _catalogue = Catalogue.For(mode);
        _maker = new InstructionMaker(mode);
        _arena = Arena.For(mode);
        _seed = seed;
        _codes = codes;
        _perCode = perCode;
        _rare = [.. codes.OrderBy(c => Checks.Committed[c, mode]).Take((codes.Length + 3) / 4)];
        _mayFollow = mayFollow;
        _followers = [.. _catalogue.Codes.Where(c => IsFollower(c))];
        _plain = [.. _catalogue.Codes.Where(c => IsPlain(c))];
    }

    /// <summary>Number of code slots: after so many cases code addresses come again.</summary>
    public int Slots => (int)(_arena.CodeEnd - _arena.CodeStart) / SlotBytes - 1;

    /// <summary>Makes case <paramref name="number"/> of the run.</summary>
    public void Make(long number, Case c)
    {
        // Several cases in a row have the same instructions: making and decoding them takes longer than running them.
        int states = _perCode is > 0 and < 64 ? 1 : StatesPerInstruction;
        if (_group != number / states)
        {
            _group = number / states;
            MakeInstructions(_group, _perCode == 0 ? 0 : number / _perCode % _codes.Length, _instructions);
        }
        Dice dice = Dice.ForCase(~_seed, _arena.Mode.Bits(), number);
        c.Clear(_arena.Mode);
        c.TakeInstructions(_instructions);
        FillRegisters(c, ref dice);
        bool floating = FloatingValues.IsFloating(c.First.Code);
        MemorySize element = floating ? Element(c.First) : MemorySize.UInt64;
        if (floating || dice.Percent(2))
            FloatingValues.Fill(ref c.Floating, element, ref dice);
        AimOperands(c, element, ref dice);
        Tune(c, ref dice);
    }

    private void MakeInstructions(long number, long place, Case c)
    {
        Dice dice = Dice.ForCase(_seed, _arena.Mode.Bits(), number);
        c.Clear(_arena.Mode);
        PlaceCode(c, number, ref dice);
        Span<byte> bytes = stackalloc byte[32];
        Code code;
        do
            code = _perCode != 0 ? _codes[place] : dice.Pick<Code>(dice.Percent(50) ? _rare : _codes);
        while (!_maker.TryMake(code, ref dice, c.Rip, out c.First, bytes) || !_catalogue.Contains(c.First.Code) || LeadsBack(c.First, c.Rip) || IsInCode(c.First));
        c.Length = c.First.Length;
        bytes[..c.Length].CopyTo(c.Code);
        if (dice.Percent(15))
            AddFollower(c, ref dice, bytes);
    }

    private void PlaceCode(Case c, long number, ref Dice dice)
    {
        // Sixteen bytes may follow; the last slots of a page reach into the next page.
        ulong linear = _arena.CodeStart + (ulong)(number % Slots) * SlotBytes + (ulong)dice.Below(48);
        if (_arena.Mode == CodeMode.Real16)
        {
            // Any IP, but clear of the end of the segment.
            ulong segment = (linear - (ulong)(0x10 + dice.Below(0xFF00))) & ~0xFUL;
            c.Cs = (ushort)(segment >> 4);
            c.Rip = linear - segment;
        }
        else
        {
            c.Rip = linear;
        }
    }

    private void FillRegisters(Case c, ref Dice dice)
    {
        for (int r = 0; r < _arena.Mode.RegisterCount(); r++)
            c.Registers[r] = dice.Value() & _arena.Mode.RegisterMask();
        c.Flags = c.Mode.DefaultFlags() | dice.Next() & StatusFlags;
        if (dice.Percent(40))
            c.Flags |= DirectionFlag;
        if (dice.Percent(10))
            c.Flags |= dice.Next() & (c.Mode.IsUser() ? UserFlags : OtherFlags);
    }

    /// <summary>
    /// A second instruction: one that reads flags, or one that may fault behind the first (registers and flags must be exact then too).
    /// </summary>
    private void AddFollower(Case c, ref Dice dice, Span<byte> bytes)
    {
        if (c.First.FlowControl != FlowControl.Next || c.First.HasRepPrefix || c.First.HasRepnePrefix)
            return;
        bool plain = dice.Percent(35) && _arena.Mode != CodeMode.Real16;
        Code code = dice.Pick<Code>(plain ? _plain : _followers);
        if (!_maker.TryMake(code, ref dice, c.Rip + (ulong)c.Length, out Instruction second, bytes) || LeadsBack(second, c.Rip) || !_mayFollow(c.First, second))
            return;
        if (plain ? !IsPlain(second) : !IsFollower(second.Code) || HasMemory(second))
            return;
        c.Second = second;
        c.Count = 2;
        bytes[..second.Length].CopyTo(c.Code.AsSpan(c.Length));
        c.Length += second.Length;
    }

    /// <summary>Instructions of which the oracle has no errors, so that they may stand anywhere.</summary>
    private static bool IsPlain(Code code) => code.Mnemonic() is
        Mnemonic.Mov or Mnemonic.Add or Mnemonic.Or or Mnemonic.Adc or Mnemonic.Sbb or Mnemonic.And or Mnemonic.Sub or Mnemonic.Xor or Mnemonic.Cmp
        or Mnemonic.Movzx or Mnemonic.Movsx or Mnemonic.Push or Mnemonic.Pop or Mnemonic.Not or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Lea;

    private static bool IsPlain(in Instruction i) =>
        IsPlain(i.Code) && (!HasMemory(i) || i.MemorySegment is Register.DS or Register.ES) && !i.HasLockPrefix;

    /// <summary>Instructions that read flags: behind another one they show whether its lazy flags, or its fusion with a branch, are right.</summary>
    private static bool IsFollower(Code code) =>
        code.IsJccShortOrNear() || code.ConditionCode() != ConditionCode.None && code.FlowControl() == FlowControl.Next
        || code.Mnemonic() is Mnemonic.Adc or Mnemonic.Sbb or Mnemonic.Lahf or Mnemonic.Cmc or Mnemonic.Inc or Mnemonic.Dec
        // Not by CL, which the first may have changed: then the table of undefined flags could not tell the count.
        || code.Mnemonic() is Mnemonic.Rcl or Mnemonic.Rcr && code.ToOpCode().Op1Kind != OpCodeOperandKind.cl;

    /// <summary>A branch into the case itself would not end: where it leads, the oracle is stopped.</summary>
    private static bool LeadsBack(in Instruction i, ulong start) =>
        i.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.Call
        && i.NearBranchTarget - start < i.NextIP - start;

    /// <summary>In real-address mode CS is where the code is, and nothing else: what an operand changes there would not be taken back.</summary>
    private bool IsInCode(in Instruction i) =>
        _arena.Mode == CodeMode.Real16 && (HasMemory(i) || i.IsStringInstruction) && i.MemorySegment == Register.CS;

    private void AimOperands(Case c, MemorySize element, ref Dice dice)
    {
        ref readonly Instruction i = ref c.First;
        // Only a few cases have a stack pointer, or a pointer of a string instruction, that leads anywhere.
        if (!dice.Percent(3))
            SetPointer(c, Rsp, ref dice, 8, 8);
        if (i.IsStringInstruction)
        {
            int size = Math.Max(1, i.MemorySize.GetSize());
            SetPointer(c, Rsi, ref dice, size, StringAddressBytes(i));
            SetPointer(c, Rdi, ref dice, size, StringAddressBytes(i));
            if (i.HasRepPrefix || i.HasRepnePrefix)
                SetLow(c, Rcx, dice.Percent(95) ? (ulong)dice.Below(24) : (ulong)dice.Below(3000), StringAddressBytes(i));
        }
        if (!HasMemory(i) || i.Mnemonic == Mnemonic.Lea || dice.Percent(2))
            return;
        int bytes = OperandBytes(i);
        ulong place = DataAddresses.Pick(c.Mode, ref dice, EffectiveAddress.AddressBytes(c.Mode, i), bytes);
        // Nearly all vectors must be aligned, and what XSAVE writes.
        if (bytes >= 16 && dice.Percent(85))
            place &= bytes == XsaveBytes ? ~63UL : ~15UL;
        EffectiveAddress.PointAt(c, i, place, ref dice);
        if (dice.Percent(70))
            PatchOperand(c, EffectiveAddress.Linear(c, i.MemorySegment, EffectiveAddress.OffsetOf(c, i)), bytes, element, ref dice);
    }

    /// <summary>Legacy region and header, which is what XSAVE writes of x87 and SSE.</summary>
    public const int XsaveBytes = 576;

    /// <summary>Bytes of the memory operand.</summary>
    private static int OperandBytes(in Instruction i) => i.MemorySize is MemorySize.Xsave or MemorySize.Xsave64 ? XsaveBytes : Math.Max(1, i.MemorySize.GetSize());

    /// <summary>What the elements of the operands are.</summary>
    private static MemorySize Element(in Instruction i)
    {
        MemorySize size = i.Code.ToOpCode().MemorySize;
        return size switch
        {
            MemorySize.Unknown => MemorySize.Float80, // x87 without memory
            _ => size.GetElementType(),
        };
    }

    /// <summary>Fills a memory operand with values of its kind.</summary>
    private void PatchOperand(Case c, ulong linear, int bytes, MemorySize element, ref Dice dice)
    {
        if (bytes == XsaveBytes)
            element = MemorySize.Xsave;
        switch (element)
        {
            case MemorySize.Float80:
                (ushort exponent, ulong significand) = FloatingValues.Extended(ref dice);
                Patch(c, linear, significand, exponent, 10);
                return;
            case MemorySize.Bcd:
                // Digits, mostly.
                ulong digits = dice.Next(), high = dice.Next();
                if (dice.Percent(80))
                    (digits, high) = (digits & 0x7777_7777_7777_7777, high & 0x8077);
                Patch(c, linear, digits, high, 10);
                return;
            case MemorySize.Fxsave_512Byte or MemorySize.Fxsave64_512Byte or MemorySize.Xsave or MemorySize.Xsave64:
                PatchImage(c, linear, bytes, ref dice);
                return;
        }
        if (bytes <= 16)
            Patch(c, linear, FloatingValues.Lanes(ref dice, element), FloatingValues.Lanes(ref dice, element), bytes);
        else
            for (int at = 0; at < bytes; at += 8)
                Patch(c, linear + (ulong)at, dice.Value(), 0, Math.Min(8, bytes - at));
    }

    /// <summary>What FXRSTOR or XRSTOR is to read: a state as other instructions meet it, in part with reserved bits set.</summary>
    private unsafe void PatchImage(Case c, ulong linear, int bytes, ref Dice dice)
    {
        FloatingState state = FloatingImage.Default;
        FloatingValues.Fill(ref state, MemorySize.Float64, ref dice);
        byte* image = stackalloc byte[XsaveBytes];
        new Span<byte>(image, XsaveBytes).Clear();
        FloatingImage.Write(state, image);
        *(uint*)(image + 28) = dice.Percent(50) ? 0xFFFF : (uint)dice.Next();
        if (dice.Percent(10))
            *(uint*)(image + 24) |= 1U << dice.Below(32);
        *(ulong*)(image + 512) = dice.Percent(90) ? (ulong)dice.Below(4) : dice.Value();
        if (dice.Percent(10))
            *(ulong*)(image + 520 + 8 * dice.Below(7)) = dice.Value();
        if (!_arena.Holds(linear, bytes))
            return;
        c.Memory.Add(new MemoryPatch(linear, new Span<byte>(image, bytes).ToArray()));
    }

    /// <summary>What particular instructions need in order to get beyond their first check.</summary>
    private void Tune(Case c, ref Dice dice)
    {
        ref readonly Instruction i = ref c.First;
        ulong[] r = c.Registers;
        bool memory = HasMemory(i);
        ulong at = memory ? EffectiveAddress.Linear(c, i.MemorySegment, EffectiveAddress.OffsetOf(c, i)) : 0;
        switch (i.Mnemonic)
        {
            case Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Sal or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr
                or Mnemonic.Shld or Mnemonic.Shrd:
                if (dice.Percent(70) && !UsesForAddress(i, Rcx))
                    SetLow(c, Rcx, (ulong)dice.Below(70), 1);
                break;
            case Mnemonic.Div or Mnemonic.Idiv:
                // A quotient that fits: the upper half is below the divisor, or the sign of the lower.
                if (dice.Percent(80) && !UsesForAddress(i, Rdx) && !UsesForAddress(i, Rax))
                {
                    bool negative = i.Mnemonic == Mnemonic.Idiv && dice.Percent(40);
                    r[Rdx] = (negative ? ulong.MaxValue : 0) & c.Mode.RegisterMask();
                    if (i.MemorySize.GetSize() == 1 || i.Op0Kind == OpKind.Register && i.Op0Register.GetSize() == 1)
                        SetLow(c, Rax, (ulong)(long)(sbyte)dice.Value(), 2);
                }
                break;
            case Mnemonic.Cmpxchg when memory && dice.Percent(50):
                Patch(c, at, r[Rax], 0, i.MemorySize.GetSize());
                break;
            case Mnemonic.Cmpxchg8b when dice.Percent(50):
                Patch(c, at, (uint)r[Rax] | r[Rdx] << 32, 0, 8);
                break;
            case Mnemonic.Cmpxchg16b when dice.Percent(50):
                Patch(c, at, r[Rax], r[Rdx], 16);
                break;
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc:
                if (memory && i.Op1Kind == OpKind.Register && !UsesForAddress(i, EffectiveAddress.NumberOf(i.Op1Register)) && dice.Percent(90))
                    SetLow(c, EffectiveAddress.NumberOf(i.Op1Register), (ulong)(dice.Below(4096) - 2048), i.Op1Register.GetSize());
                break;
            case Mnemonic.Mov when c.Mode.IsUser() && i.Op0Kind == OpKind.Register && i.Op0Register.IsSegmentRegister() && dice.Percent(90):
            case Mnemonic.Lar or Mnemonic.Lsl or Mnemonic.Verr or Mnemonic.Verw when c.Mode.IsUser() && dice.Percent(90):
                Register source = i.OpCount == 2 ? i.Op1Register : i.Op0Register;
                if (memory)
                    Patch(c, at, Selector(ref dice), 0, 2);
                else
                    SetLow(c, EffectiveAddress.NumberOf(source), Selector(ref dice), 2);
                break;
            case Mnemonic.Pop when c.Mode.IsUser() && i.Op0Kind == OpKind.Register && i.Op0Register.IsSegmentRegister() && dice.Percent(90):
                PatchStack(c, Selector(ref dice), 8);
                break;
            case Mnemonic.Lds or Mnemonic.Les or Mnemonic.Lss or Mnemonic.Lfs or Mnemonic.Lgs when c.Mode.IsUser() && dice.Percent(90):
                Patch(c, at + (ulong)i.MemorySize.GetSize() - 2, Selector(ref dice), 0, 2);
                break;
            case Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Popfq:
                // TF would trap behind the next instruction.
                PatchStack(c, dice.Next() & 0x24_7ED5, 8);
                break;
            case Mnemonic.Ret or Mnemonic.Pop or Mnemonic.Leave when dice.Percent(70):
                if (i.Mnemonic == Mnemonic.Leave)
                    SetPointer(c, Rbp, ref dice, 8, 8);
                PatchStack(c, i.Mnemonic == Mnemonic.Ret && dice.Percent(90) ? Target(c, ref dice) : dice.Value(), 8);
                break;
            case Mnemonic.Jmp or Mnemonic.Call when memory && i.MemorySize is MemorySize.SegPtr16 or MemorySize.SegPtr32 or MemorySize.SegPtr64 && dice.Percent(95):
                int offset = i.MemorySize.GetSize() - 2;
                Patch(c, at, Target(c, ref dice), 0, offset);
                Patch(c, at + (ulong)offset, CodeSelector(ref dice), 0, 2);
                break;
            case Mnemonic.Retf when dice.Percent(95):
                PatchFrame(c, ref dice, i.Code switch { Code.Retfw or Code.Retfw_imm16 => 2, Code.Retfd or Code.Retfd_imm16 => 4, _ => 8 });
                break;
            case Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq when dice.Percent(95):
                PatchFrame(c, ref dice, i.Mnemonic switch { Mnemonic.Iret => 2, Mnemonic.Iretd => 4, _ => 8 });
                break;
            case Mnemonic.Jmp or Mnemonic.Call when dice.Percent(90):
                if (memory)
                    Patch(c, at, Target(c, ref dice), 0, i.MemorySize.GetSize());
                else if (i.Op0Kind == OpKind.Register)
                    r[EffectiveAddress.NumberOf(i.Op0Register)] = Target(c, ref dice) & c.Mode.RegisterMask();
                break;
            case Mnemonic.Xsave or Mnemonic.Xsave64 or Mnemonic.Xsavec or Mnemonic.Xsavec64 or Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64
                or Mnemonic.Xrstor or Mnemonic.Xrstor64:
                // Only the components that both have. An address may be lost by it.
                SetLow(c, Rax, (ulong)dice.Below(4), 8);
                r[Rdx] = 0;
                break;
            case Mnemonic.Maskmovq or Mnemonic.Maskmovdqu:
                SetPointer(c, Rdi, ref dice, i.Mnemonic == Mnemonic.Maskmovq ? 8 : 16, 8);
                break;
            case Mnemonic.Enter:
                SetPointer(c, Rbp, ref dice, 8, 8);
                break;
            case Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne or Mnemonic.Jcxz or Mnemonic.Jecxz or Mnemonic.Jrcxz:
                if (dice.Percent(60))
                    r[Rcx] = (ulong)dice.Below(3);
                break;
        }
    }

    /// <summary>What a far return or IRET pops: offset, selector, flags without TF, stack pointer and its selector.</summary>
    private void PatchFrame(Case c, ref Dice dice, int size)
    {
        ReadOnlySpan<ulong> words = [Target(c, ref dice), CodeSelector(ref dice), dice.Next() & 0x24_7ED5, dice.Value(), dice.Percent(70) ? Arena.UserDataSelector : Selector(ref dice)];
        ulong sp = EffectiveAddress.Linear(c, Register.SS, c.Registers[Rsp]);
        for (int n = 0; n < words.Length; n++)
            Patch(c, sp + (ulong)(n * size), words[n], 0, size);
    }

    /// <summary>A selector for CS: mostly one that a program has.</summary>
    internal static ulong CodeSelector(ref Dice dice) =>
        dice.Percent(70) ? dice.Pick<ushort>([Arena.UserCode32Selector, Arena.UserCode64Selector]) : Selector(ref dice);

    /// <summary>A selector that a program at CPL 3 might load: null, one of its own, the system's, or any.</summary>
    private static ulong Selector(ref Dice dice) => dice.Below(10) switch
    {
        0 or 1 => (ulong)dice.Below(4),
        < 6 => dice.Pick<ushort>([Arena.UserDataSelector, Arena.UserCode32Selector, Arena.UserCode64Selector]),
        < 9 => (ulong)dice.Below(0x80),
        _ => dice.Value() & 0xFFFF,
    };

    /// <summary>Where an indirect branch may lead: into the code, into data (which cannot be fetched in part), or anywhere.</summary>
    private ulong Target(Case c, ref Dice dice) => dice.Below(10) switch
    {
        < 7 => c.Mode == CodeMode.Real16 ? (ulong)dice.Below(0xFFF0) : _arena.CodeStart + (ulong)dice.Below((int)(_arena.CodeEnd - _arena.CodeStart) - 64),
        < 9 => DataAddresses.Pick(c.Mode, ref dice, 8, 1),
        _ => dice.Value(),
    };

    private static bool UsesForAddress(in Instruction i, int register) =>
        HasMemory(i)
        && (i.MemoryBase is not (Register.None or Register.RIP or Register.EIP) && EffectiveAddress.NumberOf(i.MemoryBase) == register
            || i.MemoryIndex != Register.None && EffectiveAddress.NumberOf(i.MemoryIndex) == register);

    private static bool HasMemory(in Instruction i) =>
        i.Op0Kind == OpKind.Memory || i.Op1Kind == OpKind.Memory || i.OpCount > 2 && i.Op2Kind == OpKind.Memory;

    private int StringAddressBytes(in Instruction i)
    {
        for (int o = 0; o < i.OpCount; o++)
        {
            switch (i.GetOpKind(o))
            {
                case OpKind.MemorySegSI or OpKind.MemoryESDI:
                    return 2;
                case OpKind.MemorySegESI or OpKind.MemoryESEDI:
                    return 4;
            }
        }
        return _arena.Mode.Is64() ? 8 : 4;
    }

    private static void SetPointer(Case c, int register, ref Dice dice, int size, int addressBytes)
    {
        ulong address = DataAddresses.Pick(c.Mode, ref dice, addressBytes, size);
        // In real-address mode what is above 16 bits mostly must not count.
        c.Registers[register] = c.Mode == CodeMode.Real16 && dice.Percent(20) && addressBytes == 2
            ? c.Registers[register] & 0xFFFF_0000 | address & 0xFFFF
            : address & c.Mode.RegisterMask();
    }

    private static void SetLow(Case c, int register, ulong value, int bytes)
    {
        ulong mask = EffectiveAddress.Mask(bytes);
        c.Registers[register] = (c.Registers[register] & ~mask | value & mask) & c.Mode.RegisterMask();
    }

    private void PatchStack(Case c, ulong value, int bytes)
    {
        ulong sp = c.Registers[Rsp];
        Patch(c, EffectiveAddress.Linear(c, Register.SS, c.Mode == CodeMode.Real16 ? sp & 0xFFFF : sp), value, 0, bytes);
    }

    private void Patch(Case c, ulong linear, ulong low, ulong high, int bytes)
    {
        int held = 0;
        while (held < bytes && _arena.Physical(linear + (ulong)held) != ulong.MaxValue)
            held++;
        if (held == 0)
            return;
        byte[] data = new byte[held];
        for (int b = 0; b < held; b++)
            data[b] = (byte)((b < 8 ? low : high) >> 8 * (b & 7));
        c.Memory.Add(new MemoryPatch(linear, data));
    }
}
