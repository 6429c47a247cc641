using System.Globalization;
using System.Text.RegularExpressions;

namespace Emu.Bench;

/// <summary>
/// The bench guest in Emu and in QEMU, whole programs in turn, by CPU time. What surrounds the work (start, boot, set-up) is measured with no
/// repetitions and taken off. Only ratios of one run mean anything on a machine that others use.
/// </summary>
internal sealed partial class Comparison(string emu, string? qemu, string image, int runs)
{
    /// <summary>Units of work per second of CPU time, and instructions where the emulator counted them.</summary>
    private readonly record struct Rate(double UnitsPerSecond, double InstructionsPerUnit);

    public int Print(IReadOnlyCollection<string> only)
    {
        Console.WriteLine(qemu == null ? "qemu-system-x86_64 is not installed: Emu alone" : "Rates by CPU time, the median of the runs; both in this one run.");
        Console.WriteLine();
        var ratios = new List<double>();
        var mips = new List<double>();
        int missed = 0;
        Console.WriteLine("| kernel | Emu | QEMU TCG | ratio | target |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach (Kernel k in Kernels.Compute.Concat(Kernels.Vectors).Concat(Kernels.Floating).Concat(Kernels.Events))
        {
            if (only.Count != 0 && !only.Contains(k.Name))
                continue;
            bool compute = Kernels.Compute.Contains(k);
            var pairs = Enumerable.Range(0, runs).Select(_ => (Emu: RunEmu(k), Qemu: qemu == null ? default : RunQemu(k))).ToList();
            Rate ours = Median(pairs.Select(p => p.Emu));
            double ratio = qemu == null ? double.NaN : Median(pairs.Select(p => p.Emu.UnitsPerSecond / p.Qemu.UnitsPerSecond));
            double theirs = qemu == null ? double.NaN : Median(pairs.Select(p => p.Qemu.UnitsPerSecond));
            string unit = compute ? "MIPS" : "M/s";
            double scale = compute ? ours.InstructionsPerUnit / 1e6 : 1e-6;
            if (compute)
            {
                ratios.Add(ratio);
                mips.Add(ours.UnitsPerSecond * scale);
            }
            bool met = k.Target == 0 || double.IsNaN(ratio) || ratio >= k.Target;
            missed += met ? 0 : 1;
            string target = k.Target == 0 ? "" : $"{k.Target}{(met ? "" : " missed")}";
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {k.Name} | {ours.UnitsPerSecond * scale:0.###} {unit} | {theirs * scale:0.###} {unit} | {ratio:0.00} | {target} |"));
        }
        if (ratios.Count == Kernels.Compute.Length)
        {
            double mean = GeometricMean(ratios);
            bool met = double.IsNaN(mean) || mean >= Kernels.GeometricMeanTarget;
            missed += met ? 0 : 1;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| geometric mean of the compute kernels | {GeometricMean(mips):0} MIPS | | {mean:0.00} | {Kernels.GeometricMeanTarget}{(met ? "" : " missed")} |"));
        }
        return missed == 0 ? 0 : 1;
    }

    /// <summary>Millions of instructions per second of CPU time under p6: a long run of the guest kernel less a short one.</summary>
    public static double ModelledMips(string emu)
    {
        static ChildResult Boot(string emu, int rounds) => ChildProcess.Run(emu, ["boot", "--profile", "p6", "--schedule", "round-robin", "--append", $"rounds={rounds}"]);
        ChildResult few = Boot(emu, 64);
        ChildResult many = Boot(emu, 20000);
        return (Instructions(many) - Instructions(few)) / (many.CpuSeconds - few.CpuSeconds) * 1e-6;
    }

    private Rate RunEmu(Kernel k)
    {
        ChildResult Once(int n) => ChildProcess.Run(emu, ["boot", image, "--cpus", $"{k.Cpus}", "--memory", "128M", "--profile", "coherent", "--append", $"kernel={k.Name} n={n}"]);
        ChildResult empty = Once(0);
        ChildResult full = Once(k.EmuRepetitions);
        double units = Units(full, k);
        double instructions = Instructions(full) - Instructions(empty);
        return new Rate(units / Math.Max(1e-3, full.CpuSeconds - empty.CpuSeconds), instructions / units);
    }

    private Rate RunQemu(Kernel k)
    {
        ChildResult Once(int n) => ChildProcess.Run(qemu!, ["-accel", "tcg,thread=single", "-smp", $"{k.Cpus}", "-m", "128", "-kernel", image, "-display", "none", "-serial", "stdio",
            "-monitor", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-append", $"kernel={k.Name} n={n}"]);
        ChildResult empty = Once(0);
        ChildResult full = Once(k.QemuRepetitions);
        return new Rate(Units(full, k) / Math.Max(1e-3, full.CpuSeconds - empty.CpuSeconds), 0);
    }

    private static double Units(ChildResult result, Kernel k)
    {
        Match m = UnitsPattern().Match(result.Output);
        if (!m.Success)
            throw new InvalidOperationException($"kernel {k.Name} gave no result: {result.Output.Trim()}");
        return double.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture);
    }

    private static double Instructions(ChildResult result)
    {
        Match m = InstructionsPattern().Match(result.Output);
        return m.Success ? double.Parse(m.Groups[1].Value.Replace(",", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) : 0;
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    private static Rate Median(IEnumerable<Rate> values)
    {
        Rate[] sorted = [.. values.OrderBy(r => r.UnitsPerSecond)];
        return sorted[sorted.Length / 2];
    }

    private static double GeometricMean(IEnumerable<double> values) => Math.Exp(values.Average(Math.Log));

    [GeneratedRegex(@"bench \S+ n=\d+ units=(\d+)")]
    private static partial Regex UnitsPattern();

    [GeneratedRegex(@"([\d,]+) instructions")]
    private static partial Regex InstructionsPattern();
}
