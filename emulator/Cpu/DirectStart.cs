using Emu.Memory;

namespace Emu.Cpus;

/// <summary>What a CPU needs to begin in 64-bit mode; the tables are in memory already.</summary>
/// <param name="PageTables">CR3.</param>
/// <param name="Gdt">Its second descriptor is 64-bit code, its third data.</param>
/// <param name="GdtLimit">Of the GDT.</param>
/// <param name="Idt">256 gates of 16 bytes.</param>
/// <param name="TaskSelector">Of a busy 64-bit TSS in the GDT.</param>
/// <param name="TaskState">The base of that TSS.</param>
public readonly record struct LongModeStart(ulong PageTables, ulong Gdt, uint GdtLimit, ulong Idt, ushort TaskSelector, ulong TaskState);

/// <summary>
/// Puts a CPU where a host program wants it without a boot: at CPL 0 in 64-bit mode with flat segments. And what such a program asks of a CPU between
/// two events, so that it need not touch the state itself.
/// </summary>
public static unsafe class DirectStart
{
    public const ushort CodeSelector = 0x08;
    public const ushort DataSelector = 0x10;
    public const ulong CodeDescriptor = 0x00AF_9B00_0000_FFFF;
    public const ulong DataDescriptor = 0x00CF_9300_0000_FFFF;
    public const uint TaskStateLimit = 103;
    /// <summary>Bytes of a 64-bit interrupt frame, without and with an error code and what aligns the stack (SDM, "64-Bit Mode Stack Frame").</summary>
    public const ulong SmallestFrame = 40;
    public const ulong LargestFrame = 64;
    private const uint IdtLimit = 256 * 16 - 1;

    /// <summary>No exception has this vector; see <see cref="ForgetFault"/>.</summary>
    private const Vector NoFault = (Vector)0xFF;

    /// <summary>Starts the CPU; all general registers are zero and interrupts enabled. RIP and RSP are the caller's to set.</summary>
    public static void InLongMode(Cpu cpu, in LongModeStart start)
    {
        CpuState* s = cpu.State;
        s->Paging.Cr0 = ControlBits.Cr0Pe | ControlBits.Cr0Et | ControlBits.Cr0Ne | ControlBits.Cr0Wp | ControlBits.Cr0Pg;
        s->Paging.Cr4 = PagingBits.Cr4Pae;
        s->Paging.Cr3 = start.PageTables;
        s->Paging.Efer = ControlBits.EferSce | ControlBits.EferLme | ControlBits.EferLma | ControlBits.EferNxe;
        s->Cs = Flat(CodeSelector, CodeDescriptor);
        s->Ss = s->Ds = s->Es = s->Fs = s->Gs = Flat(DataSelector, DataDescriptor);
        s->Tr = new SegmentRegister
        {
            Selector = start.TaskSelector,
            Base = start.TaskState,
            Limit = TaskStateLimit,
            Attributes = SegmentAttributes.Present | SystemType.BusyTss32,
            Usable = 1,
        };
        s->Gdtr = new TableRegister { Base = start.Gdt, Limit = start.GdtLimit };
        s->Idtr = new TableRegister { Base = start.Idt, Limit = IdtLimit };
        for (int i = 0; i < 16; i++)
            s->Registers[i] = 0;
        Flags.Set(s, Rflags.Reserved1 | Rflags.If);
        s->Activity = Activity.Active;
        CpuMode.Update(s);
        CpuMode.FlushTlb(s, keepGlobal: false);
        cpu.Serialise(SerialisingEvent.Start);
    }

    public static ulong Rip(Cpu cpu) => cpu.State->Rip;

    public static ulong Rsp(Cpu cpu) => cpu.State->Registers[4];

    /// <summary>Drops all translations: those that came with a snapshot of another machine lead to that one's memory.</summary>
    public static void ForgetTranslations(Cpu cpu) => CpuMode.FlushTlb(cpu.State, keepGlobal: false);

    public static Activity ActivityOf(Cpu cpu) => cpu.State->Activity;

    /// <summary>True when the CPU would take an NMI or an interrupt rather than execute its next instruction.</summary>
    public static bool InterruptIsDue(Cpu cpu)
    {
        CpuState* s = cpu.State;
        if (s->Activity is Activity.Shutdown or Activity.WaitForSipi || s->InterruptShadow != 0)
            return false;
        return (cpu.HasInterrupt && (s->SystemFlags & Rflags.If) != 0) || ((cpu.Mailbox & Mail.Nmi) != 0 && s->NmiBlocked == 0);
    }

    /// <summary>Makes <see cref="FaultSince"/> tell of later faults only.</summary>
    public static void ForgetFault(Cpu cpu) => cpu.State->Fault.Vector = NoFault;

    /// <summary>The exception that was raised last, if one was since <see cref="ForgetFault"/>.</summary>
    public static Vector? FaultSince(Cpu cpu) => cpu.State->Fault.Vector == NoFault ? null : cpu.State->Fault.Vector;

    private static SegmentRegister Flat(ushort selector, ulong descriptor) => new()
    {
        Selector = selector,
        Base = 0,
        Limit = uint.MaxValue,
        Attributes = (ushort)((descriptor >> 40 & 0xFF) | (descriptor >> 40 & 0xF000)),
        Usable = 1,
    };
}
