using Emu.Boot;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Interrupts;
using Emu.Machines;
using Emu.Memory;

namespace Emu.Scenarios;

/// <summary>
/// Builds the machine of a scenario: CPUs that are in 64-bit mode already, with a GDT, an IDT each, page tables, their code and variables, and their
/// local APICs enabled. What a boot would do is done here by the host, so that the first step of a scenario is the first that matters.
/// </summary>
internal static class ScenarioMachine
{
    private const ulong SmallestRam = 2UL << 20;

    // Accessed and dirty already: a walk that has to set them is a locked access, which would drain the store buffer where nobody expects it.
    private const ulong Table = 0x23;
    private const ulong Leaf = 0x63;
    private const ulong Uncached = 0x10;
    private const ulong LargePage = 0x80;
    private const ushort FirstTaskSelector = 0x18;
    private const int Vectors = 256;
    private const ulong InterruptGate = 0x8E00;
    private const int SpuriousVectorRegister = 0xF0;
    private const uint SpuriousVectorMsr = 0x80F;
    private const ulong ApicEnabledSpurious255 = 0x1FF;

    /// <summary>HLT and a jump back to it.</summary>
    private static readonly byte[] _haltLoop = [0xF4, 0xEB, 0xFD, 0x90];

    public static ulong RamSize(BootImage? image)
    {
        ulong end = image?.Segments.Max(s => s.End) ?? 0;
        return Math.Max(SmallestRam, (end + SmallestRam - 1) / SmallestRam * SmallestRam);
    }

    /// <summary>A machine in the scenario's initial state.</summary>
    /// <param name="scenario">What to build.</param>
    /// <param name="profile">In place of the scenario's own.</param>
    public static Machine Build(Scenario scenario, FetchProfile? profile = null)
    {
        ulong ram = RamSize(scenario.Image);
        var machine = new Machine(new MachineOptions
        {
            CpuCount = scenario.CpuCount,
            MemorySize = ram,
            Model = scenario.Model,
            Profile = profile ?? scenario.Profile,
            Seed = scenario.Seed,
        });
        machine.Fabric.Immediate = false;
        PhysicalMemory memory = machine.Memory;
        LoadImage(scenario, memory);
        foreach (AssemblyColumn column in scenario.Columns)
            memory.TryWrite(column.Start, column.Bytes);
        foreach (ScenarioVariable variable in scenario.Variables)
            memory.TryWrite(variable.Address, variable.Bytes);
        for (int vector = 0; vector < Vectors; vector++)
            memory.TryWrite(DefaultHandler(vector), _haltLoop);
        memory.TryWrite(ScenarioLayout.Rest, _haltLoop);
        WritePageTables(scenario, memory, ram);
        WriteGdt(scenario.CpuCount, memory);
        for (int i = 0; i < scenario.CpuCount; i++)
        {
            WriteIdt(scenario, i, memory);
            Start(scenario, machine, i);
        }
        WatchCode(scenario, machine);
        return machine;
    }

    /// <summary>
    /// Code counts as changed from the first step on, also where no CPU has fetched from its page yet: a CPU that runs into it later may have had it in
    /// a cache all the time.
    /// </summary>
    private static void WatchCode(Scenario scenario, Machine machine)
    {
        foreach (AssemblyColumn column in scenario.Columns)
            for (ulong page = column.Start; page < column.Start + (ulong)column.Bytes.Length; page += Page.Size)
                machine.Agents[0].Versions(page);
        if (scenario.Image != null)
            foreach (ImageSegment segment in scenario.Image.Segments)
                for (ulong page = segment.Address; page < segment.Address + (ulong)segment.Data.Length; page += Page.Size)
                    machine.Agents[0].Versions(page);
    }

    /// <summary>Where a vector goes that the scenario gives no handler.</summary>
    public static ulong DefaultHandler(int vector) => ScenarioLayout.DefaultHandlers + (ulong)(vector * ScenarioLayout.DefaultHandlerBytes);

    /// <summary>The vector whose default handler an address lies in, or null.</summary>
    public static int? DefaultHandlerAt(ulong address)
    {
        ulong offset = address - ScenarioLayout.DefaultHandlers;
        return offset < Vectors * ScenarioLayout.DefaultHandlerBytes ? (int)offset / ScenarioLayout.DefaultHandlerBytes : null;
    }

    private static void LoadImage(Scenario scenario, PhysicalMemory memory)
    {
        if (scenario.Image == null)
            return;
        foreach (ImageSegment segment in scenario.Image.Segments)
            memory.TryWrite(segment.Address, segment.Data.Span);
    }

    private static void WritePageTables(Scenario scenario, PhysicalMemory memory, ulong ram)
    {
        const ulong pml4 = ScenarioLayout.PageTables;
        const ulong pdpt = pml4 + Page.Size;
        const ulong low = pdpt + Page.Size;
        const ulong alias = low + Page.Size;
        const ulong high = alias + Page.Size;
        memory.Write(pml4, 8, pdpt | Table);
        memory.Write(pdpt + 0 * 8, 8, low | Table);
        memory.Write(pdpt + 1 * 8, 8, alias | Table);
        memory.Write(pdpt + 3 * 8, 8, high | Table);
        int tables = ScenarioLayout.TableCount(ram);
        for (int i = 0; i < tables; i++)
        {
            ulong offset = (ulong)i * (Page.Size * 512UL);
            memory.Write(low + (ulong)i * 8, 8, (ScenarioLayout.PageTableEntry(offset, ram) & Page.Mask) | Table);
            memory.Write(alias + (ulong)i * 8, 8, (ScenarioLayout.PageTableEntry(ScenarioLayout.AliasBase + offset, ram) & Page.Mask) | Table);
        }
        // The local APIC, by 2 MiB pages: where it is, and at the end of the alias window.
        const ulong apic = ScenarioLayout.ApicPage | Leaf | Uncached | LargePage;
        memory.Write(alias + 511 * 8, 8, apic);
        memory.Write(high + ((ScenarioLayout.ApicPage >> 21) & 511) * 8, 8, apic);
        foreach ((ulong start, ulong length) in PiecesInUse(scenario))
        {
            for (ulong page = start & Page.Mask; page < start + length; page += Page.Size)
            {
                memory.Write(ScenarioLayout.PageTableEntry(page, ram), 8, page | Leaf);
                memory.Write(ScenarioLayout.PageTableEntry(ScenarioLayout.AliasBase + page, ram), 8, page | Leaf);
            }
        }
    }

    private static IEnumerable<(ulong Start, ulong Length)> PiecesInUse(Scenario scenario)
    {
        yield return (ScenarioLayout.Gdt, Page.Size);
        yield return (ScenarioLayout.Idts, (ulong)scenario.CpuCount * Page.Size);
        yield return (ScenarioLayout.DefaultHandlers, Page.Size);
        yield return (ScenarioLayout.TaskStates, Page.Size);
        yield return (ScenarioLayout.Stacks, (ulong)scenario.CpuCount * Page.Size);
        yield return (ScenarioLayout.PageTables, ScenarioLayout.PageTablesEnd - ScenarioLayout.PageTables);
        foreach (AssemblyColumn column in scenario.Columns)
            yield return (column.Start, (ulong)column.Bytes.Length);
        foreach (ScenarioVariable variable in scenario.Variables)
            yield return (variable.Address, (ulong)variable.Bytes.Length);
        if (scenario.Image != null)
            foreach (ImageSegment segment in scenario.Image.Segments)
                yield return (segment.Address, segment.MemorySize);
    }

    private static void WriteGdt(int cpus, PhysicalMemory memory)
    {
        memory.Write(ScenarioLayout.Gdt + DirectStart.CodeSelector, 8, DirectStart.CodeDescriptor);
        memory.Write(ScenarioLayout.Gdt + DirectStart.DataSelector, 8, DirectStart.DataDescriptor);
        for (int i = 0; i < cpus; i++)
        {
            // SDM, "TSS Descriptor in 64-bit mode": the type of a busy 32-bit TSS, since TR holds it.
            ulong @base = TaskState(i);
            ulong low = DirectStart.TaskStateLimit | (@base & 0xFF_FFFF) << 16 | (@base >> 24 & 0xFF) << 56
                | (ulong)(SegmentAttributes.Present | SystemType.BusyTss32) << 40;
            memory.Write(ScenarioLayout.Gdt + TaskSelector(i), 8, low);
            memory.Write(ScenarioLayout.Gdt + TaskSelector(i) + 8, 8, @base >> 32);
        }
    }

    private static ulong TaskState(int cpu) => ScenarioLayout.TaskStates + (ulong)(cpu * 2 * 64);

    private static ushort TaskSelector(int cpu) => (ushort)(FirstTaskSelector + 16 * cpu);

    private static void WriteIdt(Scenario scenario, int cpu, PhysicalMemory memory)
    {
        for (int vector = 0; vector < Vectors; vector++)
        {
            ulong handler = HandlerOf(scenario, cpu, vector);
            ulong gate = ScenarioLayout.Idts + (ulong)cpu * Page.Size + (ulong)vector * 16;
            memory.Write(gate, 8, (handler & 0xFFFF) | (ulong)DirectStart.CodeSelector << 16 | InterruptGate << 32 | (handler >> 16 & 0xFFFF) << 48);
            memory.Write(gate + 8, 8, handler >> 32);
        }
    }

    /// <summary>The handler of a vector: the CPU's own, that of all CPUs, or the default.</summary>
    public static ulong HandlerOf(Scenario scenario, int cpu, int vector)
    {
        ulong handler = DefaultHandler(vector);
        foreach ((int? onCpu, int v, ulong address) in scenario.Vectors.OrderBy(x => x.Cpu.HasValue))
            if (v == vector && (onCpu == null || onCpu == cpu))
                handler = address;
        return handler;
    }

    private static void Start(Scenario scenario, Machine machine, int index)
    {
        Cpu cpu = machine.Cpus[index];
        DirectStart.InLongMode(cpu, new LongModeStart
        {
            PageTables = ScenarioLayout.PageTables,
            Gdt = ScenarioLayout.Gdt,
            GdtLimit = (uint)(TaskSelector(scenario.CpuCount) - 1),
            Idt = ScenarioLayout.Idts + (ulong)index * Page.Size,
            TaskSelector = TaskSelector(index),
            TaskState = TaskState(index),
        });
        EnableApic((LocalApic)cpu.Apic, scenario.X2Apic);

        AssemblyColumn? column = scenario.Columns.FirstOrDefault(c => c.Cpu == index);
        ulong rest = column != null ? Assembly.RestOf(column) : ScenarioLayout.Rest;
        CpuRegisters.Write(cpu, "rip", column?.Start ?? rest);
        // A RET without a CALL ends the CPU's part, so that a function of an image can be run as it is.
        ulong stack = ScenarioLayout.StackTop(index) - 8;
        machine.Memory.Write(stack, 8, rest);
        CpuRegisters.Write(cpu, "rsp", stack);
        foreach ((int owner, string register, ulong value) in scenario.Registers)
            if (owner == index)
                CpuRegisters.Write(cpu, register, value);
    }

    private static void EnableApic(LocalApic apic, bool x2Apic)
    {
        if (!x2Apic)
        {
            apic.WritePage(SpuriousVectorRegister, 4, ApicEnabledSpurious255);
            return;
        }
        apic.TryWriteApicBase(ApicBase.DefaultAddress | ApicBase.Enable | ApicBase.X2Apic | (apic.Index.Value == 0 ? ApicBase.Bsp : 0));
        apic.TryWriteMsr(SpuriousVectorMsr, ApicEnabledSpurious255);
    }
}
