using System.CommandLine;

namespace Emu.Cli;

/// <summary>A snapshot that a run is to leave behind.</summary>
/// <param name="At">Instructions after which it is taken, at the next moment between two slices; null for the end of the run.</param>
internal sealed record SnapshotSettings(string Path, ulong? At);

/// <summary>The options for machines in files.</summary>
internal sealed class StateArguments
{
    private readonly Option<string> _snapshot = new("--snapshot") { HelpName = "FILE", Description = "Keeps the machine in a file: when the run ends, or where --at says; the run goes on and is not changed by it." };
    private readonly Option<string> _at = new("--at") { HelpName = "N", Description = "With --snapshot: after N instructions of all CPUs together: 500k, 10M." };
    private readonly Option<string> _restore = new("--restore") { HelpName = "FILE", Description = "Goes on with the machine of a file; IMAGE then gives symbols only." };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_snapshot, _at, _restore])
            command.Add(option);
    }

    /// <exception cref="UsageException">Something that cannot be.</exception>
    public SnapshotSettings? Snapshot(ParseResult parsed)
    {
        string? at = parsed.GetValue(_at);
        if (parsed.GetValue(_snapshot) is not { } path)
            return at == null ? null : throw new UsageException("there is no snapshot to take", "--at", "name its file with --snapshot FILE");
        Files.RequireWritable(path, "--snapshot");
        if (at == null)
            return new SnapshotSettings(path, null);
        return Quantities.TryCount(at, out ulong n) ? new SnapshotSettings(path, n) : throw new UsageException($"\"{at}\" is not a number of instructions", "--at", "write, for example, 500k or 10M");
    }

    /// <summary>The file to go on from, or null.</summary>
    public string? Restore(ParseResult parsed) => parsed.GetValue(_restore);
}
