using System.ComponentModel;
using System.Diagnostics;

namespace Emu.Differ.Privileged;

/// <summary>Runs another emulator as a process.</summary>
internal static class WholeMachine
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(300);

    /// <summary>What the serial port of a machine run in this directory wrote.</summary>
    public static string Serial(string directory)
    {
        string file = Path.Combine(directory, "serial.out");
        return File.Exists(file) ? File.ReadAllText(file) : "";
    }

    /// <summary>Its standard output; null when the program is not there.</summary>
    public static string? Run(string program, IEnumerable<string> arguments, string? directory = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = directory ?? "",
        };
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(_patience))
                process.Kill(entireProcessTree: true);
            _ = error.Result;
            return output.Result;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
