using Emu.Memory;

namespace Emu.Scenarios;

/// <summary>One change of code in a run, and through it all that came before: a value that can be kept with a state and given back.</summary>
/// <param name="Address">Physical address of the first byte.</param>
/// <param name="Old">The bytes before the change.</param>
/// <param name="Before">The change before this one.</param>
/// <param name="Hash">Of this change and of all before it.</param>
internal sealed record CodeChange(ulong Address, byte[] Old, CodeChange? Before, ulong Hash);

/// <summary>Every change of code in one run, to tell a torn instruction (memory never held these bytes together) from a stale one.</summary>
internal sealed class CodeVersions(PhysicalMemory memory) : ICodeObserver
{
    // FNV-1a.
    private const ulong HashStart = 0xCBF2_9CE4_8422_2325;
    private const ulong HashFactor = 0x100_0000_01B3;

    /// <summary>The last change; null before the first.</summary>
    public CodeChange? Latest { get; set; }

    void ICodeObserver.BeforeCodeWrite(ulong address, int length)
    {
        byte[] old = new byte[length];
        memory.TryRead(address, old);
        ulong hash = ((Latest?.Hash ?? HashStart) ^ address) * HashFactor;
        foreach (byte b in old)
            hash = (hash ^ b) * HashFactor;
        Latest = new CodeChange(address, old, Latest, hash);
    }

    void ICodeObserver.AfterCodeWrite(ulong address, int length)
    {
    }

    /// <summary>True when memory held these bytes at this address at one moment, now or earlier.</summary>
    public bool EverHeld(ulong physical, ReadOnlySpan<byte> bytes)
    {
        byte[] version = new byte[bytes.Length];
        if (!memory.TryRead(physical, version))
            return false;
        if (bytes.SequenceEqual(version))
            return true;
        for (CodeChange? change = Latest; change != null; change = change.Before)
        {
            for (int b = 0; b < change.Old.Length; b++)
            {
                ulong at = change.Address + (ulong)b - physical;
                if (at < (ulong)version.Length)
                    version[at] = change.Old[b];
            }
            if (bytes.SequenceEqual(version))
                return true;
        }
        return false;
    }
}
