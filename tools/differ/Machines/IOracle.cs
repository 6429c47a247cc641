using Emu.Differ.Cases;

namespace Emu.Differ.Machines;

/// <summary>
/// Another implementation of x86, for the cases of one mode. Cases go in by the batch: between <see cref="Submit"/> and <see cref="Collect"/> an
/// oracle may be at work while its user does something else.
/// </summary>
public interface IOracle : IDisposable
{
    OracleKind Kind { get; }

    /// <summary>Cases that may be submitted at a time.</summary>
    int BatchSize { get; }

    /// <summary>Starts a batch. The cases must not change before it is collected.</summary>
    void Submit(IReadOnlyList<Case> cases);

    /// <summary>Waits for the batch and fills in its outcomes, one for each case.</summary>
    void Collect(IReadOnlyList<Outcome> outcomes);
}

/// <summary>The oracles, in the order in which they are asked.</summary>
public enum OracleKind
{
    /// <summary>The CPU that this program runs on, at CPL 3.</summary>
    Host,

    /// <summary>Unicorn 2, QEMU's translator, at CPL 0.</summary>
    Unicorn,
}
