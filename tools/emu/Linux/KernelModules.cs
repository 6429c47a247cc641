using System.Text;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>A module that /init loads, and its file.</summary>
public sealed record KernelModule(string Name, byte[] Data);

/// <summary>
/// Modules of the kernel's own package: those that the user names, and the drivers of the machine's disks, which Debian's kernels do not hold in themselves; each behind
/// those that it depends on.
/// </summary>
public sealed class KernelModules
{
    /// <summary>The driver, and the layer that makes block devices of what it drives.</summary>
    private static readonly string[] VirtioDrivers = ["virtio_pci", "virtio_blk"];
    private static readonly string[] IdeDrivers = ["ata_piix", "sd_mod"];

    /// <summary>In the section .modinfo: names with commas between them, and a zero.</summary>
    private static readonly byte[] Depends = "\0depends="u8.ToArray();

    private readonly Dictionary<string, string> _files = [];
    private readonly List<KernelModule> _modules = [];
    private readonly string _folder;

    /// <summary>Modules of a kernel PACKAGE/boot/vmlinuz-VERSION lie below PACKAGE/lib/modules/VERSION.</summary>
    public KernelModules(string kernel)
    {
        string name = Path.GetFileName(kernel);
        int dash = name.IndexOf('-', StringComparison.Ordinal);
        _folder = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(kernel)) ?? "", "..", "lib", "modules", name[(dash + 1)..]));
        if (dash < 0 || !Directory.Exists(_folder))
            return;
        foreach (string file in Directory.EnumerateFiles(_folder, "*.ko", SearchOption.AllDirectories))
            _files[Canonical(Path.GetFileNameWithoutExtension(file))] = file;
    }

    /// <summary>What was added, in the order in which it can be loaded.</summary>
    public IReadOnlyList<KernelModule> Modules => _modules;

    /// <summary>The block devices for which /init waits.</summary>
    public List<string> Devices { get; } = [];

    /// <summary>Adds a module that the user names.</summary>
    /// <exception cref="UsageException">The kernel's package has no such module.</exception>
    public void Add(string name)
    {
        if (!_files.ContainsKey(Canonical(name)))
            throw new UsageException($"there is no module {name} below {_folder}", "--module", "name a module of the kernel's package, without its folder and .ko");
        AddWithDependencies(Canonical(name));
    }

    /// <summary>Adds the drivers of the disks, where the kernel has them as modules; else it has them in itself, or none.</summary>
    public void AddDrivers(IReadOnlyList<DiskOptions> disks)
    {
        AddDrivers(VirtioDrivers, "vd", disks.Count(d => d.Interface == DiskInterface.Virtio));
        AddDrivers(IdeDrivers, "sd", disks.Count(d => d.Interface == DiskInterface.Ide));
    }

    private void AddDrivers(string[] drivers, string device, int count)
    {
        if (count == 0)
            return;
        foreach (string driver in drivers.Where(_files.ContainsKey))
            AddWithDependencies(driver);
        for (int i = 0; i < count; i++)
            Devices.Add($"{device}{(char)('a' + i)}");
    }

    private void AddWithDependencies(string name)
    {
        if (_modules.Exists(m => m.Name == name) || !_files.TryGetValue(name, out string? file))
            return;
        byte[] data = File.ReadAllBytes(file);
        foreach (string needed in DependenciesOf(data))
            AddWithDependencies(Canonical(needed));
        _modules.Add(new KernelModule(name, data));
    }

    /// <summary>The names in a module's "depends=".</summary>
    public static string[] DependenciesOf(ReadOnlySpan<byte> module)
    {
        int at = module.IndexOf(Depends);
        if (at < 0)
            return [];
        ReadOnlySpan<byte> names = module[(at + Depends.Length)..];
        int end = names.IndexOf((byte)0);
        return end <= 0 ? [] : Encoding.ASCII.GetString(names[..end]).Split(',');
    }

    /// <summary>The kernel takes a hyphen in a module's name for an underscore.</summary>
    private static string Canonical(string name) => name.Replace('-', '_');
}
