using System.Globalization;
using System.Text;
using Emu.Boot;
using Emu.Execution;
using Emu.Machines;

namespace Emu.Cli.Matrix;

/// <summary>Runs the guest once for every cell and seed.</summary>
/// <param name="image">The guest kernel.</param>
/// <param name="machine">The machine of every run, but for profile and seed.</param>
/// <param name="limit">Instructions after which a run counts as hung.</param>
/// <param name="append">The rest of the guest's command line.</param>
public sealed class MatrixRunner(BootImage image, MachineOptions machine, ulong limit, string append)
{
    /// <summary>Seeds of a cell, one after the other, until one fails or all have run.</summary>
    public MatrixResult Judge(MatrixCell cell, ulong firstSeed, int seeds, bool keepGoing)
    {
        int failures = 0;
        ulong? failing = null;
        string reason = "";
        for (int i = 0; i < seeds; i++)
        {
            ulong seed = firstSeed + (ulong)i;
            (MatrixVerdict verdict, string how) = Run(cell, seed);
            switch (verdict)
            {
                case MatrixVerdict.Refused:
                    return new MatrixResult(cell, verdict, i + 1, 0, null, how);
                case MatrixVerdict.Undecided when failing == null:
                    return new MatrixResult(cell, verdict, i + 1, 0, seed, how);
                case MatrixVerdict.Fails:
                    failures++;
                    if (failing == null)
                        (failing, reason) = (seed, how);
                    if (!keepGoing)
                        return new MatrixResult(cell, verdict, i + 1, failures, seed, how);
                    break;
            }
        }
        return new MatrixResult(cell, failing == null ? MatrixVerdict.NoFailure : MatrixVerdict.Fails, seeds, failures, failing, reason);
    }

    /// <summary>The command that does one run again, with the guest's messages. What "emu boot" takes unless told otherwise is left out.</summary>
    public string Replay(MatrixResult result)
    {
        var line = new StringBuilder("emu boot");
        void Add(string option, string value) => line.Append(' ').Append(option).Append(' ').Append(Program.Quote(value));
        MatrixCell cell = result.Cell;
        // The profile's name begins with the named one, and goes on with what was changed in it.
        string[] profile = cell.Profile.Name.Split('+');
        Add("--cpu", machine.Model.Name);
        Add("--cpus", machine.CpuCount.ToString(CultureInfo.InvariantCulture));
        Add("--profile", profile[0]);
        foreach (string change in profile.Skip(1))
            Add("--set", change);
        if (cell.Profile.IsCoherent)
            Add("--schedule", "random");
        Add("--seed", result.Seed!.Value.ToString(CultureInfo.InvariantCulture));
        if (result.Hangs)
            Add("--max-instructions", limit.ToString(CultureInfo.InvariantCulture));
        Add("--append", CommandLine(cell));
        return line.ToString();
    }

    private string CommandLine(MatrixCell cell) => $"{cell.Choices} {append}".Trim();

    private (MatrixVerdict Verdict, string How) Run(MatrixCell cell, ulong seed)
    {
        using var m = new Machine(machine with { Profile = cell.Profile, Seed = seed, Schedule = ScheduleKind.Random });
        var serial = new StringBuilder();
        m.SerialOutput = b => serial.Append((char)b);
        image.Load(m.Memory, m.Cpus[0], CommandLine(cell));
        RunResult result = m.Run(limit);
        if (result.Reason == StopReason.GuestExit && result.ExitCode == ExitCode.GuestSuccess)
            return (MatrixVerdict.NoFailure, "");
        string? refusal = Line(serial, "result: REFUSED");
        if (refusal != null)
            return (MatrixVerdict.Refused, refusal["result: ".Length..]);
        if (result.Reason is StopReason.Unsupported)
            return (MatrixVerdict.Undecided, result.Message);
        return (MatrixVerdict.Fails, How(m, result, serial));
    }

    private string How(Machine m, RunResult result, StringBuilder serial)
    {
        string end = result.Reason switch
        {
            StopReason.GuestExit => Line(serial, "Kernel panic") ?? Line(serial, "check failed") ?? $"the guest reported 0x{result.ExitCode:x}",
            StopReason.InstructionLimit => $"hangs: not done after {limit} instructions",
            _ => result.Message,
        };
        StaleExecution? stale = m.StaleExecutions.Find(s => s.Outcome is StaleOutcome.Retired or StaleOutcome.GeneralProtection);
        return stale == null ? end : $"{end}; CPU {stale.Cpu} at {image.Symbols.Describe(stale.Rip)} had fetched {Hex(stale.Fetched)}, memory holds {Hex(stale.Memory)}";
    }

    private static string? Line(StringBuilder serial, string begins) =>
        serial.ToString().Split('\n').Select(l => l.Trim()).FirstOrDefault(l => l.StartsWith(begins, StringComparison.Ordinal));

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}
