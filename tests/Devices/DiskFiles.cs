using Emu.Devices;

namespace Emu.Tests.Devices;

/// <summary>Images of disks for a test: sector n is filled with the byte n + 1, and begins with its number.</summary>
internal sealed class DiskFiles : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("emu-disk-");
    private readonly List<DiskImage> _open = [];

    public string Make(int sectors, string name = "disk.img")
    {
        string path = At(name);
        if (!File.Exists(path))
            File.WriteAllBytes(path, [.. Enumerable.Range(0, sectors).SelectMany(n => Sector(n))]);
        return path;
    }

    public string At(string name) => Path.Combine(_folder.FullName, name);

    public static byte[] Sector(int number)
    {
        byte[] sector = new byte[DiskImage.SectorSize];
        Array.Fill(sector, (byte)(number + 1));
        BitConverter.TryWriteBytes(sector, number);
        return sector;
    }

    public DiskImage Open(string path, bool writable = false)
    {
        DiskImage image = DiskImage.Open(path, writable);
        _open.Add(image);
        return image;
    }

    public void Dispose()
    {
        foreach (DiskImage image in _open)
            image.Dispose();
        _folder.Delete(recursive: true);
    }
}
