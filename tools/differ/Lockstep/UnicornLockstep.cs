using Emu.Boot;
using Emu.Cpus;
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
public sealed unsafe class UnicornLockstep : LockstepRun
{
    private const ulong ComparedFlags = 0x3D_7FD5;

    private readonly bool _further;
    private LockstepOracle _oracle;

    /// <param name="further">Goes on behind the first access to a device in memory.</param>
    public UnicornLockstep(BootImage image, string commandLine, bool further)
        : base(new MachineOptions { CpuCount = 1, Profile = FetchProfiles.Coherent, Model = CpuModels.Skylake })
    {
        _further = further;
        image.Load(Emulator.Memory, Cpu, commandLine, []);
        _oracle = new LockstepOracle(Cpu, paging: true);
    }

    private protected override void Dispose(bool disposing)
    {
        _oracle.Dispose();
        base.Dispose(disposing);
    }

    private protected override LockstepEnd? Step()
    {
        CpuState* s = State;
        ulong rip = s->Rip, linear = Present.Linear;
        if (!FetchNext())
            return LockstepEnd.Guest;
        ref readonly Instruction i = ref Present.Instruction;
        bool device = Present.TouchesDevice();
        if (device && !_further)
            return LockstepEnd.Device;
        bool longMode = s->LongModeActive;
        if (!Present.Execute())
            return LockstepEnd.Guest;
        if (s->LongModeActive != longMode)
        {
            ChangeOracle(_oracle.Paging);
            return Differences.Count == 0 ? null : LockstepEnd.Different;
        }
        Sabotage?.Invoke(Compared + Fed, Cpu);
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
        _oracle = new LockstepOracle(Cpu, paging);
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
        return CompareRegisters();
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

    private bool CompareRegisters()
    {
        ulong* values = _oracle.Values;
        bool different = CompareResults(new ReadOnlySpan<ulong>(values, 16), values[16], values[17], ComparedFlags);
        Span<ushort> selectors = stackalloc ushort[6];
        for (int i = 0; i < selectors.Length; i++)
            selectors[i] = (ushort)values[18 + i];
        CompareSystem(selectors, values[24], values[25], values[26], _oracle.Paging ? ComparedCr0 : ComparedCr0 & ~PagingBits.Cr0Pg);
        if (different && Differences.Count == 0)
            _oracle.CopyRegisters();
        return Differences.Count == 0;
    }

    private protected override bool CompareMemory()
    {
        ulong at = _oracle.FirstDifference();
        if (at == ulong.MaxValue)
            return true;
        Differences.Add(new Difference($"memory at physical {at:x}", $"{_oracle.ByteAt(at):x2}", $"{*Cpu.Memory.Pointer(at):x2}"));
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
