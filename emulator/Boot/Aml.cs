using System.Buffers.Binary;
using System.Text;

namespace Emu.Boot;

/// <summary>
/// Writes the little of AML (ACPI Specification, "ACPI Machine Language (AML) Specification") that a fixed list of devices needs: each method returns the
/// bytes of one term, and terms nest as they do in ASL.
/// </summary>
internal static class Aml
{
    private const byte ZeroOp = 0x00;
    private const byte OneOp = 0x01;
    private const byte NameOp = 0x08;
    private const byte BytePrefix = 0x0A;
    private const byte WordPrefix = 0x0B;
    private const byte DWordPrefix = 0x0C;
    private const byte StringPrefix = 0x0D;
    private const byte ScopeOp = 0x10;
    private const byte BufferOp = 0x11;
    private const byte PackageOp = 0x12;
    private const byte ExtOpPrefix = 0x5B;
    private const byte DeviceOp = 0x82;
    private const byte RootChar = (byte)'\\';

    /// <summary>Scope (\_SB) { ... }</summary>
    public static byte[] Scope(string name, params byte[][] terms) => [ScopeOp, .. Sized([.. Name(name), .. terms.SelectMany(t => t)])];

    /// <summary>Device (COM1) { ... }</summary>
    public static byte[] Device(string name, params byte[][] terms) => [ExtOpPrefix, DeviceOp, .. Sized([.. Name(name), .. terms.SelectMany(t => t)])];

    /// <summary>Name (_UID, ...)</summary>
    public static byte[] Named(string name, byte[] value) => [NameOp, .. Name(name), .. value];

    /// <summary>Package () { ... }</summary>
    public static byte[] Package(params byte[][] elements) => [PackageOp, .. Sized([(byte)elements.Length, .. elements.SelectMany(e => e)])];

    public static byte[] Integer(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return value switch
        {
            0 => [ZeroOp],
            1 => [OneOp],
            <= byte.MaxValue => [BytePrefix, bytes[0]],
            <= ushort.MaxValue => [WordPrefix, bytes[0], bytes[1]],
            _ => [DWordPrefix, .. bytes],
        };
    }

    public static byte[] Text(string value) => [StringPrefix, .. Encoding.ASCII.GetBytes(value), 0];

    /// <summary>
    /// EisaId ("PNP0501"): three letters of five bits, then four hexadecimal digits, the most significant byte first (ACPI Specification, "ASL
    /// Macros": "EISAID").
    /// </summary>
    public static byte[] EisaId(string id)
    {
        uint letters = (uint)(id[0] - 0x40) << 10 | (uint)(id[1] - 0x40) << 5 | (uint)(id[2] - 0x40);
        return Integer(BinaryPrimitives.ReverseEndianness(letters << 16 | Convert.ToUInt32(id[3..], 16)));
    }

    /// <summary>ResourceTemplate () { ... }: a buffer with resource descriptors and their end tag, whose checksum 0 counts as right.</summary>
    public static byte[] Resources(params byte[][] descriptors)
    {
        byte[] all = [.. descriptors.SelectMany(d => d), 0x79, 0x00];
        return [BufferOp, .. Sized([.. Integer((uint)all.Length), .. all])];
    }

    /// <summary>IO (Decode16, first, first, 1, count)</summary>
    public static byte[] Ports(ushort first, byte count) => [0x47, 0x01, (byte)first, (byte)(first >> 8), (byte)first, (byte)(first >> 8), 1, count];

    /// <summary>IRQNoFlags () { line }: edge, active high, not shared.</summary>
    public static byte[] IsaIrq(int line) => [0x22, (byte)(1 << line), (byte)(1 << line >> 8)];

    /// <summary>Memory32Fixed (ReadWrite, start, length)</summary>
    public static byte[] FixedMemory(uint start, uint length)
    {
        var bytes = new byte[12];
        bytes[0] = 0x86;
        bytes[1] = 9;
        bytes[3] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), start);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), length);
        return bytes;
    }

    /// <summary>WordBusNumber (ResourceProducer, MinFixed, MaxFixed, ...)</summary>
    public static byte[] BusNumbers(ushort first, ushort last) => WordSpace(2, 0, first, last);

    /// <summary>WordIO (ResourceProducer, MinFixed, MaxFixed, EntireRange, ...)</summary>
    public static byte[] PortWindow(ushort first, ushort last) => WordSpace(1, 3, first, last);

    /// <summary>DWordMemory (ResourceProducer, MinFixed, MaxFixed, NonCacheable, ReadWrite, ...)</summary>
    public static byte[] MemoryWindow(uint first, uint last)
    {
        var bytes = new byte[26];
        ReadOnlySpan<byte> head = [0x87, 23, 0, 0, MinAndMaxFixed, 1];
        head.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(10), first);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(14), last);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(22), last - first + 1);
        return bytes;
    }

    private const byte MinAndMaxFixed = 0x0C;

    /// <summary>A Word Address Space Descriptor: granularity, minimum, maximum, translation, length.</summary>
    private static byte[] WordSpace(byte type, byte flags, ushort first, ushort last)
    {
        var bytes = new byte[16];
        ReadOnlySpan<byte> head = [0x88, 13, 0, type, MinAndMaxFixed, flags];
        head.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), first);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(10), last);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(14), (ushort)(last - first + 1));
        return bytes;
    }

    /// <summary>A name of one segment, with a backslash before it where it is counted from the root. Segments have four characters.</summary>
    private static byte[] Name(string name)
    {
        byte[] segment = Encoding.ASCII.GetBytes(name.TrimStart('\\').PadRight(4, '_'));
        return name[0] == '\\' ? [RootChar, .. segment] : segment;
    }

    /// <summary>PkgLength, which counts itself, before what it counts: 6 bits in one byte, or 4 bits and up to three bytes more.</summary>
    private static byte[] Sized(byte[] contents)
    {
        if (contents.Length + 1 < 1 << 6)
            return [(byte)(contents.Length + 1), .. contents];
        int more = contents.Length + 2 < 1 << 12 ? 1 : 2;
        int length = contents.Length + 1 + more;
        var head = new byte[1 + more];
        head[0] = (byte)(more << 6 | length & 0xF);
        for (int i = 0; i < more; i++)
            head[1 + i] = (byte)(length >> (4 + 8 * i));
        return [.. head, .. contents];
    }
}
