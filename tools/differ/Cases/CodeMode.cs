namespace Emu.Differ.Cases;

/// <summary>The mode that a case runs in, all at CPL 0.</summary>
public enum CodeMode
{
    /// <summary>Real-address mode.</summary>
    Real16 = 16,

    /// <summary>32-bit protected mode with 32-bit paging and flat segments (FS and GS with a base).</summary>
    Protected32 = 32,

    /// <summary>64-bit mode.</summary>
    Long64 = 64,
}

public static class CodeModes
{
    public static IReadOnlyList<CodeMode> All { get; } = [CodeMode.Real16, CodeMode.Protected32, CodeMode.Long64];

    public static int Bits(this CodeMode mode) => (int)mode;

    /// <summary>General-purpose registers that exist.</summary>
    public static int RegisterCount(this CodeMode mode) => mode == CodeMode.Long64 ? 16 : 8;

    /// <summary>All ones as wide as a register is.</summary>
    public static ulong RegisterMask(this CodeMode mode) => mode == CodeMode.Long64 ? ulong.MaxValue : uint.MaxValue;
}
