using Emu.Differ.Cases;
using Emu.Differ.Host;
using Emu.Differ.Machines;
using Iced.Intel;

namespace Emu.Differ.Judging;

public enum Verdict
{
    Agree,

    /// <summary>They differ, and a row of the table of the oracle's errors says why.</summary>
    Explained,

    /// <summary>One of the two cannot run it.</summary>
    Refused,

    Different,
}

/// <summary>Which of Emu's paths run a case.</summary>
public enum Paths
{
    /// <summary>One of the quick ones, in turn.</summary>
    OneInTurn,

    All,
}

/// <summary>Runs cases of one mode on an oracle and in Emu, and judges.</summary>
public sealed class Judge : IDisposable
{
    private const int QuickPaths = 3;

    private readonly IOracle _oracle;
    private readonly EmulatorMachine _emulator;
    private readonly Outcome _actual = new();
    private readonly Outcome[] _single = [new()];
    private int _turn;

    /// <exception cref="Unicorn.OracleMissingException">The mode's oracle is not to be had.</exception>
    public Judge(CodeMode mode)
    {
        Mode = mode;
        _oracle = mode.IsUser() ? new HostMachine(mode) : new UnicornMachine(mode);
        _emulator = new EmulatorMachine(mode);
        Expected = _single[0];
    }

    public CodeMode Mode { get; }

    public IOracle Oracle => _oracle;

    public EmulatorMachine Emulator => _emulator;

    /// <summary>The path that differed in the last case judged <see cref="Verdict.Different"/> or <see cref="Verdict.Explained"/>.</summary>
    public ExecutionPath Path { get; private set; }

    public List<Difference> Differences { get; private set; } = [];

    /// <summary>Why the last case was refused, or which row explained it.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>What the oracle did with the last case.</summary>
    public Outcome Expected { get; private set; }

    /// <summary>What Emu did with it on the path last run.</summary>
    public Outcome Actual => _actual;

    /// <summary>Which oracle judges cases of a mode.</summary>
    public static OracleKind OracleOf(CodeMode mode) => mode.IsUser() ? OracleKind.Host : OracleKind.Unicorn;

    /// <summary>Runs one case on the oracle and on every path of Emu.</summary>
    public Verdict Run(Case c)
    {
        _oracle.Submit([c]);
        _oracle.Collect(_single);
        return Run(c, _single[0], Paths.All);
    }

    /// <summary>The fewest cycles that the oracle takes for a case, of some runs in a row; the first finds cold caches.</summary>
    public ulong UndisturbedCycles(Case c)
    {
        Case[] cases = [c, c, c, c];
        Outcome[] outcomes = [new(), new(), new(), new()];
        _oracle.Submit(cases);
        _oracle.Collect(outcomes);
        return outcomes.Min(o => o.Cycles);
    }

    /// <summary>Judges a case that the oracle has run.</summary>
    public Verdict Run(Case c, Outcome expected, Paths paths)
    {
        Expected = expected;
        if (expected.Refusal != null)
        {
            Reason = "oracle: " + expected.Refusal;
            return Verdict.Refused;
        }
        if (paths == Paths.OneInTurn)
        {
            _turn = (_turn + 1) % QuickPaths;
            return Run(c, (ExecutionPath)_turn);
        }
        Verdict verdict = Verdict.Agree;
        for (var path = ExecutionPath.Fast; path <= ExecutionPath.Joined; path++)
        {
            Verdict v = Run(c, path);
            if (v == Verdict.Different)
                return v;
            if (v != Verdict.Agree)
                verdict = v;
        }
        return verdict;
    }

    private Verdict Run(Case c, ExecutionPath path)
    {
        _emulator.Run(c, _actual, path);
        if (_actual.Refusal != null)
        {
            Path = path;
            Differences = [new Difference("emu stopped", "went on", _actual.Refusal)];
            return Verdict.Different;
        }
        if (Comparison.Agree(c, Expected, _actual))
            return Verdict.Agree;
        Path = path;
        Differences = Comparison.Describe(c, Expected, _actual);
        OracleError? error = OracleErrors.Find(_oracle.Kind, c, Expected, _actual, Differences);
        if (error == null)
            return Verdict.Different;
        Reason = error.Name;
        return Verdict.Explained;
    }

    /// <summary>Whether a second instruction reads only what is defined after the first. In what FXSAVE and its kin store there is always something that is the processor's own.</summary>
    public static bool MayFollow(Instruction first, Instruction second) =>
        !HostDisagreements.StoresImage(first) && (Comparison.Flags(second.RflagsRead) & Undefined.MayBe(first.Mnemonic)) == 0 && !Undefined.DestinationMayBe(first.Mnemonic);

    public void Dispose()
    {
        _oracle.Dispose();
        _emulator.Dispose();
    }
}
