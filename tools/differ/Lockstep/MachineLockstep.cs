using Emu.Boot;
using Emu.Cpus;
using Emu.Differ.Judging;
using Emu.Differ.Machines;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Differ.Lockstep;

/// <summary>
/// A guest image on another emulator's whole machine, and Emu's CPU and RAM beside it, compared after every instruction. The other machine leads: its devices
/// answer, and its interrupts are what Emu takes, at the same instructions. What else is taken over from it is in <see cref="TakenOver"/>.
/// </summary>
public sealed unsafe class MachineLockstep : LockstepRun
{
    private const int FirstExternalVector = 32;

    /// <summary>All but RF.</summary>
    private const ulong ComparedFlags = 0x3C_7FD5;
    private const ulong ComparedEfer = 0xD01;

    private readonly SteppedMachine _oracle;

    /// <summary>The other machine's last step after which all registers were known, and agreed.</summary>
    private long _agreed;

    /// <summary>Addresses of the page-directory-pointer tables that PAE paging has used.</summary>
    private readonly HashSet<ulong> _pointerTables = [];

    /// <summary>What is not compared but taken over from the other machine, and why.</summary>
    public static IReadOnlyList<(string What, string Why)> TakenOver { get; } =
    [
        ("CPUID, XGETBV", "the CPU models differ"),
        ("RDTSC, RDTSCP, RDPMC", "the clocks differ"),
        ("RDMSR", "the CPU models differ, and what their firmware left"),
        ("RDRAND, RDSEED", "random"),
        ("SGDT, SIDT, SLDT, STR before the kernel loads its own", "what the boot loader left is undefined (Multiboot Specification, \"I386 machine state\")"),
        ("IN, OUT, INS, OUTS", "the devices are the other machine's"),
        ("an operand in memory where no RAM is", "the devices are the other machine's"),
        ("that an interrupt is taken, and which", "the devices are the other machine's; that it is delivered alike is compared"),
        ("HLT", "ends with an interrupt of the other machine"),
        ("A0000-FFFFF", "video memory and ROM; their contents are copied at the start"),
        ("RF in RFLAGS", "QEMU 7.2 does not set it"),
        ("bit 5 of PDPTEs of PAE paging", "QEMU 7.2 sets it as if it were an accessed flag; it is reserved (SDM Vol. 3A, \"PAE Paging\": \"Format of a PAE Page-Directory-Pointer-Table Entry\")"),
        ("what the manual leaves undefined", "data/undefined.txt"),
    ];

    /// <param name="image">The image.</param>
    /// <param name="commandLine">Its command line.</param>
    /// <param name="memory">Bytes of RAM.</param>
    /// <param name="open">Boots it on the other machine; is given Emu's machine, with the image loaded.</param>
    public MachineLockstep(BootImage image, string commandLine, ulong memory, Func<Machine, SteppedMachine> open)
        : base(new MachineOptions { CpuCount = 1, MemorySize = memory, Profile = FetchProfiles.Coherent, Model = FullModel.Instance })
    {
        try
        {
            image.Load(Emulator.Memory, Cpu, commandLine, []);
            _oracle = open(Emulator);
        }
        catch
        {
            Emulator.Dispose();
            throw;
        }
        _oracle.CopyMemory(Emulator.Memory);
        TakeRegisters();
        CpuState* s = State;
        SegmentRegister* segments = &s->Es;
        for (int i = 0; i < 6; i++)
            segments[i].Selector = _oracle.Registers.Selectors[i];
        CopyXmm(_oracle.Registers);
    }

    /// <summary>Interrupts of the other machine.</summary>
    public long Interrupts { get; private set; }

    /// <summary>
    /// With a difference, where selectors and control registers were not compared after each step: the last step after which they agreed. What differs may have become
    /// so at any later one; a run with a machine that tells all from there on shows at which.
    /// </summary>
    public long? DiffersAfter => Differences.Count > 0 && _oracle.Steps - _agreed > 1 ? _agreed : null;

    private protected override void Dispose(bool disposing)
    {
        _oracle.Dispose();
        base.Dispose(disposing);
    }

    private protected override LockstepEnd? Step()
    {
        CpuState* s = State;
        if (!FetchNext() || IsExit())
            return LockstepEnd.Guest;
        bool open = (s->SystemFlags & Rflags.If) != 0;
        return After(_oracle.Step(IsSystem(Present.Instruction)), open);
    }

    /// <summary>The other machine has made a step.</summary>
    /// <param name="handler">What it said about it.</param>
    /// <param name="open">Interrupts were permitted before.</param>
    private LockstepEnd? After(ulong? handler, bool open)
    {
        if (open && FindInterrupt(handler ?? _oracle.Registers.Rip) is { } vector)
        {
            FinishRounds();
            if (!Deliver(vector))
                return LockstepEnd.Different;
            if (handler == null)
                return Agree() ? null : LockstepEnd.Different;
            if (!FetchNext())
                return LockstepEnd.Guest;
        }
        return Follow();
    }

    /// <summary>The other machine has executed the present instruction, or a round of it: so does Emu.</summary>
    private LockstepEnd? Follow()
    {
        CpuState* s = State;
        ref readonly Instruction i = ref Present.Instruction;
        if (IsTakenOver(i) || Present.TouchesDevice())
        {
            ulong next = s->Rip + (ulong)i.Length;
            if (_oracle.Registers.Rip != next && _oracle.Registers.Rip != s->Rip)
            {
                Differences.Add(new Difference("rip behind an instruction whose result is taken over", $"{_oracle.Registers.Rip:x}", $"{next:x}"));
                return LockstepEnd.Different;
            }
            TakeRegisters();
            Fed++;
            return null;
        }
        // Of a repeated instruction some machines execute one round at a time.
        if (_oracle.Registers.Rip == s->Rip && IsRepeated(i))
            return After(_oracle.Step(system: false), (s->SystemFlags & Rflags.If) != 0);
        bool pause = i.Mnemonic == Mnemonic.Pause;
        if (!Present.Execute())
            return LockstepEnd.Guest;
        // QEMU leaves its loop at PAUSE, and the step goes on with the next instruction.
        if (pause && _oracle.Registers.Rip != s->Rip)
            return FetchNext() ? Follow() : LockstepEnd.Guest;
        Sabotage?.Invoke(Compared + Fed, Cpu);
        Compared++;
        return Agree() ? null : LockstepEnd.Different;
    }

    private static bool IsRepeated(in Instruction i) => i.HasRepPrefix || i.HasRepnePrefix;

    /// <summary>An interrupt has come between two rounds: Emu does those that the other machine did. HLT is over.</summary>
    private void FinishRounds()
    {
        CpuState* s = State;
        ref readonly Instruction i = ref Present.Instruction;
        if (i.Mnemonic == Mnemonic.Hlt)
        {
            s->Rip += (ulong)i.Length;
            return;
        }
        if (!i.IsStringInstruction || !IsRepeated(i))
            return;
        ulong rip = s->Rip, left = _oracle.Registers.General[1];
        if (s->Registers[1] == left)
            return;
        s->Registers[1] -= left;
        Present.Execute();
        s->Registers[1] = left;
        s->Rip = rip;
    }

    private bool Deliver(int vector)
    {
        CpuState* s = State;
        Present.Remember($"interrupt 0x{vector:x2}");
        Interrupts++;
        if (EventDelivery.Deliver(s, (Vector)vector, EventKind.ExternalInterrupt))
            return true;
        Differences.Add(new Difference($"delivery of interrupt 0x{vector:x}", "delivered", "shutdown"));
        return false;
    }

    /// <summary>The interrupt whose handler is at an address, where the present instruction does not lead there; or null.</summary>
    private int? FindInterrupt(ulong rip)
    {
        CpuState* s = State;
        ref readonly Instruction i = ref Present.Instruction;
        if (rip == s->Rip || rip == s->Rip + (ulong)i.Length || i.FlowControl is FlowControl.Interrupt)
            return null;
        FaultInfo fault = s->Fault;
        int? found = null;
        int size = s->LongModeActive ? 16 : 8;
        for (int v = FirstExternalVector; v < 256 && found == null; v++)
        {
            ulong at = s->Idtr.Base + (ulong)(size * v);
            if ((ulong)(size * v + size - 1) > s->Idtr.Limit || !Access.Load(s, at, 8, AccessKind.Read | AccessKind.Implicit, out ulong low))
                break;
            ulong offset = (low & 0xFFFF) | (low >> 32 & 0xFFFF_0000);
            if (size == 16 && Access.Load(s, at + 8, 8, AccessKind.Read | AccessKind.Implicit, out ulong high))
                offset |= high << 32;
            if (offset == rip && (low >> 47 & 1) != 0)
                found = v;
        }
        s->Fault = fault;
        return found;
    }

    /// <summary>Takes over general registers, flags and RIP.</summary>
    private void TakeRegisters()
    {
        CpuState* s = State;
        MachineRegisters r = _oracle.Registers;
        for (int i = 0; i < 16; i++)
            s->Registers[i] = r.General[i];
        Flags.Set(s, r.Flags & ~Rflags.Rf);
        s->Rip = r.Rip;
    }

    private void CopyXmm(MachineRegisters r)
    {
        if (r.KnowsXmm)
            for (int i = 0; i < 32; i++)
                State->Floating.Xmm[i] = r.Xmm[i];
    }

    private bool Agree()
    {
        MachineRegisters r = _oracle.Registers;
        bool different = CompareResults(r.General, r.Flags, r.Rip, ComparedFlags);
        if (r.KnowsSystem)
            CompareSystem(r);
        if (r.KnowsXmm)
            CompareXmm(r);
        if (r.KnowsSystem && Differences.Count == 0)
            _agreed = _oracle.Steps;
        if (different && Differences.Count == 0)
            TakeRegisters();
        return Differences.Count == 0;
    }

    private void CompareSystem(MachineRegisters r)
    {
        CpuState* s = State;
        if ((s->Paging.Cr4 & PagingBits.Cr4Pae) != 0 && !s->LongModeActive)
            _pointerTables.Add(s->Paging.Cr3 & 0xFFFF_FFE0);
        CompareSystem(r.Selectors, r.Cr0, r.Cr3, r.Cr4);
        if (r.Cr2 != s->Paging.Cr2)
            Add("cr2", r.Cr2, s->Paging.Cr2);
        if (((r.Efer ^ s->Paging.Efer) & ComparedEfer) != 0)
            Add("efer", r.Efer, s->Paging.Efer);
    }

    private void CompareXmm(MachineRegisters r)
    {
        CpuState* s = State;
        for (int i = 0; i < 32; i++)
            if (r.Xmm[i] != s->Floating.Xmm[i])
                Add($"xmm{i / 2}{(i % 2 == 0 ? "" : ", upper half")}", r.Xmm[i], s->Floating.Xmm[i]);
    }

    private protected override bool IsSettled => _oracle.IsSettled;

    private protected override bool CompareMemory()
    {
        if (_oracle.FirstDifference(Emulator.Memory, IsAccessedPointer) is not { } d)
            return true;
        Differences.Add(new Difference($"memory at physical {d.Address:x}", $"{d.Oracle:x2}", $"{d.Emu:x2}"));
        return false;
    }

    /// <summary>Bit 5 in an entry of a page-directory-pointer table of PAE paging.</summary>
    private bool IsAccessedPointer(MemoryDifference d) =>
        d.Address % 8 == 0 && (d.Oracle ^ d.Emu) == 0x20 && (d.Oracle & 0x20) != 0 && _pointerTables.Contains(d.Address & ~31UL);

    /// <summary>OUT to the port by which guests leave.</summary>
    private bool IsExit()
    {
        ref readonly Instruction i = ref Present.Instruction;
        return i.Mnemonic == Mnemonic.Out
            && (i.Op0Kind == OpKind.Immediate8 ? i.Immediate8 : (ushort)State->Registers[2]) == Emu.Devices.DebugExit.DefaultPort;
    }

    private static bool IsTakenOver(in Instruction i) => i.Mnemonic is
        Mnemonic.Cpuid or Mnemonic.Xgetbv or Mnemonic.Rdtsc or Mnemonic.Rdtscp or Mnemonic.Rdpmc or Mnemonic.Rdmsr or Mnemonic.Rdrand or Mnemonic.Rdseed or Mnemonic.Hlt
        or Mnemonic.In or Mnemonic.Out or Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd;

    /// <summary>May change selectors or control registers.</summary>
    private static bool IsSystem(in Instruction i)
    {
        if (i.IsPrivileged || i.FlowControl == FlowControl.Interrupt || i.Mnemonic is Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq or Mnemonic.Retf or Mnemonic.Lmsw or Mnemonic.Clts
            or Mnemonic.Lds or Mnemonic.Les or Mnemonic.Lfs or Mnemonic.Lgs or Mnemonic.Lss || i.IsJmpFar || i.IsCallFar || i.IsJmpFarIndirect || i.IsCallFarIndirect)
            return true;
        return i.Op0Kind == OpKind.Register && (i.Op0Register.IsSegmentRegister() || i.Op0Register.IsCR());
    }
}
