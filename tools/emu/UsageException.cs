namespace Emu.Cli;

/// <summary>Something that the user can mend; shown as one line "emu: where: what; remedy", and the exit code is 2.</summary>
public sealed class UsageException : Exception
{
    public UsageException(string what, string where, string remedy)
        : base($"{where}: {what}; {remedy}")
    {
    }

    public UsageException(string line)
        : base(line)
    {
    }
}
