using System.CommandLine;
using System.Text;
using Emu.Boot;
using Emu.Machines;

namespace Emu.Cli;

/// <summary><c>emu linux</c>: boots Debian's kernel to a shell, or runs one command in it.</summary>
public static class LinuxCommand
{
    /// <summary>
    /// No search for another address; time from the TSC at its known frequency, and no measuring of it; no self-tests of the crypto API; a reset ends the machine, and so
    /// does a panic.
    /// </summary>
    internal const string CommandLine = "console=ttyS0 nokaslr tsc_early_khz=1000000 tsc=reliable lpj=4000000 cryptomgr.notests mitigations=off reboot=t panic=-1";

    /// <summary>Besides, for a command: nothing but its own output on the console.</summary>
    internal const string Quiet = "loglevel=1";

    public static Command Build(Terminal terminal)
    {
        var runOption = new Option<string>("--run") { HelpName = "COMMAND", Description = "Runs this by a shell in the guest, prints what it prints, and leaves with its exit status." };
        var append = new Option<string>("--append") { HelpName = "TEXT", Description = "More for the kernel's command line." };
        var kernel = new Option<string>("--kernel") { HelpName = "FILE", Description = "Another kernel, bzImage or vmlinux." };
        var busybox = new Option<string>("--busybox") { HelpName = "FILE", Description = "Another busybox; a static binary." };
        var flavour = new Option<string>("--flavour") { HelpName = "NAME", Description = "Debian's flavour of the kernel: cloud-amd64 (unless given) or amd64." };
        var module = new Option<string[]>("--module") { HelpName = "NAME", Description = "Loads a module of the kernel's package, and what it depends on; may be repeated. Those of the disks' drivers come by themselves." };
        var export = new Option<string>("--export")
        {
            HelpName = "DIRECTORY",
            Description = "Boots nothing; puts kernel, initramfs and command line there, and prints how QEMU boots the same.",
        };
        var machine = new MachineArguments(cpus: 2, memory: "256M", profile: "coherent");
        var console = new ConsoleArguments(always: true);
        var devices = new DeviceArguments();
        var state = new StateArguments();
        var check = new CheckArguments();
        var broken = new BreakArguments();
        Option<bool> json = JsonOutput.Option();
        var coherentBoot = new Option<bool>("--coherent-boot") { Description = "Boots under the profile coherent, at full speed; --profile rules from where the command of --run begins." };
        var command = new Command("linux", "Boots Debian's Linux on two CPUs to a shell; obtains kernel and busybox by itself.") { runOption, append, kernel, busybox, flavour, module, export };
        machine.AddTo(command);
        console.AddTo(command);
        devices.AddTo(command);
        state.AddTo(command);
        check.AddTo(command);
        broken.AddTo(command);
        command.Add(json);
        command.Add(coherentBoot);
        command.SetAction(parsed =>
        {
            MachineOptions options = devices.Read(parsed, check.Read(parsed, machine.Read(parsed)));
            var observed = new ObserverSettings(options.Check != null, broken.Read(parsed));
            ConsoleSettings settings = console.Read(parsed) with { Snapshot = state.Snapshot(parsed) };
            string? script = parsed.GetValue(runOption);
            string path = parsed.GetValue(kernel) ?? LinuxFiles.Kernel(parsed.GetValue(flavour) ?? LinuxFiles.SmallFlavour, terminal);
            BootImage image = BootImage.OpenFile(path);
            ReadOnlyMemory<byte> shell = BootImage.ReadFile(parsed.GetValue(busybox) ?? LinuxFiles.Busybox(terminal));
            var modules = new KernelModules(path);
            modules.AddDrivers(options.Disks);
            Array.ForEach(parsed.GetValue(module) ?? [], modules.Add);
            var ramdisk = new BootModule("initramfs", Initramfs.Build(shell.Span, script, modules), "");
            string line = string.Join(' ', new[] { CommandLine, script == null ? "" : Quiet, parsed.GetValue(append) ?? "" }.Where(t => t.Length != 0));
            if (parsed.GetValue(export) is { } directory)
                return Export(terminal, directory, path, ramdisk, line, options);
            bool late = parsed.GetValue(coherentBoot);
            if (late && (script == null || options.Profile.IsCoherent))
                throw new UsageException(script == null ? "there is no command behind which another profile could begin" : "the profile is coherent anyway", "--coherent-boot", "give --run COMMAND, and --profile");
            var setting = new LinuxSetting(image, ramdisk, line, options, observed, late);
            bool asJson = parsed.GetValue(json);
            return script == null ? Boot(terminal, setting, settings, devices.Settings(parsed), asJson) : Run(terminal, setting, script, settings with { Connect = false }, asJson);
        });
        return command.WithExamples(
            ("emu linux", "Debian's kernel on two CPUs, to a shell; Ctrl-A x leaves"),
            ("emu linux --run 'uname -a; nproc'", "one command in the guest; the exit status is the command's"),
            ("emu linux --cpus 8 --memory 1G --append 'nosmap'", "more CPUs, more memory, more for the kernel"),
            ("emu linux --check --run 'sysctl -w kernel.sched_schedstats=1'", "Linux patches 76 sites of its own code; what it ran for that, and who executed them when"),
            ("emu linux --check --break text_poke_bp_batch:on_each_cpu_cond_mask --run 'sysctl -w kernel.sched_schedstats=1'", "the same without its rounds of IPIs: must be reported"),
            ("emu linux --disk disk.img --run 'cat /dev/vda'", "a disk, with Linux's driver; what is written stays in memory unless it is --disk disk.img,write"),
            ("emu linux --profile p6 --run 'sysctl -w kernel.sched_schedstats=1'", "Linux patches its own code on CPUs that fetch ahead"));
    }

    private static int Export(Terminal terminal, string directory, string kernel, BootModule ramdisk, string commandLine, MachineOptions options)
    {
        try
        {
            Directory.CreateDirectory(directory);
            File.Copy(kernel, Path.Combine(directory, "vmlinuz"), overwrite: true);
            File.WriteAllBytes(Path.Combine(directory, "initramfs"), ramdisk.Data.Span);
            File.WriteAllText(Path.Combine(directory, "cmdline"), commandLine + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{directory} cannot be written: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}", "--export", "name a folder that may be written to");
        }
        string quoted = Program.Quote(directory);
        terminal.Out.WriteLine($"qemu-system-x86_64 -accel tcg,thread=single -smp {options.CpuCount} -m {options.MemorySize >> 20} -display none -serial stdio -monitor none -no-reboot " +
            $"-kernel {quoted}/vmlinuz -initrd {quoted}/initramfs -append \"$(cat {quoted}/cmdline)\"");
        return ExitCode.Success;
    }

    private static int Boot(Terminal terminal, LinuxSetting setting, ConsoleSettings settings, DeviceSettings devices, bool json)
    {
        using var run = new LinuxRun(setting);
        using var watch = new DeviceWatch(run.Machine, terminal, devices);
        RunResult result = run.Boot(terminal, settings, json ? _ => { } : terminal.GuestByte);
        if (!json)
            watch.Write(terminal);
        return Report(terminal, setting, run, result, null, json);
    }

    /// <summary>Prints what the command prints; when it does not come to its end, all that the console had to say, and why.</summary>
    private static int Run(Terminal terminal, LinuxSetting setting, string command, ConsoleSettings settings, bool json)
    {
        using var run = new LinuxRun(setting);
        var output = new StringBuilder();
        RunResult result = run.Run(terminal, command, settings, json ? b => output.Append((char)b) : terminal.GuestByte);
        if (json || setting.Observed.IsWanted)
            return Report(terminal, setting, run, result, output.ToString(), json);
        terminal.Flush();
        if (run.HasEnded)
            return result.ExitCode;
        terminal.EnsureLineStart();
        throw new LinuxException($"the command did not come to its end: {result.Message}", ExitCode.Of(result));
    }

    private static int Report(Terminal terminal, LinuxSetting setting, LinuxRun run, RunResult result, string? output, bool json)
    {
        if (run.Observer?.Problem is { } problem)
            throw problem;
        var report = new BootReport(run.Machine, setting.Image.Name, run.Observer?.Symbols ?? setting.Image.Symbols, result, run.Time.TotalSeconds, run.Checker);
        PatchReport? patches = run.Observer == null ? null : new PatchReport(run.Observer, setting.Observed);
        if (json)
        {
            JsonOutput.Write(terminal, new LinuxJson(report.ToJson(run.Serial), output, setting.Observed.Count ? patches?.Functions() : null,
                setting.Observed.Count ? patches?.Sites() : null, run.Observer?.Broken ?? []), JsonShapes.Default.LinuxJson);
            return report.Code;
        }
        patches?.Write(terminal);
        report.Write(terminal);
        return report.Code;
    }
}

/// <summary>A command in the guest that did not end by itself; shown as one line.</summary>
internal sealed class LinuxException(string message, int exitCode) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
