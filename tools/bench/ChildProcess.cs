using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Emu.Bench;

/// <summary>What a finished program used, as the operating system accounts for it.</summary>
/// <param name="CpuSeconds">User and system time of the process and its children.</param>
/// <param name="PeakBytes">Largest resident set of any child so far.</param>
internal sealed record ChildResult(double CpuSeconds, double WallSeconds, long PeakBytes, int ExitCode, string Output);

/// <summary>Runs a program to its end and measures it from outside.</summary>
internal static partial class ChildProcess
{
    private const int RusageChildren = -1;

    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct Rusage
    {
        public long UserSeconds, UserMicroseconds, SystemSeconds, SystemMicroseconds;
        public long MaxResidentKilobytes;
        public fixed long Rest[13];
    }

    public static ChildResult Run(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (string a in arguments)
            start.ArgumentList.Add(a);
        double before = ChildCpuSeconds(out _);
        var clock = Stopwatch.StartNew();
        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        double wall = clock.Elapsed.TotalSeconds;
        double cpu = ChildCpuSeconds(out long peak) - before;
        return new ChildResult(cpu, wall, peak, process.ExitCode, output);
    }

    /// <summary>Full path of a program that stands in PATH, or null.</summary>
    public static string? Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(d => Path.Combine(d, name)).FirstOrDefault(File.Exists);

    private static double ChildCpuSeconds(out long peakBytes)
    {
        if (GetRusage(RusageChildren, out Rusage u) != 0)
            throw new InvalidOperationException("getrusage failed");
        peakBytes = u.MaxResidentKilobytes * 1024;
        return u.UserSeconds + u.SystemSeconds + (u.UserMicroseconds + u.SystemMicroseconds) * 1e-6;
    }

    [LibraryImport("libc", EntryPoint = "getrusage")]
    private static partial int GetRusage(int who, out Rusage usage);
}
