using System.Buffers.Binary;
using Emu.Memory;
using static Emu.Devices.VirtioRegisters;

namespace Emu.Devices;

/// <summary>
/// A virtio block device over PCI (Virtual I/O Device specification 1.1, "Virtio Over PCI Bus" and "Block Device"): one split virtqueue, served when the driver
/// notifies it, so that a request takes no time. Absent: the transitional interface, MSI-X, indirect descriptors, event indices, packed rings, more queues.
/// </summary>
public sealed class VirtioBlock : PciFunction
{
    private const int BarLength = 0x4000;
    private const ulong CommonAt = 0x0000;
    private const ulong IsrAt = 0x1000;
    private const ulong DeviceAt = 0x2000;
    private const ulong NotifyAt = 0x3000;

    /// <summary>Where its capability for access by configuration space lies, and the data of that.</summary>
    private const int WindowCapability = 0x84;

    private const ushort MaximumQueue = 128;
    private const int HeaderSize = 16;
    private const int DescriptorSize = 16;
    private const int PieceSize = 64 * 1024;

    private readonly DiskImage _image;
    private readonly PhysicalMemory _memory;
    private readonly Action<string> _report;
    private readonly byte[] _piece = new byte[PieceSize];
    private readonly List<Extent> _readable = [];
    private readonly List<Extent> _writable = [];

    private uint _deviceFeatureSelect;
    private uint _driverFeatureSelect;
    private ulong _driverFeatures;
    private byte _status;
    private byte _isr;
    private ushort _queueSelect;
    private ushort _queueSize = MaximumQueue;
    private ushort _queueEnable;
    private ulong _descriptors;
    private ulong _available;
    private ulong _used;
    private ushort _nextAvailable;
    private ushort _nextUsed;

    /// <summary>Bytes in guest memory.</summary>
    private readonly record struct Extent(ulong Address, uint Length);

    /// <param name="report">Told of a queue that breaks the specification.</param>
    public VirtioBlock(DiskImage image, PhysicalMemory memory, Action<string> report)
        : base(new PciIdentity(0x1AF4, 0x1042, 1, PciClass.OtherStorage, 0x1AF4, 0x1100), bar: 0, BarLength, interrupts: true)
    {
        _image = image;
        _memory = memory;
        _report = report;
        AddStructure(0x40, CommonConfiguration, CommonAt, 0x38, []);
        AddStructure(0x50, NotifyConfiguration, NotifyAt, 4, [4, 0, 0, 0]);
        AddStructure(0x64, IsrConfiguration, IsrAt, 1, []);
        AddStructure(0x74, DeviceConfiguration, DeviceAt, 0x18, []);
        AddStructure(WindowCapability, PciConfiguration, 0, 0, [0, 0, 0, 0]);
        MakeWritable(WindowCapability + 4, 1, 0xFF);
        MakeWritable(WindowCapability + 8, 4, uint.MaxValue);
        MakeWritable(WindowCapability + 12, 4, uint.MaxValue);
        MakeWritable(WindowCapability + 16, 4, uint.MaxValue);
    }

    private static ulong OfferedFeatures => 1UL << FeatureSegments | 1UL << FeatureBlockSize | 1UL << FeatureFlush | 1UL << FeatureVersion1;

    public override ulong ReadMemory(ulong offset, int size)
    {
        switch (offset)
        {
            case < IsrAt:
                return ReadCommon((int)offset, size);
            case IsrAt:
                byte isr = _isr;
                _isr = 0;
                SetInterrupt(false);
                return isr;
            case >= DeviceAt and < NotifyAt:
                Span<byte> configuration = stackalloc byte[0x18 + 8];
                configuration.Clear();
                BinaryPrimitives.WriteUInt64LittleEndian(configuration, _image.SectorCount);
                BinaryPrimitives.WriteUInt32LittleEndian(configuration[12..], MaximumQueue - 2);
                BinaryPrimitives.WriteUInt32LittleEndian(configuration[20..], DiskImage.SectorSize);
                ulong at = offset - DeviceAt;
                return at < 0x18 ? BinaryPrimitives.ReadUInt64LittleEndian(configuration[(int)at..]) & (ulong.MaxValue >> (64 - 8 * size)) : 0;
            default:
                return 0;
        }
    }

    public override void WriteMemory(ulong offset, int size, ulong value)
    {
        if (offset < IsrAt)
            WriteCommon((int)offset, size, value);
        else if (offset == NotifyAt && (ushort)value == 0)
            Serve();
    }

    /// <summary>The window of the configuration capability: a read at its data register is a read in the memory range.</summary>
    public override uint ReadConfiguration(int offset)
    {
        if ((offset & 0xFC) == WindowCapability + 16 && TryWindow(out ulong at, out int size))
            return (uint)ReadMemory(at, size);
        return base.ReadConfiguration(offset);
    }

    public override void WriteConfiguration(int offset, int size, uint value)
    {
        base.WriteConfiguration(offset, size, value);
        if ((offset & 0xFC) == WindowCapability + 16 && TryWindow(out ulong at, out int width))
            WriteMemory(at, width, Get32(WindowCapability + 16) & (uint.MaxValue >> (32 - 8 * width)));
    }

    public override void Save(BinaryWriter writer)
    {
        base.Save(writer);
        writer.Write(_deviceFeatureSelect);
        writer.Write(_driverFeatureSelect);
        writer.Write(_driverFeatures);
        writer.Write(_status);
        writer.Write(_isr);
        writer.Write(_queueSelect);
        writer.Write(_queueSize);
        writer.Write(_queueEnable);
        writer.Write(_descriptors);
        writer.Write(_available);
        writer.Write(_used);
        writer.Write(_nextAvailable);
        writer.Write(_nextUsed);
    }

    public override void Restore(BinaryReader reader)
    {
        base.Restore(reader);
        _deviceFeatureSelect = reader.ReadUInt32();
        _driverFeatureSelect = reader.ReadUInt32();
        _driverFeatures = reader.ReadUInt64();
        _status = reader.ReadByte();
        _isr = reader.ReadByte();
        _queueSelect = reader.ReadUInt16();
        _queueSize = reader.ReadUInt16();
        _queueEnable = reader.ReadUInt16();
        _descriptors = reader.ReadUInt64();
        _available = reader.ReadUInt64();
        _used = reader.ReadUInt64();
        _nextAvailable = reader.ReadUInt16();
        _nextUsed = reader.ReadUInt16();
    }

    /// <summary>struct virtio_pci_cap, behind ID and link: length, type, BAR, padding, offset, length; then what the type adds.</summary>
    private void AddStructure(int at, byte type, ulong offset, uint length, ReadOnlySpan<byte> more)
    {
        Span<byte> body = stackalloc byte[14 + 4];
        body.Clear();
        body[0] = (byte)(16 + more.Length);
        body[1] = type;
        BinaryPrimitives.WriteUInt32LittleEndian(body[6..], (uint)offset);
        BinaryPrimitives.WriteUInt32LittleEndian(body[10..], length);
        more.CopyTo(body[14..]);
        AddCapability(at, VendorCapability, body[..(14 + more.Length)]);
    }

    private bool TryWindow(out ulong offset, out int size)
    {
        offset = Get32(WindowCapability + 8);
        size = (int)Get32(WindowCapability + 12);
        // BAR 0 is the only one.
        return (Get32(WindowCapability + 4) & 0xFF) == 0 && size is 1 or 2 or 4 && offset < BarLength;
    }

    private ulong ReadCommon(int offset, int size)
    {
        ulong value = offset switch
        {
            DeviceFeatureSelect => _deviceFeatureSelect,
            DeviceFeature => _deviceFeatureSelect < 2 ? (uint)(OfferedFeatures >> (32 * (int)_deviceFeatureSelect)) : 0,
            DriverFeatureSelect => _driverFeatureSelect,
            DriverFeature => _driverFeatureSelect < 2 ? (uint)(_driverFeatures >> (32 * (int)_driverFeatureSelect)) : 0,
            // No MSI-X: no vector.
            MsixConfiguration or QueueMsixVector => ushort.MaxValue,
            NumberOfQueues => 1,
            DeviceStatus => _status,
            QueueSelect => _queueSelect,
            // The size of a queue that is not there is 0.
            QueueSize => _queueSelect == 0 ? _queueSize : 0u,
            QueueEnable => _queueSelect == 0 ? _queueEnable : 0u,
            QueueDescriptors => _descriptors,
            QueueDescriptors + 4 => _descriptors >> 32,
            QueueDriver => _available,
            QueueDriver + 4 => _available >> 32,
            QueueDevice => _used,
            QueueDevice + 4 => _used >> 32,
            _ => 0,
        };
        return value & (ulong.MaxValue >> (64 - 8 * size));
    }

    private void WriteCommon(int offset, int size, ulong value)
    {
        switch (offset)
        {
            case DeviceFeatureSelect:
                _deviceFeatureSelect = (uint)value;
                break;
            case DriverFeatureSelect:
                _driverFeatureSelect = (uint)value;
                break;
            case DriverFeature when _driverFeatureSelect < 2:
                int shift = 32 * (int)_driverFeatureSelect;
                _driverFeatures = (_driverFeatures & ~((ulong)uint.MaxValue << shift)) | ((ulong)(uint)value << shift);
                break;
            case DeviceStatus:
                WriteStatus((byte)value);
                break;
            case QueueSelect:
                _queueSelect = (ushort)value;
                break;
            case QueueSize when _queueSelect == 0 && (ushort)value is > 0 and <= MaximumQueue && (value & (value - 1)) == 0:
                _queueSize = (ushort)value;
                break;
            case QueueEnable when _queueSelect == 0 && value == 1:
                _queueEnable = 1;
                break;
            case QueueDescriptors or QueueDescriptors + 4 when _queueSelect == 0:
                _descriptors = Half(_descriptors, offset - QueueDescriptors, size, value);
                break;
            case QueueDriver or QueueDriver + 4 when _queueSelect == 0:
                _available = Half(_available, offset - QueueDriver, size, value);
                break;
            case QueueDevice or QueueDevice + 4 when _queueSelect == 0:
                _used = Half(_used, offset - QueueDevice, size, value);
                break;
        }
    }

    private static ulong Half(ulong old, int at, int size, ulong value) =>
        size == 8 ? value : at == 0 ? (old & ~(ulong)uint.MaxValue) | (uint)value : (old & uint.MaxValue) | (value << 32);

    private void WriteStatus(byte value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }
        uint status = value | (_status & NeedsReset.Mask);
        // Version 1 must be accepted, and nothing that was not offered.
        bool acceptable = (_driverFeatures & ~OfferedFeatures) == 0 && (_driverFeatures >> FeatureVersion1 & 1) != 0;
        if (FeaturesOk.IsSet(status) && !FeaturesOk.IsSet(_status) && !acceptable)
            status &= ~FeaturesOk.Mask;
        _status = (byte)status;
    }

    private void Reset()
    {
        _deviceFeatureSelect = _driverFeatureSelect = 0;
        _driverFeatures = 0;
        _status = _isr = 0;
        _queueSelect = _queueEnable = 0;
        _queueSize = MaximumQueue;
        _descriptors = _available = _used = 0;
        _nextAvailable = _nextUsed = 0;
        SetInterrupt(false);
    }

    /// <summary>Serves every request that the driver has made available.</summary>
    private void Serve()
    {
        if (_queueEnable == 0 || !DriverOk.IsSet(_status) || NeedsReset.IsSet(_status) || !IsBusMaster)
            return;
        bool served = false;
        // The ring holds no more than its size.
        for (int budget = _queueSize; budget >= 0; budget--)
        {
            if (!TryRead16(_available + 2, out ushort available))
            {
                Break("its available ring is not in RAM");
                return;
            }
            if (available == _nextAvailable)
                break;
            if (budget == 0 || (ushort)(available - _nextAvailable) > _queueSize)
            {
                Break("more requests are available than its ring holds");
                return;
            }
            ulong entry = _available + 4 + 2UL * (uint)(_nextAvailable % _queueSize);
            if (!TryRead16(entry, out ushort head) || !TryCollect(head))
            {
                Break("a chain of descriptors is broken");
                return;
            }
            _nextAvailable++;
            if (!TryPerform(out uint written) || !TryPutUsed(head, written))
            {
                Break("a buffer is not in RAM, or a request has no room for its status");
                return;
            }
            served = true;
        }
        if (!served || (TryRead16(_available, out ushort flags) && (flags & NoInterruptFlag) != 0))
            return;
        _isr |= 1;
        SetInterrupt(true);
    }

    /// <summary>The driver broke the rules (specification, "Device Status Field": DEVICE_NEEDS_RESET).</summary>
    private void Break(string why)
    {
        _status |= (byte)NeedsReset.Mask;
        _report($"virtio-blk: {why}; the device waits for a reset");
        _isr |= ConfigurationChanged;
        SetInterrupt(true);
    }

    /// <summary>Walks a chain into its readable and its writable parts.</summary>
    private bool TryCollect(ushort head)
    {
        _readable.Clear();
        _writable.Clear();
        Span<byte> descriptor = stackalloc byte[DescriptorSize];
        uint index = head;
        for (int n = 0; n < _queueSize; n++)
        {
            if (index >= _queueSize || !_memory.TryRead(_descriptors + index * DescriptorSize, descriptor))
                return false;
            var extent = new Extent(BinaryPrimitives.ReadUInt64LittleEndian(descriptor), BinaryPrimitives.ReadUInt32LittleEndian(descriptor[8..]));
            ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(descriptor[12..]);
            if ((flags & IndirectFlag) != 0)
                return false;
            ((flags & WriteFlag) != 0 ? _writable : _readable).Add(extent);
            if ((flags & NextFlag) == 0)
                return true;
            index = BinaryPrimitives.ReadUInt16LittleEndian(descriptor[14..]);
        }
        // Longer than the queue: a loop.
        return false;
    }

    /// <summary>Does what the collected request asks for; false when it cannot even be answered.</summary>
    private bool TryPerform(out uint written)
    {
        written = 0;
        Span<byte> header = stackalloc byte[HeaderSize];
        ulong room = 0;
        foreach (Extent e in _writable)
            room += e.Length;
        if (!TryGather(0, header) || room == 0)
            return false;
        uint type = BinaryPrimitives.ReadUInt32LittleEndian(header);
        ulong sector = BinaryPrimitives.ReadUInt64LittleEndian(header[8..]);
        ulong data = 0;
        foreach (Extent e in _readable)
            data += e.Length;
        byte status;
        switch (type)
        {
            case TypeIn:
                status = ReadDisk(sector, room - 1, out bool reached);
                if (!reached)
                    return false;
                written = status == StatusOk ? (uint)(room - 1) : 0;
                break;
            case TypeOut:
                status = WriteDisk(sector, data - HeaderSize, out reached);
                if (!reached)
                    return false;
                break;
            case TypeFlush:
                status = _image.TryFlush() ? StatusOk : StatusIoError;
                break;
            case TypeGetId:
                Span<byte> id = stackalloc byte[20];
                id.Clear();
                "EMU00001"u8.CopyTo(id);
                status = StatusOk;
                written = (uint)Math.Min(room - 1, (ulong)id.Length);
                if (!TryScatter(0, id[..(int)written]))
                    return false;
                break;
            default:
                status = StatusUnsupported;
                break;
        }
        written++;
        return TryScatter(room - 1, [status]);
    }

    private byte ReadDisk(ulong sector, ulong length, out bool reached)
    {
        reached = true;
        if (!Fits(sector, length))
            return StatusIoError;
        for (ulong done = 0; done < length; done += PieceSize)
        {
            Span<byte> piece = _piece.AsSpan(0, (int)Math.Min(PieceSize, length - done));
            if (!_image.TryRead(sector + done / DiskImage.SectorSize, piece))
                return StatusIoError;
            reached &= TryScatter(done, piece);
        }
        return StatusOk;
    }

    private byte WriteDisk(ulong sector, ulong length, out bool reached)
    {
        reached = true;
        if (!Fits(sector, length))
            return StatusIoError;
        for (ulong done = 0; done < length; done += PieceSize)
        {
            Span<byte> piece = _piece.AsSpan(0, (int)Math.Min(PieceSize, length - done));
            reached &= TryGather(HeaderSize + done, piece);
            if (!reached || !_image.TryWrite(sector + done / DiskImage.SectorSize, piece))
                return StatusIoError;
        }
        return StatusOk;
    }

    private bool Fits(ulong sector, ulong length) =>
        length % DiskImage.SectorSize == 0 && sector <= _image.SectorCount && length / DiskImage.SectorSize <= _image.SectorCount - sector;

    /// <summary>Copies from the readable part of the request, from an offset in it.</summary>
    private bool TryGather(ulong offset, Span<byte> to)
    {
        foreach (Extent e in _readable)
        {
            if (offset >= e.Length)
            {
                offset -= e.Length;
                continue;
            }
            int n = (int)Math.Min(e.Length - offset, (ulong)to.Length);
            if (!_memory.TryRead(e.Address + offset, to[..n]))
                return false;
            to = to[n..];
            offset = 0;
            if (to.IsEmpty)
                return true;
        }
        return to.IsEmpty;
    }

    /// <summary>Copies into the writable part of the request, at an offset in it.</summary>
    private bool TryScatter(ulong offset, ReadOnlySpan<byte> from)
    {
        foreach (Extent e in _writable)
        {
            if (offset >= e.Length)
            {
                offset -= e.Length;
                continue;
            }
            int n = (int)Math.Min(e.Length - offset, (ulong)from.Length);
            if (!_memory.TryWrite(e.Address + offset, from[..n]))
                return false;
            from = from[n..];
            offset = 0;
            if (from.IsEmpty)
                return true;
        }
        return from.IsEmpty;
    }

    private bool TryPutUsed(ushort head, uint written)
    {
        Span<byte> entry = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(entry, head);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], written);
        if (!_memory.TryWrite(_used + 4 + 8UL * (uint)(_nextUsed % _queueSize), entry))
            return false;
        Span<byte> index = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(index, ++_nextUsed);
        return _memory.TryWrite(_used + 2, index);
    }

    private bool TryRead16(ulong address, out ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        bool there = _memory.TryRead(address, bytes);
        value = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
        return there;
    }
}
