using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>Port 0x80: the power-on self-test code. Writing to it does nothing, which software uses as a short delay; reading gives it back.</summary>
public sealed class PostPort : IPortDevice, ISnapshotted
{
    public const ushort Port = 0x80;

    /// <summary>What was written last.</summary>
    public byte Code { get; private set; }

    /// <summary>Puts the register on the bus.</summary>
    public void AttachTo(Bus bus) => bus.AttachPorts(Port, 1, this);

    public uint Read(ushort port, int size) => Code;

    public void Write(ushort port, int size, uint value) => Code = (byte)value;

    public void Save(BinaryWriter writer) => writer.Write(Code);

    public void Restore(BinaryReader reader) => Code = reader.ReadByte();
}
