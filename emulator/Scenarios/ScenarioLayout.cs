using Emu.Memory;

namespace Emu.Scenarios;

/// <summary>
/// Where things are in a scenario's machine. Linear equals physical for every page in use, and nothing else is mapped, so that a CPU which a torn
/// instruction sends astray meets #PF soon. The same pages appear once more at <see cref="AliasBase"/>, as text is poked through an alias.
/// </summary>
internal static class ScenarioLayout
{
    public const int MaximumCpus = 8;
    public const int MaximumColumns = 8;

    public const ulong Gdt = 0x1000;
    public const ulong Idts = 0x2000;

    /// <summary>One HLT loop for each vector without a handler of the scenario's own.</summary>
    public const ulong DefaultHandlers = 0xA000;
    public const int DefaultHandlerBytes = 4;

    /// <summary>Where a CPU without a column rests.</summary>
    public const ulong Rest = DefaultHandlers + 0x800;
    public const ulong TaskStates = 0xB000;

    public const ulong Columns = 0x1_0000;

    /// <summary>Twice <see cref="Assembly.MaximumColumn"/>: a torn 5-byte jump (0x441f bytes further) lands between columns.</summary>
    public const ulong ColumnDistance = 0x8000;
    public const ulong Variables = 0x5_0000;
    public const int VariableBytes = 0x1_0000;

    /// <summary>Variables do not share a cache line.</summary>
    public const int VariableAlignment = 64;
    public const ulong Stacks = 0x6_0000;
    public const ulong PageTables = 0x7_0000;
    public const ulong PageTablesEnd = 0xA_0000;

    /// <summary>A guest image may lie from here on.</summary>
    public const ulong Image = 0x10_0000;
    public const ulong MaximumRam = 32 << 20;

    public const ulong AliasBase = 0x4000_0000;

    /// <summary>The local APIC's page once more, where a 32-bit displacement reaches it; the symbol <c>apic</c>.</summary>
    public const ulong ApicAlias = 0x7FE0_0000;
    public const ulong ApicPage = 0xFEE0_0000;

    private const ulong FirstPageTable = PageTables + 5 * Page.Size;

    /// <summary>Linear address of the page-table entry that maps an address of the low window or of the alias.</summary>
    public static ulong PageTableEntry(ulong linear, ulong ramSize)
    {
        bool alias = linear >= AliasBase;
        ulong page = (alias ? linear - AliasBase : linear) >> Page.Shift;
        return FirstPageTable + (alias ? (ulong)TableCount(ramSize) * Page.Size : 0) + page * 8;
    }

    /// <summary>The page that a page-table entry at this address maps; null where no entry is.</summary>
    public static ulong? MappedBy(ulong address, ulong ramSize)
    {
        ulong windowBytes = (ulong)TableCount(ramSize) * Page.Size;
        if (address < FirstPageTable || address >= FirstPageTable + 2 * windowBytes)
            return null;
        ulong offset = address - FirstPageTable;
        return offset < windowBytes ? offset / 8 << Page.Shift : AliasBase + ((offset - windowBytes) / 8 << Page.Shift);
    }

    /// <summary>Page tables that each of the two windows needs.</summary>
    public static int TableCount(ulong ramSize) => (int)((ramSize + (2 << 20) - 1) / (2 << 20));

    public static ulong StackTop(int cpu) => Stacks + (ulong)(cpu + 1) * Page.Size;

    /// <summary>Physical address behind a linear one of the scenario's own windows.</summary>
    public static ulong Physical(ulong linear) => linear is >= AliasBase and < ApicAlias ? linear - AliasBase : linear;
}
