using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Machines;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Differ.Lockstep;

/// <summary>The instruction that a CPU of Emu comes to, decoded apart from Emu's own decoder; and the last ones before it.</summary>
internal sealed unsafe class PresentInstruction(Machine machine)
{
    private const int Remembered = 16;

    private readonly Cpu _cpu = machine.Cpus[0];
    private readonly Queue<string> _trail = [];

    /// <summary>The instruction, and the registers before it.</summary>
    public Case Case { get; } = new();

    public ref readonly Instruction Instruction => ref Case.First;

    /// <summary>Its address and text.</summary>
    public string Text => $"{Case.Rip:x}: {CaseText.Disassemble(Case)}";

    /// <summary>The last instructions, this one last.</summary>
    public IReadOnlyCollection<string> Trail => _trail;

    /// <summary>Where the CPU stands.</summary>
    public ulong Linear
    {
        get
        {
            CpuState* s = _cpu.State;
            return s->Is64Bit ? s->Rip : (s->Cs.Base + s->Rip) & uint.MaxValue;
        }
    }

    /// <summary>Reads and decodes it; false when its bytes cannot be fetched.</summary>
    public bool Fetch()
    {
        CpuState* s = _cpu.State;
        ulong linear = Linear;
        Case.Clear(s->Is64Bit ? CodeMode.Long64 : (s->Cs.Attributes & SegmentAttributes.D) != 0 ? CodeMode.Protected32 : CodeMode.Real16);
        Case.Rip = s->Rip;
        FaultInfo fault = s->Fault;
        for (int n = 0; n < 15; n++)
        {
            TlbEntry* e = Access.Translate(s, linear + (ulong)n, 1, AccessKind.Execute);
            byte* p = e == null ? null : _cpu.Memory.Pointer((e->PhysicalAndFlags & Page.Mask) | ((linear + (ulong)n) & Page.OffsetMask));
            if (p == null)
                break;
            Case.Code[n] = *p;
            Case.Length = n + 1;
        }
        s->Fault = fault;
        if (Case.Length == 0)
            return false;
        Case.Decode();
        Case.Count = 1;
        Case.Length = Case.First.Length;
        for (int r = 0; r < 16; r++)
            Case.Registers[r] = s->Registers[r];
        return true;
    }

    /// <summary>Keeps it for <see cref="Trail"/>.</summary>
    public void Remember(string? note = null)
    {
        if (_trail.Count == Remembered)
            _trail.Dequeue();
        _trail.Enqueue(note ?? Text);
    }

    /// <summary>True when the memory operand lies where no RAM is.</summary>
    public bool TouchesDevice()
    {
        CpuState* s = _cpu.State;
        ref readonly Instruction i = ref Case.First;
        ulong address;
        if (i.IsStringInstruction)
            address = s->Registers[7];
        else if ((i.Op0Kind == OpKind.Memory || i.Op1Kind == OpKind.Memory) && i.Mnemonic is not (Mnemonic.Lea or Mnemonic.Invlpg or Mnemonic.Nop))
            address = EffectiveAddress.OffsetOf(Case, i) + Base(s, i.MemorySegment);
        else
            return false;
        FaultInfo fault = s->Fault;
        TlbEntry* e = Access.Translate(s, address, 1, AccessKind.Read);
        s->Fault = fault;
        return e != null && !_cpu.Memory.Contains((e->PhysicalAndFlags & Page.Mask) | (address & Page.OffsetMask), 1);
    }

    /// <summary>Lets Emu execute it; a repeated one may take several steps. False when Emu cannot go on.</summary>
    public bool Execute()
    {
        CpuState* s = _cpu.State;
        ulong rip = s->Rip;
        bool repeated = Case.First.HasRepPrefix || Case.First.HasRepnePrefix;
        for (int rounds = 0; rounds < 1 << 20; rounds++)
        {
            if (!machine.Step(new CpuIndex(0)) || s->Exit == ExitReason.Unsupported)
                return false;
            if (!repeated || s->Rip != rip)
                return true;
        }
        return false;
    }

    private static ulong Base(CpuState* s, Register segment) =>
        segment is >= Register.ES and <= Register.GS && (!s->Is64Bit || segment >= Register.FS) ? (&s->Es)[segment - Register.ES].Base : 0;
}
