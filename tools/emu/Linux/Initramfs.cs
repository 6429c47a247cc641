using System.Security.Cryptography;
using System.Text;

namespace Emu.Cli;

/// <summary>
/// The file system in memory with which <c>emu linux</c> starts: busybox, /init, and what it is to run. Debian's cloud kernel lets no program at the I/O ports, so that
/// a command's end is told on the console, in words that only /init knows.
/// </summary>
public static class Initramfs
{
    /// <summary>What /init prints right before the command; what comes behind it is the command's.</summary>
    public static string Begin(string command) => $"@@emu:{Token(command)}:begin@@\n";

    /// <summary>What it prints right behind the command's output; the exit status and "@@" follow.</summary>
    public static string End(string command) => $"@@emu:{Token(command)}:status=";

    /// <summary>Builds the archive without modules.</summary>
    public static byte[] Build(ReadOnlySpan<byte> busybox, string? command) => Build(busybox, command, modules: null);

    /// <summary>Builds the archive.</summary>
    /// <param name="busybox">A static binary.</param>
    /// <param name="command">What a shell runs instead of a person; null for an interactive shell.</param>
    /// <param name="modules">What /init loads, and the devices for which it waits then; null for none.</param>
    /// <param name="load">/init loads them; else they only lie in /modules, and the command does.</param>
    public static byte[] Build(ReadOnlySpan<byte> busybox, string? command, KernelModules? modules, bool load = true)
    {
        var archive = new CpioArchive();
        foreach (string directory in (string[])["bin", "dev", "etc", "proc", "root", "sbin", "sys", "tmp"])
            archive.Directory(directory);
        archive.CharacterDevice("dev/console", 5, 1);
        archive.File("bin/busybox", busybox, executable: true);
        archive.Link("bin/sh", "busybox");
        string start = Common + (modules == null ? "" : Load(archive, modules, load));
        archive.File("init", Encoding.UTF8.GetBytes(start + (command == null ? Interactive : Scripted(command))), executable: true);
        if (command != null)
            archive.File("command", Encoding.UTF8.GetBytes(command + "\n"));
        return archive.Build();
    }

    private const string Common = """
        #!/bin/busybox sh
        export PATH=/bin:/sbin HOME=/root
        busybox mount -t devtmpfs dev /dev
        busybox mount -t proc proc /proc
        busybox mount -t sysfs sysfs /sys
        busybox mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null

        """;

    /// <summary>Drivers look for their devices by and by, but not for longer than ten seconds of the guest's time.</summary>
    private static string Load(CpioArchive archive, KernelModules modules, bool load)
    {
        var script = new StringBuilder();
        if (modules.Modules.Count != 0)
            archive.Directory("modules");
        foreach (KernelModule module in modules.Modules)
        {
            archive.File($"modules/{module.Name}.ko", module.Data);
            if (load)
                script.Append($"busybox insmod /modules/{module.Name}.ko\n");
        }
        foreach (string device in modules.Devices)
            script.Append($"busybox timeout 10 busybox sh -c 'until [ -e /dev/{device} ]; do busybox sleep 0.05; done'\n");
        return script.ToString();
    }

    /// <summary>The terminal passes bytes on as they are, so that what the command prints arrives unchanged.</summary>
    private static string Scripted(string command) => $"""
        busybox stty -F /dev/console raw -echo
        printf '{Begin(command).Replace("\n", "\\n")}'
        busybox sh /command </dev/null
        printf '{End(command)}%d@@' $?
        busybox poweroff -f

        """;

    private const string Interactive = """
        busybox --install -s /bin
        echo
        echo "Linux $(uname -r), $(nproc) CPUs. \"exit\" or Ctrl-A x leaves."
        busybox setsid busybox cttyhack sh
        busybox poweroff -f

        """;

    /// <summary>The same for the same command, so that a run repeats.</summary>
    private static string Token(string command) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(command)))[..12];
}
