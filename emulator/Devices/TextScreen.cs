using System.Text;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// A VGA in text mode 3, as far as software that prints needs one (IBM VGA Technical Reference): text memory at 0xB8000, which is RAM; the CRT controller's
/// registers, which read back, and of which start address and cursor count; the retrace bits that software polls.
/// Absent: other modes, fonts, colours; the sequencer, graphics and attribute controllers and the palette, whose ports are open bus.
/// </summary>
public sealed class TextScreen : IPortDevice, ISnapshotted
{
    public const ulong TextMemory = 0xB8000;
    public const int Columns = 80;
    public const int Rows = 25;

    private const ushort IndexPort = 0x3D4;
    private const ushort DataPort = 0x3D5;
    private const ushort MiscellaneousRead = 0x3CC;
    private const ushort MiscellaneousWrite = 0x3C2;
    private const ushort StatusPort = 0x3DA;
    private const int RegisterCount = 0x19;
    private const int StartHigh = 0x0C;
    private const int StartLow = 0x0D;
    private const int CursorHigh = 0x0E;
    private const int CursorLow = 0x0F;
    private const int VerticalRetraceEnd = 0x11;

    /// <summary>Bytes of text memory: the start address wraps in it.</summary>
    private const int MemorySize = 0x8000;

    private static readonly BitField s_index = new("CRTC Index", 4, 0);
    private static readonly BitField s_protect = new("Protect Registers 0-7", 7);
    private static readonly BitField s_displayDisabled = new("Display Enable (inverted)", 0, 0, RegisterAccess.Read);
    private static readonly BitField s_verticalRetrace = new("Vertical Retrace", 3, 3, RegisterAccess.Read);

    /// <summary>A line of 31.5 kHz and a frame of 70 Hz, of which the last parts are retrace.</summary>
    private const ulong LineTicks = 31_778;
    private const ulong LineRetraceTicks = 6_356;
    private const ulong FrameTicks = 14_268_000;
    private const ulong FrameRetraceTicks = 1_550_000;

    /// <summary>Mode 3: 80 by 25 characters of 9 by 16 dots.</summary>
    private static ReadOnlySpan<byte> Mode3 =>
    [
        0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0x00, 0x00, 0x00, 0x00, 0x9C, 0x8E, 0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF,
    ];

    private readonly ITimeline _time;
    private readonly PhysicalMemory _memory;
    private readonly byte[] _registers = Mode3.ToArray();
    private byte _selected;
    private byte _miscellaneous = 0x67;

    public TextScreen(ITimeline time, PhysicalMemory memory)
    {
        _time = time;
        _memory = memory;
    }

    /// <summary>The first character that is shown, in characters from the start of text memory.</summary>
    public int Start => (_registers[StartHigh] << 8) | _registers[StartLow];

    /// <summary>Row and column of the cursor; outside the screen when it is hidden there.</summary>
    public (int Row, int Column) Cursor
    {
        get
        {
            int at = ((_registers[CursorHigh] << 8) | _registers[CursorLow]) - Start;
            return (Math.DivRem(at, Columns, out int column), column);
        }
    }

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(IndexPort, 2, this);
        bus.AttachPorts(StatusPort, 1, this);
        bus.AttachPorts(MiscellaneousRead, 1, this);
        bus.AttachPorts(MiscellaneousWrite, 1, this);
    }

    /// <summary>What the screen shows: 25 lines, without the blanks at their ends, in Unicode (the characters are those of code page 437).</summary>
    public string[] Lines()
    {
        byte[] cells = new byte[MemorySize];
        _memory.TryRead(TextMemory, cells);
        string[] lines = new string[Rows];
        var line = new StringBuilder(Columns);
        for (int row = 0; row < Rows; row++)
        {
            line.Clear();
            for (int column = 0; column < Columns; column++)
                line.Append(CodePage437.ToChar(cells[2 * (Start + row * Columns + column) % MemorySize]));
            lines[row] = line.ToString().TrimEnd();
        }
        return lines;
    }

    public uint Read(ushort port, int size)
    {
        switch (port)
        {
            case IndexPort:
                return _selected;
            case DataPort:
                return _selected < RegisterCount ? _registers[_selected] : 0u;
            case MiscellaneousRead:
                return _miscellaneous;
            case StatusPort:
                bool vertical = _time.Now % FrameTicks >= FrameTicks - FrameRetraceTicks;
                bool horizontal = _time.Now % LineTicks >= LineTicks - LineRetraceTicks;
                return s_verticalRetrace.With(s_displayDisabled.With(0, vertical || horizontal ? 1u : 0), vertical ? 1u : 0);
            default:
                // Input status 0: nothing of it is modelled.
                return 0;
        }
    }

    public void Write(ushort port, int size, uint value)
    {
        switch (port)
        {
            case IndexPort:
                _selected = (byte)s_index.Of(value);
                break;
            case DataPort when _selected < RegisterCount && (_selected > 7 || !s_protect.IsSet(_registers[VerticalRetraceEnd])):
                _registers[_selected] = (byte)value;
                break;
            case MiscellaneousWrite:
                _miscellaneous = (byte)value;
                break;
        }
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_registers);
        writer.Write(_selected);
        writer.Write(_miscellaneous);
    }

    public void Restore(BinaryReader reader)
    {
        reader.ReadBytes(RegisterCount).CopyTo(_registers, 0);
        _selected = reader.ReadByte();
        _miscellaneous = reader.ReadByte();
    }
}
