namespace Emu.Interrupts;

/// <summary>An interrupt request line of a device.</summary>
public interface IIrqLine
{
    void Set(bool asserted);
}

/// <summary>
/// The sixteen ISA interrupt lines, each wired to the 8259s and to the I/O APIC. IRQ 0 reaches the I/O APIC at input 2, as on every PC
/// (the MADT's usual interrupt source override); input 0 has the 8259s' INTR.
/// </summary>
public sealed class IsaIrqs(Pic8259Pair pic, IoApic ioApic)
{
    /// <summary>Sets a line.</summary>
    public void Set(int irq, bool asserted)
    {
        pic.SetIrq(irq, asserted);
        ioApic.SetPin(irq == 0 ? 2 : irq, asserted);
    }

    /// <summary>The line with this number.</summary>
    public IIrqLine Line(int irq) => new IrqLine(this, irq);

    private sealed class IrqLine(IsaIrqs irqs, int irq) : IIrqLine
    {
        public void Set(bool asserted) => irqs.Set(irq, asserted);
    }
}
