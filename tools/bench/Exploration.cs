using System.Globalization;
using System.Text.Json;

namespace Emu.Bench;

/// <summary>How fast interleavings are explored, and what the checker of cross-modifying code costs.</summary>
internal static class Exploration
{
    private const string Protocol = "text-poke-bp";

    /// <summary>
    /// Linux's protocol on three CPUs under intel, on one thread and on two in turn: explored events per second of the search. Two threads need two
    /// idle processors, which the CPU time tells: that which two threads take together is what one takes, if they do not hinder each other.
    /// </summary>
    public static void Print(string emu, int runs)
    {
        for (int i = 0; i < runs; i++)
        {
            (double one, double oneCpu) = Explore(emu, 1);
            (double two, double twoCpu) = Explore(emu, 2);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{Protocol}, 3 CPUs, intel: {one / 1e6:0.0} million events/s on one thread, {two / 1e6:0.0} on two: {two / one:0.00} times; CPU time for the same {twoCpu / oneCpu:0.00} times"));
        }
    }

    /// <summary>CPU time of boots with <c>--check</c> against the same without, whole programs in turn; the second is a worst case, for nothing is ever synchronised.</summary>
    public static void PrintCheck(string emu, int runs)
    {
        foreach (string profile in (string[])["coherent", "p6"])
            foreach (string append in (string[])["protocol=int3-ipi rounds=5000", "protocol=direct rounds=5000"])
                if (profile == "coherent" || append.Contains("ipi", StringComparison.Ordinal)) // Direct patches soon end in #GP under p6.
                    PrintRatio(emu, runs, profile, append);
    }

    private static void PrintRatio(string emu, int runs, string profile, string append)
    {
        double Boot(params string[] more) => ChildProcess.Run(emu, ["boot", "--profile", profile, "--append", append, .. more]).CpuSeconds;
        double[] ratios = [.. Enumerable.Range(0, runs).Select(_ => (Plain: Boot(), Checked: Boot("--check"))).Select(p => p.Checked / p.Plain).Order()];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"--profile {profile} --append \"{append}\": --check takes {ratios[ratios.Length / 2]:0.00} times the CPU time"));
    }

    /// <summary>Events per second, and CPU seconds of the whole program for a million events.</summary>
    private static (double EventsPerSecond, double CpuPerMillion) Explore(string emu, int threads)
    {
        ChildResult r = ChildProcess.Run(emu, ["prove", Protocol, "--cpus", "3", "--profile", "intel", "--threads", $"{threads}", "--json"]);
        using JsonDocument json = JsonDocument.Parse(r.Output);
        double events = json.RootElement.GetProperty("events").GetDouble();
        return (events / json.RootElement.GetProperty("seconds").GetDouble(), r.CpuSeconds / events * 1e6);
    }
}
