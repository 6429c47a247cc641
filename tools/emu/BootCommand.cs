using System.CommandLine;
using System.Diagnostics;
using System.Text;
using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Machines;

namespace Emu.Cli;

/// <summary><c>emu boot</c>: boots an image, with its serial port on standard output.</summary>
public static class BootCommand
{
    public static Command Build(Terminal terminal)
    {
        var image = new Argument<string?>("IMAGE")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "A multiboot 1 kernel (ELF32 or ELF64); images/emu64.elf unless given, images/emu32.elf on a CPU without long mode.",
        };
        var machine = new MachineArguments();
        var check = new CheckArguments();
        var append = new Option<string>("--append") { HelpName = "TEXT", Description = "The kernel's command line." };
        var module = new Option<string[]>("--module") { HelpName = "FILE", Description = "A file for the kernel, \"FILE TEXT\" with a line of text; may be repeated." };
        var flat = new Option<string>("--flat")
        {
            HelpName = "ADDRESS",
            Description = "Take IMAGE as raw bytes, put them at ADDRESS below 1M (a boot sector: 0x7c00), and enter them there in real mode.",
        };
        var limit = new Option<string>("--max-instructions") { HelpName = "N", Description = "Stop after N instructions of all CPUs together: 500k, 10M." };
        var json = JsonOutput.Option();
        var command = new Command("boot", "Boots an image; ends as the guest says, see \"Exit codes\" in the README.") { image };
        machine.AddTo(command);
        check.AddTo(command);
        foreach (Option option in (Option[])[append, module, flat, limit, json])
            command.Add(option);
        command.SetAction(parsed =>
        {
            MachineOptions options = check.Read(parsed, machine.Read(parsed));
            string path = parsed.GetValue(image) ?? Files.ShippedImage(options.Model.Has(CpuFeature.LongMode) ? "emu64.elf" : "emu32.elf");
            BootImage kernel = Open(path, parsed.GetValue(flat));
            BootModule[] modules = [.. (parsed.GetValue(module) ?? []).Select(Module)];
            ulong most = MachineArguments.Instructions(parsed.GetValue(limit)) ?? ulong.MaxValue;
            return Run(terminal, kernel, modules, parsed.GetValue(append) ?? "", options, most, parsed.GetValue(json));
        });
        return command.WithExamples(
            ("emu boot", "the default kernel on four CPUs, patching itself by the protocol of the 2009 mail"),
            ("emu boot --append \"protocol=direct\"", "the mail's buggy scheme: dies of stale bytes, and says which"),
            ("emu boot --profile intel --append \"sync=mfence site=handler\"", "MFENCE instead of CPUID, where only a serialising instruction will do"),
            ("emu boot --cpu pentium3 --append \"sync=mfence\"", "the 32-bit kernel on a CPU that has no MFENCE"),
            ("emu boot --profile p6 --set int3-exempt=no --seed 7", "one field of a profile changed, another seed"),
            ("emu boot --check --append protocol=int3", "reports each execution of patched code that lacks a serialising instruction, however lucky the run"),
            ("emu boot --profile coherent --check=amd", "the same at full speed, by the rule of another profile"),
            ("emu boot kernel.elf --cpus 2 --memory 128M --module \"initrd.img ro\" --max-instructions 50M", "another kernel, with a module, for a while"));
    }

    private static BootImage Open(string path, string? flat)
    {
        if (flat == null)
            return BootImage.OpenFile(path);
        if (!Quantities.TryNumber(flat, out ulong address) || address > 0xF_FFF0)
            throw new UsageException($"\"{flat}\" is not an address below 1M", "--flat", "write, for example, 0x7c00");
        // As a boot sector is entered, 0000:7C00, where the offset reaches; above 64K in a segment of its own.
        ushort segment = address <= ushort.MaxValue ? (ushort)0 : (ushort)(address >> 4);
        ushort offset = (ushort)(address - ((ulong)segment << 4));
        return FlatBinary.Open(BootImage.ReadFile(path), Path.GetFileName(path), address, segment, offset);
    }

    private static BootModule Module(string text)
    {
        string[] parts = text.Split(' ', 2, StringSplitOptions.TrimEntries);
        return new BootModule(parts[0], BootImage.ReadFile(parts[0]), parts.Length == 2 ? parts[1] : "");
    }

    private static int Run(Terminal terminal, BootImage image, BootModule[] modules, string commandLine, MachineOptions options, ulong limit, bool json)
    {
        using var machine = new Machine(options);
        XmcChecker? checker = options.Check == null ? null : new XmcChecker(machine);
        var serial = new StringBuilder();
        machine.SerialOutput = json ? b => serial.Append((char)b) : terminal.GuestByte;
        image.Load(machine.Memory, machine.Cpus[0], commandLine, modules);
        long start = Stopwatch.GetTimestamp();
        RunResult result = machine.Run(limit);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var report = new BootReport(machine, image, result, seconds, checker);
        if (json)
            JsonOutput.Write(terminal, report.ToJson(serial.ToString()), JsonShapes.Default.BootJson);
        else
            report.Write(terminal);
        return report.Code;
    }
}
