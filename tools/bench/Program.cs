using System.CommandLine;
using System.Globalization;
using BenchmarkDotNet.Running;
using Emu.Bench;

// What the project measures of itself:
//   bench compare    the bench guest in Emu and, where installed, in QEMU
//   bench start      emu boot from process start to the guest's last line
//   bench modelled   the guest kernel on four CPUs under p6, with store buffers: MIPS over all CPUs
//   bench explore    explored events per second, on one thread and on two
//   bench check      what emu boot --check costs
//   bench linux      Debian's kernel to its first command, in Emu and, where installed, in QEMU
//   bench snapshot   snapshot and restore, by BenchmarkDotNet
var kernels = new Option<string[]>("--kernel") { Description = "only these kernels", AllowMultipleArgumentsPerToken = true };
var runs = new Option<int>("--runs") { Description = "runs of each pair", DefaultValueFactory = _ => 3 };

var compare = new Command("compare", "the bench guest in Emu and in QEMU: rates by CPU time, and their ratios") { kernels, runs };
compare.SetAction(p => new Comparison(Programs.Emu, ChildProcess.Find("qemu-system-x86_64"), Programs.Image("bench.elf"), p.GetValue(runs)).Print(p.GetValue(kernels) ?? []));

var start = new Command("start", "emu boot with the default image: seconds from process start to its end, and peak memory") { runs };
start.SetAction(p =>
{
    for (int i = 0; i < p.GetValue(runs); i++)
    {
        ChildResult r = ChildProcess.Run(Programs.Emu, ["boot"]);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"exit {r.ExitCode}, {r.WallSeconds:0.00} s wall, {r.CpuSeconds:0.00} s CPU, peak {r.PeakBytes / 1048576.0:0} MiB"));
    }
    return 0;
});

var modelled = new Command("modelled", "the guest kernel on four CPUs under p6: instructions of all CPUs per second of CPU time, start-up taken off") { runs };
modelled.SetAction(p =>
{
    for (int i = 0; i < p.GetValue(runs); i++)
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Comparison.ModelledMips(Programs.Emu):0.0} MIPS"));
    return 0;
});

var explore = new Command("explore", "Linux's protocol on three CPUs under intel: explored events per second, on one thread and on two") { runs };
explore.SetAction(p =>
{
    Exploration.Print(Programs.Emu, p.GetValue(runs));
    return 0;
});

var check = new Command("check", "emu boot with --check against the same without: how many times the CPU time") { runs };
check.SetAction(p =>
{
    Exploration.PrintCheck(Programs.Emu, p.GetValue(runs));
    return 0;
});

var linux = new Command("linux", "Debian's kernel on two CPUs to the first command of /init, in Emu and in QEMU: CPU time, and peak memory with 256 MiB of RAM") { runs };
linux.SetAction(p => LinuxBoot.Print(Programs.Emu, ChildProcess.Find("qemu-system-x86_64"), p.GetValue(runs)));

var snapshot = new Command("snapshot", "snapshot and restore of 64 MiB of which 1 MiB changed");
snapshot.SetAction(_ =>
{
    BenchmarkRunner.Run<SnapshotBenchmark>();
    return 0;
});

return new RootCommand("Measures Emu.") { compare, start, modelled, explore, check, linux, snapshot }.Parse(args).Invoke();
