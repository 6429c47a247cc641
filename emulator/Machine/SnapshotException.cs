namespace Emu.Machines;

/// <summary>A snapshot that cannot be written or read. The message is one line: which file, what is wrong, and how to mend it.</summary>
public sealed class SnapshotException(string file, string what, string remedy) : Exception($"{file}: {what}; {remedy}");
