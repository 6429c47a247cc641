namespace Emu.Differ.Cases;

/// <summary>The mode that a case runs in, and its privilege.</summary>
public enum CodeMode
{
    /// <summary>Real-address mode.</summary>
    Real16,

    /// <summary>32-bit protected mode with 32-bit paging and flat segments (FS and GS with a base), at CPL 0.</summary>
    Protected32,

    /// <summary>64-bit mode at CPL 0.</summary>
    Long64,

    /// <summary>Compatibility mode at CPL 3: a 32-bit program under a 64-bit system.</summary>
    User32,

    /// <summary>64-bit mode at CPL 3.</summary>
    User64,
}

public static class CodeModes
{
    private static readonly string[] s_words = ["16", "32", "64", "u32", "u64"];

    public static IReadOnlyList<CodeMode> All { get; } = Enum.GetValues<CodeMode>();

    /// <summary>Size of code: 16, 32 or 64.</summary>
    public static int Bits(this CodeMode mode) => mode switch { CodeMode.Real16 => 16, CodeMode.Protected32 or CodeMode.User32 => 32, _ => 64 };

    public static bool Is64(this CodeMode mode) => mode.Bits() == 64;

    /// <summary>True at CPL 3.</summary>
    public static bool IsUser(this CodeMode mode) => mode >= CodeMode.User32;

    /// <summary>True where the page tables are those of long mode.</summary>
    public static bool HasLongTables(this CodeMode mode) => mode >= CodeMode.Long64;

    /// <summary>General-purpose registers that exist.</summary>
    public static int RegisterCount(this CodeMode mode) => mode.Is64() ? 16 : 8;

    /// <summary>XMM registers that exist.</summary>
    public static int VectorCount(this CodeMode mode) => mode.Is64() ? 16 : 8;

    /// <summary>All ones as wide as a register is.</summary>
    public static ulong RegisterMask(this CodeMode mode) => mode.Is64() ? ulong.MaxValue : uint.MaxValue;

    /// <summary>RFLAGS of a case that says nothing about them: a program at CPL 3 has IF set by its system, and cannot change it.</summary>
    public static ulong DefaultFlags(this CodeMode mode) => mode.IsUser() ? 0x202UL : 2UL;

    /// <summary>What stands in the text of a case.</summary>
    public static string Word(this CodeMode mode) => s_words[(int)mode];

    /// <summary>The mode of a word, or null.</summary>
    public static CodeMode? Find(string word) => Array.IndexOf(s_words, word) is >= 0 and int i ? (CodeMode)i : null;
}
