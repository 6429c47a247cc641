using Emu.Memory;

namespace Emu.Interrupts;

/// <summary>
/// The two cascaded 8259As of a PC: IRQ 0 to 7 at the master, 8 to 15 at the slave, whose INT is the master's input 2.
/// INTR goes to LINT0 of the boot processor.
/// </summary>
public sealed class Pic8259Pair : IPortDevice, ISnapshotted
{
    internal const int CascadeLine = 2;
    private const ushort MasterCommand = 0x20;
    private const ushort MasterData = 0x21;
    private const ushort SlaveCommand = 0xA0;
    private const ushort SlaveData = 0xA1;
    private const ushort MasterElcr = 0x4D0;
    private const ushort SlaveElcr = 0x4D1;

    /// <summary>IRQ 0, 1, 2 and 8, 13 cannot be level-triggered (ICH data sheet, "ELCR").</summary>
    private const byte MasterElcrMask = 0xF8;
    private const byte SlaveElcrMask = 0xDE;

    private readonly Pic8259 _master = new(isMaster: true);
    private readonly Pic8259 _slave = new(isMaster: false);
    private readonly Action<bool> _intr;
    private readonly Action<string>? _report;

    /// <summary>How often each IRQ was acknowledged since its device released it last.</summary>
    private readonly int[] _again = new int[16];
    private bool _output;

    /// <param name="intr">Told when INTR rises and falls.</param>
    /// <param name="report">Told of interrupt storms, one line each.</param>
    public Pic8259Pair(Action<bool> intr, Action<string>? report = null)
    {
        _intr = intr;
        _report = report;
    }

    /// <summary>
    /// Wires INTR to LINT0 of the boot processor (virtual wire mode) and to input 0 of the I/O APIC (virtual wire mode through the I/O APIC: its entry has delivery mode
    /// ExtINT). INTA comes from whichever CPU takes it.
    /// </summary>
    public static Pic8259Pair ConnectedTo(IReadOnlyList<LocalApic> apics, IoApic? ioApic = null, Action<string>? report = null)
    {
        var pair = new Pic8259Pair(asserted =>
        {
            apics[0].SetPin(0, asserted);
            ioApic?.SetPin(0, asserted);
        }, report);
        foreach (LocalApic apic in apics)
            apic.ExternalAcknowledge = pair.Acknowledge;
        return pair;
    }

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(MasterCommand, 2, this);
        bus.AttachPorts(SlaveCommand, 2, this);
        bus.AttachPorts(MasterElcr, 2, this);
    }

    /// <summary>Sets IRQ 0 to 15; 2 is the cascade and goes nowhere.</summary>
    public void SetIrq(int irq, bool asserted)
    {
        if (irq == CascadeLine)
            return;
        if (!asserted)
            _again[irq] = 0;
        if (irq < 8)
            _master.SetLine(irq, asserted);
        else
            _slave.SetLine(irq - 8, asserted);
        Propagate();
    }

    /// <summary>What firmware does for a PCI interrupt: makes its line level-triggered, in the ELCR.</summary>
    public void SetLevelTriggered(int irq)
    {
        Pic8259 pic = irq < 8 ? _master : _slave;
        pic.Elcr |= (byte)(1 << (irq & 7));
    }

    private void NoteService(int irq)
    {
        if (irq >= 0 && ++_again[irq] == IoApic.StormLength)
            _report?.Invoke($"8259: interrupt storm: IRQ {irq} was acknowledged {IoApic.StormLength} times while its device held it asserted; the guest's handler does not reach the device");
    }

    /// <summary>INTA. When the request has gone, the spurious vector: that of input 7.</summary>
    public byte Acknowledge()
    {
        int line = _master.Acknowledge();
        byte vector;
        if (line == CascadeLine)
        {
            int slaveLine = _slave.Acknowledge();
            NoteService(slaveLine < 0 ? slaveLine : 8 + slaveLine);
            vector = _slave.VectorOf(slaveLine < 0 ? 7 : slaveLine);
            // INTA pulls the slave's INT down, so that a further request of its makes a new edge.
            _master.SetLine(CascadeLine, false);
        }
        else
        {
            NoteService(line);
            vector = _master.VectorOf(line < 0 ? 7 : line);
        }
        Propagate();
        return vector;
    }

    public uint Read(ushort port, int size)
    {
        uint value = port switch
        {
            MasterCommand => _master.ReadCommand(),
            MasterData => _master.ReadData(),
            SlaveCommand => _slave.ReadCommand(),
            SlaveData => _slave.ReadData(),
            MasterElcr => _master.Elcr,
            SlaveElcr => _slave.Elcr,
            _ => 0xFF,
        };
        // A poll acknowledges.
        Propagate();
        return value;
    }

    public void Write(ushort port, int size, uint value)
    {
        switch (port)
        {
            case MasterCommand:
                _master.WriteCommand((byte)value);
                break;
            case MasterData:
                _master.WriteData((byte)value);
                break;
            case SlaveCommand:
                _slave.WriteCommand((byte)value);
                break;
            case SlaveData:
                _slave.WriteData((byte)value);
                break;
            case MasterElcr:
                _master.Elcr = (byte)(value & MasterElcrMask);
                break;
            case SlaveElcr:
                _slave.Elcr = (byte)(value & SlaveElcrMask);
                break;
        }
        Propagate();
    }

    public void Save(BinaryWriter writer)
    {
        _master.Save(writer);
        _slave.Save(writer);
        writer.Write(_output);
    }

    /// <summary>The APIC's pin is part of the APIC's state: nothing is signalled.</summary>
    public void Restore(BinaryReader reader)
    {
        _master.Restore(reader);
        _slave.Restore(reader);
        _output = reader.ReadBoolean();
    }

    private void Propagate()
    {
        _master.SetLine(CascadeLine, _slave.Output);
        bool output = _master.Output;
        if (output == _output)
            return;
        _output = output;
        _intr(output);
    }
}
