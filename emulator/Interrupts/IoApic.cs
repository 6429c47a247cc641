using Emu.Memory;

namespace Emu.Interrupts;

/// <summary>
/// I/O APIC with 24 inputs (82093AA data sheet; version 0x20 as in the ICH, whose EOI register it has).
/// Messages go to the local APICs over the fabric.
/// </summary>
public sealed class IoApic : IMmioDevice, ISnapshotted
{
    public const ulong DefaultAddress = 0xFEC0_0000;
    public const ulong Length = 0x1000;
    public const int PinCount = 24;

    /// <summary>Memory-mapped: select, window, and EOI.</summary>
    private const int RegisterSelect = 0x00;
    private const int Window = 0x10;
    private const int Eoi = 0x40;

    /// <summary>Interrupts of one level in a row that nobody means.</summary>
    internal const int StormLength = 10_000;

    /// <summary>Behind the window.</summary>
    private const int IdIndex = 0x00;
    private const int VersionIndex = 0x01;
    private const int ArbitrationIndex = 0x02;
    private const int TableIndex = 0x10;

    private static readonly BitField s_id = new("I/O APIC Identification", 27, 24);
    private static readonly BitField s_vector = new("Interrupt Vector", 7, 0);
    private static readonly BitField s_mode = new("Delivery Mode", 10, 8);
    private static readonly BitField s_logical = new("Destination Mode", 11);
    private static readonly BitField s_status = new("Delivery Status", 12, 12, RegisterAccess.Read);
    private static readonly BitField s_polarity = new("Input Pin Polarity", 13, 13, RegisterAccess.ReadWrite, "pins are set asserted or not, whatever the voltage");
    private static readonly BitField s_remoteIrr = new("Remote IRR", 14, 14, RegisterAccess.Read);
    private static readonly BitField s_trigger = new("Trigger Mode", 15);
    private static readonly BitField s_mask = new("Interrupt Mask", 16);
    private static readonly BitField s_destination = new("Destination Field", 31, 24);

    private static readonly RegisterLayout s_redirectionLow = new(TableIndex, "IOREDTBL (31:0)", RegisterAccess.ReadWrite,
        s_vector, s_mode, s_logical, s_status, s_polarity, s_remoteIrr, s_trigger, s_mask);

    private static readonly RegisterLayout s_redirectionHigh = new(TableIndex + 1, "IOREDTBL (63:32)", RegisterAccess.ReadWrite, s_destination);

    private readonly InterruptFabric _fabric;
    private readonly uint[] _low = new uint[PinCount];
    private readonly uint[] _high = new uint[PinCount];
    private readonly bool[] _asserted = new bool[PinCount];

    /// <summary>How often a level was sent again, because it was still there after its EOI, since it was last released; for reports.</summary>
    private readonly int[] _again = new int[PinCount];
    private uint _select;
    private uint _id;

    /// <summary>Makes it in its reset state (all inputs masked) and connects it to the fabric.</summary>
    public IoApic(InterruptFabric fabric)
    {
        _fabric = fabric;
        Array.Fill(_low, s_mask.Mask);
        fabric.Attach(this);
    }

    /// <summary>Sets an input: asserted means active, whatever the polarity bit says.</summary>
    public void SetPin(int pin, bool asserted)
    {
        bool rises = asserted && !_asserted[pin];
        _asserted[pin] = asserted;
        if (!asserted)
            _again[pin] = 0;
        // An edge at a masked input is lost (82093AA, "Interrupt Mask").
        if (s_trigger.IsSet(_low[pin]))
            Service(pin);
        else if (rises && !s_mask.IsSet(_low[pin]))
            Send(pin);
    }

    public ulong Read(CpuIndex cpu, ulong offset, int size) => offset switch
    {
        RegisterSelect => _select,
        Window => ReadIndexed(_select),
        _ => 0,
    };

    public void Write(CpuIndex cpu, ulong offset, int size, ulong value)
    {
        switch (offset)
        {
            case RegisterSelect:
                _select = (byte)value;
                break;
            case Window:
                WriteIndexed(_select, (uint)value);
                break;
            case Eoi:
                EndOfInterrupt((byte)value);
                break;
        }
    }

    /// <summary>EOI of a level-triggered interrupt, by broadcast or through the EOI register.</summary>
    internal void EndOfInterrupt(byte vector)
    {
        for (int pin = 0; pin < PinCount; pin++)
        {
            if (!s_remoteIrr.IsSet(_low[pin]) || s_vector.Of(_low[pin]) != vector)
                continue;
            _low[pin] &= ~s_remoteIrr.Mask;
            Service(pin);
            if (s_remoteIrr.IsSet(_low[pin]) && ++_again[pin] == StormLength)
                _fabric.Report($"I/O APIC input {pin}: interrupt storm: vector 0x{vector:x2} was sent {StormLength} times while its device held the input asserted; the guest's handler does not reach the device");
        }
    }

    /// <summary>A local APIC came into being that may accept what none accepted before.</summary>
    internal void Retry()
    {
        for (int pin = 0; pin < PinCount; pin++)
            Service(pin);
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_select);
        writer.Write(_id);
        for (int pin = 0; pin < PinCount; pin++)
        {
            writer.Write(_low[pin]);
            writer.Write(_high[pin]);
            writer.Write(_asserted[pin]);
        }
    }

    public void Restore(BinaryReader reader)
    {
        _select = reader.ReadUInt32();
        _id = reader.ReadUInt32();
        for (int pin = 0; pin < PinCount; pin++)
        {
            _low[pin] = reader.ReadUInt32();
            _high[pin] = reader.ReadUInt32();
            _asserted[pin] = reader.ReadBoolean();
        }
    }

    private uint ReadIndexed(uint index)
    {
        switch (index)
        {
            case IdIndex:
            case ArbitrationIndex:
                return _id;
            case VersionIndex:
                return 0x20 | ((PinCount - 1) << 16);
        }
        int pin = (int)(index - TableIndex) >> 1;
        if ((uint)pin >= PinCount)
            return 0;
        return (index & 1) == 0 ? s_status.With(_low[pin], IsUndelivered(pin) ? 1u : 0) : _high[pin];
    }

    /// <summary>Delivery status: a level waits for a local APIC that takes it.</summary>
    private bool IsUndelivered(int pin) =>
        _asserted[pin] && s_trigger.IsSet(_low[pin]) && !s_mask.IsSet(_low[pin]) && !s_remoteIrr.IsSet(_low[pin])
        && (DeliveryMode)s_mode.Of(_low[pin]) is DeliveryMode.Fixed or DeliveryMode.LowestPriority;

    private void WriteIndexed(uint index, uint value)
    {
        if (index == IdIndex)
        {
            _id = value & s_id.Mask;
            return;
        }
        int pin = (int)(index - TableIndex) >> 1;
        if ((uint)pin >= PinCount)
            return;
        if ((index & 1) != 0)
        {
            _high[pin] = value & s_redirectionHigh.Writable;
            return;
        }
        _low[pin] = s_redirectionLow.Merge(_low[pin], value);
        // Remote IRR has no meaning for edges; software clears a stuck one by switching to edge and back.
        if (!s_trigger.IsSet(_low[pin]))
            _low[pin] &= ~s_remoteIrr.Mask;
        Service(pin);
    }

    /// <summary>Sends a level-triggered interrupt that is asserted, unmasked and not under way.</summary>
    private void Service(int pin)
    {
        uint entry = _low[pin];
        if (!_asserted[pin] || !s_trigger.IsSet(entry) || s_mask.IsSet(entry) || s_remoteIrr.IsSet(entry))
            return;
        // Set before sending: an EOI may come back at once. Modes without a vector are edges by nature (82093AA, "Delivery Mode").
        bool vectored = (DeliveryMode)s_mode.Of(entry) is DeliveryMode.Fixed or DeliveryMode.LowestPriority;
        if (vectored)
            _low[pin] |= s_remoteIrr.Mask;
        if (!Send(pin))
            _low[pin] &= ~s_remoteIrr.Mask;
    }

    private bool Send(int pin)
    {
        uint entry = _low[pin];
        var mode = (DeliveryMode)s_mode.Of(entry);
        if (mode is DeliveryMode.Reserved or DeliveryMode.StartUp)
        {
            _fabric.Report($"I/O APIC input {pin}: delivery mode {mode} is reserved; nothing is sent");
            return false;
        }
        bool level = s_trigger.IsSet(entry) && mode is (DeliveryMode.Fixed or DeliveryMode.LowestPriority);
        return _fabric.SendFromIoApic((byte)s_vector.Of(entry), mode, s_destination.Of(_high[pin]), s_logical.IsSet(entry), level);
    }
}
