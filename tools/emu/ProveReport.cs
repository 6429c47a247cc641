using System.Globalization;
using Emu.Exploration;
using Emu.Fetch;

namespace Emu.Cli;

/// <summary>What an exploration of a guest says: in words, as a table, and for programs.</summary>
internal sealed class ProveReport(GuestSubject subject, ExplorationOptions bounds, ExplorationResult result)
{
    /// <summary>Where an exploration that is ended by Ctrl-C goes, unless told otherwise.</summary>
    public const string DefaultCheckpoint = "emu-prove.exploration";

    private string? _checkpoint;

    private readonly ExploredFinding? _worst = result.Findings.OrderBy(f => f.Finding.Kind).ThenBy(f => f.Steps.Count).FirstOrDefault();
    private WitnessTable? _table;

    /// <summary>The exit code.</summary>
    public int Code => result.Verdict switch
    {
        Verdict.Safe => ExitCode.Success,
        Verdict.Unsafe => _worst!.Finding.Kind.ExitCode(),
        Verdict.Failed => ExitCode.Unsupported,
        _ => ExitCode.BoundReached,
    };

    private WitnessTable? Table => _table ??= _worst == null ? null : WitnessTable.Play(subject, result, _worst.Steps);

    /// <summary>Saves the witness of the worst finding; there is nothing to save where there is none.</summary>
    public void Save(string file, string imagePath, ReadOnlyMemory<byte> image)
    {
        if (_worst != null)
            WitnessFile.Save(Witness.Of(subject, imagePath, image.Span, result, _worst), file);
    }

    /// <summary>Keeps what is left of an exploration that ended early: where it is asked for, and whenever it was cancelled.</summary>
    public void Checkpoint(string? file, string imagePath, ReadOnlyMemory<byte> image)
    {
        if (result.Rest == null || (file == null && result.Verdict != Verdict.Cancelled))
            return;
        _checkpoint = file ?? DefaultCheckpoint;
        ExplorationFile.Save(_checkpoint, Witness.Of(subject, imagePath, image.Span, result, null), result.Rest);
    }

    public void Write(TextWriter output, string? saved)
    {
        output.WriteLine($"{subject.Name}");
        output.WriteLine($"  {Bound()}");
        output.WriteLine();
        if (Table is { } table)
        {
            table.Write(output);
            foreach (string line in table.Report?.Lines() ?? [])
                output.WriteLine(line);
        }
        output.WriteLine(Line());
        foreach (ExploredFinding other in result.Findings)
            if (other != _worst)
                output.WriteLine($"  also found: {other.Finding.Kind.Name()}: {other.Finding.Text}");
        if (_checkpoint != null)
            output.WriteLine($"  saved with {result.Rest!.Frontier} choices that wait; to go on: emu prove --resume {Program.Quote(_checkpoint)}");
        if (saved != null && _worst != null)
            output.WriteLine($"  saved; to see it again: emu replay {Program.Quote(saved)}");
    }

    public ProveJson ToJson() => new(
        subject.Image.Name, subject.CommandLine, subject.Options.CpuCount, subject.Options.Model.Name, subject.Profile.Name,
        FetchProfileFields.All.ToDictionary(f => f.Name, f => f.Get(subject.Profile)),
        VerdictWord(), Code, Bound(), result.Bound ?? result.Problem, result.States, result.Transitions, result.Events, Math.Round(result.Elapsed.TotalSeconds, 3), result.Rounds,
        result.SharedData, result.SharedCode, result.Bytes,
        [.. result.Findings.Select(f => new FindingJson(f.Finding.Kind.Word(), f.Finding.Text, f.Finding.Kind.ExitCode()))],
        subject.Check, Table?.Race is { } race ? XmcJson.Of(new XmcFinding(race), subject.Image.Symbols) : null, Table?.Watches ?? [], Table?.Steps ?? []);

    private string VerdictWord() => result.Verdict switch
    {
        Verdict.Safe => "safe",
        Verdict.Unsafe => "unsafe",
        Verdict.BoundReached => "bound reached",
        Verdict.Cancelled => "cancelled",
        _ => "failed",
    };

    private string Line() => result.Verdict switch
    {
        Verdict.Safe => $"safe: every interleaving within this bound was explored: {Figures()}",
        Verdict.Unsafe => $"unsafe: {_worst!.Finding.Kind.Name()}: {_worst.Finding.Text} ({Figures()})",
        Verdict.Failed => $"failed: it cannot be explored: {result.Problem}",
        Verdict.Cancelled => $"cancelled: nothing was found so far, which proves nothing: {Figures()}",
        _ => $"bound reached: nothing was found, which proves nothing: {result.Bound}: {Figures()}",
    };

    private string Figures() => string.Create(CultureInfo.InvariantCulture,
        $"{result.States} states, {result.Transitions} choices, {result.Events} events, {result.Elapsed.TotalSeconds:0.0} s");

    /// <summary>What "every interleaving" ranges over.</summary>
    private string Bound()
    {
        FetchProfile p = subject.Profile;
        string fetch = p.Depth == 0 ? "nothing fetched ahead"
            : p.Retention == Retention.Window ? $"fetch depth {p.Depth}, and any version since the CPU last serialised"
            : $"fetch depth {p.Depth}";
        string preemptions = bounds.Preemptions is { } k ? $", at most {k} preemption{(k == 1 ? "" : "s")}" : "";
        return $"{subject.Options.CpuCount} CPUs ({subject.Options.Model.Name}), profile {p.Name}: {fetch}{preemptions}";
    }
}
