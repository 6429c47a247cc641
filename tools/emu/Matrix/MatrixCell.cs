using Emu.Fetch;

namespace Emu.Cli.Matrix;

/// <summary>One combination: a word for every axis, and the profile of the machine that it runs on.</summary>
public sealed record MatrixCell(IReadOnlyList<string> Words, FetchProfile Profile)
{
    public string this[MatrixAxis axis] => Words[MatrixAxis.All.TakeWhile(a => a != axis).Count()];

    /// <summary>As on the guest's command line: the protocol, and what differs from the guest's own defaults.</summary>
    public string Choices => string.Join(' ', MatrixAxis.All.Select((a, i) => (Axis: a, Word: Words[i])).Where(c => c.Word != c.Axis.Default).Select(c => $"{c.Axis.Name}={c.Word}"));

    /// <summary>Every combination of the words chosen for each axis, on each profile.</summary>
    public static IReadOnlyList<MatrixCell> Combine(IReadOnlyList<IReadOnlyList<string>> chosen, IReadOnlyList<FetchProfile> profiles)
    {
        IEnumerable<IReadOnlyList<string>> rows = [[]];
        foreach (IReadOnlyList<string> words in chosen)
            rows = rows.SelectMany(row => words.Select(word => (IReadOnlyList<string>)[.. row, word]));
        return [.. rows.SelectMany(row => profiles.Select(p => new MatrixCell(row, p)))];
    }
}

/// <summary>What the runs of a cell showed. There is no "safe": sampling cannot show that.</summary>
public enum MatrixVerdict
{
    /// <summary>No run failed.</summary>
    NoFailure,

    /// <summary>A run failed.</summary>
    Fails,

    /// <summary>The guest refuses the combination: the CPU has no such instruction, or the site is not of the kind.</summary>
    Refused,

    /// <summary>A run could not go on.</summary>
    Undecided,
}

/// <summary>The verdict on a cell.</summary>
/// <param name="Runs">Runs made; the last of them is the one that failed, unless all were asked for.</param>
/// <param name="Failures">Runs that failed.</param>
/// <param name="Seed">The first seed that fails, or cannot go on.</param>
/// <param name="Reason">How that run ended, in a line.</param>
public sealed record MatrixResult(MatrixCell Cell, MatrixVerdict Verdict, int Runs, int Failures, ulong? Seed, string Reason)
{
    /// <summary>The run that failed did not end.</summary>
    public bool Hangs => Reason.StartsWith("hangs", StringComparison.Ordinal);
}
