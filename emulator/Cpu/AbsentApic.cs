namespace Emu.Cpus;

/// <summary>Stands in for the local APIC of a CPU that is used by itself: no interrupts, a task priority, no x2APIC registers.</summary>
public sealed class AbsentApic : ILocalApic
{
    public ulong TaskPriority { get; set; }

    public ulong TscDeadline { get; set; }

    /// <summary>The spurious vector after reset.</summary>
    public byte AcknowledgeInterrupt() => 0xFF;

    public bool TryReadPage(ulong physical, int size, out ulong value)
    {
        value = 0;
        return false;
    }

    public bool TryWritePage(ulong physical, int size, ulong value) => false;

    public bool TryReadMsr(uint msr, out ulong value)
    {
        value = 0;
        return false;
    }

    public bool TryWriteMsr(uint msr, ulong value) => false;

    public bool TryWriteApicBase(ulong value) => true;

    public void Reset(bool init)
    {
        TaskPriority = 0;
        TscDeadline = 0;
    }
}
