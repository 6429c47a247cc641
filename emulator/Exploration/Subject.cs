using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Machines;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>What is explored: a machine at its start, and what to look for.</summary>
public abstract class Subject
{
    /// <summary>For messages and files.</summary>
    public abstract string Name { get; }

    public abstract FetchProfile Profile { get; }

    /// <summary>The description of an address: a symbol and an offset.</summary>
    public abstract string Describe(ulong address);

    /// <summary>Linear addresses at which a CPU has come to the end of what is explored; it still takes interrupts there.</summary>
    internal virtual IReadOnlyList<ulong> Stops => [];

    /// <summary>A machine of its own at the start of the exploration, with messages waiting to be delivered. Each worker has one.</summary>
    internal abstract SubjectRun Start();

    /// <summary>A machine at the start of the exploration that is run from outside, with its own checker of cross-modifying code where the subject asks for that.</summary>
    internal virtual Machine StartPlain() => Start().Machine;

    /// <summary>The profile as an exploration runs it: a store buffer of the abstract machine of x86-TSO has no bound, and this one as good as none.</summary>
    internal static FetchProfile Unbounded(FetchProfile profile) =>
        profile.StoreBuffer == 0 ? profile : profile with { StoreBuffer = FetchProfileFields.MaximumStoreBuffer };
}

/// <summary>A subject on one machine: is told what happens on a path, keeps what matters of it, and judges its end.</summary>
internal abstract class SubjectRun(Machine machine)
{
    public Machine Machine { get; } = machine;

    /// <summary>What it has noted of the path; part of the state of the machine.</summary>
    public virtual ulong Happened { get; set; }

    /// <summary>It matters whether memory ever held together the bytes that were executed.</summary>
    public virtual bool AsksForTorn => false;

    /// <summary>It matters between which two instructions a CPU was interrupted.</summary>
    public virtual bool AsksWhereInterrupted => false;

    /// <summary>An exception was raised.</summary>
    public virtual void Raised(ExploredCpu cpu, Vector vector)
    {
    }

    /// <summary>An interrupt was taken; RIP is that of the handler.</summary>
    public virtual void Interrupted(ExploredCpu cpu, ulong savedRip)
    {
    }

    /// <summary>Bytes that differ from memory's were about to be executed.</summary>
    public virtual void Stale(ExploredCpu cpu, StaleOutcome outcome, bool torn)
    {
    }

    /// <summary>True when executions that the rule of cross-modifying code forbids are to be told.</summary>
    public virtual bool Checks => false;

    /// <summary>An instruction is about to be executed whose bytes another CPU changed since this one serialised, and the profile does not excuse it.</summary>
    /// <returns>What is wrong, where that ends the path.</returns>
    public virtual Finding? Unsynchronised(ExploredCpu cpu, ulong linear, XmcVerdict verdict) => null;

    /// <summary>An interrupt handler has returned to where memory by now holds the inside of an instruction.</summary>
    /// <returns>What is wrong, where that ends the path.</returns>
    public virtual Finding? ReturnsInside(ExploredCpu cpu, ulong start) => null;

    /// <summary>Looks at the machine after an event of a CPU: what is wrong, if it shows already.</summary>
    public virtual Finding? After(ExploredMachine machine, ExploredCpu cpu) => null;

    /// <summary>Judges a state in which nothing can happen any more.</summary>
    /// <param name="waiting">CPUs that wait for what will not come: bit n is CPU n. 0 when all have come to an end.</param>
    /// <param name="livelock">They go round for ever.</param>
    public abstract FinalState End(ExploredMachine machine, uint waiting, bool livelock);

    /// <summary>True when the CPU, which executes nothing, has come to the end of its part.</summary>
    public abstract bool IsAtAnEnd(ExploredCpu cpu);
}

/// <summary>A state in which a path ended.</summary>
/// <param name="Outcome">As herd prints it; one line.</param>
/// <param name="Holds">The condition holds in it.</param>
/// <param name="Decides">It decides the condition: a path to it is worth showing.</param>
/// <param name="Finding">What is wrong with it.</param>
public sealed record FinalState(string Outcome, bool Holds, bool Decides, Finding? Finding)
{
    /// <summary>False where herd's <c>filter</c> leaves it out.</summary>
    public bool Counts { get; init; } = true;

    /// <summary>How the path ended.</summary>
    internal RunEnd End { get; init; } = RunEnd.Finished;
}

/// <summary>Something wrong that an exploration found.</summary>
/// <param name="Text">One line.</param>
public sealed record Finding(FindingKind Kind, string Text);
