using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Emu.Differ.Unicorn;

/// <summary>The oracle is not there and could not be had; the message is one line that says why and how to mend it.</summary>
public sealed class OracleMissingException(string message) : Exception(message);

/// <summary>
/// Finds libunicorn.so.2: in the system, then in the repository's .cache directory; when it is in neither,
/// tools/differ/obtain-unicorn.sh puts it into the latter.
/// </summary>
public static class UnicornLibrary
{
    private const string FileName = "libunicorn.so.2";
    private static readonly Lazy<nint> s_handle = new(Load);

    /// <summary>The loaded library.</summary>
    /// <exception cref="OracleMissingException">It cannot be had.</exception>
    internal static nint Handle => s_handle.Value;

    /// <summary>Loads the library, obtaining it where needed, and returns its version.</summary>
    /// <exception cref="OracleMissingException">It cannot be had.</exception>
    public static string Require()
    {
        _ = Handle;
        uint version = Native.uc_version(out uint major, out uint minor);
        if (major != 2)
            throw new OracleMissingException($"{FileName} is Unicorn {major}.{minor}; the differ needs 2.x: install Debian's package libunicorn2");
        return $"{major}.{minor}.{version >> 8 & 0xFF}";
    }

    /// <summary>The directory that holds Emu.sln, or null when the program runs outside a clone.</summary>
    public static string? FindRepository()
    {
        foreach (string start in new[] { AppContext.BaseDirectory, Environment.CurrentDirectory })
            for (DirectoryInfo? d = new(start); d != null; d = d.Parent)
                if (File.Exists(Path.Combine(d.FullName, "Emu.sln")))
                    return d.FullName;
        return null;
    }

    private static nint Load()
    {
        if (NativeLibrary.TryLoad(FileName, out nint handle))
            return handle;
        string? repository = FindRepository()
            ?? throw new OracleMissingException($"{FileName} is not installed: run 'apt-get install libunicorn2'");
        if (TryLoadCached(repository, out handle))
            return handle;
        string failure = Obtain(Path.Combine(repository, "tools", "differ", "obtain-unicorn.sh"));
        if (TryLoadCached(repository, out handle))
            return handle;
        throw new OracleMissingException(
            $"{FileName} is neither installed nor obtainable ({failure}): run 'apt-get install libunicorn2' as root, or mend the package source and try again");
    }

    private static bool TryLoadCached(string repository, out nint handle)
    {
        handle = 0;
        string cache = Path.Combine(repository, ".cache", "unicorn");
        if (!Directory.Exists(cache))
            return false;
        foreach (string file in Directory.EnumerateFiles(cache, FileName, SearchOption.AllDirectories))
            if (NativeLibrary.TryLoad(file, out handle))
                return true;
        return false;
    }

    /// <summary>Runs the script; returns its last line, which says what went wrong when something did.</summary>
    private static string Obtain(string script)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo("/bin/sh", [script])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            string[] lines = (output + errors.Result).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            return lines.Length == 0 ? $"exit code {process.ExitCode}" : lines[^1];
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return $"cannot run {script}: {e.Message}";
        }
    }
}
