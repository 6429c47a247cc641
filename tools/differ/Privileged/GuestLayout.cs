namespace Emu.Differ.Privileged;

/// <summary>Where everything lies in the guests that provoke privileged behaviour: physical addresses, which are linear ones in all of them.</summary>
public static class GuestLayout
{
    /// <summary>The image: a multiboot header, stubs of the handlers, the runtime, pristine tables, the list of cases, and the cases.</summary>
    public const uint Image = 0x10_0000;
    public const uint Stubs = Image + 0x100;
    public const uint Common = Image + 0x800;
    public const uint Runtime = Image + 0x1000;
    public const uint Tables = Image + 0x2000;
    public const uint LongStubs = Image + 0x7000;
    public const uint LongCommon = Image + 0x7600;
    public const uint LongEnter = Image + 0x7800;
    public const uint CaseList = Image + 0x8000;
    public const uint LongTables = Image + 0x1_2000;
    public const uint FirstCase = Image + 0x1_4000;

    /// <summary>The tables in use: a copy of the pristine ones, made before each case.</summary>
    public const uint Gdt = 0x20_0000;
    public const uint Idt = Gdt + 0x1000;
    public const uint Ldt = Gdt + 0x2000;
    public const uint Tss = Gdt + 0x3000;

    /// <summary>Another task's TSS of 32 bits, one of 16 bits, and that of the task which handles exceptions.</summary>
    public const uint OtherTask = Gdt + 0x4000;
    public const uint Task16 = Gdt + 0x4400;
    public const uint HandlerTask = Gdt + 0x4800;
    public const uint TablesSize = 0x5000;

    /// <summary>Tables of long mode, and their pristine copy's size; selectors of 64-bit code, the others are as below.</summary>
    public const uint LongGdt = Gdt + 0x5000;
    public const uint LongIdt = Gdt + 0x6000;
    public const uint LongTss = LongGdt + 0x200;
    public const uint LongTablesSize = 0x1800;
    public const ushort LongCode0 = 0x48, LongCode3 = 0x53, LongConforming = 0x58, LongLdt = 0x38;
    public const uint LongGdtLimit = 0x7F;

    /// <summary>Selectors that a case of long mode fills, each of 16 bytes.</summary>
    public const ushort LongFree = 0x60, LongFree2 = 0x70;

    /// <summary>Tops of the stacks of the interrupt stack table: 1 for all, 2 for double faults.</summary>
    public const uint InterruptStack1 = Gdt + 0x1_5000;
    public const uint InterruptStack2 = Gdt + 0x1_6000;

    /// <summary>Levels of the page tables of long mode, a page each; the last two map the highest page of the lower half.</summary>
    public const uint Pml4 = PageTables, Pdpt = PageTables + 0x1000, PageDirectory = PageTables + 0x2000, PageTable = PageTables + 0x3000;
    public const uint HighPageDirectory = PageTables + 0x4000, HighPageTable = PageTables + 0x5000;
    public const uint LongPageTablesSize = 0x6000;

    /// <summary>The last page of the lower half of the address space; it shows the page behind <see cref="Page"/>.</summary>
    public const ulong HighestPage = 0x7FFF_FFFF_F000;

    /// <summary>Where the upper half begins: an alias of everything.</summary>
    public const ulong UpperHalf = 0xFFFF_8000_0000_0000;

    /// <summary>A page of 2 MBytes, and one of 1 GByte, that a case maps.</summary>
    public const uint LargePage = 0x60_0000, GigabytePage = 0x4000_0000;

    /// <summary>What a handler found.</summary>
    public const uint Record = Gdt + 0xF000;

    /// <summary>Top of the stack of the runtime; of CPL 0 as the TSS has it; of CPL 3; of the other tasks.</summary>
    public const uint KernelStack = Gdt + 0x1_1000;
    public const uint Stack0 = Gdt + 0x1_2000;
    public const uint Stack3 = Gdt + 0x1_3000;
    public const uint TaskStack = Gdt + 0x1_4000;
    public const uint PageTables = Gdt + 0x2_0000;

    /// <summary>The page whose rights a case chooses; a second one behind it is always there.</summary>
    public const uint Page = 0x40_0000;

    /// <summary>Code of virtual-8086 mode: segment 7000, entered at offset 0; its stack ends below 8000:0.</summary>
    public const uint Virtual8086 = 0x7_0000;

    public const ushort Code0 = 0x08, Data0 = 0x10, Code3 = 0x1B, Data3 = 0x23, TssSelector = 0x28, LdtSelector = 0x30;
    public const ushort TaskSelector = 0x38, Task16Selector = 0x40, HandlerSelector = 0x48, Conforming = 0x50;

    /// <summary>Selectors that a case fills.</summary>
    public const ushort Free = 0x60, Free2 = 0x68;
    public const uint GdtLimit = 0x6F;

    /// <summary>The vector by which a case says that nothing happened to it; DPL 3.</summary>
    public const byte Done = 0x41;

    /// <summary>A trap gate, an interrupt gate of 16 bits, and others that a case changes.</summary>
    public const byte FreeVector = 0x42;
    public const int Vectors = 0x50;

    /// <summary>Vector in the record of the handler's task.</summary>
    public const uint TaskVector = 0x100;

    /// <summary>Vector in the record of a case after which the machine started again.</summary>
    public const uint ShutdownVector = 0x200;

    /// <summary>
    /// Cells of the CMOS RAM, which no reset clears: the number of the case that runs, counted from 1, in two bytes, and a mark which says that one does. No firmware here
    /// uses them.
    /// </summary>
    public const byte RunningCase = 0x70, RunningMark = 0x72, Mark = 0xA7;
}
