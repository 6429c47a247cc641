using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// The guest's way out: a write to the port ends the machine, with the value for the outside to judge (QEMU's isa-debug-exit; 0x10 is success here).
/// </summary>
public sealed class DebugExit : IPortDevice
{
    public const ushort DefaultPort = 0xF4;

    private readonly Action<uint> _stop;

    /// <param name="stop">Called with the value; stops the machine after the present instruction.</param>
    public DebugExit(Action<uint> stop) => _stop = stop;

    /// <summary>Puts the register on the bus, where QEMU's has four ports as well.</summary>
    public void AttachTo(Bus bus, ushort port = DefaultPort) => bus.AttachPorts(port, 4, this, width: 4);

    public uint Read(ushort port, int size) => 0;

    public void Write(ushort port, int size, uint value) => _stop(value);
}
