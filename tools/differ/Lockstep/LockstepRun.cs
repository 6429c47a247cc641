using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Differ.Judging;
using Emu.Machines;

namespace Emu.Differ.Lockstep;

/// <summary>Why a lockstep run ended.</summary>
public enum LockstepEnd
{
    /// <summary>The limit was reached.</summary>
    Limit,

    /// <summary>The guest touched a device in memory: from here on the two have different machines around them.</summary>
    Device,

    /// <summary>The guest ended the run, or Emu could not go on.</summary>
    Guest,

    Different,
}

/// <summary>A guest image in Emu and in another emulator, instruction by instruction: the loop, and what is compared whoever the other one is.</summary>
public abstract unsafe class LockstepRun : IDisposable
{
    private const int InstructionsBetweenMemoryChecks = 1 << 16;
    private const int InstructionsBetweenTicks = 1024;

    /// <summary>PG, WP, AM and the low bits without ET, which is hardwired.</summary>
    private protected const ulong ComparedCr0 = 0x8005_002F;

    private protected LockstepRun(MachineOptions options)
    {
        Emulator = new Machine(options);
        Present = new PresentInstruction(Emulator);
    }

    private protected Machine Emulator { get; }
    private protected Cpu Cpu => Emulator.Cpus[0];
    private protected CpuState* State => Cpu.State;
    private protected PresentInstruction Present { get; }

    /// <summary>Instructions whose results were compared.</summary>
    public long Compared { get; private protected set; }

    /// <summary>Instructions whose results one side took over from the other.</summary>
    public long Fed { get; private protected set; }

    /// <summary>What differed, when it ended with <see cref="LockstepEnd.Different"/>.</summary>
    public List<Difference> Differences { get; } = [];

    /// <summary>The instruction that the run ended at, with its address.</summary>
    public string Where { get; private protected set; } = "";

    /// <summary>The last instructions that both executed, the one that the run ended at last.</summary>
    public IReadOnlyCollection<string> Trail => Present.Trail;

    /// <summary>Breaks Emu's state after the given number of instructions; for the test that lockstep notices.</summary>
    public Action<long, Cpu>? Sabotage { get; set; }

    /// <summary>Runs; <paramref name="tick"/> is called every now and then.</summary>
    public LockstepEnd Run(long limit, Action<LockstepRun>? tick = null)
    {
        LockstepEnd end = LockstepEnd.Limit;
        int sinceCheck = 0;
        for (long n = 0; n < limit; n++)
        {
            if (Step() is { } reason)
            {
                end = reason;
                break;
            }
            if (n % InstructionsBetweenTicks == 0)
                tick?.Invoke(this);
            if (++sinceCheck < InstructionsBetweenMemoryChecks || !IsSettled)
                continue;
            sinceCheck = 0;
            if (!CompareMemory())
                break;
        }
        return Differences.Count == 0 && CompareMemory() ? end : LockstepEnd.Different;
    }

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    private protected virtual void Dispose(bool disposing) => Emulator.Dispose();

    /// <summary>One instruction on both sides; null to go on.</summary>
    private protected abstract LockstepEnd? Step();

    /// <summary>Whether memory can be compared now at little cost.</summary>
    private protected virtual bool IsSettled => true;

    /// <summary>True when all RAM is equal; else the first difference is noted.</summary>
    private protected abstract bool CompareMemory();

    /// <summary>Fetches and remembers the present instruction; false, with <see cref="Where"/> telling, when its bytes cannot be fetched.</summary>
    private protected bool FetchNext()
    {
        if (Present.Fetch())
        {
            Where = Present.Text;
            Present.Remember();
            return true;
        }
        Where = $"{State->Rip:x}: its bytes cannot be fetched";
        return false;
    }

    /// <summary>Compares what every instruction may change, but for what the manual leaves undefined after the present one.</summary>
    /// <param name="general">The other side's general registers, in the order of their numbers.</param>
    /// <param name="flags">Its flags.</param>
    /// <param name="rip">Its RIP.</param>
    /// <param name="comparedFlags">The flags that count.</param>
    /// <returns>True when something undefined is different: it must not be in the next instruction, where it may count.</returns>
    private protected bool CompareResults(ReadOnlySpan<ulong> general, ulong flags, ulong rip, ulong comparedFlags)
    {
        CpuState* s = State;
        ulong mask = s->Is64Bit ? ulong.MaxValue : uint.MaxValue;
        UndefinedResult undefined = Undefined.After(Present.Case, Present.Instruction, flags);
        bool different = false;
        for (int r = 0; r < (s->Is64Bit ? 16 : 8); r++)
        {
            if (((general[r] ^ s->Registers[r]) & mask) == 0)
                continue;
            different = true;
            if (!undefined.Destination && undefined.Bits == 0)
                Add(CaseText.RegisterNames[r], general[r] & mask, s->Registers[r] & mask);
        }
        ulong changed = (flags ^ Flags.Get(s)) & comparedFlags;
        if ((changed & ~undefined.Flags) != 0)
            Add($"flags {FlagNames.Describe(changed & ~undefined.Flags)}", flags, Flags.Get(s));
        if (rip != s->Rip)
            Add("rip", rip, s->Rip);
        return different || changed != 0;
    }

    /// <summary>Compares what system instructions change.</summary>
    private protected void CompareSystem(ReadOnlySpan<ushort> selectors, ulong cr0, ulong cr3, ulong cr4, ulong comparedCr0 = ComparedCr0)
    {
        CpuState* s = State;
        SegmentRegister* segments = &s->Es;
        for (int i = 0; i < selectors.Length; i++)
            if (selectors[i] != segments[i].Selector)
                Add($"selector {(SegmentIndex)i}", selectors[i], segments[i].Selector);
        if (((cr0 ^ s->Paging.Cr0) & comparedCr0) != 0)
            Add("cr0", cr0, s->Paging.Cr0);
        if (cr3 != s->Paging.Cr3)
            Add("cr3", cr3, s->Paging.Cr3);
        if (cr4 != s->Paging.Cr4)
            Add("cr4", cr4, s->Paging.Cr4);
    }

    private protected void Add(string what, ulong oracle, ulong emu) => Differences.Add(new Difference(what, $"{oracle:x}", $"{emu:x}"));
}
