using System.Runtime.InteropServices;
using Emu.Cpus;
using Emu.Differ.Cases;
using Emu.Execution;
using Emu.Fetch;
using Emu.Instructions;
using Emu.Memory;

namespace Emu.Differ.Machines;

/// <summary>The ways in which Emu executes an instruction; all must agree with the oracle.</summary>
public enum ExecutionPath
{
    /// <summary>A block, with the handlers that go straight to memory where the TLB allows.</summary>
    Fast,

    /// <summary>A block, with the handlers that make every access in full.</summary>
    Full,

    /// <summary>The stepper, one instruction at a time.</summary>
    Step,

    /// <summary>A block whose operations were joined into handlers compiled for their sequence, as hot blocks are. Compiling takes time.</summary>
    Joined,
}

/// <summary>Runs cases of one mode in Emu: a CPU without a machine around it, under the profile coherent.</summary>
public sealed unsafe class EmulatorMachine : IDisposable
{
    private const int CasesBetweenClears = 1 << 14;

    /// <summary>How often a string instruction may come back unfinished.</summary>
    private const int MaximumRounds = 1000;

    private readonly Arena _arena;
    private readonly PhysicalMemory _memory;
    private readonly Cpu _cpu;
    private readonly CodeCache _cache;
    private readonly BlockBuilder _builder;
    private readonly Stepper _stepper;

    /// <summary>The CPU as it is before any case.</summary>
    private readonly CpuState* _pristine;
    private int _sinceClear;

    public EmulatorMachine(CodeMode mode)
    {
        _arena = Arena.For(mode);
        _memory = new PhysicalMemory(_arena.RamSize);
        Buffer.MemoryCopy(_arena.Image, _memory.Base, _arena.RamSize, _arena.RamSize);
        _cpu = new Cpu(new CpuIndex(0), FullModel.Instance, _memory, new Bus(), FetchProfiles.Coherent, 0);
        var decoder = new InstructionDecoder(_cpu.Model);
        _cache = new CodeCache(_memory);
        _builder = new BlockBuilder(_memory, _cache, decoder);
        _stepper = new Stepper(decoder);
        CpuState* s = _cpu.State;
        s->Gdtr = new TableRegister { Base = _arena.Gdt, Limit = _arena.GdtLimit };
        s->Idtr = new TableRegister { Base = Arena.IdtBase, Limit = Arena.IdtLimit };
        s->Ldtr = default;
        if (mode == CodeMode.Real16)
            LoadRealSegments(s);
        else
            EnterProtectedMode(s);
        s->Activity = Activity.Active;
        CpuMode.Update(s);
        WarmTlb(s);
        _pristine = (CpuState*)NativeMemory.AlignedAlloc((nuint)sizeof(CpuState), 64);
        *_pristine = *s;
    }

    private byte* Ram => _memory.Base;

    /// <summary>Changes what a case left behind before it is compared; for the test that the differ notices.</summary>
    public Action<Case, Outcome, PhysicalMemory>? Sabotage { get; set; }

    /// <summary>Runs a case.</summary>
    public void Run(Case c, Outcome o, ExecutionPath path)
    {
        if (++_sinceClear >= CasesBetweenClears)
        {
            _cache.Clear();
            _sinceClear = 0;
        }
        _arena.Place(c, Ram);
        CpuState* s = _cpu.State;
        uint jumpKey = s->JumpKey;
        *s = *_pristine;
        s->JumpKey = jumpKey;
        for (int i = 0; i < 16; i++)
            s->Registers[i] = c.Registers[i];
        Flags.Set(s, c.Flags);
        if (c.Mode == CodeMode.Real16)
        {
            s->Cs.Selector = c.Cs;
            s->Cs.Base = (ulong)c.Cs << 4;
        }
        s->Rip = c.Rip;
        s->Floating = c.Floating;
        CpuMode.Update(s);
        o.Clear();
        if (path == ExecutionPath.Step)
            Step(c, s);
        else
            RunBlocks(c, s, path);
        Collect(c, o, s);
        Sabotage?.Invoke(c, o, _memory);
        o.Memory.Take(_arena, Ram);
        Arena.Remove(c, Ram);
    }

    public void Dispose()
    {
        _stepper.Dispose();
        _cache.Dispose();
        _cpu.Dispose();
        _memory.Dispose();
        NativeMemory.AlignedFree(_pristine);
    }

    private void Stop(string message)
    {
        _cpu.State->Exit = ExitReason.Unsupported;
        _cpu.StopMessage = message;
    }

    private void Step(Case c, CpuState* s)
    {
        int rounds = 0;
        for (int n = 0; n < c.Count && s->Exit == ExitReason.None; n++)
        {
            if (!_stepper.StepCoherent(_cpu, out bool retired))
            {
                // The bytes cannot be fetched.
                if (s->Exit == ExitReason.None)
                    s->Exit = ExitReason.Fault;
                return;
            }
            // A string instruction may stop between two rounds; it is not done then.
            if (!retired && s->Exit == ExitReason.None)
                n--;
            if (++rounds == MaximumRounds)
                Stop("the instruction makes no progress");
        }
    }

    /// <summary>Builds blocks and runs them, as the loop does, but delivers no exception and takes no interrupt.</summary>
    private void RunBlocks(Case c, CpuState* s, ExecutionPath path)
    {
        long left = c.Count;
        // Two instructions, and what lies behind them up to the end of a block.
        delegate*<CpuState*, Op*, Op*>* fast = stackalloc delegate*<CpuState*, Op*, Op*>[byte.MaxValue + 1];
        for (int rounds = 0; left > 0 && s->Exit == ExitReason.None; rounds++)
        {
            if (rounds == MaximumRounds)
            {
                Stop("the instruction makes no progress");
                return;
            }
            ulong linear = s->Is64Bit ? s->Rip : (s->Cs.Base + s->Rip) & uint.MaxValue;
            Block* b = _arena.HoldsCode(linear, 0) ? _builder.Build(linear, s->Rip, s->ModeKey) : null;
            if (b == null)
            {
                // It crosses a page: no block can hold it.
                Step(c, s);
                return;
            }
            if (path == ExecutionPath.Joined)
                _builder.Join(b);
            for (int i = 0; i < b->InstructionCount && path == ExecutionPath.Full; i++)
            {
                fast[i] = Block.Ops(b)[i].Handler;
                Block.Ops(b)[i].Handler = Block.Ops(b)[i].Full;
            }
            s->LinkSource = null;
            s->ExitRequested = 0;
            s->Budget = 0;
            for (Op* op = Block.Ops(b); op != null;)
                op = op->Handler(s, op);
            // The block is found again when the next case has the same instructions.
            for (int i = 0; i < b->InstructionCount && path == ExecutionPath.Full; i++)
                Block.Ops(b)[i].Handler = fast[i];
            left -= b->InstructionCount - s->Budget;
        }
    }

    private static void Collect(Case c, Outcome o, CpuState* s)
    {
        for (int i = 0; i < 16; i++)
            o.Registers[i] = s->Registers[i];
        o.Rip = s->Rip;
        o.Flags = Flags.Get(s);
        SegmentRegister* segments = &s->Es;
        for (int i = 0; i < 6; i++)
            o.Selectors[i] = segments[i].Selector;
        o.FsBase = c.Mode.HasLongTables() ? s->Fs.Base : 0;
        o.GsBase = c.Mode.HasLongTables() ? s->Gs.Base : 0;
        o.Floating = s->Floating;
        o.KnowsPointers = true;
        if (s->Exit == ExitReason.Fault)
        {
            o.Vector = (int)s->Fault.Vector;
            o.ErrorCode = s->Fault.ErrorCode;
            if (s->Fault.Vector == Vector.PageFault)
                o.FaultAddress = s->Fault.LinearAddress;
        }
        else if (s->Exit == ExitReason.Unsupported)
        {
            o.Refusal = Cpu.Of(s).StopMessage ?? "unsupported";
        }
        else if (s->Exit == ExitReason.Halt)
        {
            o.Refusal = "halted";
        }
    }

    /// <summary>All data pages are in the TLB and may be written directly where they are writable, so that the fast handlers are fast.</summary>
    private void WarmTlb(CpuState* s)
    {
        for (int i = 0; i < _memory.PageCount; i++)
            _memory.Flags[i] = PageFlags.Dirty;
        foreach (ulong page in _arena.DataPages.Select(p => p.Key))
        {
            Access.Load(s, page, 1, AccessKind.Read, out _);
            Access.ProbeWrite(s, page, 1, AccessKind.Write);
        }
        if (_arena.Mode == CodeMode.Real16)
        {
            foreach (MemoryWindow w in _arena.Windows)
                for (ulong a = w.Start; a < w.Start + (ulong)w.Length; a += Page.Size)
                    Access.ProbeWrite(s, a, 1, AccessKind.Write);
        }
        s->Fault = default;
    }

    private static void LoadRealSegments(CpuState* s)
    {
        s->Paging.Cr0 = ControlBits.Cr0Et;
        s->Ds = RealSegment(Arena.RealDs);
        s->Es = RealSegment(Arena.RealEs);
        s->Ss = RealSegment(Arena.RealSs);
        s->Fs = RealSegment(Arena.RealFs);
        s->Gs = RealSegment(Arena.RealGs);
    }

    private static SegmentRegister RealSegment(ushort selector) => new()
    {
        Selector = selector,
        Base = (ulong)selector << 4,
        Limit = 0xFFFF,
        Attributes = 0x93,
        Usable = 1,
    };

    private void EnterProtectedMode(CpuState* s)
    {
        bool longMode = _arena.Mode.HasLongTables();
        if (_arena.Mode.IsUser())
        {
            s->Cpl = 3;
            // Without a map of permitted ports: "if the limit does not include it, all I/O instructions fault" (SDM, "I/O Permission Bit Map").
            s->Tr = default;
            s->Cs = _arena.Mode.Is64() ? Segment(Arena.UserCode64Selector, 0, 0xA0FB) : Segment(Arena.UserCode32Selector, 0, 0xC0FB);
            s->Ds = s->Es = s->Ss = Segment(Arena.UserDataSelector, 0, 0xC0F3);
            s->Fs = Segment(Arena.UserDataSelector, Arena.FsBase, 0xC0F3);
            s->Gs = Segment(Arena.UserDataSelector, Arena.GsBase, 0xC0F3);
        }
        else
        {
            s->Cs = Segment(Arena.CodeSelector, 0, longMode ? (ushort)0xA09B : (ushort)0xC09B);
            s->Ds = s->Es = s->Ss = Segment(Arena.DataSelector, 0, 0xC093);
            s->Fs = Segment(Arena.FsSelector, Arena.FsBase, 0xC093);
            s->Gs = Segment(Arena.GsSelector, Arena.GsBase, 0xC093);
        }
        s->Paging.Cr3 = _arena.Cr3;
        s->Paging.Cr4 = ControlBits.Cr4OsFxsr | ControlBits.Cr4OsXmmExcpt | (longMode ? ControlBits.Cr4Pae : 0)
            | (_arena.Mode.IsUser() ? ControlBits.Cr4FsGsBase | ControlBits.Cr4OsXsave : 0);
        s->Paging.Cr0 = ControlBits.Cr0Pg | ControlBits.Cr0Wp | ControlBits.Cr0Ne | ControlBits.Cr0Et | ControlBits.Cr0Mp | ControlBits.Cr0Pe
            | (_arena.Mode.IsUser() ? ControlBits.Cr0Am : 0);
        s->Paging.Efer = longMode ? ControlBits.EferLme | ControlBits.EferLma | (_arena.Mode.IsUser() ? ControlBits.EferSce | ControlBits.EferNxe : 0) : 0;
    }

    private static SegmentRegister Segment(ushort selector, ulong @base, ushort attributes) => new()
    {
        Selector = selector,
        Base = @base,
        Limit = uint.MaxValue,
        Attributes = attributes,
        Usable = 1,
    };
}
