using System.Buffers.Binary;
using Emu.Interrupts;

namespace Emu.Devices;

/// <summary>A disk at an ATA channel: its image, its geometry, and what it says of itself.</summary>
internal sealed class IdeDisk(DiskImage image) : ISnapshotted
{
    /// <summary>Most sectors of a block of READ MULTIPLE.</summary>
    public const int MaximumMultiple = 16;

    private const int Heads = 16;
    private const int SectorsPerTrack = 63;

    /// <summary>What IDENTIFY's cylinder word can say at most: beyond it software uses LBA.</summary>
    private const ulong MaximumCylinders = 16383;

    public DiskImage Image => image;

    /// <summary>Sectors of a block of READ and WRITE MULTIPLE; 0 until SET MULTIPLE MODE.</summary>
    public int Multiple { get; private set; }

    /// <summary>Sectors count from 1; sector 0 is nowhere.</summary>
    public static ulong SectorOf(ulong cylinder, ulong head, ulong sector) => sector == 0 ? ulong.MaxValue : (cylinder * Heads + head) * SectorsPerTrack + sector - 1;

    /// <summary>A power of two up to <see cref="MaximumMultiple"/>; 0 switches the mode off.</summary>
    public bool TrySetMultiple(int sectors)
    {
        if (sectors > MaximumMultiple || (sectors & (sectors - 1)) != 0)
            return false;
        Multiple = sectors;
        return true;
    }

    /// <summary>IDENTIFY DEVICE: 256 words (ATA/ATAPI-6, "IDENTIFY DEVICE").</summary>
    public void Identify(Span<byte> data)
    {
        data = data[..DiskImage.SectorSize];
        data.Clear();
        ulong cylinders = Math.Min(image.SectorCount / (Heads * SectorsPerTrack), MaximumCylinders);
        ulong sectors28 = Math.Min(image.SectorCount, (1 << 28) - 1);
        // Not removable; the geometry.
        Put(data, 0, 0x0040);
        Put(data, 1, (ushort)cylinders);
        Put(data, 3, Heads);
        Put(data, 6, SectorsPerTrack);
        Text(data, 10, 20, "EMU00001");
        Text(data, 23, 8, "1.0");
        Text(data, 27, 40, "Emu disk");
        Put(data, 47, 0x8000 | MaximumMultiple);
        // LBA, IORDY; no DMA.
        Put(data, 49, 0x0A00);
        Put(data, 50, 0x4000);
        // Words 54-58 and 64-70 are valid; PIO mode 4 at 120 ns.
        Put(data, 53, 0x0003);
        Put(data, 54, (ushort)cylinders);
        Put(data, 55, Heads);
        Put(data, 56, SectorsPerTrack);
        Put32(data, 57, (uint)(cylinders * Heads * SectorsPerTrack));
        Put(data, 59, (ushort)(Multiple == 0 ? 0 : 0x0100 | Multiple));
        Put32(data, 60, (uint)sectors28);
        Put(data, 64, 0x0003);
        Put(data, 67, 120);
        Put(data, 68, 120);
        // ATA-4 to ATA-6. Supported, and enabled: write cache, look-ahead, NOP; FLUSH CACHE (EXT), 48-bit addresses.
        Put(data, 80, 0x0070);
        Put(data, 82, 0x0060);
        Put(data, 83, 0x7400);
        Put(data, 84, 0x4000);
        Put(data, 85, 0x0060);
        Put(data, 86, 0x3400);
        Put(data, 87, 0x4000);
        // The result of the hardware reset, as device 0.
        Put(data, 93, 0x6001);
        BinaryPrimitives.WriteUInt64LittleEndian(data[200..], image.SectorCount);
        // Signature and checksum: all bytes add up to 0.
        data[510] = 0xA5;
        int sum = 0;
        foreach (byte b in data[..511])
            sum += b;
        data[511] = (byte)-sum;
    }

    public void Save(BinaryWriter writer) => writer.Write(Multiple);

    public void Restore(BinaryReader reader) => Multiple = reader.ReadInt32();

    private static void Put(Span<byte> data, int word, int value) => BinaryPrimitives.WriteUInt16LittleEndian(data[(2 * word)..], (ushort)value);

    private static void Put32(Span<byte> data, int word, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(data[(2 * word)..], value);

    /// <summary>Text stands with the bytes of each word exchanged, padded with blanks.</summary>
    private static void Text(Span<byte> data, int word, int length, string text)
    {
        text = text.PadRight(length);
        for (int i = 0; i < length; i++)
            data[2 * word + (i ^ 1)] = (byte)text[i];
    }
}

/// <summary>
/// The PCI face of the channel: an Intel PIIX3's IDE function, in compatibility mode, so that drivers which look for a PCI function find the channel. Only identity and
/// the decode enables are there; no bus mastering.
/// </summary>
internal sealed class IdeFunction : PciFunction
{
    /// <summary>IDETIM of the two channels: bit 15 is IDE Decode Enable.</summary>
    private const int PrimaryTiming = 0x40;
    private const ushort DecodeEnable = 0x8000;
    private const int IoSpace = 1;

    public IdeFunction()
        : base(new PciIdentity(0x8086, 0x7010, 0, PciClass.Ide))
    {
        Put16(PrimaryTiming, DecodeEnable);
        MakeWritable(PrimaryTiming, 2, 0x73FF);
        Put16(0x04, IoSpace);
    }
}
