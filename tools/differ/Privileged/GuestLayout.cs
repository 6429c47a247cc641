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
    public const uint CaseList = Image + 0x8000;
    public const uint FirstCase = Image + 0x1_0000;

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
}
