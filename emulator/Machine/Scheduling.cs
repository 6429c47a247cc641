using System.Runtime.CompilerServices;
using Emu.Cpus;
using Emu.Execution;

namespace Emu.Machines;

/// <summary>Which CPU does what next: this part of the machine is the schedule.</summary>
public sealed unsafe partial class Machine
{
    /// <summary>Instructions of a slice where no other CPU waits for its turn: long, but short enough to sample where time is spent.</summary>
    private const int SoloQuantum = 20_000;

    /// <summary>The same where others are in MWAIT: whether the line that they monitor was stored to is seen between two slices.</summary>
    private const int MonitorQuantum = 4096;

    /// <summary>Slices for which a CPU drains its stores as eagerly as before, on average.</summary>
    private const int SlicesPerMood = 64;

    private readonly ulong[] _eagerness;

    /// <summary>Under a random schedule, once in so many slices a CPU is held up, and more often when code has just changed;</summary>
    private const int HoldOneIn = 6;
    private const int HoldAfterChangeOneIn = 2;

    /// <summary>for so many ticks, times a power of two.</summary>
    private const ulong MinimumHold = 32;
    private const int HoldMagnitudes = 8;

    /// <summary>
    /// A CPU that has fetched what another one has just changed is held up always, and half of the time until code has not changed for so many ticks, at most for so many:
    /// only where it stands still for the whole of a patch does it show what the patch lacks, and a kernel like Linux takes thousands of instructions for one.
    /// </summary>
    private const ulong PatchPause = 4096;
    private const ulong LongestPatch = 1 << 20;

    /// <summary>
    /// The CPU that is held up. Bursts alone seldom let one CPU go through a whole protocol while another stands between two instructions.
    /// </summary>
    private HeldCpu _held;

    /// <summary>Who is held up.</summary>
    /// <param name="Until">From this tick on it goes on,</param>
    /// <param name="PatchUntil">but not, up to this one, while code goes on changing.</param>
    /// <param name="CodeChanges">Changes of code when this was last looked at.</param>
    internal readonly record struct HeldCpu(int Cpu, ulong Until, ulong PatchUntil, ulong CodeChanges);

    /// <summary>Runs one CPU for a slice. False when no CPU could execute.</summary>
    private bool RunSlice(ulong limit)
    {
        switch (Options.Schedule)
        {
            case ScheduleKind.Random:
                return RunRandomSlice(limit);
            case ScheduleKind.Pct:
                return RunPctSlice();
            case ScheduleKind.Listed when _listPosition < Options.Events.Count:
                RunListed(Options.Events[_listPosition++], limit);
                return true;
            default:
                return RunRoundRobinSlice(limit);
        }
    }

    /// <summary>The next CPU that executes, in turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool RunRoundRobinSlice(ulong limit)
    {
        for (int tried = 0; tried < _cpus.Length; tried++)
        {
            int i = _turn;
            _turn = _turn + 1 == _cpus.Length ? 0 : _turn + 1;
            _alone = IsAlone(i, out bool monitored);
            int quantum = !_alone ? Options.Quantum : monitored ? Math.Max(MonitorQuantum, Options.Quantum) : SoloQuantum;
            if (RunFor(i, quantum, limit, random: null, keepsTurn: _alone && !monitored))
                return true;
        }
        _alone = false;
        return false;
    }

    /// <summary>True when no other CPU waits for its turn: a long one does no harm.</summary>
    /// <param name="monitored">One is in MWAIT, and may be woken by any store.</param>
    private bool IsAlone(int index, out bool monitored)
    {
        monitored = false;
        if (_cpus.Length == 1)
            return true;
        // How much a modelled CPU may do before the next one is part of what its schedule explores.
        if (!_coherent)
            return false;
        foreach (Cpu cpu in _cpus)
        {
            if (cpu.Index.Value == index)
                continue;
            if (MayExecute(cpu))
                return false;
            monitored |= cpu.State->Activity == Activity.Waiting;
        }
        return true;
    }

    private bool RunRandomSlice(ulong limit)
    {
        // A message is delivered soon, but not always before its sender or target goes on. Where they pile up, they are all overdue.
        while (Fabric.Pending.Count > _cpus.Length)
            Fabric.Deliver(Fabric.Pending[0]);
        if (Fabric.Pending.Count != 0 && _random.OneIn(2))
            Fabric.Deliver(Fabric.Pending[_random.Next(Fabric.Pending.Count)]);
        HoldSometimes();
        int first = _random.Next(_cpus.Length);
        // Bursts of all magnitudes: most races need a few instructions of one CPU between two of another, some need many.
        int magnitude = System.Numerics.BitOperations.Log2((uint)Options.Quantum) + 1;
        int quantum = 1 + _random.Next(Math.Min(Options.Quantum, 1 << _random.Next(magnitude)));
        int held = _sliceStart < _held.Until ? _held.Cpu : -1;
        for (int tried = 0; tried < _cpus.Length; tried++)
            if ((first + tried) % _cpus.Length != held && RunFor((first + tried) % _cpus.Length, quantum, limit, _random))
                return true;
        return held >= 0 && RunFor(held, quantum, limit, _random);
    }

    /// <summary>Holds up a CPU now and then, and rather when code has just changed, above all one that has fetched it before.</summary>
    private void HoldSometimes()
    {
        bool changed = _history.Now != _held.CodeChanges;
        bool holding = _sliceStart < _held.Until;
        _held = _held with { CodeChanges = _history.Now };
        if (changed && holding && _sliceStart < _held.PatchUntil)
        {
            _held = _held with { Until = _sliceStart + PatchPause };
            return;
        }
        if (changed && Array.FindIndex(_agents, a => a.HoldsStaleBytes()) is >= 0 and var stale && !(holding && stale == _held.Cpu))
        {
            Hold(stale);
            if (_random.OneIn(2))
                _held = _held with { Until = _sliceStart + PatchPause, PatchUntil = _sliceStart + LongestPatch };
            return;
        }
        if (!holding && _random.OneIn(changed ? HoldAfterChangeOneIn : HoldOneIn))
            Hold(_random.Next(_cpus.Length));
    }

    private void Hold(int cpu)
    {
        // A CPU that stands still goes on draining its stores.
        _cpus[cpu].StoreBuffer.DrainAll();
        _held = new HeldCpu(cpu, _sliceStart + (MinimumHold << _random.Next(HoldMagnitudes)), 0, _history.Now);
    }

    /// <summary>Runs a CPU for at most a quantum, the limit, or up to the next timer. False when it does not execute.</summary>
    /// <param name="keepsTurn">PAUSE does not end it.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool RunFor(int index, long quantum, ulong limit, DeterministicRandom? random, bool keepsTurn = false)
    {
        Cpu cpu = _cpus[index];
        if (!MayExecute(cpu))
            return false;
        ulong untilTimer = _nextEvent > _sliceStart ? _nextEvent - _sliceStart : 1;
        long budget = (long)Math.Min(Math.Min((ulong)quantum, limit), untilTimer);
        BeginSlice(cpu, budget);
        long retired = _coherent ? _interpreter.Run(cpu, budget, keepsTurn)
            : random == null ? _agents[index].Run(budget)
            : RunRandomly(_agents[index], budget, random);
        EndSlice(cpu, retired);
        return true;
    }

    /// <summary>True for a CPU that executes or that an event will wake now.</summary>
    private static bool MayExecute(Cpu cpu)
    {
        CpuState* s = cpu.State;
        if (s->Activity == Activity.Active || (cpu.Mailbox & Mail.Init) != 0)
            return true;
        if (s->Activity == Activity.WaitForSipi)
            return (cpu.Mailbox & Mail.Sipi) != 0;
        if (s->Activity == Activity.Waiting && MonitoredLine.Triggered(s))
            return true;
        if ((cpu.Mailbox & Mail.Nmi) != 0 && s->NmiBlocked == 0 && s->Activity is Activity.Halted or Activity.Waiting or Activity.Frozen)
            return true;
        return s->Activity is Activity.Halted or Activity.Waiting or Activity.Frozen && (s->SystemFlags & Rflags.If) != 0 && cpu.HasInterrupt;
    }

    private long RunRandomly(ModelledCpu agent, long budget, DeterministicRandom random)
    {
        Span<ulong> units = stackalloc ulong[64];
        CpuState* s = agent.Cpu.State;
        s->YieldRequested = 0;
        long done = 0;
        ulong eagerness = DrainEagerness(agent.Cpu.Index.Value, random);
        while (s->Budget > 0 && s->YieldRequested == 0)
        {
            ulong bits = random.Next();
            if ((bits & 3) != 0)
            {
                agent.FetchAhead(random);
            }
            else if ((bits & 4) != 0)
            {
                int n = agent.FetchCandidates(units);
                if (n > 0)
                    agent.FetchAny(units[random.Next(n)], random);
            }
            if (!agent.Execute(out bool retired))
                break;
            if (retired)
                done++;
            if ((bits >> 4 & 7) < eagerness)
                agent.Drain();
        }
        s->Budget = 0;
        if (s->Activity != Activity.Active)
            agent.Cpu.StoreBuffer.DrainAll();
        else if (random.OneIn(2))
            // What it executes next it may have fetched before others go on.
            agent.FetchAhead(random);
        return done;
    }

    /// <summary>
    /// How eagerly the stores of a CPU drain, in eighths an instruction. It changes seldom, and is sometimes nothing at all: what hides behind a
    /// lazy buffer shows only when the buffer stays lazy from one store to the next.
    /// </summary>
    private ulong DrainEagerness(int cpu, DeterministicRandom random)
    {
        if (random.OneIn(SlicesPerMood))
            _eagerness[cpu] = random.Next(4) switch { 0 => 0, 1 => 1, 2 => 4, _ => 8 };
        return _eagerness[cpu];
    }

    private void RunListed(ScheduleEvent e, ulong limit)
    {
        ModelledCpu agent = _agents[e.Cpu.Value];
        Span<ulong> units = stackalloc ulong[64];
        if (e.Action == ScheduleAction.Run)
        {
            RunFor(e.Cpu.Value, e.Count, limit, random: null);
            return;
        }
        for (int i = 0; i < e.Count && _stop == null; i++)
        {
            switch (e.Action)
            {
                case ScheduleAction.Fetch:
                    if (agent.FetchCandidates(units) != 0)
                        agent.Fetch(units[0], e.Version);
                    break;
                case ScheduleAction.Execute:
                    Step(e.Cpu);
                    break;
                case ScheduleAction.Drain:
                    agent.Drain();
                    break;
                case ScheduleAction.Deliver:
                    Fabric.DeliverNext(e.Cpu);
                    break;
            }
        }
    }
}
