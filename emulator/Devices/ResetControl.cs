using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// Fast reset at port 0x92, and the chipset's reset register at 0xCF9, which the ACPI table names as well. The third way is the keyboard controller's
/// (<see cref="KeyboardController"/>). The A20 gate of port 0x92 is one with the keyboard controller's.
/// </summary>
public sealed class ResetControl : IPortDevice, ISnapshotted
{
    public const ushort SystemControlA = 0x92;
    public const ushort ChipsetReset = 0xCF9;

    /// <summary>The value that resets at <see cref="ChipsetReset"/>.</summary>
    public const byte ChipsetResetValue = 0x06;

    private static readonly BitField s_fastReset = new("Fast reset", 0);
    private static readonly BitField s_a20 = new("A20 gate", 1);

    /// <summary>0xCF9: RST_CPU resets when it rises; SYS_RST chooses between hard and soft, which are one here.</summary>
    private static readonly BitField s_hard = new("SYS_RST", 1);
    private static readonly BitField s_resetCpu = new("RST_CPU", 2);

    private readonly Action<string> _reset;
    private readonly A20Gate _a20;
    private byte _systemControlA;
    private byte _chipset;

    /// <param name="reset">Called with the name of the way that was taken.</param>
    public ResetControl(Action<string> reset, A20Gate a20)
    {
        _reset = reset;
        _a20 = a20;
    }

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(SystemControlA, 1, this);
        bus.AttachPorts(ChipsetReset, 1, this);
    }

    public uint Read(ushort port, int size) => port == SystemControlA ? s_a20.With(_systemControlA, _a20.IsOpen ? 1u : 0) : _chipset;

    public void Write(ushort port, int size, uint value)
    {
        if (port == SystemControlA)
        {
            bool rises = s_fastReset.IsSet(value) && !s_fastReset.IsSet(_systemControlA);
            _systemControlA = (byte)(value & s_fastReset.Mask);
            _a20.Set(s_a20.IsSet(value));
            if (rises)
                _reset("port 0x92");
            return;
        }
        bool requested = s_resetCpu.IsSet(value) && !s_resetCpu.IsSet(_chipset);
        _chipset = (byte)(value & (s_hard.Mask | s_resetCpu.Mask));
        if (requested)
            _reset("port 0xCF9");
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_systemControlA);
        writer.Write(_chipset);
    }

    public void Restore(BinaryReader reader)
    {
        _systemControlA = reader.ReadByte();
        _chipset = reader.ReadByte();
    }
}
