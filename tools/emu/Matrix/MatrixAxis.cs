namespace Emu.Cli.Matrix;

/// <summary>A choice on the guest's command line, with every word that it takes, and the one that it takes by itself (guest/kernel/params.c).</summary>
/// <param name="Words">None when only the image knows them: <see cref="GuestProtocol.Read"/>.</param>
public sealed record MatrixAxis(string Name, string Default, IReadOnlyList<string> Words)
{
    public static readonly MatrixAxis Protocol = new("protocol", "all", []);
    public static readonly MatrixAxis Sync = new("sync", "cpuid", ["none", "lfence", "mfence", "lfence-cpuid", "cpuid", "iret", "serialize", "mov-cr2"]);
    public static readonly MatrixAxis Fence = new("fence", "none", ["none", "sfence", "mfence", "mfence-lfence"]);
    public static readonly MatrixAxis Ipi = new("ipi", "xapic", ["xapic", "x2apic"]);
    public static readonly MatrixAxis Ack = new("ack", "after-sync", ["after-sync", "before-sync"]);
    public static readonly MatrixAxis Poke = new("poke", "alias", ["alias", "alias-mm", "wp"]);
    public static readonly MatrixAxis Int3 = new("int3", "retry", ["retry", "die"]);
    public static readonly MatrixAxis Site = new("site", "short",
    [
        "short", "short-nop", "jmp5", "quad", "granule", "line", "page", "jump5", "jump5-granule", "jump5-line", "jump5-split", "handler", "handler-line", "nmi",
        "likely", "unlikely", "batch", "init", "two-nops",
    ]);

    /// <summary>In the order of the guest's result line, and of our JSON.</summary>
    public static IReadOnlyList<MatrixAxis> All { get; } = [Protocol, Sync, Fence, Ipi, Ack, Poke, Int3, Site];

    /// <summary>The words of a comma-separated choice; "all" is every one.</summary>
    /// <param name="words">Those that there are.</param>
    /// <exception cref="UsageException">A word that the guest does not take.</exception>
    public IReadOnlyList<string> Choose(string choice, IReadOnlyList<string> words)
    {
        if (choice == "all")
            return words;
        string[] chosen = [.. choice.Split(',', StringSplitOptions.TrimEntries).Distinct()];
        foreach (string word in chosen)
            if (!words.Contains(word))
                throw new UsageException($"\"{word}\" is not one", $"--{Name}", $"choose from {string.Join(", ", words)}, or all");
        return chosen;
    }
}
