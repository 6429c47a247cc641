using System.Buffers.Binary;

namespace Emu.Tests.Boot;

/// <summary>Writes small bzImages, right or wrong at will: one setup sector, the setup header, and code.</summary>
internal sealed class LinuxImage
{
    public ushort Version { get; set; } = 0x020F;
    public byte LoadFlags { get; set; } = 1;
    public byte SetupSectors { get; set; } = 1;
    public byte HeaderLength { get; set; } = 0x6A;
    public ushort ExtendedLoadFlags { get; set; } = 1;
    public uint CommandLineSize { get; set; } = 2047;
    public uint RamdiskMaximum { get; set; } = 0x7FFF_FFFF;
    public bool Relocatable { get; set; } = true;
    public ulong PreferredAddress { get; set; } = 0x20_0000;
    public uint InitSize { get; set; } = 0x10_0000;

    /// <summary>What lies at the load address, 0x100000; the 64-bit entry is 0x200 behind.</summary>
    public byte[] Code { get; set; } = [0xF4, .. new byte[0x1FF], 0xFA, 0xF4];

    public byte[] Build()
    {
        var file = new byte[(SetupSectors + 1) * 512 + Code.Length];
        file[0x1F1] = SetupSectors;
        file[0x1FE] = 0x55;
        file[0x1FF] = 0xAA;
        file[0x200] = 0xEB;
        file[0x201] = HeaderLength;
        "HdrS"u8.CopyTo(file.AsSpan(0x202));
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x206), Version);
        file[0x211] = LoadFlags;
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(0x22C), RamdiskMaximum);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(0x230), 0x20_0000);
        file[0x234] = (byte)(Relocatable ? 1 : 0);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x236), ExtendedLoadFlags);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(0x238), CommandLineSize);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(0x258), PreferredAddress);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(0x260), InitSize);
        Code.CopyTo(file, (SetupSectors + 1) * 512);
        return file;
    }
}
