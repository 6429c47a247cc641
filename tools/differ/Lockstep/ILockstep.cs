using Emu.Cpus;
using Emu.Differ.Judging;

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

/// <summary>A guest image in Emu and in another emulator, instruction by instruction.</summary>
public interface ILockstep : IDisposable
{
    /// <summary>Instructions whose results were compared.</summary>
    long Compared { get; }

    /// <summary>Instructions whose results one side took over from the other.</summary>
    long Fed { get; }

    /// <summary>What differed, when it ended with <see cref="LockstepEnd.Different"/>.</summary>
    List<Difference> Differences { get; }

    /// <summary>The instruction that the run ended at, with its address.</summary>
    string Where { get; }

    /// <summary>The last instructions that both executed, the one that the run ended at last.</summary>
    IReadOnlyCollection<string> Trail { get; }

    /// <summary>Breaks Emu's state after the given number of instructions; for the test that lockstep notices.</summary>
    Action<long, Cpu>? Sabotage { get; set; }

    /// <summary>Runs; <paramref name="tick"/> is called every now and then.</summary>
    LockstepEnd Run(long limit, Action<ILockstep>? tick = null);
}
