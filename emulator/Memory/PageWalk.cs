namespace Emu.Memory;

/// <summary>What a page walk found.</summary>
public struct Translation
{
    public ulong Physical;
    public TlbFlags Flags;

    /// <summary>The page-fault error code when the walk failed.</summary>
    public PageFaultCode Error;
}

/// <summary>Walks the paging structures (SDM, "Paging").</summary>
public static class PageWalk
{
    /// <summary>Translates one address and sets accessed and dirty bits; false with the error code when it faults.</summary>
    /// <param name="user">The access is a user-mode access.</param>
    /// <param name="smapRestrained">SMAP applies: supervisor data accesses to user pages fault.</param>
    public static bool TryTranslate(PhysicalMemory memory, ref PagingRegisters r, ulong linear, AccessKind kind, bool user, bool smapRestrained, out Translation result) =>
        throw new NotImplementedException();
}
