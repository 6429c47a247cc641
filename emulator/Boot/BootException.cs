namespace Emu.Boot;

/// <summary>An image that cannot be booted. The message is one line: which image, where in it, what is wrong, and how to mend it.</summary>
public sealed class BootException : Exception
{
    public BootException(string image, string where, string what, string remedy)
        : base($"{image}: {(where.Length == 0 ? "" : where + ": ")}{what}; {remedy}")
    {
        Image = image;
        Where = where;
        What = what;
        Remedy = remedy;
    }

    /// <summary>Display name of the image or module.</summary>
    public string Image { get; }

    /// <summary>Segment, section or file offset; may be empty.</summary>
    public string Where { get; }

    public string What { get; }

    /// <summary>What the user can do.</summary>
    public string Remedy { get; }
}
