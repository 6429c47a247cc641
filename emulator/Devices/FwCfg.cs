using System.Buffers.Binary;
using System.Text;
using Emu.Interrupts;
using Emu.Memory;

namespace Emu.Devices;

/// <summary>
/// QEMU's firmware configuration device (QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device"): a selector at port 0x510 and a data port at 0x511,
/// through which a guest reads items byte by byte; named files stand in the directory, item 0x19.
/// Absent: the DMA interface (bit 1 of item 1 is 0), and writing.
/// </summary>
public sealed class FwCfg : IPortDevice, ISnapshotted
{
    public const ushort SelectorPort = 0x510;
    public const ushort DataPort = 0x511;

    private const ushort Signature = 0x00;
    private const ushort Interface = 0x01;
    private const ushort MemorySize = 0x03;
    private const ushort CpuCount = 0x05;
    private const ushort MaximumCpus = 0x0F;
    private const ushort Directory = 0x19;
    private const ushort FirstFile = 0x20;
    private const int NameLength = 56;

    /// <summary>Item 1: the traditional interface is there; bit 1 would be DMA.</summary>
    private static readonly BitField s_traditional = new("Traditional interface", 0, 0, RegisterAccess.Read);
    private static readonly BitField s_dma = new("DMA interface", 1, 1, RegisterAccess.Read, "absent: 0");

    private readonly SortedDictionary<ushort, byte[]> _items = [];
    private readonly SortedDictionary<string, byte[]> _files = new(StringComparer.Ordinal);
    private ushort _selected;
    private uint _offset;

    public FwCfg(ulong memory, int cpus)
    {
        _items[Signature] = "QEMU"u8.ToArray();
        _items[Interface] = Little(s_traditional.Mask, 4);
        _items[MemorySize] = Little(memory, 8);
        _items[CpuCount] = Little((ulong)cpus, 2);
        _items[MaximumCpus] = Little((ulong)cpus, 2);
        BuildDirectory();
    }

    /// <summary>Puts the registers on the bus.</summary>
    public void AttachTo(Bus bus)
    {
        bus.AttachPorts(SelectorPort, 1, this, width: 2);
        bus.AttachPorts(DataPort, 1, this);
    }

    /// <summary>True for what can be the name of a file.</summary>
    public static bool IsName(string name) => name.Length is > 0 and < NameLength && Ascii.IsValid(name);

    /// <summary>Adds a file, or replaces it.</summary>
    /// <param name="name">At most 55 ASCII characters.</param>
    public void AddFile(string name, ReadOnlySpan<byte> content)
    {
        if (!IsName(name))
            throw new ArgumentException($"\"{name}\" is not the name of a fw_cfg file: 1 to {NameLength - 1} ASCII characters", nameof(name));
        _files[name] = content.ToArray();
        BuildDirectory();
    }

    public uint Read(ushort port, int size)
    {
        if (port == SelectorPort)
            return 0xFF;
        // Behind its end an item reads as zeros; so does one that is not there.
        return _items.TryGetValue(_selected, out byte[]? item) && _offset < item.Length ? item[_offset++] : 0u;
    }

    public void Write(ushort port, int size, uint value)
    {
        if (port != SelectorPort)
            return;
        _selected = (ushort)value;
        _offset = 0;
    }

    public void Save(BinaryWriter writer)
    {
        writer.Write(_selected);
        writer.Write(_offset);
        writer.Write(_files.Count);
        foreach ((string name, byte[] content) in _files)
        {
            writer.Write(name);
            writer.Write(content.Length);
            writer.Write(content);
        }
    }

    public void Restore(BinaryReader reader)
    {
        _selected = reader.ReadUInt16();
        _offset = reader.ReadUInt32();
        _files.Clear();
        for (int n = reader.ReadInt32(); n > 0; n--)
            _files[reader.ReadString()] = reader.ReadBytes(reader.ReadInt32());
        BuildDirectory();
    }

    /// <summary>Item 0x19: the number of files, then size, selector and name of each, big endian, in the order of their names.</summary>
    private void BuildDirectory()
    {
        byte[] directory = new byte[4 + _files.Count * 64];
        BinaryPrimitives.WriteInt32BigEndian(directory, _files.Count);
        int i = 0;
        foreach ((string name, byte[] content) in _files)
        {
            Span<byte> entry = directory.AsSpan(4 + 64 * i);
            ushort selector = (ushort)(FirstFile + i++);
            BinaryPrimitives.WriteInt32BigEndian(entry, content.Length);
            BinaryPrimitives.WriteUInt16BigEndian(entry[4..], selector);
            Encoding.ASCII.GetBytes(name, entry[8..]);
            _items[selector] = content;
        }
        _items[Directory] = directory;
    }

    private static byte[] Little(ulong value, int bytes)
    {
        byte[] item = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(item, value);
        return item[..bytes];
    }
}
