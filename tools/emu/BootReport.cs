using System.Globalization;
using Emu.Boot;
using Emu.Execution;
using Emu.Exploration;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>How a boot ended, and of what: the last lines of <c>emu boot</c>.</summary>
internal sealed class BootReport(Machine machine, string name, SymbolTable symbols, RunResult result, double seconds, XmcChecker? checker)
{
    private IReadOnlyList<XmcFinding> Findings { get; } = checker?.Findings ?? [];

    /// <summary>What the process ends with: that of a finding before that of the guest.</summary>
    public int Code => Findings.Count != 0 ? FindingKind.UnsynchronisedExecution.ExitCode() : ExitCode.Of(result);
    private double Mips => machine.Instructions / Math.Max(seconds, 1e-9) / 1e6;
    private string Hash => string.Create(CultureInfo.InvariantCulture, $"0x{machine.RunHash:x16}");

    /// <summary>The stale bytes that explain a bad end: the first that were executed, or refused, rather than excused.</summary>
    private StaleExecution? Culprit =>
        ExitCode.Of(result) == ExitCode.Success ? null : machine.StaleExecutions.Find(s => s.Outcome is StaleOutcome.Retired or StaleOutcome.GeneralProtection);

    public void Write(Terminal terminal)
    {
        terminal.EnsureLineStart();
        foreach (string report in machine.Reports)
            terminal.Out.WriteLine($"emu: note: {report}");
        if (Culprit is { } stale)
            foreach (string line in Explain(stale))
                terminal.Out.WriteLine($"emu: {line}");
        foreach (XmcFinding finding in Findings)
            foreach (string line in new XmcReport(finding, symbols).Lines())
                terminal.Out.WriteLine(line);
        if (checker != null)
            terminal.Out.WriteLine($"emu: {Checked(checker)}");
        if (Describe() is { } why)
            terminal.Out.WriteLine($"emu: {why}");
        terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"emu: exit {Code} ({Name()}), {machine.Instructions} instructions, {Mips:0.0} MIPS, run hash {Hash}"));
    }

    public BootJson ToJson(string serial) => new(
        name, machine.Options.Model.Name, machine.Options.CpuCount, machine.Options.MemorySize, machine.Options.Profile.Name, machine.Options.Seed,
        Code, Name(), result.Message, result.Reason == StopReason.GuestExit ? result.ExitCode : null, machine.Instructions, Math.Round(seconds, 6), Math.Round(Mips, 1), Hash,
        machine.StaleCount, Culprit is { } stale ? new StaleJson(stale.Cpu.Value, stale.Rip, symbols.Describe(stale.Rip), Bytes(stale.Fetched), Bytes(stale.Memory),
            stale.Writer.Cpu, stale.Writer.Linear, Outcome(stale), string.Join(' ', Explain(stale))) : null,
        checker == null ? null : [.. Findings.Select(f => XmcJson.Of(f, symbols))], machine.Reports, serial);

    private string Checked(XmcChecker xmc)
    {
        string found = Findings.Count == 0 ? "no unsynchronised execution" : Findings.Count == 1 ? "1 unsynchronised execution" : $"{Findings.Count} unsynchronised executions";
        string forgotten = xmc.Monitor.Forgotten == 0 ? "" : $"; {xmc.Monitor.Forgotten} of them were forgotten, because some CPU serialised behind none of them, and were not checked any more";
        return $"checked by the rule of profile {xmc.Monitor.Rule.Name}: {found}; {xmc.Monitor.Stores} stores to code{forgotten}";
    }

    /// <summary>Who fetched what, who changed it, what is missing, and which rule makes it fatal.</summary>
    private IEnumerable<string> Explain(StaleExecution stale)
    {
        string writer = stale.Writer.Cpu < 0 ? "nobody on a CPU wrote" : stale.Writer.Cpu == stale.Cpu.Value ? "it wrote itself" : $"CPU {stale.Writer.Cpu} wrote";
        yield return $"stale bytes: CPU {stale.Cpu} at {Place(stale.Rip)} had fetched {Bytes(stale.Fetched)}; memory holds {Bytes(stale.Memory)}, which {writer} at 0x{stale.Writer.Linear:x}";
        string rule = stale.Outcome == StaleOutcome.GeneralProtection
            ? "on-mismatch=gp: #GP(0), the erratum of unsynchronised cross-modifying code"
            : "on-mismatch=stale: the old bytes were executed";
        int[] others = [.. machine.StaleExecutions.Where(s => s.Outcome == stale.Outcome && s.Cpu != stale.Cpu && s.Rip == stale.Rip).Select(s => s.Cpu.Value).Distinct()];
        string likewise = others.Length == 0 ? "" : $"; likewise CPU {string.Join(", CPU ", others)}";
        yield return $"CPU {stale.Cpu} ran no serialising instruction in between, and profile {machine.Options.Profile.Name} has {rule}{likewise}";
    }

    private string Place(ulong address)
    {
        string place = symbols.Describe(address);
        return place.StartsWith("0x", StringComparison.Ordinal) ? place : $"{place} (0x{address:x})";
    }

    /// <summary>What the machine has to say of ends that the guest did not choose.</summary>
    private string? Describe() => result.Reason == StopReason.GuestExit ? null : result.Message;

    private string Name() => result.Reason switch
    {
        StopReason.GuestExit => result.ExitCode == ExitCode.GuestSuccess ? "the guest reported success" : $"the guest reported failure, value 0x{result.ExitCode:x}",
        StopReason.TripleFault => "triple fault",
        StopReason.AllHalted => "all CPUs halted for good",
        StopReason.InstructionLimit => "instruction limit",
        StopReason.Idle => "idle",
        StopReason.Ended => result.ExitCode == ExitCode.Success ? "ended from outside" : "the session failed",
        StopReason.Unsupported => "cannot go on",
        StopReason.ResetRequested => "the guest asked for a reset",
        StopReason.PowerOff => "the guest switched the machine off",
        _ => result.Reason.ToString(),
    };

    private static string Outcome(StaleExecution stale) => stale.Outcome == StaleOutcome.GeneralProtection ? "general-protection" : "executed";

    private static string Bytes(byte[] bytes) => string.Join(' ', bytes.Select(b => b.ToString("x2", CultureInfo.InvariantCulture)));
}
