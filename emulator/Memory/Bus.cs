using System.Runtime.CompilerServices;

namespace Emu.Memory;

/// <summary>Registers in the physical address space.</summary>
public interface IMmioDevice
{
    /// <summary>Reads <paramref name="size"/> bytes (1, 2, 4 or 8) at <paramref name="offset"/> from the start of the region.</summary>
    /// <param name="cpu">The CPU that reads: some registers, as the local APIC's, are each CPU's own.</param>
    ulong Read(CpuIndex cpu, ulong offset, int size);

    /// <summary>Writes <paramref name="size"/> bytes (1, 2, 4 or 8).</summary>
    void Write(CpuIndex cpu, ulong offset, int size, ulong value);
}

/// <summary>Registers in the I/O port space.</summary>
public interface IPortDevice
{
    /// <summary>Reads 1, 2 or 4 bytes at a port that the device was attached to; never more than it was attached for.</summary>
    uint Read(ushort port, int size);

    /// <summary>Writes 1, 2 or 4 bytes; never more than it was attached for.</summary>
    void Write(ushort port, int size, uint value);
}

/// <summary>An access that no device answered.</summary>
/// <param name="IsPort">A port; else a physical address.</param>
/// <param name="Value">What was written; what the open bus gave a read.</param>
public readonly record struct AbsentAccess(bool IsPort, ulong Address, int Size, bool IsWrite, ulong Value);

/// <summary>The address decoder: which device answers at a physical address that is not RAM, and at a port.</summary>
public sealed class Bus
{
    private readonly record struct Region(ulong Start, ulong Length, IMmioDevice Device);

    private readonly IPortDevice?[] _ports = new IPortDevice?[1 << 16];

    /// <summary>Widest access that the device at a port takes in one piece.</summary>
    private readonly byte[] _widths = new byte[1 << 16];
    private Region[] _regions = [];

    /// <summary>Asked last, where no region claims an address: subtractive decoding, as a PCI bridge does it.</summary>
    private Region[] _bridges = [];

    /// <summary>The region of the last access: registers of one device are mostly used together.</summary>
    private Region _last;

    /// <summary>Told of every access that nothing answers, while somebody wants to know.</summary>
    public Action<AbsentAccess>? OnAbsent { get; set; }

    /// <summary>Puts a device on a range of physical addresses.</summary>
    /// <exception cref="ArgumentException">The range overlaps another device's.</exception>
    public void AttachMmio(ulong start, ulong length, IMmioDevice device)
    {
        if (!TryAttachMmio(start, length, device))
            throw new ArgumentException($"MMIO range 0x{start:x}+0x{length:x} overlaps another device's");
    }

    /// <summary>As <see cref="AttachMmio"/>, for ranges that a guest chooses; false when the range overlaps another device's.</summary>
    public bool TryAttachMmio(ulong start, ulong length, IMmioDevice device)
    {
        foreach (Region r in _regions)
            if (start < r.Start + r.Length && r.Start < start + length)
                return false;
        _regions = [.. _regions, new Region(start, length, device)];
        _last = default;
        return true;
    }

    /// <summary>Puts a bridge on a range: it answers where no other device does.</summary>
    public void AttachBridge(ulong start, ulong length, IMmioDevice bridge) => _bridges = [.. _bridges, new Region(start, length, bridge)];

    /// <summary>Puts a device on <paramref name="count"/> ports from <paramref name="first"/>.</summary>
    /// <param name="width">Widest access in bytes that it takes in one piece: wider ones arrive as bytes at consecutive ports, as the ISA bus makes them.</param>
    public void AttachPorts(ushort first, int count, IPortDevice device, int width = 1)
    {
        for (int i = 0; i < count; i++)
        {
            _ports[(ushort)(first + i)] = device;
            _widths[(ushort)(first + i)] = (byte)width;
        }
    }

    /// <summary>Reads a device register; where nothing answers, all ones, as an open bus does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong ReadMmio(CpuIndex cpu, ulong address, int size)
    {
        if (address - _last.Start < _last.Length || TryFind(address))
            return _last.Device.Read(cpu, address - _last.Start, size);
        return BridgeAt(address, out ulong offset)?.Read(cpu, offset, size)
            ?? Absent(isPort: false, address, size, isWrite: false, ulong.MaxValue >> (64 - 8 * size));
    }

    /// <summary>Writes a device register; where nothing answers, the value is lost.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteMmio(CpuIndex cpu, ulong address, int size, ulong value)
    {
        if (address - _last.Start < _last.Length || TryFind(address))
            _last.Device.Write(cpu, address - _last.Start, size, value);
        else if (BridgeAt(address, out ulong offset) is { } bridge)
            bridge.Write(cpu, offset, size, value);
        else
            Absent(isPort: false, address, size, isWrite: true, value);
    }

    /// <summary>IN: where nothing answers, all ones.</summary>
    public uint ReadPort(ushort port, int size)
    {
        IPortDevice? device = _ports[port];
        if (device != null && size <= _widths[port])
            return device.Read(port, size);
        if (size == 1)
            return (uint)Absent(isPort: true, port, size, isWrite: false, 0xFF);
        uint value = 0;
        for (int i = 0; i < size; i++)
            value |= (ReadPort((ushort)(port + i), 1) & 0xFF) << (8 * i);
        return value;
    }

    /// <summary>OUT: where nothing answers, the value is lost.</summary>
    public void WritePort(ushort port, int size, uint value)
    {
        IPortDevice? device = _ports[port];
        if (device != null && size <= _widths[port])
            device.Write(port, size, value);
        else if (size == 1)
            Absent(isPort: true, port, size, isWrite: true, value);
        else
            for (int i = 0; i < size; i++)
                WritePort((ushort)(port + i), 1, (value >> (8 * i)) & 0xFF);
    }

    /// <summary>Says that nothing answered, to whoever wants to know; for bridges too, behind which nothing may be. Returns the value.</summary>
    public ulong Absent(bool isPort, ulong address, int size, bool isWrite, ulong value)
    {
        OnAbsent?.Invoke(new AbsentAccess(isPort, address, size, isWrite, value));
        return value;
    }

    /// <summary>Makes the region of an address the last one; false when there is none.</summary>
    private bool TryFind(ulong address)
    {
        foreach (Region r in _regions)
        {
            if (address - r.Start < r.Length)
            {
                _last = r;
                return true;
            }
        }
        return false;
    }

    private IMmioDevice? BridgeAt(ulong address, out ulong offset)
    {
        foreach (Region r in _bridges)
        {
            offset = address - r.Start;
            if (offset < r.Length)
                return r.Device;
        }
        offset = 0;
        return null;
    }
}
