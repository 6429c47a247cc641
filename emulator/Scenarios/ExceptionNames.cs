namespace Emu.Scenarios;

/// <summary>Names of exceptions as the manuals abbreviate them (SDM, "Exception and Interrupt Vectors").</summary>
public static class ExceptionNames
{
    private static readonly string?[] _names =
    [
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", null, "#TS", "#NP", "#SS", "#GP", "#PF", null, "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    ];

    /// <summary><c>#GP</c>; a number where the vector has no name.</summary>
    public static string Of(int vector) => vector < _names.Length && _names[vector] is { } name ? name : $"0x{vector:x}";

    /// <summary>The vector of <c>#GP</c> or <c>NMI</c>, in any case.</summary>
    public static bool TryFind(string name, out int vector)
    {
        vector = Array.FindIndex(_names, n => n != null && n.Equals(name, StringComparison.OrdinalIgnoreCase));
        return vector >= 0;
    }
}
