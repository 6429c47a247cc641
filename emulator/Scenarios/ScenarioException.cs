namespace Emu.Scenarios;

/// <summary>A place in a scenario file; both count from 1.</summary>
public readonly record struct SourcePosition(int Line, int Column)
{
    public override string ToString() => $"{Line}:{Column}";
}

/// <summary>One thing that is wrong in a scenario file, and what was expected there.</summary>
public sealed record ScenarioError(string File, SourcePosition At, string Message)
{
    /// <summary><c>file:line:column: message</c>, as editors read it.</summary>
    public override string ToString() => $"{File}:{At}: {Message}";
}

/// <summary>A scenario file that cannot be read. The message has one line for each error.</summary>
public sealed class ScenarioException : Exception
{
    public ScenarioException(IReadOnlyList<ScenarioError> errors)
        : base(string.Join('\n', errors)) => Errors = errors;

    public ScenarioException(string file, SourcePosition at, string message)
        : this([new ScenarioError(file, at, message)])
    {
    }

    public IReadOnlyList<ScenarioError> Errors { get; }
}
