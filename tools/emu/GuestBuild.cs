using System.Diagnostics;

namespace Emu.Cli;

/// <summary>Builds the guest of a checkout when its sources are newer than the image.</summary>
internal static class GuestBuild
{
    private static readonly string[] Sources = [".c", ".S", ".h", ".lds", ".awk"];

    /// <summary>Does nothing outside of a checkout, or when nothing is newer, unless it is forced.</summary>
    /// <exception cref="UsageException">The guest does not compile, or cannot.</exception>
    public static void Refresh(Terminal terminal, string imagePath, bool force)
    {
        string guest = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(imagePath))!, "..", "guest"));
        if (!File.Exists(Path.Combine(guest, "Makefile")))
        {
            if (force)
                throw new UsageException($"there are no sources in {guest}", "--build", "run emu inside a clone of its repository");
            return;
        }
        if (!force && !IsNewer(guest, File.GetLastWriteTimeUtc(imagePath)))
            return;
        if (terminal.IsInteractive)
            terminal.Error.WriteLine($"emu: sources are newer than {Path.GetFileName(imagePath)}: make -C guest");
        Make(guest, force);
    }

    private static bool IsNewer(string guest, DateTime image) =>
        new[] { "arch", "boot", "kernel", "include", "protocols", "" }.SelectMany(d => Directory.EnumerateFiles(Path.Combine(guest, d)))
            .Any(f => Sources.Contains(Path.GetExtension(f)) && File.GetLastWriteTimeUtc(f) > image);

    private static void Make(string guest, bool force)
    {
        try
        {
            using Process make = Process.Start(new ProcessStartInfo("make", ["-C", guest]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Task<string> output = make.StandardOutput.ReadToEndAsync();
            string errors = make.StandardError.ReadToEnd();
            make.WaitForExit();
            output.Wait();
            if (make.ExitCode == 0)
                return;
            string first = errors.Split('\n').FirstOrDefault(l => l.Contains("error", StringComparison.Ordinal)) ?? errors.Split('\n')[0];
            throw new UsageException($"the guest does not compile: {first.Trim()}", "make -C guest", "mend it, or name another --image");
        }
        catch (System.ComponentModel.Win32Exception) when (!force)
        {
            // Without a compiler the image that is there has to do.
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new UsageException($"make cannot be started: {e.Message}", "--build", "install make and gcc, or leave the option out");
        }
    }
}
