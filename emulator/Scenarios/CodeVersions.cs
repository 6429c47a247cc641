using Emu.Memory;

namespace Emu.Scenarios;

/// <summary>Every change of code in one run, to tell a torn instruction (memory never held these bytes together) from a stale one.</summary>
internal sealed class CodeVersions(PhysicalMemory memory) : ICodeObserver
{
    private readonly List<(ulong Address, byte[] Old)> _changes = [];

    public void Clear() => _changes.Clear();

    void ICodeObserver.BeforeCodeWrite(ulong address, int length)
    {
        byte[] old = new byte[length];
        memory.TryRead(address, old);
        _changes.Add((address, old));
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
        for (int i = _changes.Count - 1; i >= 0; i--)
        {
            (ulong address, byte[] old) = _changes[i];
            for (int b = 0; b < old.Length; b++)
            {
                ulong at = address + (ulong)b - physical;
                if (at < (ulong)version.Length)
                    version[at] = old[b];
            }
            if (bytes.SequenceEqual(version))
                return true;
        }
        return false;
    }
}
