using Emu.Memory;

namespace Emu.Interrupts;

/// <summary>
/// A page of physical addresses at which local APICs answer. Each CPU sees its own APIC there, if its IA32_APIC_BASE says so; the page is a device
/// of the bus and not of a CPU, because all CPUs share the bus.
/// </summary>
internal sealed class LocalApicPage(InterruptFabric fabric, ulong address) : IMmioDevice
{
    public ulong Address => address;

    public ulong Read(CpuIndex cpu, ulong offset, int size) =>
        Find(cpu)?.ReadPage((int)offset, size) ?? ulong.MaxValue >> (64 - 8 * size);

    public void Write(CpuIndex cpu, ulong offset, int size, ulong value) => Find(cpu)?.WritePage((int)offset, size, value);

    /// <summary>Null when this CPU's APIC is off, in x2APIC mode, or elsewhere: then the bus is open here.</summary>
    private LocalApic? Find(CpuIndex cpu)
    {
        LocalApic apic = fabric.LocalApicOf(cpu);
        return apic.AnswersAt(address) ? apic : null;
    }
}
