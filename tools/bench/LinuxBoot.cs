using System.Globalization;

namespace Emu.Bench;

/// <summary>
/// Debian's cloud kernel on two CPUs, from process start to the first command of /init and the end of the machine: CPU time of Emu and of QEMU TCG with the same kernel,
/// initial RAM disk and command line, in turn. <c>emu linux</c> obtains the kernel, and says what it boots.
/// </summary>
internal static class LinuxBoot
{
    /// <summary>Most times QEMU's CPU time, and with --check most times Emu's own.</summary>
    private const double Target = 1.5, CheckTarget = 3;

    public static int Print(string emu, string? qemu, int runs)
    {
        string folder = Directory.CreateTempSubdirectory("emu-bench-linux-").FullName;
        try
        {
            ChildResult export = ChildProcess.Run(emu, ["linux", "--run", "true", "--export", folder]);
            if (export.ExitCode != 0)
            {
                Console.Error.WriteLine(export.Output.Trim());
                return 2;
            }
            return Print(emu, qemu, runs, folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static int Print(string emu, string? qemu, int runs, string folder)
    {
        string[] theirs = ["-accel", "tcg,thread=single", "-smp", "2", "-m", "256", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
            "-kernel", $"{folder}/vmlinuz", "-initrd", $"{folder}/initramfs", "-append", File.ReadAllText($"{folder}/cmdline").Trim()];
        var ours = new List<double>();
        var ratios = new List<double>();
        var checks = new List<double>();
        for (int i = 0; i < runs; i++)
        {
            ChildResult a = Check("emu", ChildProcess.Run(emu, ["linux", "--run", "true"]));
            ours.Add(a.CpuSeconds);
            string line = string.Create(CultureInfo.InvariantCulture, $"Emu {a.CpuSeconds:0.00} s CPU, peak {a.PeakBytes / 1048576.0:0} MiB");
            if (qemu != null)
            {
                ChildResult b = Check("qemu", ChildProcess.Run(qemu, theirs));
                ratios.Add(a.CpuSeconds / b.CpuSeconds);
                line += string.Create(CultureInfo.InvariantCulture, $"; QEMU TCG {b.CpuSeconds:0.00} s: {ratios[^1]:0.00} times");
            }
            checks.Add(Check("emu --check", ChildProcess.Run(emu, ["linux", "--check", "--run", "true"])).CpuSeconds / a.CpuSeconds);
            Console.WriteLine(line + string.Create(CultureInfo.InvariantCulture, $"; with --check {checks[^1]:0.00} times Emu without"));
        }
        string beside = qemu == null ? "qemu-system-x86_64 is not installed" : string.Create(CultureInfo.InvariantCulture, $"{Median(ratios):0.00} times QEMU's, target {Target}");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"median: {Median(ours):0.00} s CPU; {beside}; with --check {Median(checks):0.00} times Emu without, target {CheckTarget}"));
        return (qemu == null || Median(ratios) <= Target) && Median(checks) <= CheckTarget ? 0 : 1;
    }

    private static ChildResult Check(string what, ChildResult result) =>
        result.ExitCode == 0 ? result : throw new InvalidOperationException($"{what} ended with {result.ExitCode}: {result.Output.Trim()}");

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
