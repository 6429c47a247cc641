using Emu.Memory;

namespace Emu.Exploration;

/// <summary>Why the order of accesses to a byte matters.</summary>
[Flags]
internal enum Sharing : byte
{
    None = 0,

    /// <summary>A CPU stores, another one loads or stores.</summary>
    Cpus = 1,

    /// <summary>Interrupt handlers of a CPU and what they interrupt both access or execute it, and one of them stores.</summary>
    Contexts = 2,

    /// <summary>Stored to and executed, by whomever.</summary>
    Code = 4,

    /// <summary>Lies in the same unit of fetching as such a byte.</summary>
    CodeUnit = 8,

    /// <summary>A CPU that comes here stops: the end of what is explored.</summary>
    Stop = 16,
}

/// <summary>What is known of CPUs that take interrupts: bit n is CPU n.</summary>
/// <param name="Interrupted">They take interrupts.</param>
/// <param name="NonMaskable">They take NMIs.</param>
/// <param name="Exposed">It matters between which two instructions an interrupt comes.</param>
/// <param name="ExposedToNmi">And the same of NMIs.</param>
internal readonly record struct CpuMarks(uint Interrupted, uint NonMaskable, uint Exposed, uint ExposedToNmi);

/// <summary>
/// What is known of each byte that several agents touch. Nobody declares it: an exploration that treats everything else as private to one
/// agent is sound if it meets no conflict outside of this set, and otherwise is repeated with a larger one.
/// </summary>
internal sealed class SharedBytes(PhysicalMemory memory)
{
    private readonly Sharing[]?[] _pages = new Sharing[]?[memory.PageCount];

    /// <summary>The patched units of each page, by physical address.</summary>
    private readonly ulong[]?[] _units = new ulong[]?[memory.PageCount];

    /// <summary>Bytes of a unit of fetching.</summary>
    public required int Unit { get; init; }

    /// <summary>Shared bytes of data, and of code.</summary>
    public int DataCount { get; private set; }

    public int CodeCount { get; private set; }

    /// <summary>All patched units, in order of address.</summary>
    public List<ulong> Units { get; } = [];

    /// <summary>Loads below the stack pointer were seen: what lies there is not dead.</summary>
    public bool BelowStack { get; set; }

    private uint _interrupted, _nonMaskable;

    /// <summary>All that is known of CPUs.</summary>
    public CpuMarks Cpus
    {
        get => new(_interrupted, _nonMaskable, Exposed, ExposedToNmi);
        set => (_interrupted, _nonMaskable, Exposed, ExposedToNmi) = (value.Interrupted, value.NonMaskable, value.Exposed, value.ExposedToNmi);
    }

    /// <summary>Notes that a CPU takes interrupts, or NMIs. True when that is news.</summary>
    public bool NoteInterrupt(int cpu, bool nonMaskable)
    {
        uint bit = 1u << cpu;
        bool news = (Interlocked.Or(ref _interrupted, bit) & bit) == 0;
        return nonMaskable ? (Interlocked.Or(ref _nonMaskable, bit) & bit) == 0 || news : news;
    }

    /// <summary>True for a CPU that takes interrupts: a handler may come between any two things of it that others see.</summary>
    /// <param name="open">Its interrupt flag is set; NMIs come in any case.</param>
    public bool IsInterruptible(int cpu, bool open) => ((open ? _interrupted : _nonMaskable) >> cpu & 1) != 0;

    /// <summary>CPUs of which it matters between which two instructions an interrupt comes: bit n is CPU n. And the same of NMIs.</summary>
    public uint Exposed { get; set; }

    public uint ExposedToNmi { get; set; }

    public Sharing this[ulong physical]
    {
        get
        {
            Sharing[]? page = _pages[memory.Offset(physical) >> Page.Shift];
            return page == null ? Sharing.None : page[physical & Page.OffsetMask];
        }
    }

    /// <summary>What these bytes, which lie in one page, are between them.</summary>
    public Sharing Of(ulong physical, int size)
    {
        Sharing[]? page = _pages[memory.Offset(physical) >> Page.Shift];
        if (page == null)
            return Sharing.None;
        Sharing all = Sharing.None;
        int at = (int)(physical & Page.OffsetMask);
        for (int i = 0; i < size; i++)
            all |= page[at + i];
        return all;
    }

    /// <summary>True when nothing in the page of an address is marked.</summary>
    public bool IsPlain(ulong physical) => _pages[memory.Offset(physical) >> Page.Shift] == null;

    /// <summary>Patched units of the page of an address, or null.</summary>
    public ulong[]? UnitsIn(ulong physical) => _units[memory.Offset(physical) >> Page.Shift];

    /// <summary>Marks a byte. True when that is news.</summary>
    public bool Mark(ulong physical, Sharing sharing)
    {
        ulong page = memory.Offset(physical) >> Page.Shift;
        Sharing[] flags = _pages[page] ??= new Sharing[Page.Size];
        int at = (int)(physical & Page.OffsetMask);
        if ((flags[at] & sharing) == sharing)
            return false;
        Sharing added = sharing & ~flags[at];
        flags[at] |= sharing;
        if ((added & Sharing.Cpus) != 0)
            DataCount++;
        if ((added & Sharing.Code) != 0)
        {
            CodeCount++;
            MarkUnit(page, physical & ~(ulong)(Unit - 1));
        }
        return true;
    }

    /// <summary>Makes the journal of a machine's own memory keep changes of patched pages apart.</summary>
    public void Watch(PhysicalMemory own)
    {
        for (int i = 0; i < _units.Length; i++)
            own.SetPatched(i, _units[i] != null);
    }

    private void MarkUnit(ulong page, ulong unit)
    {
        if (Units.Contains(unit))
            return;
        Units.Add(unit);
        Units.Sort();
        _units[page] = [.. Units.Where(u => memory.Offset(u) >> Page.Shift == page)];
        for (int i = 0; i < Unit; i++)
            _pages[page]![(int)((unit + (ulong)i) & Page.OffsetMask)] |= Sharing.CodeUnit;
    }
}

/// <summary>
/// Which agents were seen to load, store and execute each byte: what <see cref="SharedBytes"/> follows from. An agent is a CPU outside of interrupt
/// handlers, or inside of them.
/// </summary>
internal sealed class AccessMap(PhysicalMemory memory)
{
    private sealed class PageMasks
    {
        public readonly uint[] Loads = new uint[Page.Size];
        public readonly uint[] Stores = new uint[Page.Size];
        public readonly uint[] Executes = new uint[Page.Size];
    }

    private const uint AllMain = 0x5555_5555;
    private readonly PageMasks?[] _pages = new PageMasks?[memory.PageCount];

    /// <summary>A conflict was seen at a byte that was not known to be shared.</summary>
    public bool IsNew { get; set; }

    /// <summary>At most this many CPUs can be told apart.</summary>
    public const int MaximumCpus = 16;

    /// <param name="agent">2 × CPU, and 1 more in an interrupt handler.</param>
    public void Load(ulong physical, int size, int agent, SharedBytes known)
    {
        PageMasks p = PageOf(physical);
        int at = (int)(physical & Page.OffsetMask);
        uint bit = 1u << agent;
        for (int i = at; i < at + size; i++)
        {
            if ((p.Loads[i] & bit) != 0)
                continue;
            p.Loads[i] |= bit;
            if (p.Stores[i] != 0)
                Look(p, i, physical, known);
        }
    }

    public void Store(ulong physical, int size, int agent, SharedBytes known)
    {
        PageMasks p = PageOf(physical);
        int at = (int)(physical & Page.OffsetMask);
        uint bit = 1u << agent;
        for (int i = at; i < at + size; i++)
        {
            if ((p.Stores[i] & bit) != 0)
                continue;
            p.Stores[i] |= bit;
            if (p.Loads[i] != 0 || p.Executes[i] != 0 || p.Stores[i] != bit)
                Look(p, i, physical, known);
        }
    }

    public void Execute(ulong physical, int size, int agent, SharedBytes known)
    {
        PageMasks p = PageOf(physical);
        int at = (int)(physical & Page.OffsetMask);
        uint bit = 1u << agent;
        if ((p.Executes[at] & p.Executes[at + size - 1] & bit) != 0)
            return;
        for (int i = at; i < at + size; i++)
        {
            p.Executes[i] |= bit;
            if (p.Stores[i] != 0)
                Look(p, i, physical, known);
        }
    }

    /// <summary>Marks all conflicts among these maps. True when one was not known.</summary>
    public static bool Classify(IReadOnlyList<AccessMap> maps, PhysicalMemory memory, SharedBytes known)
    {
        bool news = false;
        for (int page = 0; page < memory.PageCount; page++)
        {
            var pages = maps.Select(m => m._pages[page]).OfType<PageMasks>().ToList();
            if (pages.Count == 0)
                continue;
            for (int i = 0; i < Page.Size; i++)
            {
                uint stores = 0, loads = 0, executes = 0;
                foreach (PageMasks p in pages)
                {
                    stores |= p.Stores[i];
                    loads |= p.Loads[i];
                    executes |= p.Executes[i];
                }
                Sharing sharing = Conflict(stores, loads, executes);
                if (sharing != Sharing.None)
                    news |= known.Mark(memory.AddressOf(((ulong)page << Page.Shift) + (ulong)i), sharing);
            }
        }
        return news;
    }

    /// <summary>What all these maps hold together.</summary>
    public static List<AccessedPage> Save(IReadOnlyList<AccessMap> maps)
    {
        var all = new List<AccessedPage>();
        for (int page = 0; page < maps[0]._pages.Length; page++)
        {
            var pages = maps.Select(m => m._pages[page]).OfType<PageMasks>().ToList();
            if (pages.Count == 0)
                continue;
            var sum = new AccessedPage(page, new uint[Page.Size], new uint[Page.Size], new uint[Page.Size]);
            foreach (PageMasks p in pages)
                Add(p.Loads, p.Stores, p.Executes, sum.Loads, sum.Stores, sum.Executes);
            all.Add(sum);
        }
        return all;
    }

    /// <summary>Adds what was saved.</summary>
    public void Restore(IReadOnlyList<AccessedPage> saved)
    {
        foreach (AccessedPage page in saved)
        {
            PageMasks p = _pages[page.Page] ??= new PageMasks();
            Add(page.Loads, page.Stores, page.Executes, p.Loads, p.Stores, p.Executes);
        }
    }

    private static void Add(uint[] loads, uint[] stores, uint[] executes, uint[] toLoads, uint[] toStores, uint[] toExecutes)
    {
        for (int i = 0; i < Page.Size; i++)
        {
            toLoads[i] |= loads[i];
            toStores[i] |= stores[i];
            toExecutes[i] |= executes[i];
        }
    }

    private PageMasks PageOf(ulong physical) => _pages[memory.Offset(physical) >> Page.Shift] ??= new PageMasks();

    private void Look(PageMasks p, int i, ulong physical, SharedBytes known)
    {
        Sharing sharing = Conflict(p.Stores[i], p.Loads[i], p.Executes[i]);
        if (sharing != Sharing.None && (known[(physical & Page.Mask) + (ulong)i] & sharing) != sharing)
            IsNew = true;
    }

    private static Sharing Conflict(uint stores, uint loads, uint executes)
    {
        if (stores == 0)
            return Sharing.None;
        Sharing sharing = executes != 0 ? Sharing.Code : Sharing.None;
        uint all = stores | loads;
        uint cpusStoring = (stores | stores >> 1) & AllMain;
        uint cpus = (all | all >> 1) & AllMain;
        if ((cpus & (cpus - 1)) != 0 && cpusStoring != 0)
            sharing |= Sharing.Cpus;
        // Both bits of one CPU, and a store by either. To execute is to load: a handler that comes between two stores to its code runs half of them.
        all |= executes;
        uint both = all & (all >> 1) & AllMain;
        if ((both & cpusStoring) != 0)
            sharing |= Sharing.Contexts;
        return sharing;
    }
}
