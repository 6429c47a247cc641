using Emu.Cpus;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// What a PC has between the pins FERR# and IGNNE# of its CPUs and IRQ 13 (Intel 82371SB, "Coprocessor Error Register"; SDM Vol. 1, "Recommended External
/// Hardware to Support the MS-DOS* Compatibility Sub-mode"): FERR# latches the interrupt; a write to port 0xF0 takes it back, and asserts IGNNE# for as long as
/// FERR# is asserted. The latch is the line's own state.
/// </summary>
public sealed class NumericErrorPort : IPortDevice
{
    public const int Irq = 13;
    public const ushort Port = 0xF0;

    private readonly IReadOnlyList<Cpu> _cpus;
    private readonly IIrqLine _line;

    public NumericErrorPort(IReadOnlyList<Cpu> cpus, IIrqLine line)
    {
        _cpus = cpus;
        _line = line;
        foreach (Cpu cpu in cpus)
            cpu.OnNumericError = () => line.Set(true);
    }

    /// <summary>Puts the register on the bus.</summary>
    public void AttachTo(Bus bus) => bus.AttachPorts(Port, 1, this);

    public uint Read(ushort port, int size) => 0xFF;

    public void Write(ushort port, int size, uint value)
    {
        _line.Set(false);
        foreach (Cpu cpu in _cpus)
            cpu.IgnoreNumericError();
    }
}
