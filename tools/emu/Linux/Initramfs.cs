using System.Text;

namespace Emu.Cli;

/// <summary>
/// The file system in memory with which <c>emu linux</c> starts: busybox, /init, and what it is to run. /init leaves through the exit port, which it reaches by
/// /dev/port.
/// </summary>
internal static class Initramfs
{
    /// <summary>What /init prints, on a line of its own, right before the command; what comes behind it is the command's.</summary>
    public const string Marker = "@@emu:begin@@";

    /// <summary>Builds the archive.</summary>
    /// <param name="busybox">A static binary.</param>
    /// <param name="command">What a shell runs instead of a person; null for an interactive shell.</param>
    public static byte[] Build(ReadOnlySpan<byte> busybox, string? command)
    {
        var archive = new CpioArchive();
        foreach (string directory in (string[])["bin", "dev", "etc", "proc", "root", "sbin", "sys", "tmp"])
            archive.Directory(directory);
        archive.CharacterDevice("dev/console", 5, 1);
        archive.File("bin/busybox", busybox, executable: true);
        archive.Link("bin/sh", "busybox");
        archive.File("init", Encoding.UTF8.GetBytes(command == null ? Interactive : Scripted), executable: true);
        if (command != null)
            archive.File("command", Encoding.UTF8.GetBytes(command + "\n"));
        return archive.Build();
    }

    private const string Common = """
        #!/bin/busybox sh
        # leave STATUS: ends the machine through its exit port.
        leave() {
            printf "\\$(printf %o "$1")" | busybox dd of=/dev/port bs=1 seek=244 2>/dev/null
        }
        export PATH=/bin:/sbin HOME=/root
        busybox mount -t devtmpfs dev /dev
        busybox mount -t proc proc /proc
        busybox mount -t sysfs sysfs /sys
        busybox mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null

        """;

    /// <summary>The terminal passes bytes on as they are, so that what the command prints arrives unchanged.</summary>
    private const string Scripted = Common + $"""
        busybox stty -F /dev/console raw -echo
        echo {Marker}
        busybox sh /command </dev/null
        status=$?
        busybox stty -F /dev/console sane
        leave $status

        """;

    private const string Interactive = Common + """
        busybox --install -s /bin
        echo
        echo "Linux $(uname -r), $(nproc) CPUs. \"exit\" or Ctrl-A x leaves."
        busybox setsid busybox cttyhack sh
        leave 16

        """;
}
