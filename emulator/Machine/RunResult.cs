namespace Emu.Machines;

/// <summary>Why a machine stopped.</summary>
public enum StopReason
{
    /// <summary>The guest wrote to the exit port.</summary>
    GuestExit,
    TripleFault,

    /// <summary>No CPU executes, and no timer will wake one.</summary>
    AllHalted,
    InstructionLimit,

    /// <summary>The guest has sent nothing for as long as whoever runs the machine would wait.</summary>
    Idle,

    /// <summary>Whoever runs the machine has ended it.</summary>
    Ended,

    /// <summary>The guest executed where no memory is.</summary>
    Unsupported,
    ResetRequested,

    /// <summary>The guest went to ACPI's S5.</summary>
    PowerOff,
}

/// <summary>How a run ended.</summary>
/// <param name="ExitCode">Of <see cref="StopReason.GuestExit"/>: the value written to the port. Of <see cref="StopReason.Ended"/>: 0 when all was well.</param>
/// <param name="Message">One line that says what and where.</param>
public sealed record RunResult(StopReason Reason, int ExitCode, string Message);
