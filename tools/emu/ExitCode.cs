using Emu.Machines;

namespace Emu.Cli;

/// <summary>What the process ends with; README, "Exit codes".</summary>
public static class ExitCode
{
    public const int Success = 0;

    /// <summary>The guest reported failure, a scenario did not go as it expects.</summary>
    public const int Failure = 1;

    /// <summary>Bad usage or bad input: one line on standard error says what, where and how to mend it.</summary>
    public const int Usage = 2;
    public const int TripleFault = 3;
    public const int AllHalted = 4;
    public const int InstructionLimit = 5;
    public const int Unsupported = 6;
    public const int ResetRequested = 7;

    /// <summary>An exploration found nothing before it came to a bound or was cancelled; 9 to 17 are findings, <see cref="Exploration.FindingKinds.ExitCode"/>.</summary>
    public const int BoundReached = 8;

    /// <summary>A bug of ours.</summary>
    public const int Internal = 70;

    /// <summary>The value that a guest writes to the exit port when all went well.</summary>
    public const int GuestSuccess = 0x10;

    /// <summary>The exit code for a machine that stopped.</summary>
    public static int Of(RunResult result) => result.Reason switch
    {
        StopReason.GuestExit => result.ExitCode == GuestSuccess ? Success : Failure,
        StopReason.PowerOff => Success,
        StopReason.TripleFault => TripleFault,
        StopReason.AllHalted => AllHalted,
        StopReason.InstructionLimit or StopReason.Idle => InstructionLimit,
        StopReason.Ended => result.ExitCode,
        StopReason.Unsupported => Unsupported,
        StopReason.ResetRequested => ResetRequested,
        _ => Internal,
    };
}
