namespace Emu.Cli.Matrix;

/// <summary>A choice on the guest's command line, with every word that it takes, and the one that it takes by itself (guest/kernel/params.c).</summary>
public sealed record MatrixAxis(string Name, string Default, IReadOnlyList<string> Words)
{
    public static readonly MatrixAxis Protocol = new("protocol", "all", ["direct", "int3", "int3-ipi", "text-poke-bp", "stop-machine", "up", "quadword"]);
    public static readonly MatrixAxis Sync = new("sync", "cpuid", ["none", "lfence", "mfence", "lfence-cpuid", "cpuid", "iret", "serialize", "mov-cr2"]);
    public static readonly MatrixAxis Fence = new("fence", "none", ["none", "sfence", "mfence", "mfence-lfence"]);
    public static readonly MatrixAxis Ipi = new("ipi", "xapic", ["xapic", "x2apic"]);
    public static readonly MatrixAxis Ack = new("ack", "after-sync", ["after-sync", "before-sync"]);
    public static readonly MatrixAxis Site = new("site", "short", ["short", "short-nop", "jmp5", "quad", "line", "page", "handler", "likely", "unlikely", "batch", "init"]);

    /// <summary>In the order of the guest's result line, and of our JSON.</summary>
    public static IReadOnlyList<MatrixAxis> All { get; } = [Protocol, Sync, Fence, Ipi, Ack, Site];

    /// <summary>The words of a comma-separated choice; "all" is every one.</summary>
    /// <exception cref="UsageException">A word that the guest does not take.</exception>
    public IReadOnlyList<string> Choose(string choice)
    {
        if (choice == "all")
            return Words;
        string[] chosen = [.. choice.Split(',', StringSplitOptions.TrimEntries).Distinct()];
        foreach (string word in chosen)
            if (!Words.Contains(word))
                throw new UsageException($"\"{word}\" is not one", $"--{Name}", $"choose from {string.Join(", ", Words)}, or all");
        return chosen;
    }
}
