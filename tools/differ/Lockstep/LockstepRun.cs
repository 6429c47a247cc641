using Emu.Boot;
using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Differ.Judging;
using Emu.Differ.Unicorn;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;
using Iced.Intel;

namespace Emu.Differ.Lockstep;

/// <summary>
/// A guest image's boot CPU in Emu, under the profile coherent, and in Unicorn, compared after every instruction. What depends on the machine
/// and not on the instruction is taken from Emu: CPUID, RDTSC, RDTSCP, RDMSR, IN, and whatever reads or writes a device in memory
/// are not run in Unicorn; its registers are set to what Emu's are then.
/// </summary>
public sealed unsafe class LockstepRun : ILockstep
{
    private const int InstructionsBetweenMemoryChecks = 1 << 16;

    /// <summary>PG, WP, AM and the low bits without ET, which is hardwired.</summary>
    private const ulong ComparedCr0 = 0x8005_002F;
    private const ulong ComparedFlags = 0x3D_7FD5;

    private readonly Machine _machine;
    private readonly Cpu _cpu;
    private LockstepOracle _oracle;
    private readonly PresentInstruction _present;
    private readonly bool _further;

    /// <param name="further">Goes on behind the first access to a device in memory.</param>
    public LockstepRun(BootImage image, string commandLine, bool further)
    {
        _further = further;
        _machine = new Machine(new MachineOptions { CpuCount = 1, Profile = FetchProfiles.Coherent, Model = CpuModels.Skylake });
        _cpu = _machine.Cpus[0];
        image.Load(_machine.Memory, _cpu, commandLine, []);
        _oracle = new LockstepOracle(_cpu, paging: true);
        _present = new PresentInstruction(_machine);
    }

    public long Compared { get; private set; }
    public long Fed { get; private set; }

    public List<Difference> Differences { get; } = [];

    public string Where { get; private set; } = "";

    public IReadOnlyCollection<string> Trail => _present.Trail;

    public Action<long, Cpu>? Sabotage { get; set; }

    public LockstepEnd Run(long limit, Action<ILockstep>? tick = null)
    {
        LockstepEnd end = LockstepEnd.Limit;
        for (long n = 0; n < limit; n++)
        {
            if (Step() is { } reason)
            {
                end = reason;
                break;
            }
            if (n % 1024 == 0)
                tick?.Invoke(this);
            if (n % InstructionsBetweenMemoryChecks == InstructionsBetweenMemoryChecks - 1 && !CompareMemory())
                break;
        }
        return Differences.Count == 0 && CompareMemory() ? end : LockstepEnd.Different;
    }

    public void Dispose()
    {
        _oracle.Dispose();
        _machine.Dispose();
    }

    private LockstepEnd? Step()
    {
        CpuState* s = _cpu.State;
        ulong rip = s->Rip, linear = _present.Linear;
        if (!_present.Fetch())
        {
            Where = $"{rip:x}: its bytes cannot be fetched";
            return LockstepEnd.Guest;
        }
        ref readonly Instruction i = ref _present.Instruction;
        Where = _present.Text;
        _present.Remember();
        bool device = _present.TouchesDevice();
        if (device && !_further)
            return LockstepEnd.Device;
        bool longMode = s->LongModeActive;
        if (!_present.Execute())
            return LockstepEnd.Guest;
        if (s->LongModeActive != longMode)
        {
            ChangeOracle(_oracle.Paging);
            return Differences.Count == 0 ? null : LockstepEnd.Different;
        }
        Sabotage?.Invoke(Compared + Fed, _cpu);
        if (device || IsMachineSpecific(i) || s->Rip == rip || (!_oracle.Paging && UsesCr0(i)))
        {
            Fed++;
            _oracle.CopyRegisters();
            return null;
        }
        return Compare(s, rip, linear, i) ? null : LockstepEnd.Different;
    }

    /// <summary>The guest has entered or left long mode: an oracle for the new mode goes on from here.</summary>
    private void ChangeOracle(bool paging)
    {
        Fed++;
        if (!CompareMemory())
            return;
        _oracle.Dispose();
        _oracle = new LockstepOracle(_cpu, paging);
    }

    private bool Compare(CpuState* s, ulong rip, ulong linear, in Instruction i)
    {
        ulong next = s->Is64Bit ? s->Rip : (s->Cs.Base + s->Rip) & uint.MaxValue;
        Span<ulong> exits = [next, linear + (ulong)i.Length, 0];
        int count = 2;
        if (i.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.Call && i.NearBranchTarget != rip)
            exits[count++] = i.NearBranchTarget;
        if (ChangesTranslation(i))
            _oracle.ForgetAliases();
        UnicornStop stop = _oracle.Step(linear, exits[..count], i.HasRepPrefix || i.HasRepnePrefix);
        Compared++;
        if (stop.Vector >= 0)
            return CompareException(s, linear, next, i, stop);
        if (stop.Error != UnicornError.Ok || stop.Runaway)
        {
            Differences.Add(new Difference("ending", stop.Runaway ? "it left for elsewhere" : $"{stop.Error} at {stop.UnmappedAddress:x}", $"rip={s->Rip:x}"));
            return false;
        }
        _oracle.Read();
        return CompareRegisters(s);
    }

    /// <summary>
    /// Unicorn does not deliver exceptions through the IDT: that it raised one where Emu went to a handler is compared, the rest is taken over.
    /// </summary>
    private bool CompareException(CpuState* s, ulong linear, ulong next, in Instruction i, UnicornStop stop)
    {
        if (stop.Vector == (int)Vector.PageFault && _oracle.Paging && (s->Paging.Efer & PagingBits.EferNxe) != 0)
        {
            ChangeOracle(paging: false);
            return Differences.Count == 0;
        }
        if (next == linear + (ulong)i.Length)
        {
            Differences.Add(new Difference("exception", stop.Vector == 14 ? $"#PF at {stop.FaultAddress:x}" : $"vector {stop.Vector}", "none"));
            return false;
        }
        ulong stack = s->Registers[4];
        TlbEntry* e = Access.Translate(s, stack, 1, AccessKind.Read);
        if (e != null)
            _oracle.CopyMemory((e->PhysicalAndFlags & Page.Mask) | (stack & Page.OffsetMask), Math.Min(64, Page.Size - (stack & Page.OffsetMask)));
        Fed++;
        _oracle.CopyRegisters();
        return true;
    }

    private bool CompareRegisters(CpuState* s)
    {
        ulong mask = s->Is64Bit ? ulong.MaxValue : uint.MaxValue;
        ulong* values = _oracle.Values;
        UndefinedResult undefined = Undefined.After(_present.Case, _present.Instruction, values[16]);
        bool copy = false;
        for (int r = 0; r < (s->Is64Bit ? 16 : 8); r++)
        {
            if (((values[r] ^ s->Registers[r]) & mask) == 0)
                continue;
            copy = true;
            if (!undefined.Destination && undefined.Bits == 0)
                Add(CaseText.RegisterNames[r], values[r] & mask, s->Registers[r] & mask);
        }
        ulong flags = (values[16] ^ Flags.Get(s)) & ComparedFlags;
        copy |= flags != 0;
        if ((flags & ~undefined.Flags) != 0)
            Add($"flags {FlagNames.Describe(flags & ~undefined.Flags)}", values[16], Flags.Get(s));
        if (values[17] != s->Rip)
            Add("rip", values[17], s->Rip);
        SegmentRegister* segments = &s->Es;
        for (int i = 0; i < 6; i++)
            if ((ushort)values[18 + i] != segments[i].Selector)
                Add($"selector {(SegmentIndex)i}", (ushort)values[18 + i], segments[i].Selector);
        ulong comparedCr0 = _oracle.Paging ? ComparedCr0 : ComparedCr0 & ~PagingBits.Cr0Pg;
        if (((values[24] ^ s->Paging.Cr0) & comparedCr0) != 0)
            Add("cr0", values[24], s->Paging.Cr0);
        if (values[25] != s->Paging.Cr3)
            Add("cr3", values[25], s->Paging.Cr3);
        if (values[26] != s->Paging.Cr4)
            Add("cr4", values[26], s->Paging.Cr4);
        // What was undefined must not differ in the next instruction, where it may count.
        if (copy && Differences.Count == 0)
            _oracle.CopyRegisters();
        return Differences.Count == 0;

        void Add(string what, ulong oracle, ulong emu) => Differences.Add(new Difference(what, $"{oracle:x}", $"{emu:x}"));
    }

    private bool CompareMemory()
    {
        ulong at = _oracle.FirstDifference();
        if (at == ulong.MaxValue)
            return true;
        Differences.Add(new Difference($"memory at physical {at:x}", $"{_oracle.ByteAt(at):x2}", $"{*_cpu.Memory.Pointer(at):x2}"));
        return false;
    }

    private static bool IsMachineSpecific(in Instruction i) => i.Mnemonic is
        Mnemonic.Cpuid or Mnemonic.Rdtsc or Mnemonic.Rdtscp or Mnemonic.Rdmsr or Mnemonic.Rdpmc or Mnemonic.Xgetbv or Mnemonic.Hlt or Mnemonic.Pause
        or Mnemonic.In or Mnemonic.Out or Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd
        // Unicorn's CPU lacks these.
        or Mnemonic.Popcnt or Mnemonic.Movbe or Mnemonic.Rdfsbase or Mnemonic.Rdgsbase or Mnemonic.Serialize;

    private static bool UsesCr0(in Instruction i) =>
        i.Mnemonic is Mnemonic.Lmsw or Mnemonic.Smsw or Mnemonic.Clts
        || (i.Mnemonic == Mnemonic.Mov && (i.Op0Register == Register.CR0 || i.Op1Register == Register.CR0));

    private static bool ChangesTranslation(in Instruction i) =>
        i.Mnemonic == Mnemonic.Invlpg || (i.Mnemonic == Mnemonic.Mov && i.Op0Kind == OpKind.Register && i.Op0Register is Register.CR3 or Register.CR0 or Register.CR4);
}
