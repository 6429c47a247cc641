using System.Text;
using Emu.Cli;
using Emu.Machines;
using Xunit;

namespace Emu.Tests.Cli;

/// <summary>Which modules <c>emu linux</c> loads. That they drive the disks is a check of <c>tests/run</c>.</summary>
public sealed class KernelModulesTests : IDisposable
{
    private readonly DirectoryInfo _package = Directory.CreateTempSubdirectory("emu-kernel-");

    public void Dispose() => _package.Delete(recursive: true);

    [Fact]
    public void Disks_BringTheirDrivers_BehindWhatTheseDependOn()
    {
        Module("virtio");
        Module("virtio-ring");
        Module("virtio_pci", "virtio-ring,virtio");
        Module("virtio_blk", "virtio");
        var modules = new KernelModules(Kernel());
        modules.AddDrivers([new DiskOptions("a"), new DiskOptions("b"), new DiskOptions("c", DiskInterface.Ide)]);
        // The IDE driver is none of this package: the kernel may have it in itself.
        Assert.Equal(["virtio_ring", "virtio", "virtio_pci", "virtio_blk"], modules.Modules.Select(m => m.Name));
        Assert.Equal(["vda", "vdb", "sda"], modules.Devices);
        string init = Encoding.UTF8.GetString(Initramfs.Build("busybox"u8, "true", modules));
        Assert.Contains("insmod /modules/virtio_pci.ko\nbusybox insmod /modules/virtio_blk.ko\n", init, StringComparison.Ordinal);
        Assert.True(init.IndexOf("insmod", StringComparison.Ordinal) < init.IndexOf("/dev/sda", StringComparison.Ordinal));
    }

    [Fact]
    public void Named_ThatDependOnEachOther_AreLoadedOnce()
    {
        Module("test_static_keys", "test_static_key_base");
        Module("test_static_key_base");
        var modules = new KernelModules(Kernel());
        modules.Add("test_static_keys");
        modules.Add("test-static-key-base");
        Assert.Equal(["test_static_key_base", "test_static_keys"], modules.Modules.Select(m => m.Name));
    }

    [Fact]
    public void Named_ThatTheCommandLoads_OnlyLieThere()
    {
        Module("test_static_keys");
        var modules = new KernelModules(Kernel());
        modules.Add("test_static_keys");
        string archive = Encoding.UTF8.GetString(Initramfs.Build("busybox"u8, "true", modules, load: false));
        Assert.Contains("modules/test_static_keys.ko", archive, StringComparison.Ordinal);
        Assert.DoesNotContain("insmod", archive, StringComparison.Ordinal);
    }

    [Fact]
    public void Named_ThatIsNotThere_IsRefused()
    {
        Invocation run = Invocation.Of("linux", "--kernel", Kernel(), "--busybox", Kernel(), "--module", "floppy", "--run", "true");
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains("there is no module floppy below", run.Error, StringComparison.Ordinal);
    }

    /// <summary>A package's kernel; nothing boots it.</summary>
    private string Kernel()
    {
        string path = Path.Combine(_package.CreateSubdirectory("boot").FullName, "vmlinuz-6.1.0-1-amd64");
        File.WriteAllBytes(path, new Boot.LinuxImage { Code = [.. new byte[0x200], 0xF4] }.Build());
        return path;
    }

    private void Module(string name, string depends = "")
    {
        DirectoryInfo folder = _package.CreateSubdirectory("lib/modules/6.1.0-1-amd64/kernel/drivers");
        File.WriteAllText(Path.Combine(folder.FullName, name + ".ko"), $"ELF\0license=GPL\0depends={depends}\0name={name}\0");
    }
}
