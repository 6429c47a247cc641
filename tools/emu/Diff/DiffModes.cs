using Emu.Differ.Cases;
using Emu.Differ.Host;
using Emu.Differ.Judging;
using Emu.Differ.Machines;
using Emu.Differ.Unicorn;

namespace Emu.Cli.Diff;

/// <summary>Modes of cases, by the words of the command line, and the oracles that judge them.</summary>
internal static class DiffModes
{
    /// <summary>The modes asked for. An oracle that is not to be had is an error when it was named, and a remark when it was not.</summary>
    public static IReadOnlyList<CodeMode> Choose(string? mode, string? oracle, Terminal terminal)
    {
        IReadOnlyList<CodeMode> modes = Named(mode);
        if (oracle != null)
        {
            if (!Enum.TryParse(oracle, ignoreCase: true, out OracleKind kind) || int.TryParse(oracle, out _))
                throw new UsageException($"--oracle {oracle}: there are host and unicorn");
            modes = [.. modes.Where(m => Judge.OracleOf(m) == kind)];
            if (modes.Count == 0)
                throw new UsageException($"--mode {mode}: not a mode of --oracle {oracle}; host has u32 and u64, unicorn has 16, 32 and 64");
            Require(kind);
            return modes;
        }
        if (HostMachine.Unavailable is { } reason && modes.Any(m => Judge.OracleOf(m) == OracleKind.Host))
        {
            modes = [.. modes.Where(m => Judge.OracleOf(m) != OracleKind.Host)];
            if (modes.Count == 0)
                throw new OracleMissingException(reason);
            terminal.Error.WriteLine($"emu: left out: {reason}");
        }
        return modes;
    }

    /// <summary>The modes of a word.</summary>
    public static IReadOnlyList<CodeMode> Named(string? mode) => mode switch
    {
        null or "all" => CodeModes.All,
        _ => [CodeModes.Find(mode) ?? throw new UsageException($"--mode {mode}: there are 16, 32, 64, u32, u64 and all")],
    };

    /// <summary>The oracles of some modes, in words.</summary>
    public static string Describe(IReadOnlyList<CodeMode> modes) =>
        string.Join(", ", modes.GroupBy(Judge.OracleOf).Select(g => $"{Name(g.Key)} ({string.Join(' ', g.Select(m => m.Word()))})"));

    private static string Name(OracleKind kind) => kind == OracleKind.Host ? "the host's CPU" : $"Unicorn {UnicornLibrary.Require()}";

    private static void Require(OracleKind kind)
    {
        if (kind == OracleKind.Host && HostMachine.Unavailable is { } reason)
            throw new OracleMissingException(reason);
        if (kind == OracleKind.Unicorn)
            UnicornLibrary.Require();
    }
}
