using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// The three ways in which PC software asks for a reset: the keyboard controller's pulse command, fast reset at port 0x92, and the chipset's
/// register at 0xCF9. Absent: a keyboard (its controller answers as one without), and the A20 gate, which is open whatever is written.
/// </summary>
public sealed class ResetControl : IPortDevice, ISnapshotted
{
    private const ushort KeyboardData = 0x60;
    private const ushort KeyboardCommand = 0x64;
    private const ushort SystemControlA = 0x92;
    private const ushort ChipsetReset = 0xCF9;

    private static readonly BitField s_fastReset = new("Fast reset", 0);
    private static readonly BitField s_a20 = new("A20 gate", 1, 1, RegisterAccess.ReadWrite, "A20 is never masked");

    /// <summary>0xCF9: RST_CPU resets when it rises; SYS_RST chooses between hard and soft, which are one here.</summary>
    private static readonly BitField s_hard = new("SYS_RST", 1);
    private static readonly BitField s_resetCpu = new("RST_CPU", 2);

    /// <summary>0xF0 to 0xFF pulse the output port's low lines, of which line 0, when its bit is 0, is the CPU's reset.</summary>
    private const byte PulseCommand = 0xF0;

    private readonly Action<string> _reset;
    private byte _systemControlA = (byte)s_a20.Mask;
    private byte _chipset;

    /// <param name="reset">Called with the name of the way that was taken.</param>
    public ResetControl(Action<string> reset) => _reset = reset;

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(KeyboardData, 1, this);
        bus.AttachPorts(KeyboardCommand, 1, this);
        bus.AttachPorts(SystemControlA, 1, this);
        bus.AttachPorts(ChipsetReset, 1, this);
    }

    public uint Read(ushort port, int size) => port switch
    {
        SystemControlA => _systemControlA,
        ChipsetReset => _chipset,
        // Status: output and input buffers empty. Data: nothing was ever typed.
        _ => 0,
    };

    public void Write(ushort port, int size, uint value)
    {
        switch (port)
        {
            case KeyboardCommand when (value & 0xF1) == PulseCommand:
                _reset("keyboard controller");
                break;
            case SystemControlA:
                bool rises = s_fastReset.IsSet(value) && !s_fastReset.IsSet(_systemControlA);
                _systemControlA = (byte)(value & (s_fastReset.Mask | s_a20.Mask));
                if (rises)
                    _reset("port 0x92");
                break;
            case ChipsetReset:
                bool requested = s_resetCpu.IsSet(value) && !s_resetCpu.IsSet(_chipset);
                _chipset = (byte)(value & (s_hard.Mask | s_resetCpu.Mask));
                if (requested)
                    _reset("port 0xCF9");
                break;
        }
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
