using Emu.Cpus;
using Emu.Execution;
using Iced.Intel;

namespace Emu.Exploration;

/// <summary>
/// Finds out whether it matters between which two instructions a handler interrupts a program that shares no memory with it: it does when the handler uses
/// what the program left in registers, looks at the saved instruction pointer, or does not leave all as it was. Then each instruction of the program is a
/// choice point against the arrival of messages; else only those are that touch what both touch. Saving registers on the stack and loading them again is no use of them.
/// </summary>
internal sealed unsafe class InterruptedProgram
{
    private const int MaximumSlots = 40;

    /// <summary>The first of the slots: saved RIP, RFLAGS, and RSP where there is one.</summary>
    private const int FrameSlots = 3;

    /// <summary>Bytes of stack that a handler uses.</summary>
    private const ulong Reach = 8192;
    private const uint AllRegisters = 0xFFFF & ~(1u << 4);
    private const RflagsBits AllFlags = RflagsBits.OF | RflagsBits.SF | RflagsBits.ZF | RflagsBits.AF | RflagsBits.CF | RflagsBits.PF;

    private enum Role : byte
    {
        Other,

        /// <summary>Stores a register and does nothing else with it.</summary>
        Save,

        /// <summary>Loads a register.</summary>
        Load,
        Return,
    }

    private readonly record struct Usage(Role Role, byte Register, uint Reads, uint LowReads, uint Addresses, uint Writes, uint PartialWrites, uint LowWrites, RflagsBits FlagsRead, RflagsBits FlagsWritten);

    private static readonly InstructionInfoFactory _factory = new();
    private static readonly Lock _lock = new();
    private readonly Dictionary<(ulong Rip, ulong Low, ulong High), Usage> _usages = [];

    private readonly ulong[] _values = new ulong[17];
    private readonly ulong[] _slots = new ulong[MaximumSlots];
    private int _slotCount;

    /// <summary>Registers that hold what the program left in them, and those of which that is all.</summary>
    private uint _held, _original;

    /// <summary>Registers whose lowest byte is the handler's own.</summary>
    private uint _lowClean;
    private RflagsBits _heldFlags;
    private ulong _frame;

    /// <summary>It is an NMI's.</summary>
    public bool IsNmi { get; private set; }

    /// <summary>The patched code in the middle of which it was interrupted; none where it was not.</summary>
    public PatchedRun Run { get; private set; }

    /// <summary>An interrupt has just been taken.</summary>
    public void Enter(CpuState* s, ulong rip, CpuState* before, PatchedRun run)
    {
        Run = run;
        IsNmi = s->NmiBlocked != 0 && before->NmiBlocked == 0;
        _held = _original = AllRegisters;
        _lowClean = 0;
        _heldFlags = AllFlags;
        for (int i = 0; i < 16; i++)
            _values[i] = before->Registers[i];
        _values[16] = rip;
        // The frame: RIP, CS, RFLAGS, and in long mode RSP and SS.
        _frame = s->Registers[4];
        _slotCount = 0;
        int width = s->LongModeActive ? 8 : 4;
        AddSlot(_frame);
        AddSlot(_frame + (ulong)(2 * width));
        if (s->LongModeActive)
            AddSlot(_frame + (ulong)(3 * width));
    }

    /// <summary>The handler has returned. True when it has changed what it interrupted.</summary>
    public bool Leave(CpuState* s, ulong rip)
    {
        if (_original != AllRegisters || rip != _values[16])
            return true;
        for (int i = 0; i < 16; i++)
            if (s->Registers[i] != _values[i])
                return true;
        return false;
    }

    /// <summary>An instruction of the handler has executed. True when it used what the program left.</summary>
    /// <param name="load">Linear address that it loaded from, or 0.</param>
    /// <param name="store">Linear address that it stored to, or 0.</param>
    public bool Executed(CpuState* s, Stepper.Entry* decoded, ulong load, ulong store)
    {
        Usage u = Find(decoded, (int)(s->ModeKey & ModeKey.CodeSizeMask));
        if (u.Role == Role.Return)
            return false;
        uint tainted = _held;
        if ((u.Addresses & tainted) != 0 || (u.FlagsRead & _heldFlags) != 0)
            return true;
        bool own = store >= s->Registers[4] - 512 && store < _values[4];
        bool uses = ((u.Reads & tainted) | (u.LowReads & tainted & ~_lowClean)) != 0;
        bool fromSlot = load != 0 && Slot(load) >= 0;
        if (uses && !(u.Role == Role.Save && own))
            return true;
        if (fromSlot && u.Role != Role.Load)
            return true;
        if (store != 0)
        {
            if (uses)
                AddSlot(store);
            else if (Slot(store) is var i and >= 0)
            {
                // The frame itself: the handler returns elsewhere.
                if (i < FrameSlots)
                    return true;
                _slots[i] = 0;
            }
        }
        uint all = u.Writes | u.PartialWrites | u.LowWrites;
        _original &= ~all;
        _held &= ~u.Writes;
        _lowClean = (_lowClean & ~all) | u.LowWrites;
        if (fromSlot)
        {
            _held |= 1u << u.Register;
            _original |= 1u << u.Register;
        }
        _heldFlags &= ~u.FlagsWritten;
        ForgetPopped(s->Registers[4]);
        return false;
    }

    /// <summary>What was saved below the stack pointer is gone: the frame of an exception may come to lie there. The program's own frame stays.</summary>
    private void ForgetPopped(ulong stack)
    {
        for (int i = FrameSlots; i < _slotCount; i++)
            if (_slots[i] < stack && _slots[i] >= stack - Reach)
                _slots[i] = 0;
    }

    public void CopyFrom(InterruptedProgram other)
    {
        (IsNmi, Run) = (other.IsNmi, other.Run);
        (_held, _original, _lowClean, _heldFlags, _frame) = (other._held, other._original, other._lowClean, other._heldFlags, other._frame);
        other._values.CopyTo(_values, 0);
        _slotCount = other._slotCount;
        Array.Copy(other._slots, _slots, _slotCount);
    }

    private void AddSlot(ulong linear)
    {
        if (Slot(linear) >= 0)
            return;
        for (int i = FrameSlots; i < _slotCount; i++)
        {
            if (_slots[i] != 0)
                continue;
            _slots[i] = linear;
            return;
        }
        if (_slotCount < MaximumSlots)
            _slots[_slotCount++] = linear;
    }

    private int Slot(ulong linear)
    {
        for (int i = 0; i < _slotCount; i++)
            if (linear - _slots[i] < 8 || _slots[i] - linear < 8)
                return i;
        return -1;
    }

    private Usage Find(Stepper.Entry* decoded, int codeSize)
    {
        (ulong, ulong, ulong) key = (decoded->Rip ^ (ulong)codeSize << 62, decoded->BytesLow, decoded->BytesHigh);
        if (_usages.TryGetValue(key, out Usage usage))
            return usage;
        byte[] bytes = new ReadOnlySpan<byte>(&decoded->BytesLow, 16)[..decoded->Length].ToArray();
        Instruction instruction = Decoder.Create(16 << codeSize, bytes, decoded->Rip).Decode();
        lock (_lock)
            usage = Classify(instruction);
        _usages.Add(key, usage);
        return usage;
    }

    private static Usage Classify(in Instruction instruction)
    {
        RflagsBits written = instruction.RflagsModified & AllFlags;
        if (instruction.Mnemonic is Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq)
            return new Usage(Role.Return, 0, 0, 0, 0, 0, 0, 0, RflagsBits.None, written);
        // A long NOP names registers, and looks at none.
        if (instruction.Mnemonic == Mnemonic.Nop)
            return default;
        uint reads = 0, low = 0, addresses = 0, writes = 0, partial = 0, lowWrites = 0;
        InstructionInfo info = _factory.GetInfo(instruction);
        foreach (UsedMemory memory in info.GetUsedMemory())
            addresses |= Bit(memory.Base) | Bit(memory.Index);
        foreach (UsedRegister used in info.GetUsedRegisters())
        {
            uint bit = Bit(used.Register);
            bool lowByte = used.Register.IsGPR8() && used.Register is not (Register.AH or Register.BH or Register.CH or Register.DH);
            if (used.Access is OpAccess.Read or OpAccess.ReadWrite or OpAccess.ReadCondWrite or OpAccess.CondRead)
            {
                if (lowByte)
                    low |= bit;
                else
                    reads |= bit;
            }
            if (used.Access is OpAccess.Write or OpAccess.ReadWrite)
            {
                if (lowByte)
                    lowWrites |= bit;
                else if (used.Register.IsGPR32() || used.Register.IsGPR64())
                    writes |= bit;
                else
                    partial |= bit;
            }
            else if (used.Access is OpAccess.CondWrite or OpAccess.ReadCondWrite)
            {
                partial |= bit;
            }
        }
        // Few leaves of CPUID look at ECX.
        if (instruction.Mnemonic == Mnemonic.Cpuid)
            reads &= ~Bit(Register.RCX);
        // An address register is told apart from the value only where it is another register.
        (Role role, Register register) = RoleOf(instruction);
        uint value = role == Role.Save ? Bit(register) : 0;
        addresses &= ~(1u << 4);
        reads &= ~(addresses & ~value);
        return new Usage(role, (byte)(role == Role.Other ? 0 : register.GetFullRegister().GetNumber()), reads, low, addresses, writes, partial, lowWrites,
            instruction.RflagsRead & AllFlags, written);
    }

    private static (Role, Register) RoleOf(in Instruction i)
    {
        if (i.Mnemonic == Mnemonic.Push && i.Op0Kind == OpKind.Register && Bit(i.Op0Register) != 0)
            return (Role.Save, i.Op0Register);
        if (i.Mnemonic == Mnemonic.Pop && i.Op0Kind == OpKind.Register && Bit(i.Op0Register) != 0)
            return (Role.Load, i.Op0Register);
        if (i.Mnemonic == Mnemonic.Leave)
            return (Role.Load, Register.RBP);
        if (i.Mnemonic == Mnemonic.Mov && i.OpCount == 2)
        {
            if (i.Op0Kind == OpKind.Memory && i.Op1Kind == OpKind.Register && Bit(i.Op1Register) != 0)
                return (Role.Save, i.Op1Register);
            if (i.Op1Kind == OpKind.Memory && i.Op0Kind == OpKind.Register && (i.Op0Register.IsGPR64() || i.Op0Register.IsGPR32()))
                return (Role.Load, i.Op0Register);
        }
        return (Role.Other, Register.None);
    }

    /// <summary>The bit of a general register; none for the stack pointer, which belongs to both.</summary>
    private static uint Bit(Register register) => register.IsGPR() && register.GetFullRegister() != Register.RSP ? 1u << register.GetFullRegister().GetNumber() : 0;
}
