namespace Emu.Cpus;

/// <summary>Bits of CR0, CR4 and IA32_EFER (SDM, "Control Registers", "Extended Feature Enable Register"); those that paging looks at are in PagingBits too.</summary>
public static class ControlBits
{
    public const ulong Cr0Pe = 1UL << 0;
    public const ulong Cr0Mp = 1UL << 1;
    public const ulong Cr0Em = 1UL << 2;
    public const ulong Cr0Ts = 1UL << 3;

    /// <summary>Hardwired to 1 since the Pentium Pro.</summary>
    public const ulong Cr0Et = 1UL << 4;
    public const ulong Cr0Ne = 1UL << 5;
    public const ulong Cr0Wp = 1UL << 16;
    public const ulong Cr0Am = 1UL << 18;
    public const ulong Cr0Nw = 1UL << 29;
    public const ulong Cr0Cd = 1UL << 30;
    public const ulong Cr0Pg = 1UL << 31;

    public const ulong Cr4Vme = 1UL << 0;
    public const ulong Cr4Pvi = 1UL << 1;
    public const ulong Cr4Tsd = 1UL << 2;
    public const ulong Cr4De = 1UL << 3;
    public const ulong Cr4Pse = 1UL << 4;
    public const ulong Cr4Pae = 1UL << 5;
    public const ulong Cr4Mce = 1UL << 6;
    public const ulong Cr4Pge = 1UL << 7;
    public const ulong Cr4Pce = 1UL << 8;
    public const ulong Cr4OsFxsr = 1UL << 9;
    public const ulong Cr4OsXmmExcpt = 1UL << 10;
    public const ulong Cr4Umip = 1UL << 11;
    public const ulong Cr4FsGsBase = 1UL << 16;
    public const ulong Cr4Pcide = 1UL << 17;
    public const ulong Cr4OsXsave = 1UL << 18;
    public const ulong Cr4Smep = 1UL << 20;
    public const ulong Cr4Smap = 1UL << 21;

    public const ulong EferSce = 1UL << 0;
    public const ulong EferLme = 1UL << 8;
    public const ulong EferLma = 1UL << 10;
    public const ulong EferNxe = 1UL << 11;
}
