using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// A 16550A serial port (National PC16550D data sheet).
/// Deviates: transmission takes no time, so that a guest which polls for an empty transmitter does not spend its instructions on it, and
/// input enters the FIFO as fast as the guest makes room. The character time-out does take its time.
/// </summary>
public sealed class Uart16550 : IPortDevice, ITimed, ISnapshotted
{
    public const ushort Com1 = 0x3F8;
    public const int Com1Irq = 4;

    private const int FifoSize = 16;

    /// <summary>1.8432 MHz / 16: baud rate at divisor 1.</summary>
    private const ulong BaudBase = 115_200;
    private const ulong TicksPerSecond = 1_000_000_000;

    private readonly ITimeline _time;
    private readonly IIrqLine _irq;
    private readonly Action<byte> _output;
    private readonly Queue<byte> _fifo = new();

    /// <summary>Input from the outside that has not entered the FIFO.</summary>
    private readonly Queue<byte> _input = new();

    private ushort _basePort;
    private byte _ier, _fcr, _lcr, _mcr, _scratch, _modemDeltas;
    private ushort _divisor = 12;
    private bool _overrun;

    /// <summary>The interrupt line.</summary>
    private bool _asserted;

    /// <summary>The transmitter-empty interrupt waits: set by a write or by enabling it, cleared by reading IIR.</summary>
    private bool _transmitterWaits;
    private bool _timedOut;
    private ulong _timeoutAt = ulong.MaxValue;

    /// <param name="irq">IRQ 4 for COM1.</param>
    /// <param name="output">Takes what the guest sends, byte by byte.</param>
    public Uart16550(ITimeline time, IIrqLine irq, Action<byte> output)
    {
        _time = time;
        _irq = irq;
        _output = output;
    }

    /// <inheritdoc/>
    public ulong NextEvent => _timeoutAt;

    private bool Dlab => UartRegisters.Dlab.IsSet(_lcr);
    private bool FifoEnabled => UartRegisters.FifoEnable.IsSet(_fcr);
    private bool Loopback => UartRegisters.Loop.IsSet(_mcr);
    private int TriggerLevel => FifoEnabled ? UartRegisters.TriggerLevels[UartRegisters.Trigger.Of(_fcr)] : 1;

    /// <summary>Puts the eight registers on the bus.</summary>
    public void AttachTo(Bus bus, ushort basePort = Com1)
    {
        _basePort = basePort;
        bus.AttachPorts(basePort, 8, this);
    }

    /// <summary>The guest listens: its receive interrupt is on, and it has read all that came.</summary>
    public bool AwaitsInput => UartRegisters.DataInterrupt.IsSet(_ier) && _fifo.Count == 0 && _input.Count == 0;

    /// <summary>Input from the outside. Whoever calls it does so at a recorded moment, or runs do not repeat.</summary>
    public void Receive(ReadOnlySpan<byte> data)
    {
        foreach (byte b in data)
            _input.Enqueue(b);
        Refill();
        Update();
    }

    /// <inheritdoc/>
    public void Advance(ulong now)
    {
        if (_timeoutAt > now)
            return;
        _timeoutAt = ulong.MaxValue;
        _timedOut = true;
        Update();
    }

    public uint Read(ushort port, int size)
    {
        uint value = (port - _basePort) switch
        {
            UartRegisters.Data => Dlab ? (byte)_divisor : ReadData(),
            UartRegisters.InterruptEnable => Dlab ? (uint)_divisor >> 8 : _ier,
            UartRegisters.InterruptIdentification => ReadIdentification(),
            UartRegisters.LineControl => _lcr,
            UartRegisters.ModemControl => _mcr,
            UartRegisters.LineStatus => ReadLineStatus(),
            UartRegisters.ModemStatus => ReadModemStatus(),
            _ => _scratch,
        };
        Update();
        return value;
    }

    public void Write(ushort port, int size, uint value)
    {
        byte b = (byte)value;
        switch (port - _basePort)
        {
            case UartRegisters.Data when Dlab:
                _divisor = (ushort)((_divisor & 0xFF00) | b);
                break;
            case UartRegisters.Data:
                Transmit(b);
                break;
            case UartRegisters.InterruptEnable when Dlab:
                _divisor = (ushort)((_divisor & 0xFF) | (b << 8));
                break;
            case UartRegisters.InterruptEnable:
                // Enabling it while the transmitter is empty, as it always is, raises it at once.
                if (UartRegisters.TransmitterInterrupt.IsSet(b) && !UartRegisters.TransmitterInterrupt.IsSet(_ier))
                    _transmitterWaits = true;
                _ier = (byte)UartRegisters.Ier.Merge(0, b);
                break;
            case UartRegisters.FifoControl:
                WriteFifoControl(b);
                break;
            case UartRegisters.LineControl:
                _lcr = b;
                break;
            case UartRegisters.ModemControl:
                WriteModemControl(b);
                break;
            case UartRegisters.Scratch:
                _scratch = b;
                break;
        }
        Update();
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write([_ier, _fcr, _lcr, _mcr, _scratch, _modemDeltas]);
        writer.Write(_divisor);
        writer.Write(_overrun);
        writer.Write(_asserted);
        writer.Write(_transmitterWaits);
        writer.Write(_timedOut);
        writer.Write(_timeoutAt);
        SaveQueue(writer, _fifo);
        SaveQueue(writer, _input);
    }

    public void Restore(BinaryReader reader)
    {
        _ier = reader.ReadByte();
        _fcr = reader.ReadByte();
        _lcr = reader.ReadByte();
        _mcr = reader.ReadByte();
        _scratch = reader.ReadByte();
        _modemDeltas = reader.ReadByte();
        _divisor = reader.ReadUInt16();
        _overrun = reader.ReadBoolean();
        _asserted = reader.ReadBoolean();
        _transmitterWaits = reader.ReadBoolean();
        _timedOut = reader.ReadBoolean();
        _timeoutAt = reader.ReadUInt64();
        RestoreQueue(reader, _fifo);
        RestoreQueue(reader, _input);
    }

    private static void SaveQueue(BinaryWriter writer, Queue<byte> queue)
    {
        writer.Write(queue.Count);
        writer.Write(queue.ToArray());
    }

    private static void RestoreQueue(BinaryReader reader, Queue<byte> queue)
    {
        queue.Clear();
        foreach (byte b in reader.ReadBytes(reader.ReadInt32()))
            queue.Enqueue(b);
    }

    private byte ReadData()
    {
        byte value = 0;
        if (_fifo.Count > 0)
            value = _fifo.Dequeue();
        _timedOut = false;
        Refill();
        ArmTimeout();
        return value;
    }

    private void Transmit(byte value)
    {
        _transmitterWaits = true;
        if (Loopback)
            Arrive(value);
        else
            _output(value);
    }

    /// <summary>A character completes on the line. With the FIFO full it is lost, and without a FIFO it overwrites.</summary>
    private void Arrive(byte value)
    {
        int room = FifoEnabled ? FifoSize : 1;
        if (_fifo.Count >= room)
        {
            _overrun = true;
            if (FifoEnabled)
                return;
            _fifo.Clear();
        }
        _fifo.Enqueue(value);
        ArmTimeout();
    }

    private void Refill()
    {
        int room = FifoEnabled ? FifoSize : 1;
        while (_input.Count > 0 && _fifo.Count < room && !Loopback)
        {
            _fifo.Enqueue(_input.Dequeue());
            ArmTimeout();
        }
    }

    /// <summary>Characters that lie in the FIFO below the trigger level, untouched for four character times, raise an interrupt of their own.</summary>
    private void ArmTimeout()
    {
        ulong before = _timeoutAt;
        _timeoutAt = ulong.MaxValue;
        if (FifoEnabled && _fifo.Count > 0)
        {
            // Start bit, 5 to 8 data bits, parity, stop bits.
            ulong bits = 7 + UartRegisters.WordLength.Of(_lcr) + (UartRegisters.Parity.IsSet(_lcr) ? 1u : 0) + UartRegisters.StopBits.Of(_lcr);
            _timeoutAt = _time.Now + 4 * bits * Math.Max((ulong)_divisor, 1) * TicksPerSecond / BaudBase;
        }
        if (_timeoutAt != before)
            _time.EventMoved();
    }

    private uint ReadLineStatus()
    {
        uint value = UartRegisters.TransmitterHoldingEmpty.Mask | UartRegisters.TransmitterEmpty.Mask;
        if (_fifo.Count > 0)
            value |= UartRegisters.DataReady.Mask;
        if (_overrun)
            value |= UartRegisters.Overrun.Mask;
        _overrun = false;
        return value;
    }

    private uint ReadModemStatus()
    {
        uint value = ModemLines(_mcr) | _modemDeltas;
        _modemDeltas = 0;
        return value;
    }

    /// <summary>A cable to a terminal that is always ready; in loopback the outputs come back.</summary>
    private static uint ModemLines(byte mcr)
    {
        if (!UartRegisters.Loop.IsSet(mcr))
            return UartRegisters.Cts.Mask | UartRegisters.Dsr.Mask | UartRegisters.Dcd.Mask;
        return UartRegisters.Cts.With(0, UartRegisters.Rts.Of(mcr)) | UartRegisters.Dsr.With(0, UartRegisters.Dtr.Of(mcr))
            | UartRegisters.Ri.With(0, UartRegisters.Out1.Of(mcr)) | UartRegisters.Dcd.With(0, UartRegisters.Out2.Of(mcr));
    }

    private void WriteModemControl(byte value)
    {
        byte after = (byte)UartRegisters.Mcr.Merge(0, value);
        uint lines = ModemLines(_mcr);
        uint changed = lines ^ ModemLines(after);
        // TERI notes only the trailing edge of the ring indicator.
        if ((changed & lines & UartRegisters.Ri.Mask) == 0)
            changed &= ~UartRegisters.Ri.Mask;
        _modemDeltas |= (byte)(changed >> 4);
        _mcr = after;
        Refill();
    }

    private void WriteFifoControl(byte value)
    {
        bool enable = UartRegisters.FifoEnable.IsSet(value);
        // A change of the enable bit empties the FIFOs; the other bits count only together with it.
        if (enable != FifoEnabled || (enable && UartRegisters.ResetReceiver.IsSet(value)))
        {
            _fifo.Clear();
            _timedOut = false;
        }
        _fcr = enable ? (byte)(value & (UartRegisters.FifoEnable.Mask | UartRegisters.Trigger.Mask)) : (byte)0;
        Refill();
        ArmTimeout();
    }

    private uint ReadIdentification()
    {
        uint id = Identification();
        if (id == UartRegisters.IdTransmitter)
            _transmitterWaits = false;
        return id | (FifoEnabled ? UartRegisters.FifosEnabled.Mask : 0);
    }

    /// <summary>The interrupt of highest priority.</summary>
    private uint Identification()
    {
        if (UartRegisters.LineInterrupt.IsSet(_ier) && _overrun)
            return UartRegisters.IdLine;
        if (UartRegisters.DataInterrupt.IsSet(_ier) && _fifo.Count >= TriggerLevel)
            return UartRegisters.IdData;
        if (UartRegisters.DataInterrupt.IsSet(_ier) && _timedOut && _fifo.Count > 0)
            return UartRegisters.IdTimeout;
        if (UartRegisters.TransmitterInterrupt.IsSet(_ier) && _transmitterWaits)
            return UartRegisters.IdTransmitter;
        if (UartRegisters.ModemInterrupt.IsSet(_ier) && _modemDeltas != 0)
            return UartRegisters.IdModem;
        return UartRegisters.IdNone;
    }

    /// <summary>On a PC, OUT2 connects the interrupt output to the bus; in loopback it is disconnected.</summary>
    private void Update()
    {
        bool asserted = Identification() != UartRegisters.IdNone && UartRegisters.Out2.IsSet(_mcr) && !Loopback;
        if (asserted == _asserted)
            return;
        _asserted = asserted;
        _irq.Set(asserted);
    }
}
