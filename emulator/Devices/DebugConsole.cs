using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// The ports to which firmware and test kernels write text: 0xE9 (Bochs) and 0x402 (SeaBIOS and OVMF under QEMU). Each byte goes out as it is written; a read
/// gives 0xE9, by which software finds that the port is there. It has no state.
/// </summary>
public sealed class DebugConsole(Action<byte> output) : IPortDevice
{
    public const ushort BochsPort = 0xE9;
    public const ushort FirmwarePort = 0x402;

    private const byte Presence = 0xE9;

    /// <summary>Puts both ports on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(BochsPort, 1, this);
        bus.AttachPorts(FirmwarePort, 1, this);
    }

    public uint Read(ushort port, int size) => Presence;

    public void Write(ushort port, int size, uint value) => output((byte)value);
}
