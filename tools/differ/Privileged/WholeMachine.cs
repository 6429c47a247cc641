using System.ComponentModel;
using System.Diagnostics;

namespace Emu.Differ.Privileged;

/// <summary>Runs another emulator as a process.</summary>
internal static class WholeMachine
{
    /// <summary>A machine from whose serial port nothing has come for so long hangs, and is ended.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(60);

    /// <summary>What the serial port of a machine run in this directory wrote.</summary>
    public static string Serial(string directory)
    {
        string file = PathOfSerial(directory);
        return File.Exists(file) ? File.ReadAllText(file) : "";
    }

    private static string PathOfSerial(string directory) => Path.Combine(directory, "serial.out");

    /// <summary>Runs it until it ends or hangs; false when the program is not there.</summary>
    public static bool Run(string program, IEnumerable<string> arguments, string directory)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = directory,
        };
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
            var serial = new FileInfo(PathOfSerial(directory));
            long length = -1;
            var silence = Stopwatch.StartNew();
            while (!process.WaitForExit(TimeSpan.FromSeconds(1)))
            {
                serial.Refresh();
                if (serial.Exists && serial.Length != length)
                {
                    length = serial.Length;
                    silence.Restart();
                }
                else if (silence.Elapsed > _patience)
                {
                    process.Kill(entireProcessTree: true);
                }
            }
            Task.WaitAll(output, error);
            return true;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }
}
