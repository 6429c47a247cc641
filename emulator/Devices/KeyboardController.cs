using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// The PS/2 controller (Intel 8042 as IBM programmed it; "PS/2 Hardware Interface Technical Reference", "Keyboard and Auxiliary Device Controller") and a
/// keyboard on which nobody types. Absent: a mouse (its port answers as one with nothing plugged in), keys, translation of scan codes.
/// Commands and answers take no time.
/// </summary>
public sealed class KeyboardController : IPortDevice, ISnapshotted
{
    public const ushort DataPort = 0x60;
    public const ushort CommandPort = 0x64;
    public const int KeyboardIrq = 1;
    public const int AuxiliaryIrq = 12;

    private static readonly BitField s_outputFull = new("Output Buffer Full", 0);
    private static readonly BitField s_inputFull = new("Input Buffer Full", 1, 1, RegisterAccess.Read, "what is written is taken at once");
    private static readonly BitField s_system = new("System Flag", 2);
    private static readonly BitField s_wasCommand = new("Command/Data", 3);
    private static readonly BitField s_notLocked = new("Inhibit Switch", 4, 4, RegisterAccess.Read, "there is no key lock: 1");
    private static readonly BitField s_fromAuxiliary = new("Auxiliary Output Buffer Full", 5);
    private static readonly BitField s_timeOut = new("General Time-out", 6);
    private static readonly BitField s_parity = new("Parity Error", 7, 7, RegisterAccess.Read, "the line makes no errors");

    /// <summary>Port 0x64, read.</summary>
    internal static readonly RegisterLayout Status = new(0x64, "Status", RegisterAccess.Read,
        s_outputFull, s_inputFull, s_system, s_wasCommand, s_notLocked, s_fromAuxiliary, s_timeOut, s_parity);

    private static readonly BitField s_keyboardInterrupt = new("Enable Keyboard Interrupt", 0);
    private static readonly BitField s_auxiliaryInterrupt = new("Enable Auxiliary Interrupt", 1);
    private static readonly BitField s_configSystem = new("System Flag", 2);
    private static readonly BitField s_keyboardOff = new("Disable Keyboard", 4);
    private static readonly BitField s_auxiliaryOff = new("Disable Auxiliary Device", 5);
    private static readonly BitField s_translate = new("Keyboard Translate", 6, 6, RegisterAccess.ReadWrite, "no key is ever sent");

    /// <summary>Byte 0 of the controller's memory: the configuration byte.</summary>
    internal static readonly RegisterLayout Configuration = new(0, "Controller Command Byte", RegisterAccess.ReadWrite,
        s_keyboardInterrupt, s_auxiliaryInterrupt, s_configSystem, s_keyboardOff, s_auxiliaryOff, s_translate);

    /// <summary>The output port: line 0 is the CPUs' reset, active low.</summary>
    private static readonly BitField s_resetOff = new("System Reset (inactive)", 0);
    private static readonly BitField s_a20 = new("Gate Address Line 20", 1);

    private const byte Acknowledge = 0xFA;
    private const byte Resend = 0xFE;

    /// <summary>A byte that waits for the output buffer, and with which status bits it comes.</summary>
    private readonly record struct Answer(byte Value, byte StatusBits);

    private readonly IIrqLine _keyboardIrq;
    private readonly IIrqLine _auxiliaryIrq;
    private readonly Action<string> _reset;
    private readonly A20Gate _a20Gate;
    private readonly Queue<Answer> _answers = new();
    private readonly byte[] _memory = new byte[32];
    private byte _status = (byte)(s_system.Mask | s_notLocked.Mask);
    private byte _outputPort = (byte)s_resetOff.Mask;
    private byte _output;

    /// <summary>The controller's command that takes the next byte at port 0x60; 0 when the keyboard takes it.</summary>
    private byte _command;

    /// <summary>The keyboard's command that takes the next byte; 0 when none does.</summary>
    private byte _keyboardCommand;
    private byte _scanCodeSet = 2;

    /// <param name="keyboardIrq">IRQ 1.</param>
    /// <param name="auxiliaryIrq">IRQ 12.</param>
    /// <param name="reset">Called with the name of this way to reset.</param>
    public KeyboardController(IIrqLine keyboardIrq, IIrqLine auxiliaryIrq, Action<string> reset, A20Gate a20)
    {
        _keyboardIrq = keyboardIrq;
        _auxiliaryIrq = auxiliaryIrq;
        _reset = reset;
        _a20Gate = a20;
        // As firmware leaves it: keyboard on, with its interrupt, translating; the auxiliary port off.
        _memory[0] = (byte)(s_keyboardInterrupt.Mask | s_configSystem.Mask | s_auxiliaryOff.Mask | s_translate.Mask);
    }

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(DataPort, 1, this);
        bus.AttachPorts(CommandPort, 1, this);
    }

    public uint Read(ushort port, int size)
    {
        if (port == CommandPort)
            return _status;
        byte value = _output;
        _status &= (byte)~(s_outputFull.Mask | s_fromAuxiliary.Mask | s_timeOut.Mask);
        LowerInterrupts();
        Present();
        return value;
    }

    public void Write(ushort port, int size, uint value)
    {
        if (port == CommandPort)
        {
            _status = (byte)s_wasCommand.With(_status, 1);
            _command = 0;
            Command((byte)value);
        }
        else
        {
            _status = (byte)s_wasCommand.With(_status, 0);
            byte command = _command;
            _command = 0;
            if (command != 0)
                CommandData(command, (byte)value);
            else
                Keyboard((byte)value);
        }
        Present();
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_memory);
        writer.Write([_status, _outputPort, _output, _command, _keyboardCommand, _scanCodeSet]);
        writer.Write(_answers.Count);
        foreach (Answer a in _answers)
        {
            writer.Write(a.Value);
            writer.Write(a.StatusBits);
        }
    }

    public void Restore(BinaryReader reader)
    {
        reader.ReadBytes(_memory.Length).CopyTo(_memory, 0);
        _status = reader.ReadByte();
        _outputPort = reader.ReadByte();
        _output = reader.ReadByte();
        _command = reader.ReadByte();
        _keyboardCommand = reader.ReadByte();
        _scanCodeSet = reader.ReadByte();
        _answers.Clear();
        for (int n = reader.ReadInt32(); n > 0; n--)
            _answers.Enqueue(new Answer(reader.ReadByte(), reader.ReadByte()));
    }

    private void Command(byte command)
    {
        switch (command)
        {
            case >= 0x20 and <= 0x3F:
                Reply(_memory[command & 0x1F]);
                break;
            // These take a byte at port 0x60.
            case >= 0x60 and <= 0x7F:
            case 0xD1 or 0xD2 or 0xD3 or 0xD4:
                _command = command;
                break;
            case 0xA7:
                _memory[0] |= (byte)s_auxiliaryOff.Mask;
                break;
            case 0xA8:
                _memory[0] &= (byte)~s_auxiliaryOff.Mask;
                break;
            // Self-test passed; the lines of the two ports are good.
            case 0xAA:
                _status = (byte)s_system.With(_status, 1);
                Reply(0x55);
                break;
            case 0xA9 or 0xAB:
                Reply(0x00);
                break;
            case 0xAD:
                _memory[0] |= (byte)s_keyboardOff.Mask;
                break;
            case 0xAE:
                _memory[0] &= (byte)~s_keyboardOff.Mask;
                break;
            // The input port: no key lock, colour display, no manufacturing jumper. Then the output port, and the test inputs.
            case 0xC0:
                Reply(0x80 | 0x20 | 0x10);
                break;
            case 0xD0:
                Reply((byte)s_a20.With(_outputPort, _a20Gate.IsOpen ? 1u : 0));
                break;
            case 0xDD or 0xDF:
                _a20Gate.Set(command == 0xDF);
                break;
            case 0xE0:
                Reply(0x00);
                break;
            // Pulses the lines of the output port whose bits are 0, of 3:0; 0xFF pulses none.
            case >= 0xF0 when (command & 1) == 0:
                _reset("keyboard controller");
                break;
        }
    }

    private void CommandData(byte command, byte value)
    {
        switch (command)
        {
            case 0x60:
                _memory[0] = (byte)Configuration.Merge(0, value);
                _status = (byte)s_system.With(_status, s_configSystem.Of(value));
                break;
            case > 0x60 and <= 0x7F:
                _memory[command & 0x1F] = value;
                break;
            case 0xD1:
                _outputPort = (byte)(value & ~s_a20.Mask);
                _a20Gate.Set(s_a20.IsSet(value));
                if (!s_resetOff.IsSet(value))
                    _reset("keyboard controller");
                break;
            case 0xD2:
                Reply(value);
                break;
            case 0xD3:
                Reply(value, s_fromAuxiliary.Mask);
                break;
            case 0xD4:
                // Nothing is plugged in: the controller itself answers, after its time-out.
                Reply(Resend, s_fromAuxiliary.Mask | s_timeOut.Mask);
                break;
        }
    }

    /// <summary>The keyboard's own commands (same manual, "Keyboard Commands").</summary>
    private void Keyboard(byte value)
    {
        // Any byte to the keyboard enables its line.
        _memory[0] &= (byte)~s_keyboardOff.Mask;
        byte command = _keyboardCommand;
        _keyboardCommand = 0;
        switch (command)
        {
            case 0xED or 0xF3:
                Reply(Acknowledge);
                return;
            case 0xF0:
                Reply(Acknowledge);
                if (value == 0)
                    Reply(_scanCodeSet);
                else if (value <= 3)
                    _scanCodeSet = value;
                return;
        }
        switch (value)
        {
            case 0xED or 0xF0 or 0xF3:
                _keyboardCommand = value;
                Reply(Acknowledge);
                break;
            case 0xEE:
                Reply(0xEE);
                break;
            case 0xF2:
                Reply(Acknowledge);
                Reply(0xAB);
                // Translated, where translation is on: 0x83 else.
                Reply(s_translate.IsSet(_memory[0]) ? (byte)0x41 : (byte)0x83);
                break;
            case >= 0xF4 and <= 0xFD:
                Reply(Acknowledge);
                break;
            case 0xFF:
                _scanCodeSet = 2;
                Reply(Acknowledge);
                // The basic assurance test passed.
                Reply(0xAA);
                break;
            default:
                Reply(Resend);
                break;
        }
    }

    private void Reply(byte value, uint statusBits = 0) => _answers.Enqueue(new Answer(value, (byte)statusBits));

    /// <summary>Moves the next answer into the output buffer, when that is empty.</summary>
    private void Present()
    {
        if (s_outputFull.IsSet(_status) || !_answers.TryDequeue(out Answer next))
            return;
        _output = next.Value;
        _status |= (byte)(s_outputFull.Mask | next.StatusBits);
        bool auxiliary = s_fromAuxiliary.IsSet(next.StatusBits);
        if ((auxiliary ? s_auxiliaryInterrupt : s_keyboardInterrupt).IsSet(_memory[0]))
            (auxiliary ? _auxiliaryIrq : _keyboardIrq).Set(true);
    }

    private void LowerInterrupts()
    {
        _keyboardIrq.Set(false);
        _auxiliaryIrq.Set(false);
    }
}
