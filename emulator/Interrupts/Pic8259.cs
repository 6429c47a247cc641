namespace Emu.Interrupts;

/// <summary>One 8259A (Intel 8259A data sheet). Two of them make a <see cref="Pic8259Pair"/>.</summary>
internal sealed class Pic8259
{
    /// <summary>ICW1.</summary>
    private static readonly BitField s_icw4Needed = new("IC4", 0);
    private static readonly BitField s_single = new("SNGL", 1);
    private static readonly BitField s_levelTriggered = new("LTIM", 3);
    private static readonly BitField s_isIcw1 = new("ICW1", 4);

    /// <summary>ICW4.</summary>
    private static readonly BitField s_mode8086 = new("uPM", 0, 0, RegisterAccess.ReadWrite, "MCS-80/85 mode");
    private static readonly BitField s_autoEoi = new("AEOI", 1);
    private static readonly BitField s_buffered = new("BUF, M/S", 3, 2, RegisterAccess.ReadWrite, "no effect that software sees");
    private static readonly BitField s_fullyNested = new("SFNM", 4);

    /// <summary>OCW2.</summary>
    private static readonly BitField s_level = new("L2-L0", 2, 0);
    private static readonly BitField s_command = new("R, SL, EOI", 7, 5);

    /// <summary>OCW3.</summary>
    private static readonly BitField s_isOcw3 = new("OCW3", 3);
    private static readonly BitField s_readRegister = new("RR, RIS", 1, 0);
    private static readonly BitField s_poll = new("P", 2);
    private static readonly BitField s_specialMask = new("ESMM, SMM", 6, 5);

    /// <summary>All that ICW4 can ask for.</summary>
    public static readonly RegisterLayout Icw4 = new(1, "ICW4", RegisterAccess.Write, s_mode8086, s_autoEoi, s_buffered, s_fullyNested);

    private readonly bool _isMaster;
    private byte _irr, _isr, _imr, _lines, _elcr, _icw1, _icw4, _vectorBase;

    /// <summary>The initialisation word that is expected next at the odd port; 0 when initialised.</summary>
    private byte _nextIcw;

    /// <summary>Input of lowest priority: 7 unless rotated.</summary>
    private byte _lowest = 7;
    private bool _readIsr, _polling, _specialMaskMode, _rotateOnAutoEoi;

    public Pic8259(bool isMaster) => _isMaster = isMaster;

    /// <summary>INT: an unmasked request of higher priority than all in service.</summary>
    public bool Output => Pending() >= 0;

    /// <summary>Edge/level control register of the chipset: 1 = level.</summary>
    public byte Elcr
    {
        get => _elcr;
        set => _elcr = value;
    }

    public void SetLine(int line, bool asserted)
    {
        byte bit = (byte)(1 << line);
        if (asserted)
        {
            if (IsLevel(bit) || (_lines & bit) == 0)
                _irr |= bit;
            _lines |= bit;
        }
        else
        {
            // The input must stay high until INTA; else the request is gone ("Interrupt Sequence": default IR7).
            _irr &= (byte)~bit;
            _lines &= (byte)~bit;
        }
    }

    /// <summary>INTA: returns the input, or -1 when none requests any more.</summary>
    public int Acknowledge()
    {
        int line = Pending();
        if (line < 0)
            return -1;
        byte bit = (byte)(1 << line);
        if (!IsLevel(bit))
            _irr &= (byte)~bit;
        if (!s_autoEoi.IsSet(_icw4))
            _isr |= bit;
        else if (_rotateOnAutoEoi)
            _lowest = (byte)line;
        return line;
    }

    public byte VectorOf(int line) => (byte)(_vectorBase | (line & 7));

    public byte ReadCommand()
    {
        if (_polling)
        {
            _polling = false;
            int line = Acknowledge();
            return (byte)(line < 0 ? 0 : 0x80 | line);
        }
        return _readIsr ? _isr : _irr;
    }

    public byte ReadData()
    {
        if (_polling)
            return ReadCommand();
        return _imr;
    }

    public void WriteCommand(byte value)
    {
        if (s_isIcw1.IsSet(value))
            Initialise(value);
        else if (s_isOcw3.IsSet(value))
            WriteOcw3(value);
        else
            WriteOcw2(value);
    }

    public void WriteData(byte value)
    {
        switch (_nextIcw)
        {
            case 2:
                _vectorBase = (byte)(value & 0xF8);
                _nextIcw = (byte)(!s_single.IsSet(_icw1) ? 3 : s_icw4Needed.IsSet(_icw1) ? 4 : 0);
                break;
            case 3:
                // Which input has the slave, or which one the slave is: wired, whatever is written.
                _nextIcw = (byte)(s_icw4Needed.IsSet(_icw1) ? 4 : 0);
                break;
            case 4:
                _icw4 = value;
                _nextIcw = 0;
                break;
            default:
                _imr = value;
                break;
        }
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write([_irr, _isr, _imr, _lines, _elcr, _icw1, _icw4, _vectorBase, _nextIcw, _lowest]);
        writer.Write(_readIsr);
        writer.Write(_polling);
        writer.Write(_specialMaskMode);
        writer.Write(_rotateOnAutoEoi);
    }

    public void Restore(BinaryReader reader)
    {
        _irr = reader.ReadByte();
        _isr = reader.ReadByte();
        _imr = reader.ReadByte();
        _lines = reader.ReadByte();
        _elcr = reader.ReadByte();
        _icw1 = reader.ReadByte();
        _icw4 = reader.ReadByte();
        _vectorBase = reader.ReadByte();
        _nextIcw = reader.ReadByte();
        _lowest = reader.ReadByte();
        _readIsr = reader.ReadBoolean();
        _polling = reader.ReadBoolean();
        _specialMaskMode = reader.ReadBoolean();
        _rotateOnAutoEoi = reader.ReadBoolean();
    }

    private bool IsLevel(byte bit) => s_levelTriggered.IsSet(_icw1) || (_elcr & bit) != 0;

    /// <summary>The input to be served next, or -1.</summary>
    private int Pending()
    {
        int requests = _irr & ~_imr;
        // A master in special fully nested mode lets the slave interrupt itself.
        bool nested = _isMaster && s_fullyNested.IsSet(_icw4);
        // In special mask mode a masked input in service does not hold back others.
        int serviced = _specialMaskMode ? _isr & ~_imr : _isr;
        for (int i = 1; i <= 8; i++)
        {
            int line = (_lowest + i) & 7;
            int bit = 1 << line;
            bool request = (requests & bit) != 0;
            if ((serviced & bit) != 0)
                return request && nested && line == Pic8259Pair.CascadeLine ? line : -1;
            if (request)
                return line;
        }
        return -1;
    }

    private void Initialise(byte icw1)
    {
        _icw1 = icw1;
        _icw4 = 0;
        _nextIcw = 2;
        _imr = 0;
        _isr = 0;
        _irr = 0;
        // Edge sensing starts afresh: an input that is high must fall and rise to be seen. Level inputs ask again at once.
        for (int line = 0; line < 8; line++)
            if (IsLevel((byte)(1 << line)))
                _irr |= (byte)(_lines & (1 << line));
        _lowest = 7;
        _readIsr = _polling = _specialMaskMode = _rotateOnAutoEoi = false;
    }

    private void WriteOcw2(byte value)
    {
        byte level = (byte)s_level.Of(value);
        switch (s_command.Of(value))
        {
            case 0b000:
                _rotateOnAutoEoi = false;
                break;
            case 0b100:
                _rotateOnAutoEoi = true;
                break;
            case 0b001:
                EndHighest();
                break;
            case 0b101:
                int line = EndHighest();
                if (line >= 0)
                    _lowest = (byte)line;
                break;
            case 0b011:
                End(level);
                break;
            case 0b111:
                End(level);
                _lowest = level;
                break;
            case 0b110:
                _lowest = level;
                break;
        }
    }

    private void WriteOcw3(byte value)
    {
        switch (s_specialMask.Of(value))
        {
            case 2:
                _specialMaskMode = false;
                break;
            case 3:
                _specialMaskMode = true;
                break;
        }
        switch (s_readRegister.Of(value))
        {
            case 2:
                _readIsr = false;
                break;
            case 3:
                _readIsr = true;
                break;
        }
        _polling = s_poll.IsSet(value);
    }

    /// <summary>Non-specific EOI: the highest in service, of those that are not masked in special mask mode.</summary>
    private int EndHighest()
    {
        int serviced = _specialMaskMode ? _isr & ~_imr : _isr;
        for (int i = 1; i <= 8; i++)
        {
            int line = (_lowest + i) & 7;
            if ((serviced & (1 << line)) == 0)
                continue;
            End(line);
            return line;
        }
        return -1;
    }

    private void End(int line)
    {
        _isr &= (byte)~(1 << line);
        byte bit = (byte)(1 << line);
        if (IsLevel(bit) && (_lines & bit) != 0)
            _irr |= bit;
    }
}
