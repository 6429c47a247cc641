using System.Runtime.InteropServices;

namespace Emu.Memory;

/// <summary>Why memory is accessed; the low two bits are the kind, the rest are circumstances.</summary>
[Flags]
public enum AccessKind
{
    Read = 0,
    Write = 1,
    Execute = 2,

    /// <summary>Supervisor access whatever the CPL: descriptor tables, TSS, IDT ("implicit supervisor-mode accesses").</summary>
    Implicit = 4,

    /// <summary>Through SS: a non-canonical address or a limit violation is #SS, not #GP.</summary>
    Stack = 8,
}

/// <summary>
/// The registers that decide how linear addresses are translated. They are the architectural registers themselves:
/// CpuState embeds this struct, so that Memory need not know of CPUs.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct PagingRegisters
{
    public ulong Cr0;
    public ulong Cr2;
    public ulong Cr3;
    public ulong Cr4;
    public ulong Efer;

    /// <summary>The four PDPTE registers of PAE paging, loaded by MOV to CR3 (SDM, "PDPTE Registers").</summary>
    public ulong Pdpte0, Pdpte1, Pdpte2, Pdpte3;

    /// <summary>MAXPHYADDR of the CPU model; bits above it are reserved in paging entries.</summary>
    public int PhysicalAddressBits;

    /// <summary>1 when CPUID reports 1 GiB pages.</summary>
    public int HasGigabytePages;
}

/// <summary>CR0, CR4 and EFER bits that paging looks at.</summary>
public static class PagingBits
{
    public const ulong Cr0Wp = 1UL << 16;
    public const ulong Cr0Pg = 1UL << 31;
    public const ulong Cr4Pse = 1UL << 4;
    public const ulong Cr4Pae = 1UL << 5;
    public const ulong Cr4Pge = 1UL << 7;
    public const ulong Cr4Smep = 1UL << 20;
    public const ulong Cr4Smap = 1UL << 21;
    public const ulong EferLme = 1UL << 8;
    public const ulong EferLma = 1UL << 10;
    public const ulong EferNxe = 1UL << 11;
}

/// <summary>Page-fault error code (SDM, "Page-Fault Exceptions").</summary>
[Flags]
public enum PageFaultCode : uint
{
    None = 0,
    Present = 1,
    Write = 2,
    User = 4,
    Reserved = 8,
    Fetch = 16,
}
