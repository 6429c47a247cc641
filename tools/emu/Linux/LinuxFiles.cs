using System.Diagnostics;

namespace Emu.Cli;

/// <summary>Debian's kernel and busybox: named by the user, or obtained by <c>tools/emu/obtain-package.sh</c> into .cache/packages.</summary>
internal static class LinuxFiles
{
    private const string Script = "tools/emu/obtain-package.sh";

    /// <summary>The flavour that is booted unless another one is asked for.</summary>
    public const string SmallFlavour = "cloud-amd64";

    /// <summary>The kernel image of a Debian flavour.</summary>
    /// <exception cref="UsageException">It cannot be had.</exception>
    public static string Kernel(string flavour, Terminal terminal)
    {
        string directory = Obtain($"linux-image-{flavour}", "-", terminal);
        string? file = Directory.Exists(Path.Combine(directory, "boot")) ? Directory.GetFiles(Path.Combine(directory, "boot"), "vmlinuz-*").Order(StringComparer.Ordinal).LastOrDefault() : null;
        return file ?? throw new UsageException($"there is no boot/vmlinuz-* in {directory}", $"linux-image-{flavour}", "remove that directory, so that it is obtained again");
    }

    /// <summary>A static busybox.</summary>
    /// <exception cref="UsageException">It cannot be had.</exception>
    public static string Busybox(Terminal terminal)
    {
        string directory = Obtain("busybox-static", "", terminal);
        foreach (string path in (string[])["bin/busybox", "usr/bin/busybox"])
            if (File.Exists(Path.Combine(directory, path)))
                return Path.Combine(directory, path);
        throw new UsageException($"there is no bin/busybox in {directory}", "busybox-static", "remove that directory, so that it is obtained again");
    }

    private static string Obtain(string package, string follow, Terminal terminal)
    {
        string script = Find() ?? throw new UsageException($"{Script} is not here, nor above here or the program", package, "run emu inside a clone of its repository, or give --kernel and --busybox");
        string cached = Path.Combine(Path.GetDirectoryName(script)!, "..", "..", ".cache", "packages", package);
        if (File.Exists(Path.Combine(cached, ".complete")))
            return Path.GetFullPath(cached);
        terminal.Error.WriteLine($"emu: obtaining Debian's {package}");
        string output;
        int code;
        try
        {
            using Process process = Process.Start(new ProcessStartInfo("sh", [script, package, .. follow.Length == 0 ? Array.Empty<string>() : [follow]]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Task<string> error = process.StandardError.ReadToEndAsync();
            output = process.StandardOutput.ReadToEnd() + error.Result;
            process.WaitForExit();
            code = process.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            (code, output) = (1, $"sh: {e.Message}");
        }
        string last = output.TrimEnd().Split('\n')[^1];
        return code == 0 ? last : throw new UsageException($"Debian's package cannot be had: {last}", package, "mend the package source, or give --kernel and --busybox");
    }

    private static string? Find()
    {
        foreach (string start in (string[])[Environment.CurrentDirectory, AppContext.BaseDirectory])
            for (DirectoryInfo? d = new(start); d != null; d = d.Parent)
                if (File.Exists(Path.Combine(d.FullName, Script)))
                    return Path.Combine(d.FullName, Script);
        return null;
    }
}
