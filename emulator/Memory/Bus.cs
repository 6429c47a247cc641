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
    /// <summary>Reads 1, 2 or 4 bytes at a port that the device was attached to.</summary>
    uint Read(ushort port, int size);

    /// <summary>Writes 1, 2 or 4 bytes.</summary>
    void Write(ushort port, int size, uint value);
}

/// <summary>The address decoder: which device answers at a physical address that is not RAM, and at a port.</summary>
public sealed class Bus
{
    private readonly record struct Region(ulong Start, ulong Length, IMmioDevice Device);

    private readonly IPortDevice?[] _ports = new IPortDevice?[1 << 16];
    private Region[] _regions = [];

    /// <summary>The region of the last access: registers of one device are mostly used together.</summary>
    private Region _last;

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
        return true;
    }

    /// <summary>Puts a device on <paramref name="count"/> ports from <paramref name="first"/>.</summary>
    public void AttachPorts(ushort first, int count, IPortDevice device)
    {
        for (int i = 0; i < count; i++)
            _ports[(ushort)(first + i)] = device;
    }

    /// <summary>Reads a device register; where nothing answers, all ones, as an open bus does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong ReadMmio(CpuIndex cpu, ulong address, int size)
    {
        if (address - _last.Start < _last.Length || TryFind(address))
            return _last.Device.Read(cpu, address - _last.Start, size);
        return ulong.MaxValue >> (64 - 8 * size);
    }

    /// <summary>Writes a device register; where nothing answers, the value is lost.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteMmio(CpuIndex cpu, ulong address, int size, ulong value)
    {
        if (address - _last.Start < _last.Length || TryFind(address))
            _last.Device.Write(cpu, address - _last.Start, size, value);
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

    /// <summary>IN: where nothing answers, all ones.</summary>
    public uint ReadPort(ushort port, int size) => _ports[port]?.Read(port, size) ?? uint.MaxValue >> (32 - 8 * size);

    /// <summary>OUT: where nothing answers, the value is lost.</summary>
    public void WritePort(ushort port, int size, uint value) => _ports[port]?.Write(port, size, value);
}
