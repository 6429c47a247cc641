using Emu.Interrupts;

namespace Emu.Devices;

/// <summary>
/// The gate in address line 20 of a PC: closed, addresses wrap at 1 MiB as on the 8086. The keyboard controller and port 0x92 move it; it is open at the start,
/// as firmware and boot loaders leave it.
/// </summary>
public sealed class A20Gate(Action<bool> moved) : ISnapshotted
{
    public bool IsOpen { get; private set; } = true;

    /// <summary>Opens or closes it.</summary>
    public void Set(bool open)
    {
        if (open == IsOpen)
            return;
        IsOpen = open;
        moved(open);
    }

    public void Save(BinaryWriter writer) => writer.Write(IsOpen);

    public void Restore(BinaryReader reader) => Set(reader.ReadBoolean());
}
