using Emu.Interrupts;
using Emu.Memory;
using static Emu.Devices.IdeRegisters;

namespace Emu.Devices;

/// <summary>
/// An ATA channel with one or two disks (ATA/ATAPI-6, with the obsolete commands that software still tries), at the PC's primary ports and IRQ 14. Commands take no
/// time: BSY is never seen. IdeDisk.cs is what a disk is. Absent: DMA, packet devices, security, SMART, power management beyond its commands' answers.
/// </summary>
public sealed class IdeChannel : IPortDevice, ISnapshotted
{
    public const ushort CommandBlock = 0x1F0;
    public const ushort ControlBlock = 0x3F6;
    public const int Irq = 14;

    private const int Word = 2;

    private readonly IIrqLine _irq;
    private readonly IdeDisk?[] _disks;

    /// <summary>Features, sector count, LBA low, mid and high as written last, and before that (for 48-bit commands).</summary>
    private readonly byte[] _recent = new byte[5];
    private readonly byte[] _previous = new byte[5];
    private byte _device;
    private byte _control;
    private byte _status;
    private byte _error;
    private bool _interrupt;

    /// <summary>The block that goes through the data register, and how far it has gone.</summary>
    private readonly byte[] _buffer = new byte[IdeDisk.MaximumMultiple * DiskImage.SectorSize];
    private int _length;
    private int _position;

    /// <summary>The transfer under way: towards the host or from it, its next sector, sectors left, sectors of a block.</summary>
    private bool _writes;
    private ulong _sector;
    private uint _left;
    private int _blockSectors;

    /// <param name="irq">IRQ 14.</param>
    /// <param name="first">Device 0.</param>
    /// <param name="second">Device 1, or null.</param>
    public IdeChannel(IIrqLine irq, DiskImage first, DiskImage? second = null)
    {
        _irq = irq;
        _disks = [new IdeDisk(first), second == null ? null : new IdeDisk(second)];
        Reset();
    }

    private IdeDisk? Selected => _disks[Second.Of(_device)];

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(CommandBlock, 1, this, width: 4);
        bus.AttachPorts(CommandBlock + 1, 7, this);
        bus.AttachPorts(ControlBlock, 1, this);
    }

    public uint Read(ushort port, int size)
    {
        if (port == ControlBlock)
            return ReadStatus();
        byte[] file = HighOrder.IsSet(_control) ? _previous : _recent;
        switch (port - CommandBlock)
        {
            case Data:
                return ReadData(size);
            case Error:
                return _error;
            case SectorCount or LbaLow or LbaMid or LbaHigh:
                return file[port - CommandBlock - Features];
            case Device:
                return _device | Obsolete.Mask | Obsolete5.Mask;
            default:
                // Reading the status is the acknowledgement.
                SetInterrupt(false);
                return ReadStatus();
        }
    }

    public void Write(ushort port, int size, uint value)
    {
        if (port == ControlBlock)
        {
            WriteControl((byte)value);
            return;
        }
        // "Writing any register of the command block clears HOB".
        _control = (byte)(_control & ~HighOrder.Mask);
        int register = port - CommandBlock;
        switch (register)
        {
            case Data:
                WriteData(value, size);
                break;
            case Device:
                _device = (byte)(value & (Head.Mask | Second.Mask | Lba.Mask));
                break;
            case Command:
                if (Selected != null || value == DiagnosticCommand)
                    Execute((byte)value);
                break;
            default:
                _previous[register - Features] = _recent[register - Features];
                _recent[register - Features] = (byte)value;
                break;
        }
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_recent);
        writer.Write(_previous);
        writer.Write([_device, _control, _status, _error]);
        writer.Write(_interrupt);
        writer.Write(_buffer);
        writer.Write(_length);
        writer.Write(_position);
        writer.Write(_writes);
        writer.Write(_sector);
        writer.Write(_left);
        writer.Write(_blockSectors);
        foreach (IdeDisk? disk in _disks)
            disk?.Save(writer);
    }

    public void Restore(BinaryReader reader)
    {
        reader.ReadBytes(_recent.Length).CopyTo(_recent, 0);
        reader.ReadBytes(_previous.Length).CopyTo(_previous, 0);
        _device = reader.ReadByte();
        _control = reader.ReadByte();
        _status = reader.ReadByte();
        _error = reader.ReadByte();
        _interrupt = reader.ReadBoolean();
        reader.ReadBytes(_buffer.Length).CopyTo(_buffer, 0);
        _length = reader.ReadInt32();
        _position = reader.ReadInt32();
        _writes = reader.ReadBoolean();
        _sector = reader.ReadUInt64();
        _left = reader.ReadUInt32();
        _blockSectors = reader.ReadInt32();
        foreach (IdeDisk? disk in _disks)
            disk?.Restore(reader);
    }

    /// <summary>Device 0 answers for a device 1 that is not there: with a status of 0.</summary>
    private byte ReadStatus() => Selected == null ? (byte)0 : _status;

    private void SetInterrupt(bool pending)
    {
        _interrupt = pending;
        _irq.Set(pending && !NoInterrupt.IsSet(_control));
    }

    private void WriteControl(byte value)
    {
        bool released = SoftReset.IsSet(_control) && !SoftReset.IsSet(value);
        _control = (byte)(value & ControlLayout.Defined);
        if (released)
            Reset();
        SetInterrupt(_interrupt);
    }

    /// <summary>Power-on, soft reset and EXECUTE DEVICE DIAGNOSTIC leave the signature of a disk, and "no error" in the error register.</summary>
    private void Reset()
    {
        _device = 0;
        _length = _position = 0;
        _left = 0;
        _previous.AsSpan().Clear();
        _recent.AsSpan().Clear();
        _recent[SectorCount - Features] = _recent[LbaLow - Features] = 1;
        _error = 1;
        _status = (byte)(Ready.Mask | SeekComplete.Mask);
        _interrupt = false;
    }

    private uint ReadData(int size)
    {
        if (!Drq.IsSet(_status) || _writes)
            return uint.MaxValue >> (32 - 8 * size);
        uint value = 0;
        // A doubleword is two words in a row; a byte takes half a word and loses the rest.
        for (int i = 0; i < Math.Max(size, Word) && _position < _length; i += Word, _position += Word)
            value |= (uint)(_buffer[_position] | (_buffer[_position + 1] << 8)) << (8 * i);
        if (_position >= _length)
            EndOfBlockToHost();
        return value & (uint.MaxValue >> (32 - 8 * size));
    }

    private void WriteData(uint value, int size)
    {
        if (!Drq.IsSet(_status) || !_writes)
            return;
        for (int i = 0; i < Math.Max(size, Word) && _position < _length; i += Word, _position += Word)
        {
            _buffer[_position] = (byte)(value >> (8 * i));
            _buffer[_position + 1] = (byte)(value >> (8 * i + 8));
        }
        if (_position >= _length)
            EndOfBlockFromHost();
    }

    private void EndOfBlockToHost()
    {
        if (_left != 0)
            NextBlockToHost();
        else
            _status = (byte)(Ready.Mask | SeekComplete.Mask);
    }

    private void NextBlockToHost()
    {
        int sectors = (int)Math.Min(_left, (uint)_blockSectors);
        if (!Selected!.Image.TryRead(_sector, _buffer.AsSpan(0, sectors * DiskImage.SectorSize)))
        {
            Fail(Uncorrectable);
            return;
        }
        Offer(sectors);
        SetInterrupt(true);
    }

    private void EndOfBlockFromHost()
    {
        int sectors = _length / DiskImage.SectorSize;
        if (!Selected!.Image.TryWrite(_sector - (ulong)sectors, _buffer.AsSpan(0, _length)))
        {
            // What the host objects to is a fault of the device.
            Fail(Abort, DeviceFault.Mask);
            return;
        }
        _status = (byte)(Ready.Mask | SeekComplete.Mask);
        if (_left != 0)
            Offer((int)Math.Min(_left, (uint)_blockSectors));
        SetInterrupt(true);
    }

    /// <summary>The buffer is ready for its sectors, in either direction.</summary>
    private void Offer(int sectors)
    {
        _length = sectors * DiskImage.SectorSize;
        _position = 0;
        _sector += (ulong)sectors;
        _left -= (uint)sectors;
        _status = (byte)(Ready.Mask | SeekComplete.Mask | Drq.Mask);
    }

    private void Complete()
    {
        _error = 0;
        _left = 0;
        _status = (byte)(Ready.Mask | SeekComplete.Mask);
        SetInterrupt(true);
    }

    private void Fail(BitField error, uint status = 0)
    {
        _error = (byte)error.Mask;
        _left = 0;
        _status = (byte)(Ready.Mask | SeekComplete.Mask | Err.Mask | status);
        SetInterrupt(true);
    }

    private const byte DiagnosticCommand = 0x90;

    private void Execute(byte command)
    {
        SetInterrupt(false);
        _error = 0;
        switch (command)
        {
            case 0x20 or 0x21:
                Transfer(writes: false, extended: false, multiple: false);
                break;
            case 0x24:
                Transfer(writes: false, extended: true, multiple: false);
                break;
            case 0x29:
                Transfer(writes: false, extended: true, multiple: true);
                break;
            case 0xC4:
                Transfer(writes: false, extended: false, multiple: true);
                break;
            case 0x30 or 0x31:
                Transfer(writes: true, extended: false, multiple: false);
                break;
            case 0x34:
                Transfer(writes: true, extended: true, multiple: false);
                break;
            case 0x39:
                Transfer(writes: true, extended: true, multiple: true);
                break;
            case 0xC5:
                Transfer(writes: true, extended: false, multiple: true);
                break;
            // READ VERIFY: without moving data.
            case 0x40 or 0x41 or 0x42:
                if (TryAddress(extended: command == 0x42, out _, out _))
                    Complete();
                else
                    Fail(NotFound);
                break;
            // RECALIBRATE, SEEK; INITIALIZE DEVICE PARAMETERS; the immediate power commands and their timers.
            case >= 0x10 and <= 0x1F:
            case >= 0x70 and <= 0x7F:
            case 0x91:
            case 0xE0 or 0xE1 or 0xE2 or 0xE3 or 0x94 or 0x95 or 0x96 or 0x97:
                Complete();
                break;
            // CHECK POWER MODE: active.
            case 0xE5 or 0x98:
                _recent[SectorCount - Features] = 0xFF;
                Complete();
                break;
            case 0xC6:
                if (Selected!.TrySetMultiple(_recent[SectorCount - Features]))
                    Complete();
                else
                    Fail(Abort);
                break;
            case 0xE7 or 0xEA:
                if (Selected!.Image.TryFlush())
                    Complete();
                else
                    Fail(Abort, DeviceFault.Mask);
                break;
            case 0xEC:
                Selected!.Identify(_buffer);
                _writes = false;
                _left = 1;
                Offer(1);
                SetInterrupt(true);
                break;
            case 0xEF:
                // SET FEATURES: PIO transfer modes, write cache and look-ahead are accepted; others, DMA modes among them, are not.
                byte feature = _recent[0];
                bool pioMode = feature == 0x03 && _recent[SectorCount - Features] < 0x10;
                if (pioMode || feature is 0x02 or 0x82 or 0x55 or 0xAA or 0x66 or 0xCC)
                    Complete();
                else
                    Fail(Abort);
                break;
            case 0xF8 or 0x27:
                ReportMaximum(extended: command == 0x27);
                break;
            case DiagnosticCommand:
                Reset();
                SetInterrupt(true);
                break;
            default:
                Fail(Abort);
                break;
        }
    }

    private void Transfer(bool writes, bool extended, bool multiple)
    {
        _blockSectors = multiple ? Selected!.Multiple : 1;
        if (_blockSectors == 0)
        {
            // SET MULTIPLE MODE must come first.
            Fail(Abort);
            return;
        }
        if (!TryAddress(extended, out _sector, out _left))
        {
            Fail(NotFound);
            return;
        }
        _writes = writes;
        if (writes)
            Offer((int)Math.Min(_left, (uint)_blockSectors));
        else
            NextBlockToHost();
    }

    /// <summary>The sectors that the registers name; false when not all are on the disk.</summary>
    private bool TryAddress(bool extended, out ulong sector, out uint count)
    {
        int low = LbaLow - Features;
        ulong bits24 = _recent[low] | ((ulong)_recent[low + 1] << 8) | ((ulong)_recent[low + 2] << 16);
        count = _recent[SectorCount - Features];
        if (extended)
        {
            count |= (uint)_previous[SectorCount - Features] << 8;
            count = count == 0 ? 0x10000 : count;
            sector = bits24 | ((ulong)_previous[low] << 24) | ((ulong)_previous[low + 1] << 32) | ((ulong)_previous[low + 2] << 40);
        }
        else
        {
            count = count == 0 ? 0x100 : count;
            sector = Lba.IsSet(_device) ? bits24 | ((ulong)Head.Of(_device) << 24) : IdeDisk.SectorOf(cylinder: bits24 >> 8, Head.Of(_device), bits24 & 0xFF);
        }
        ulong there = Selected!.Image.SectorCount;
        return sector < there && count <= there - sector;
    }

    /// <summary>READ NATIVE MAX ADDRESS.</summary>
    private void ReportMaximum(bool extended)
    {
        ulong last = Selected!.Image.SectorCount - 1;
        if (!extended)
            last = Math.Min(last, (1 << 28) - 1);
        for (int i = 0; i < 3; i++)
        {
            _recent[LbaLow - Features + i] = (byte)(last >> (8 * i));
            _previous[LbaLow - Features + i] = (byte)(last >> (24 + 8 * i));
        }
        if (!extended)
            _device = (byte)Head.With(_device, (uint)(last >> 24));
        Complete();
    }
}
