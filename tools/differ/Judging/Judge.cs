using Emu.Differ.Cases;
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

/// <summary>Runs cases of one mode on the oracle and on every path of Emu, and judges.</summary>
public sealed unsafe class Judge : IDisposable
{
    private static readonly ExecutionPath[] s_quick = [ExecutionPath.Fast, ExecutionPath.Full, ExecutionPath.Step];
    private static readonly ExecutionPath[] s_all = Enum.GetValues<ExecutionPath>();

    private readonly UnicornMachine _oracle;
    private readonly EmulatorMachine _emulator;
    private readonly Outcome _expected = new();
    private readonly Outcome _actual = new();

    public Judge(CodeMode mode)
    {
        Mode = mode;
        _oracle = new UnicornMachine(mode);
        _emulator = new EmulatorMachine(mode);
    }

    public CodeMode Mode { get; }

    public EmulatorMachine Emulator => _emulator;

    /// <summary>The path that differed in the last case judged <see cref="Verdict.Different"/> or <see cref="Verdict.Explained"/>.</summary>
    public ExecutionPath Path { get; private set; }

    public List<Difference> Differences { get; private set; } = [];

    /// <summary>Why the last case was refused, or which row explained it.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>What the oracle did with the last case.</summary>
    public Outcome Oracle => _expected;

    /// <summary>What Emu did with it on the path last run.</summary>
    public Outcome Actual => _actual;

    /// <summary>Judges a case; <paramref name="freshCode"/> as in <see cref="UnicornMachine.Run"/>.</summary>
    /// <param name="everyPath">Also the path that is slow to prepare, <see cref="ExecutionPath.Joined"/>.</param>
    public Verdict Run(Case c, bool freshCode, bool everyPath = true)
    {
        _oracle.Run(c, _expected, freshCode);
        if (_expected.Refusal != null)
        {
            Reason = "oracle: " + _expected.Refusal;
            return Verdict.Refused;
        }
        Verdict verdict = Verdict.Agree;
        foreach (ExecutionPath path in everyPath ? s_all : s_quick)
        {
            _emulator.Run(c, _actual, path);
            if (_actual.Refusal != null)
            {
                Path = path;
                Differences = [new Difference("emu stopped", "went on", _actual.Refusal)];
                return Verdict.Different;
            }
            if (Comparison.Agree(c, _expected, _oracle.Ram, _actual, _emulator.Ram))
                continue;
            Path = path;
            Differences = Comparison.Describe(c, _expected, _oracle.Ram, _actual, _emulator.Ram);
            OracleError? error = OracleErrors.Find(c, _expected, _actual, Differences);
            if (error == null)
                return Verdict.Different;
            Reason = error.Name;
            verdict = Verdict.Explained;
        }
        return verdict;
    }

    /// <summary>Whether a second instruction reads only what is defined after the first.</summary>
    public static bool MayFollow(Instruction first, Instruction second) =>
        (Comparison.Flags(second.RflagsRead) & Undefined.MayBe(first.Mnemonic)) == 0 && !Undefined.DestinationMayBe(first.Mnemonic);

    public void Dispose()
    {
        _oracle.Dispose();
        _emulator.Dispose();
    }
}
