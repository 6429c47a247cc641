namespace Emu.Fetch;

/// <summary>The named profiles, and how a user changes one of their fields.</summary>
public static class FetchProfiles
{
    private const int DefaultStoreBuffer = 8;

    /// <summary>What QEMU, Bochs and Unicorn give.</summary>
    public static readonly FetchProfile Coherent = new()
    {
        Name = "coherent",
        Source = "what QEMU, Bochs and Unicorn give: code is fetched when it is executed, stores are visible at once",
        Depth = 0,
        Granule = 1,
        Order = FetchOrder.InOrder,
        AtomicUnit = 64,
        Retention = Retention.Queue,
        OnMismatch = MismatchRule.Refetch,
        Int3Exempt = true,
        MfenceSerialises = true,
        BreakpointSerialises = true,
        InterruptSerialises = true,
        BranchFlushes = true,
        XapicIcrWaits = true,
        X2apicIcrWaits = true,
        CompareBy = CompareBy.Physical,
        StoreBuffer = 0,
    };

    /// <summary>The machine of the 2009 mail.</summary>
    public static readonly FetchProfile P6 = new()
    {
        Name = "p6",
        Source = "LKML, M. Desnoyers, 6 October 2009; erratum \"Unsynchronized Cross-Modifying Code Operations ...\" (Pentium III E49)",
        Depth = 32,
        Granule = 1,
        Order = FetchOrder.InOrder,
        AtomicUnit = 1,
        Retention = Retention.Queue,
        OnMismatch = MismatchRule.GeneralProtection,
        Int3Exempt = true,
        MfenceSerialises = true,
        BreakpointSerialises = false,
        InterruptSerialises = false,
        BranchFlushes = true,
        XapicIcrWaits = true,
        X2apicIcrWaits = false,
        CompareBy = CompareBy.Linear,
        StoreBuffer = DefaultStoreBuffer,
    };

    /// <summary>The same without the exemption of int3 (Alan Cox: "one byte or a megabyte").</summary>
    public static readonly FetchProfile P6Strict = P6 with
    {
        Name = "p6-strict",
        Source = "p6 without the int3 exemption, which no manual grants",
        Int3Exempt = false,
    };

    /// <summary>What the SDM promises, plus the int3 exemption that Intel's engineers gave Linux.</summary>
    public static readonly FetchProfile Intel = new()
    {
        Name = "intel",
        Source = "SDM, \"Handling Self- and Cross-Modifying Code\" and \"Serializing Instructions\"; int3 exemption: R. Moore on LKML, 2006",
        Depth = 64,
        Granule = 16,
        Order = FetchOrder.Any,
        AtomicUnit = 16,
        Retention = Retention.Window,
        OnMismatch = MismatchRule.Stale,
        Int3Exempt = true,
        MfenceSerialises = false,
        BreakpointSerialises = false,
        InterruptSerialises = false,
        BranchFlushes = true,
        XapicIcrWaits = true,
        X2apicIcrWaits = false,
        CompareBy = CompareBy.Linear,
        StoreBuffer = DefaultStoreBuffer,
    };

    /// <summary>The SDM alone: no breakpoint protocol is formally safe.</summary>
    public static readonly FetchProfile IntelStrict = Intel with
    {
        Name = "intel-strict",
        Source = "the SDM alone: intel without the int3 exemption; a mismatch is the erratum's #GP",
        OnMismatch = MismatchRule.GeneralProtection,
        Int3Exempt = false,
    };

    /// <summary>Aligned quadwords are atomic, a stale but whole instruction may retire, MFENCE serialises.</summary>
    public static readonly FetchProfile Amd = new()
    {
        Name = "amd",
        Source = "APM Vol. 2, \"Cross-Modifying Code\" and \"Serializing Instructions\"",
        Depth = 32,
        Granule = 32,
        Order = FetchOrder.InOrder,
        AtomicUnit = 8,
        Retention = Retention.Queue,
        OnMismatch = MismatchRule.Stale,
        Int3Exempt = true,
        AtomicExempt = true,
        MfenceSerialises = true,
        BreakpointSerialises = false,
        InterruptSerialises = false,
        BranchFlushes = true,
        XapicIcrWaits = true,
        X2apicIcrWaits = true,
        CompareBy = CompareBy.Physical,
        StoreBuffer = DefaultStoreBuffer,
    };

    /// <summary>All named profiles.</summary>
    public static IReadOnlyList<FetchProfile> All { get; } = [Coherent, P6, P6Strict, Intel, IntelStrict, Amd];

    /// <summary>The profile of this name, or null.</summary>
    public static FetchProfile? Find(string name) => All.FirstOrDefault(p => p.Name == name);
}
