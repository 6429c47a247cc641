namespace Emu.Devices;

/// <summary>
/// One counter of the 8254 (Intel 8254 data sheet, "Mode Definitions"). It is not stepped: count and output follow from the PIT clock at which
/// the counting element was loaded. All times here are PIT clocks, signed, since
/// a half-cycle may begin a cycle that would have started before the machine did.
/// </summary>
internal sealed class PitCounter
{
    private const long Never = long.MaxValue;

    private int _access = 3;
    private bool _bcd;

    /// <summary>Count register, as loaded at the start of a cycle; 1 to 65536.</summary>
    private uint _reload = 0x10000;

    /// <summary>A count that was written and waits for <see cref="_switchAt"/> (modes 2 and 3) or for a trigger (1 and 5); 0 when there is none.</summary>
    private uint _next;

    /// <summary>Where the waiting count is taken over: the end of the cycle (mode 2) or half-cycle (mode 3), and whether it starts with the low half.</summary>
    private long _switchAt;
    private bool _switchToLow;

    /// <summary>The clock of the pulse that loaded the counting element, which is the one after the write or the trigger; Never while nothing is loaded.</summary>
    private long _loaded = Never;

    /// <summary>With the gate low: clocks that had been counted since the load.</summary>
    private long _frozen;
    private bool _gate = true;

    /// <summary>OUT was low when a new load was asked for, and stays so until that load (modes 1, 4 and 5).</summary>
    private bool _lowUntilLoad;

    private bool _writeHigh, _readHigh;
    private byte _writeLow;
    private int _latchedBytes;
    private ushort _latch;
    private bool _statusLatched;
    private byte _status;

    /// <summary>0 to 5.</summary>
    public int Mode { get; private set; } = 3;

    /// <summary>Modes 1 and 5 start at a rising gate, 2 and 3 restart, 0 and 4 count while it is high.</summary>
    public void SetGate(bool gate, long clock)
    {
        if (gate == _gate)
            return;
        Settle(clock);
        if (!gate && _loaded != Never)
            _frozen = Elapsed(clock);
        _gate = gate;
        if (!gate)
            return;
        if (Mode is 1 or 5)
        {
            if (_next == 0 && _loaded == Never)
                return;
            _lowUntilLoad = !OutputAt(clock);
            TakeNext();
            _loaded = clock + 1;
        }
        else if (_loaded != Never)
        {
            if (Mode is 2 or 3)
            {
                TakeNext();
                _loaded = clock + 1;
            }
            else
            {
                _loaded = clock - _frozen;
            }
        }
    }

    /// <summary>A control word for this counter: the counter stops until a count is written.</summary>
    public void Program(int access, int mode, bool bcd)
    {
        _access = access;
        Mode = mode > 5 ? mode - 4 : mode;
        _bcd = bcd;
        _loaded = Never;
        _next = 0;
        _frozen = 0;
        _lowUntilLoad = false;
        _writeHigh = _readHigh = false;
        _latchedBytes = 0;
        _statusLatched = false;
    }

    /// <summary>Counter latch command; without effect while an earlier latch is unread.</summary>
    public void LatchCount(long clock)
    {
        if (_latchedBytes != 0)
            return;
        _latch = ToRegister(CountAt(clock));
        _latchedBytes = _access == 3 ? 2 : 1;
    }

    /// <summary>Read-back command: output, null count and the control word.</summary>
    public void LatchStatus(long clock)
    {
        if (_statusLatched)
            return;
        _statusLatched = true;
        bool nullCount = _next != 0 || _loaded == Never || clock < _loaded;
        _status = (byte)((OutputAt(clock) ? 0x80 : 0) | (nullCount ? 0x40 : 0) | (_access << 4) | (Mode << 1) | (_bcd ? 1 : 0));
    }

    public byte Read(long clock)
    {
        if (_statusLatched)
        {
            _statusLatched = false;
            return _status;
        }
        ushort value = _latchedBytes != 0 ? _latch : ToRegister(CountAt(clock));
        bool high = _access == 2 || (_access == 3 && _readHigh);
        if (_access == 3)
            _readHigh = !_readHigh;
        if (_latchedBytes != 0)
            _latchedBytes--;
        return (byte)(high ? value >> 8 : value);
    }

    public void Write(byte value, long clock)
    {
        switch (_access)
        {
            case 1:
                Load(value, clock);
                break;
            case 2:
                Load((uint)value << 8, clock);
                break;
            case 3 when !_writeHigh:
                _writeLow = value;
                _writeHigh = true;
                // In mode 0 the first byte stops the count.
                if (Mode == 0)
                {
                    Settle(clock);
                    _loaded = Never;
                }
                break;
            case 3:
                _writeHigh = false;
                Load(_writeLow | ((uint)value << 8), clock);
                break;
        }
    }

    /// <summary>OUT.</summary>
    public bool OutputAt(long clock)
    {
        Settle(clock);
        if (_loaded == Never || clock < _loaded)
            return Mode != 0 && !_lowUntilLoad;
        long elapsed = Elapsed(clock);
        return Mode switch
        {
            0 => elapsed >= _reload,
            1 => elapsed >= _reload,
            2 => !_gate || elapsed % _reload != _reload - 1,
            3 => !_gate || elapsed % _reload < HighHalf(_reload),
            _ => elapsed != _reload,
        };
    }

    /// <summary>The first clock after this one at which OUT changes by itself, or long.MaxValue.</summary>
    public long NextChange(long clock)
    {
        Settle(clock);
        if (_loaded == Never)
            return Never;
        if (!_gate && Mode is 0 or 2 or 3 or 4)
            return clock < _loaded && _lowUntilLoad ? _loaded : Never;
        // Mode 1 goes low with the load; a strobe of modes 4 and 5 that the new load cut off ends with it.
        if (clock < _loaded)
            return (Mode == 1) != _lowUntilLoad ? _loaded : _loaded + FirstChange();
        long elapsed = clock - _loaded;
        long cycle = elapsed / _reload * _reload;
        return Mode switch
        {
            0 or 1 => elapsed < _reload ? _loaded + _reload : Never,
            2 => _loaded + cycle + (elapsed - cycle < _reload - 1 ? _reload - 1 : _reload),
            3 => _loaded + cycle + (elapsed - cycle < HighHalf(_reload) ? HighHalf(_reload) : _reload),
            _ => elapsed < _reload ? _loaded + _reload : elapsed == _reload ? _loaded + _reload + 1 : Never,
        };
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_access);
        writer.Write(Mode);
        writer.Write(_bcd);
        writer.Write(_reload);
        writer.Write(_next);
        writer.Write(_switchAt);
        writer.Write(_switchToLow);
        writer.Write(_lowUntilLoad);
        writer.Write(_loaded);
        writer.Write(_frozen);
        writer.Write(_gate);
        writer.Write(_writeHigh);
        writer.Write(_readHigh);
        writer.Write(_writeLow);
        writer.Write(_latchedBytes);
        writer.Write(_latch);
        writer.Write(_statusLatched);
        writer.Write(_status);
    }

    public void Restore(BinaryReader reader)
    {
        _access = reader.ReadInt32();
        Mode = reader.ReadInt32();
        _bcd = reader.ReadBoolean();
        _reload = reader.ReadUInt32();
        _next = reader.ReadUInt32();
        _switchAt = reader.ReadInt64();
        _switchToLow = reader.ReadBoolean();
        _lowUntilLoad = reader.ReadBoolean();
        _loaded = reader.ReadInt64();
        _frozen = reader.ReadInt64();
        _gate = reader.ReadBoolean();
        _writeHigh = reader.ReadBoolean();
        _readHigh = reader.ReadBoolean();
        _writeLow = reader.ReadByte();
        _latchedBytes = reader.ReadInt32();
        _latch = reader.ReadUInt16();
        _statusLatched = reader.ReadBoolean();
        _status = reader.ReadByte();
    }

    private static uint HighHalf(uint count) => (count + 1) / 2;

    private long FirstChange() => Mode switch
    {
        2 => _reload - 1,
        3 => HighHalf(_reload),
        _ => _reload,
    };

    private long Elapsed(long clock) =>
        !_gate && Mode is 0 or 2 or 3 or 4 ? _frozen : clock < _loaded ? 0 : clock - _loaded;

    private uint CountAt(long clock)
    {
        Settle(clock);
        if (_loaded == Never || clock < _loaded)
            return _next != 0 ? _next : _reload;
        long elapsed = Elapsed(clock);
        uint modulus = _bcd ? 10_000u : 0x10000;
        switch (Mode)
        {
            case 2:
                return _reload - (uint)(elapsed % _reload);
            case 3:
                // Counts down by two, twice in a cycle, from the even number at or below the count.
                uint phase = (uint)(elapsed % _reload);
                uint high = HighHalf(_reload);
                return (_reload & ~1u) - 2 * (phase < high ? phase : phase - high);
            default:
                // After zero the counter goes on from the top.
                return (uint)((_reload + modulus - elapsed % modulus) % modulus);
        }
    }

    private void Load(uint written, long clock)
    {
        uint count = FromRegister(written);
        Settle(clock);
        if (Mode is 1 or 5)
        {
            _next = count;
        }
        else if (Mode is 2 or 3 && _loaded != Never && clock >= _loaded)
        {
            // With the gate low it waits for the rising edge.
            _next = count;
            _switchAt = Never;
            if (!_gate)
                return;
            long cycle = _loaded + (clock - _loaded) / _reload * _reload;
            _switchToLow = Mode == 3 && clock - cycle < HighHalf(_reload);
            _switchAt = cycle + (_switchToLow ? HighHalf(_reload) : _reload);
        }
        else
        {
            _lowUntilLoad = Mode == 4 && !OutputAt(clock);
            _reload = count;
            _next = 0;
            _loaded = clock + 1;
            _frozen = 0;
        }
    }

    /// <summary>Takes over a waiting count whose moment has come.</summary>
    private void Settle(long clock)
    {
        if (_next == 0 || Mode is not (2 or 3) || !_gate || clock < _switchAt)
            return;
        TakeNext();
        _loaded = _switchToLow ? _switchAt - HighHalf(_reload) : _switchAt;
    }

    private void TakeNext()
    {
        if (_next == 0)
            return;
        _reload = _next;
        _next = 0;
    }

    /// <summary>Zero stands for the largest count; 1 is illegal in modes 2 and 3 and counts as 2 here.</summary>
    private uint FromRegister(uint value)
    {
        uint binary = !_bcd ? value : ((value >> 12) * 1000) + ((value >> 8 & 0xF) * 100) + ((value >> 4 & 0xF) * 10) + (value & 0xF);
        if (binary == 0)
            return _bcd ? 10_000u : 0x10000;
        return Mode is 2 or 3 ? Math.Max(binary, 2) : binary;
    }

    private ushort ToRegister(uint count)
    {
        if (!_bcd)
            return (ushort)count;
        count %= 10_000;
        return (ushort)((count / 1000 << 12) | (count / 100 % 10 << 8) | (count / 10 % 10 << 4) | (count % 10));
    }
}
