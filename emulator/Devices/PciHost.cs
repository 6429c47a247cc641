using System.Buffers.Binary;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// PCI bus 0 behind configuration mechanism 1 (PCI Local Bus Specification 3.0, "Configuration Mechanism #1"), with the memory window in which its
/// functions have their registers. Device 0 is the host bridge, an Intel 440FX that has identity and nothing else; further functions are added by the machine.
/// Absent: other buses, the memory-mapped configuration space of PCI Express, messages as interrupts, I/O windows.
/// </summary>
public sealed class PciHost : IPortDevice, IMmioDevice, ISnapshotted
{
    public const ushort AddressPort = 0xCF8;
    public const ushort DataPort = 0xCFC;

    /// <summary>The ISA line of INTA# of all functions.</summary>
    public const int Irq = 11;

    /// <summary>Where functions may have memory: from the end of RAM below 4 GiB to the I/O APIC.</summary>
    public const ulong WindowStart = PhysicalMemory.LowLimit;
    public const ulong WindowEnd = 0xFEC0_0000;

    /// <summary>Devices of a bus.</summary>
    public const int Slots = 32;

    private static readonly BitField s_register = new("Register Number", 7, 2);
    private static readonly BitField s_function = new("Function Number", 10, 8);
    private static readonly BitField s_device = new("Device Number", 15, 11);
    private static readonly BitField s_bus = new("Bus Number", 23, 16);
    private static readonly BitField s_enable = new("Enable", 31);
    private static readonly RegisterLayout s_address = new(0, "CONFIG_ADDRESS", RegisterAccess.ReadWrite, s_register, s_function, s_device, s_bus, s_enable);

    /// <summary>Where the machine puts memory of functions, from here upwards.</summary>
    private const uint FirstMemory = 0xFEB0_0000;

    private readonly PciFunction?[] _functions = new PciFunction?[Slots];
    private readonly bool[] _asserted = new bool[Slots];
    private readonly Bus _bus;
    private readonly IIrqLine _irq;
    private uint _nextMemory = FirstMemory;
    private uint _selected;

    /// <param name="irq">The level-triggered line that all functions share: <see cref="Irq"/>.</param>
    public PciHost(Bus bus, IIrqLine irq)
    {
        _bus = bus;
        _irq = irq;
        Add(0, new PciFunction(new PciIdentity(0x8086, 0x1237, 0x02, PciClass.HostBridge)));
    }

    /// <summary>The functions that are there, by device number; each is function 0 of its device.</summary>
    public IEnumerable<(int Device, PciFunction Function)> Functions =>
        _functions.Select((f, i) => (i, f)).Where(p => p.f != null).Select(p => (p.i, p.f!));

    /// <summary>Puts configuration ports and memory window on the bus.</summary>
    public void AttachTo()
    {
        _bus.AttachPorts(AddressPort, 1, this, width: 4);
        _bus.AttachPorts(DataPort, 4, this, width: 4);
        _bus.AttachBridge(WindowStart, WindowEnd - WindowStart, this);
    }

    /// <summary>Plugs a function in, as function 0 of a device; gives it, as firmware would, its memory and its interrupt line.</summary>
    public void Add(int device, PciFunction function)
    {
        if (_functions[device] != null)
            throw new ArgumentException($"PCI device {device} is there already", nameof(device));
        _functions[device] = function;
        function.OnInterrupt = asserted => SetInterrupt(device, asserted);
        if (function.MemoryLength == 0)
            return;
        uint length = (uint)function.MemoryLength;
        uint address = (_nextMemory + length - 1) & (0 - length);
        _nextMemory = address + length;
        function.Assign(address, Irq);
    }

    public uint Read(ushort port, int size)
    {
        uint mask = uint.MaxValue >> (32 - 8 * size);
        if (port == AddressPort)
            return size == 4 ? _selected : mask;
        int within = port - DataPort;
        // A master abort reads as ones (PCI specification, "Configuration Space Decoding"): that is how software finds that nothing is there.
        uint value = Selected() is { } function ? function.ReadConfiguration((int)s_register.Of(_selected) * 4) : uint.MaxValue;
        return (value >> (8 * within)) & mask;
    }

    public void Write(ushort port, int size, uint value)
    {
        if (port == AddressPort)
        {
            // Only a doubleword is CONFIG_ADDRESS; other sizes pass on to the I/O ports.
            if (size == 4)
                _selected = value & s_address.Defined;
            return;
        }
        int within = port - DataPort;
        if (within + size <= 4)
            Selected()?.WriteConfiguration(((int)s_register.Of(_selected) * 4) + within, size, value);
    }

    public ulong Read(CpuIndex cpu, ulong offset, int size)
    {
        ulong address = WindowStart + offset;
        foreach (PciFunction? f in _functions)
            if (f != null && f.Claims(address, out ulong within))
                return f.ReadMemory(within, size);
        return _bus.Absent(isPort: false, address, size, isWrite: false, ulong.MaxValue >> (64 - 8 * size));
    }

    public void Write(CpuIndex cpu, ulong offset, int size, ulong value)
    {
        ulong address = WindowStart + offset;
        foreach (PciFunction? f in _functions)
        {
            if (f == null || !f.Claims(address, out ulong within))
                continue;
            f.WriteMemory(within, size, value);
            return;
        }
        _bus.Absent(isPort: false, address, size, isWrite: true, value);
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_selected);
        foreach (bool asserted in _asserted)
            writer.Write(asserted);
        foreach (PciFunction? f in _functions)
            f?.Save(writer);
    }

    public void Restore(BinaryReader reader)
    {
        _selected = reader.ReadUInt32();
        for (int i = 0; i < Slots; i++)
            _asserted[i] = reader.ReadBoolean();
        foreach (PciFunction? f in _functions)
            f?.Restore(reader);
    }

    /// <summary>The line is asserted while any function asserts it.</summary>
    private void SetInterrupt(int device, bool asserted)
    {
        if (_asserted[device] == asserted)
            return;
        _asserted[device] = asserted;
        _irq.Set(Array.IndexOf(_asserted, true) >= 0);
    }

    private PciFunction? Selected() =>
        s_enable.IsSet(_selected) && s_bus.Of(_selected) == 0 && s_function.Of(_selected) == 0 ? _functions[s_device.Of(_selected)] : null;
}

/// <summary>What a function is, in the read-only part of its header.</summary>
/// <param name="Class">Class, subclass and programming interface, as in bits 31:8 of register 8.</param>
public readonly record struct PciIdentity(ushort Vendor, ushort Device, byte Revision, uint Class, ushort SubsystemVendor = 0, ushort Subsystem = 0);

/// <summary>Class codes (PCI Local Bus Specification, "Class Codes").</summary>
public static class PciClass
{
    public const uint HostBridge = 0x06_00_00;

    /// <summary>Mass storage, of no kind that has a code.</summary>
    public const uint OtherStorage = 0x01_80_00;

    /// <summary>IDE, both channels at their legacy ports, without bus mastering.</summary>
    public const uint Ide = 0x01_01_00;
}

/// <summary>
/// A function of the bus: its configuration header (PCI Local Bus Specification, "Configuration Space Organization"), at most one memory range, and an
/// interrupt pin. As firmware would, the machine gives it its place and its line; the guest may change both.
/// </summary>
public class PciFunction : ISnapshotted
{
    private const int Command = 0x04;
    private const int Status = 0x06;
    private const int CacheLine = 0x0C;
    private const int LatencyTimer = 0x0D;
    private const int FirstBar = 0x10;
    private const int InterruptLine = 0x3C;
    private const int InterruptPin = 0x3D;
    private const int CapabilityPointer = 0x34;

    private static readonly BitField s_io = new("I/O Space", 0);
    private static readonly BitField s_memory = new("Memory Space", 1);
    private static readonly BitField s_master = new("Bus Master", 2);
    private static readonly BitField s_parity = new("Parity Error Response", 6, 6, RegisterAccess.ReadWrite, "the bus makes no errors");
    private static readonly BitField s_serr = new("SERR# Enable", 8, 8, RegisterAccess.ReadWrite, "the bus makes no errors");
    private static readonly BitField s_interruptOff = new("Interrupt Disable", 10);
    private static readonly RegisterLayout s_command = new(Command, "Command", RegisterAccess.ReadWrite, s_io, s_memory, s_master, s_parity, s_serr, s_interruptOff);

    /// <summary>Of the status register, read-only here: INTx pending, and "has a list of capabilities".</summary>
    private static readonly BitField s_interruptStatus = new("Interrupt Status", 3, 3, RegisterAccess.Read);
    private static readonly BitField s_hasCapabilities = new("Capabilities List", 4, 4, RegisterAccess.Read);

    private readonly byte[] _configuration = new byte[256];

    /// <summary>Bits that software may change.</summary>
    private readonly byte[] _writable = new byte[256];
    private readonly int _bar;
    private bool _pending;

    /// <param name="bar">Which base address register holds the memory range; ignored without one.</param>
    /// <param name="length">Bytes of that range, a power of two; 0 for none.</param>
    /// <param name="interrupts">The function has INTA#.</param>
    public PciFunction(PciIdentity identity, int bar = 0, ulong length = 0, bool interrupts = false)
    {
        _bar = FirstBar + 4 * bar;
        MemoryLength = length;
        Put16(0x00, identity.Vendor);
        Put16(0x02, identity.Device);
        Put32(0x08, (identity.Class << 8) | identity.Revision);
        Put16(0x2C, identity.SubsystemVendor);
        Put16(0x2E, identity.Subsystem);
        MakeWritable(Command, 2, length == 0 ? s_command.Writable & ~(s_memory.Mask | s_master.Mask) : s_command.Writable);
        MakeWritable(CacheLine, 1, 0xFF);
        MakeWritable(LatencyTimer, 1, 0xF8);
        if (length != 0)
            MakeWritable(_bar, 4, (uint)(0 - length));
        if (!interrupts)
            return;
        _configuration[InterruptPin] = 1;
        MakeWritable(InterruptLine, 1, 0xFF);
    }

    /// <summary>Bytes of its memory range; 0 when it has none.</summary>
    public ulong MemoryLength { get; }

    /// <summary>Told when INTA# is asserted and released; set by the bus that it is plugged into.</summary>
    internal Action<bool>? OnInterrupt { get; set; }

    /// <summary>True while INTA# is asserted.</summary>
    public bool InterruptPending => _pending && !s_interruptOff.IsSet(Get16(Command));

    /// <summary>The function may reach RAM.</summary>
    protected bool IsBusMaster => s_master.IsSet(Get16(Command));

    /// <summary>What firmware does: gives the function its memory and tells software its interrupt line.</summary>
    public void Assign(uint address, byte line)
    {
        Put32(_bar, address);
        _configuration[InterruptLine] = line;
        Put16(Command, (ushort)(s_memory.Mask | s_master.Mask));
    }

    /// <summary>Reads a doubleword of configuration space.</summary>
    public virtual uint ReadConfiguration(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_configuration.AsSpan(offset & 0xFC));

    /// <summary>Stores bytes inside one doubleword; read-only bits keep their value.</summary>
    public virtual void WriteConfiguration(int offset, int size, uint value)
    {
        for (int i = 0; i < size; i++)
        {
            byte writable = _writable[offset + i];
            _configuration[offset + i] = (byte)((_configuration[offset + i] & ~writable) | ((byte)(value >> (8 * i)) & writable));
        }
        Drive();
    }

    /// <summary>A read in the memory range.</summary>
    public virtual ulong ReadMemory(ulong offset, int size) => ulong.MaxValue >> (64 - 8 * size);

    /// <summary>A write in the memory range.</summary>
    public virtual void WriteMemory(ulong offset, int size, ulong value)
    {
    }

    /// <summary>True when the memory range is enabled and holds the address.</summary>
    internal bool Claims(ulong address, out ulong offset)
    {
        offset = address - (Get32(_bar) & ~0xFUL);
        return offset < MemoryLength && s_memory.IsSet(Get16(Command));
    }

    public virtual void Save(BinaryWriter writer)
    {
        writer.Write(_configuration);
        writer.Write(_pending);
    }

    public virtual void Restore(BinaryReader reader)
    {
        reader.ReadBytes(_configuration.Length).CopyTo(_configuration, 0);
        _pending = reader.ReadBoolean();
    }

    /// <summary>Asserts or releases INTA#.</summary>
    protected void SetInterrupt(bool pending)
    {
        _pending = pending;
        Drive();
    }

    /// <summary>Appends a capability (its ID and, behind the link, its body) at an offset; the list is in the order of the calls.</summary>
    protected void AddCapability(int offset, byte id, ReadOnlySpan<byte> body)
    {
        int link = CapabilityPointer;
        while (_configuration[link] != 0)
            link = _configuration[link] + 1;
        _configuration[link] = (byte)offset;
        _configuration[offset] = id;
        _configuration[offset + 1] = 0;
        body.CopyTo(_configuration.AsSpan(offset + 2));
        Put16(Status, (ushort)(Get16(Status) | s_hasCapabilities.Mask));
    }

    /// <summary>Lets software change these bits.</summary>
    protected void MakeWritable(int offset, int bytes, uint mask)
    {
        for (int i = 0; i < bytes; i++)
            _writable[offset + i] |= (byte)(mask >> (8 * i));
    }

    protected uint Get32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_configuration.AsSpan(offset));

    protected void Put32(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(_configuration.AsSpan(offset), value);

    protected void Put16(int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(_configuration.AsSpan(offset), value);

    private ushort Get16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_configuration.AsSpan(offset));

    private void Drive()
    {
        Put16(Status, (ushort)s_interruptStatus.With(Get16(Status), _pending ? 1u : 0));
        OnInterrupt?.Invoke(InterruptPending);
    }
}
