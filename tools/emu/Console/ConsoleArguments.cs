using System.CommandLine;

namespace Emu.Cli;

/// <summary>What a run's console is connected to, and when the run is given up.</summary>
/// <param name="Connect">The guest's serial input is standard input.</param>
/// <param name="IdleTimeout">Ticks without output after which the run ends.</param>
/// <param name="Snapshot">The machine is to be kept in a file.</param>
internal sealed record ConsoleSettings(bool Connect, string? Expect, string? RecordInput, string? ReplayInput, ulong? IdleTimeout, ulong MaxInstructions, SnapshotSettings? Snapshot = null);

/// <summary>The options for it: shared by the verbs that run a guest.</summary>
internal sealed class ConsoleArguments
{
    private readonly Option<bool>? _console;
    private readonly Option<string> _expect = new("--expect") { HelpName = "FILE", Description = "A session: lines of expect \"TEXT\", send \"TEXT\" and timeout 10s, in guest time." };
    private readonly Option<string> _record = new("--record-input") { HelpName = "FILE", Description = "Keeps what was typed, and at which tick." };
    private readonly Option<string> _replay = new("--replay-input") { HelpName = "FILE", Description = "Serial input from a file that --record-input wrote, for the same run again." };
    private readonly Option<string> _idle = new("--idle-timeout") { HelpName = "TIME", Description = "Stop when the guest has sent nothing for so long, in guest time: 10s, 500ms." };
    private readonly Option<string> _limit = new("--max-instructions") { HelpName = "N", Description = "Stop after N instructions of all CPUs together: 500k, 10M." };

    /// <param name="always">The console is standard input without being asked for.</param>
    public ConsoleArguments(bool always = false)
    {
        if (!always)
            _console = new Option<bool>("--console") { Description = "Connects standard input to the serial port: a terminal becomes raw (Ctrl-A x leaves, Ctrl-A c pauses), a pipe is read." };
    }

    public void AddTo(Command command)
    {
        if (_console != null)
            command.Add(_console);
        foreach (Option option in (Option[])[_expect, _record, _replay, _idle, _limit])
            command.Add(option);
    }

    /// <exception cref="UsageException">Something that cannot be.</exception>
    public ConsoleSettings Read(ParseResult parsed)
    {
        ulong? idle = null;
        if (parsed.GetValue(_idle) is { } text)
            idle = Quantities.TryTime(text, out ulong ticks) && ticks > 0 ? ticks : throw new UsageException($"\"{text}\" is not a time", "--idle-timeout", "write, for example, 10s or 500ms");
        string? expect = parsed.GetValue(_expect);
        string? replay = parsed.GetValue(_replay);
        if (expect != null && replay != null)
            throw new UsageException("--expect is given as well", "--replay-input", "take the input from one of them");
        bool connect = (_console == null || parsed.GetValue(_console)) && expect == null && replay == null;
        Files.RequireWritable(parsed.GetValue(_record), "--record-input");
        return new ConsoleSettings(connect, expect, parsed.GetValue(_record), replay, idle, MachineArguments.Instructions(parsed.GetValue(_limit)) ?? ulong.MaxValue);
    }
}
