using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// The gate in address line 20 of a PC: closed, addresses wrap at 1 MiB as on the 8086. The keyboard controller and port 0x92 move it; it is open at the start,
/// as firmware and boot loaders leave it.
/// </summary>
/// <param name="forgetTranslations">Called when it moves: the CPUs' cached translations hold addresses that passed through it.</param>
public sealed class A20Gate(PhysicalMemory memory, Action forgetTranslations) : ISnapshotted
{
    private const ulong Line20 = 1UL << 20;

    public bool IsOpen => memory.A20Mask == ulong.MaxValue;

    /// <summary>Opens or closes it.</summary>
    public void Set(bool open)
    {
        if (open == IsOpen)
            return;
        Move(open);
        forgetTranslations();
    }

    public void Save(BinaryWriter writer) => writer.Write(IsOpen);

    /// <summary>The translations are part of the CPUs' state: nothing is forgotten.</summary>
    public void Restore(BinaryReader reader) => Move(reader.ReadBoolean());

    private void Move(bool open) => memory.A20Mask = open ? ulong.MaxValue : ~Line20;
}
