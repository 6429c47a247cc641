namespace Emu.Differ.Fuzz;

/// <summary>In what mode random bytes are executed.</summary>
public enum FuzzMode
{
    Real,
    Virtual8086,
    Protected16,
    Protected32,
    Compatibility,
    Long,
}
