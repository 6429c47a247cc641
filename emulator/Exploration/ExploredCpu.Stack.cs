using Emu.Memory;

namespace Emu.Exploration;

/// <summary>
/// The stack. What lies below the stack pointer is dead: an interrupt may overwrite it at any time. It is cleared between two choices, so that states which
/// differ only in what returned calls and handlers left there are one; unless a program was seen to read there.
/// </summary>
internal sealed unsafe partial class ExploredCpu
{
    /// <summary>Loads and stores this far below the stack pointer are taken for the stack's.</summary>
    private const ulong NearStack = 512;

    private const int RegionShift = 13;

    /// <summary>Bytes of an interrupt frame with error code.</summary>
    private const ulong FrameBytes = 48;

    /// <summary>Stack pointers of what interrupt handlers interrupted.</summary>
    private readonly ulong[] _interruptedStack = new ulong[4];
    private int _interrupts;

    /// <summary>What was written to in a region of stack since it was last cleared. Entered by a change of stacks: it is empty again when the CPU has left it.</summary>
    internal struct Region
    {
        public ulong Low, High;
        public bool Entered;
    }

    private readonly Region[] _regions = new Region[4];
    private int _regionCount;

    /// <summary>Who accesses: the CPU outside of interrupt handlers, or a handler that touches something other than its own part of the stack.</summary>
    private int AgentAt(ulong linear)
    {
        int agent = 2 * Index;
        if (_interrupts == 0)
            return agent;
        bool own = linear >= _s->Registers[4] - NearStack && linear < _interruptedStack[0];
        return own ? agent : agent + 1;
    }

    private void NoteStack(ulong linear)
    {
        if (linear < _stackPointer && linear >= _stackPointer - NearStack)
            NoteRegion(linear, linear + 8, entered: false);
    }

    private void NoteStackSwitch(ulong before)
    {
        ulong now = _s->Registers[4];
        if (now >> RegionShift != before >> RegionShift && now - before > NearStack && before - now > NearStack)
            NoteRegion(now, now + FrameBytes, entered: true);
        _stackPointer = now;
    }

    private void NoteRegion(ulong low, ulong high, bool entered)
    {
        for (int i = 0; i < _regionCount; i++)
        {
            if (_regions[i].Low >> RegionShift != low >> RegionShift)
                continue;
            _regions[i].Low = Math.Min(_regions[i].Low, low);
            _regions[i].High = Math.Max(_regions[i].High, high);
            return;
        }
        if (_regionCount < _regions.Length)
            _regions[_regionCount++] = new Region { Low = low, High = high, Entered = entered };
    }

    private void ClearDeadStack()
    {
        if (_machine.Shared.BelowStack)
            return;
        ulong top = _s->Registers[4];
        for (int i = 0; i < _regionCount; i++)
        {
            ref Region r = ref _regions[i];
            bool here = r.Low >> RegionShift == top >> RegionShift;
            ulong end = here ? top : r.Entered ? r.High : 0;
            if (end <= r.Low)
                continue;
            Clear(r.Low, Math.Min(end, r.High));
            if (end >= r.High)
            {
                _regions[i--] = _regions[--_regionCount];
                continue;
            }
            r.Low = end;
        }
    }

    private void Clear(ulong from, ulong to)
    {
        PhysicalMemory memory = Cpu.Memory;
        for (ulong at = from; at < to; at++)
        {
            if ((at & 7) == 0 && at + 8 <= to)
            {
                if (Data(at) is not { } physical)
                    return;
                if (memory.Read(physical, 8) == 0)
                {
                    at += 7;
                    continue;
                }
                if ((_machine.Shared.Of(physical, 8) & ~Sharing.Contexts) == Sharing.None)
                {
                    memory.Write(physical, 8, 0);
                    at += 7;
                    continue;
                }
            }
            if (Data(at) is { } one && (_machine.Shared[one] & ~Sharing.Contexts) == Sharing.None)
                memory.Write(one, 1, 0);
        }
    }

    private ulong? Data(ulong linear)
    {
        Cpus.FaultInfo fault = _s->Fault;
        TlbEntry* e = Cpus.Access.Translate(_s, linear, 1, AccessKind.Read);
        _s->Fault = fault;
        if (e == null)
            return null;
        ulong physical = (e->PhysicalAndFlags & Page.Mask) | (linear & Page.OffsetMask);
        return Cpu.Memory.Offset(physical) == ulong.MaxValue ? null : physical;
    }
}
