using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Memory;

namespace Emu.Exploration;

/// <summary>One instruction: where its bytes come from, and what the profile makes of stale ones. The counterpart of <see cref="ModelledCpu.Execute"/>, with fetch events left to <see cref="LazyFetch"/>.</summary>
internal sealed unsafe partial class ExploredCpu
{
    private const byte Int3 = 0xCC;

    private void RunOne()
    {
        CpuState* s = _s;
        ulong linear = LinearRip;
        Fetch.Follow(linear);
        TlbEntry* e = Access.Translate(s, linear, 1, AccessKind.Execute);
        if (e == null)
        {
            RaiseUnfetched(linear);
            return;
        }
        ulong physical = (e->PhysicalAndFlags & Page.Mask) | (linear & Page.OffsetMask);
        byte* host = Cpu.Memory.Pointer(physical);
        if (host == null)
        {
            RaiseUnfetched(linear);
            return;
        }
        int inPage = Page.Size - (int)(linear & Page.OffsetMask);
        if (_machine.Shared.Units.Count != 0)
            NoteReach(linear, physical, inPage);
        bool patched = false;
        Stepper.Entry* decoded = _machine.Shared.IsPlain(physical) ? _stepper.Decode(s, host, Math.Min(inPage, InstructionDecoder.MaximumLength)) : null;
        if (decoded == null)
        {
            if (!Gather(linear, out decoded, out patched))
                return;
        }
        int length = decoded->Length;
        if (patched && OwnStoreTouches(linear, physical, length))
        {
            // A write to prefetched code empties the queue, and not only when it has reached memory: what is fetched now finds it there.
            Cpu.StoreBuffer.DrainAll();
            Fetch.Follow(linear);
            if (!Gather(linear, out decoded, out patched))
                return;
            length = decoded->Length;
        }
        if ((s->ModeKey & ModeKey.CsNotFlat) != 0 && s->Rip + (ulong)length - 1 > s->Cs.Limit)
        {
            Raise(Vector.GeneralProtection);
            return;
        }
        int agent = 2 * Index + (_interrupts == 0 ? 0 : 1);
        _machine.Accesses.Execute(physical, Math.Min(length, inPage), agent, _machine.Shared);
        if (length > inPage && Physical(linear + (ulong)inPage) is { } next)
            _machine.Accesses.Execute(next, length - inPage, agent, _machine.Shared);
        if (patched && !Validate(linear, physical, length))
            return;
        bool patchable = patched && (_machine.Shared.Of(physical, Math.Min(length, inPage)) & Sharing.Code) != 0;
        Run(decoded, linear, linear + (ulong)length, patchable);
    }

    /// <summary>Where the CPU has come by executing patched code and nothing else, straight on: where that began. Else 0.</summary>
    private ulong _runStart;

    private void Run(Stepper.Entry* decoded, ulong linear, ulong next, bool patched)
    {
        CpuState* s = _s;
        int shadow = s->InterruptShadow;
        bool trap = (s->SystemFlags & Rflags.Tf) != 0;
        bool open = (s->SystemFlags & Rflags.If) != 0;
        ulong stack = s->Registers[4];
        _load = _store = 0;
        bool retired = _stepper.Execute(s, decoded);
        if (!Fetch.Flushed && LinearRip == next)
            Fetch.Advance(next);
        if (s->Exit != ExitReason.None || trap || shadow != 0 || ((ulong)s->DebugArmed | s->PendingDebug) != 0)
            Events.AfterStep(Cpu, retired, shadow, trap);
        if (retired)
            s->Retired++;
        _runStart = !patched || LinearRip != next ? 0 : _runStart == 0 ? linear : _runStart;
        _trapped = LinearRip != next && !_conflict && IsInt3(decoded);
        // An interrupt that is under way can come before this instruction, and not after it.
        if (open && (s->SystemFlags & Rflags.If) == 0)
            Conflict(Pause.Choice);
        if (s->Exit == ExitReason.Unsupported && !_conflict)
            _machine.Problem ??= Cpu.StopMessage ?? "unsupported";
        if (stack != s->Registers[4])
            NoteStackSwitch(stack);
        if (_interrupts > 0 && !_conflict)
            FollowHandler(decoded);
    }

    /// <summary>INT3, behind whatever prefixes: a patch may leave one before it.</summary>
    private static bool IsInt3(Stepper.Entry* decoded)
    {
        byte* bytes = (byte*)&decoded->BytesLow;
        int last = decoded->Length - 1;
        if (bytes[last] != Int3)
            return false;
        for (int i = 0; i < last; i++)
            if (bytes[i] is not ((>= 0x40 and <= 0x4F) or 0x66 or 0x67 or 0xF2 or 0xF3 or 0x26 or 0x2E or 0x36 or 0x3E or 0x64 or 0x65))
                return false;
        return true;
    }

    private void FollowHandler(Stepper.Entry* decoded)
    {
        InterruptedProgram inner = _programs[_interrupts - 1];
        if (inner.Executed(_s, decoded, _load, _store))
            Expose(inner);
        while (_interrupts > 0 && _s->Registers[4] == _interruptedStack[_interrupts - 1])
        {
            InterruptedProgram program = _programs[--_interrupts];
            if (program.Leave(_s, LinearRip))
                Expose(program);
            if (program.Run.IsNone)
                continue;
            // What memory holds there by now is what matters.
            Conflict(Pause.Choice);
            if (!_conflict)
                _machine.Returned(this, program.Run);
        }
    }

    /// <summary>Collects the bytes of an instruction from plain memory and from patched units, as many as it takes.</summary>
    private bool Gather(ulong linear, out Stepper.Entry* decoded, out bool patched)
    {
        int have = 0;
        patched = false;
        SharedBytes shared = _machine.Shared;
        ulong unitMask = ~(ulong)(Fetch.Unit - 1);
        while (true)
        {
            decoded = have == 0 ? null : _stepper.Decode(_s, _bytes, have);
            if (decoded != null)
                return true;
            if (have >= InstructionDecoder.MaximumLength)
            {
                Raise(Vector.GeneralProtection);
                return false;
            }
            ulong at = linear + (ulong)have;
            if (Physical(at) is not { } physical)
            {
                RaiseUnfetched(at);
                return false;
            }
            if ((shared[physical] & Sharing.CodeUnit) == 0)
            {
                byte* host = Cpu.Memory.Pointer(physical);
                int most = Math.Min(InstructionDecoder.MaximumLength - have, Page.Size - (int)(at & Page.OffsetMask));
                int n = 0;
                while (n < most && (shared[physical + (ulong)n] & Sharing.CodeUnit) == 0)
                    _bytes[have + n] = host[n++];
                have += n;
                continue;
            }
            patched = true;
            if (!_permitted)
            {
                Conflict(Pause.Choice);
                return false;
            }
            ulong unit = at & unitMask;
            ReadOnlySpan<byte> content = Fetch.Bound(unit);
            if (content.IsEmpty)
            {
                if (OwnStoreWaits(physical & unitMask, unit))
                    Cpu.StoreBuffer.DrainAll();
                int count = Fetch.Versions(unit, physical & unitMask);
                int version = count == 1 ? 0 : _machine.Chooser.Choose(count);
                content = Fetch.Take(unit, physical & unitMask, version);
                _machine.Trace?.Fetched(this, unit, content, Fetch.TakenAt, version != 0);
            }
            for (int i = (int)(at - unit); i < Fetch.Unit && have < InstructionDecoder.MaximumLength; i++)
                _bytes[have++] = content[i];
        }
    }

    private bool OwnStoreTouches(ulong linear, ulong physical, int length)
    {
        bool byLinear = Cpu.Profile.CompareBy == CompareBy.Linear;
        return Cpu.StoreBuffer.Count != 0 && Cpu.StoreBuffer.Overlaps(byLinear ? linear : physical, length, byLinear);
    }

    /// <summary>A fetch does not miss the CPU's own earlier stores (SDM, "Self-Modifying Code").</summary>
    private bool OwnStoreWaits(ulong physical, ulong linear)
    {
        bool byLinear = Cpu.Profile.CompareBy == CompareBy.Linear;
        return Cpu.StoreBuffer.Count != 0 && Cpu.StoreBuffer.Overlaps(byLinear ? linear : physical, Fetch.Unit, byLinear);
    }

    /// <summary>Compares what was fetched with memory and applies the profile's rule. False when the instruction does not execute.</summary>
    private bool Validate(ulong linear, ulong physical, int length)
    {
        byte* memory = stackalloc byte[16];
        bool equal = true;
        for (int i = 0; i < length; i++)
        {
            memory[i] = *Cpu.Memory.Pointer(Physical(linear + (ulong)i) ?? physical);
            equal &= memory[i] == _bytes[i];
        }
        FetchProfile profile = Cpu.Profile;
        var fetched = new ReadOnlySpan<byte>(_bytes, length);
        _machine.Executing(this, linear, physical, fetched);
        if (equal)
            return true;
        StaleOutcome outcome = profile.Int3Exempt && (_bytes[0] == Int3 || memory[0] == Int3) ? StaleOutcome.ExemptByInt3 : profile.OnMismatch switch
        {
            MismatchRule.Stale => StaleOutcome.Retired,
            MismatchRule.Refetch => StaleOutcome.Refetched,
            _ => StaleOutcome.GeneralProtection,
        };
        _machine.Stale(this, linear, physical, fetched, new ReadOnlySpan<byte>(memory, length), outcome);
        switch (outcome)
        {
            case StaleOutcome.Refetched:
                // Nothing else happens in between: the same instruction again, from memory as it is.
                Fetch.Refetch();
                return false;
            case StaleOutcome.GeneralProtection:
                Raise(Vector.GeneralProtection);
                return false;
            default:
                return true;
        }
    }

    /// <summary>Physical address of code, or null where none can be fetched.</summary>
    private ulong? Physical(ulong linear)
    {
        FaultInfo fault = _s->Fault;
        TlbEntry* e = Access.Translate(_s, linear, 1, AccessKind.Execute);
        _s->Fault = fault;
        if (e == null)
            return null;
        ulong physical = (e->PhysicalAndFlags & Page.Mask) | (linear & Page.OffsetMask);
        return Cpu.Memory.Offset(physical) == ulong.MaxValue ? null : physical;
    }

    /// <summary>Where it stands without having tried the next instruction: what its queue may fetch from now on.</summary>
    private void LookAhead()
    {
        ulong linear = LinearRip;
        Fetch.Follow(linear);
        if (_machine.Shared.Units.Count != 0 && Physical(linear) is { } physical)
            NoteReach(linear, physical, Page.Size - (int)(linear & Page.OffsetMask));
    }

    private void NoteReach(ulong linear, ulong physical, int inPage)
    {
        if (_machine.Shared.UnitsIn(physical) is { } units)
            Fetch.Reach(linear, physical, units);
        if (inPage < Cpu.Profile.Depth && Physical(linear + (ulong)inPage) is { } next && _machine.Shared.UnitsIn(next) is { } more)
            Fetch.Reach(linear + (ulong)inPage, next, more);
    }

    private void Raise(Vector vector)
    {
        Access.Raise(_s, vector);
        Deliver();
    }

    private void RaiseUnfetched(ulong linear)
    {
        if (CodeFetch.Translate(Cpu, linear, out _) == null && _s->Exit == ExitReason.Unsupported)
        {
            if (!_conflict)
                _machine.Problem ??= Cpu.StopMessage ?? "unsupported";
            return;
        }
        Deliver();
    }

    private void Deliver()
    {
        bool open = (_s->SystemFlags & Rflags.If) != 0;
        ulong stack = _s->Registers[4];
        _s->Exit = ExitReason.Fault;
        Events.Finish(Cpu);
        NoteStackSwitch(stack);
        if (open && (_s->SystemFlags & Rflags.If) == 0)
            Conflict(Pause.Choice);
    }
}
