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
            Description = "A kernel: multiboot 1 or 2, Linux bzImage or vmlinux, or PVH; images/emu64.elf unless given, images/emu32.elf on a CPU without long mode.",
        };
        var kernelOption = new Option<string>("--kernel") { HelpName = "FILE", Description = "The same as IMAGE, as QEMU has it." };
        var initrd = new Option<string>("--initrd") { HelpName = "FILE", Description = "Linux's initial RAM disk; for other kernels the first module." };
        var bios = new Option<string>("--bios") { HelpName = "FILE", Description = "A ROM of 64K to 4M that ends at 4 GiB, entered at its reset vector; takes the place of a kernel." };
        var protocol = new Option<string>("--boot-protocol")
        {
            HelpName = "NAME",
            Description = $"Where a kernel offers several: {string.Join(", ", s_protocols.Keys)}; the first that fits unless given.",
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
        var console = new ConsoleArguments();
        var devices = new DeviceArguments();
        var state = new StateArguments();
        var json = JsonOutput.Option();
        var command = new Command("boot", "Boots an image; ends as the guest says, see \"Exit codes\" in the README.") { image };
        machine.AddTo(command);
        check.AddTo(command);
        console.AddTo(command);
        devices.AddTo(command);
        state.AddTo(command);
        foreach (Option option in (Option[])[kernelOption, initrd, append, module, protocol, bios, flat, json])
            command.Add(option);
        command.SetAction(parsed =>
        {
            MachineOptions options = devices.Read(parsed, check.Read(parsed, machine.Read(parsed)));
            if (parsed.GetValue(image) != null && parsed.GetValue(kernelOption) != null)
                throw new UsageException($"{parsed.GetValue(image)} is given as well", "--kernel", "name one image");
            string? named = parsed.GetValue(image) ?? parsed.GetValue(kernelOption);
            BootModule[] modules = [.. parsed.GetValue(initrd) is { } file ? [new BootModule(file, BootImage.ReadFile(file), "")] : Array.Empty<BootModule>(), .. (parsed.GetValue(module) ?? []).Select(Module)];
            string line = parsed.GetValue(append) ?? "";
            ConsoleSettings settings = console.Read(parsed) with { Snapshot = state.Snapshot(parsed) };
            DeviceSettings watched = devices.Settings(parsed);
            if (state.Restore(parsed) is { } kept)
            {
                foreach (string? given in (string?[])[machine.Given(parsed), parsed.GetValue(bios) == null ? null : "--bios", parsed.GetValue(append) == null ? null : "--append"])
                    if (given != null)
                        throw new UsageException("the machine comes from a file, and is what it was", given, "leave it away, or leave --restore away");
                SymbolTable symbols = named == null ? new SymbolTable([]) : Open(named, parsed.GetValue(flat), parsed.GetValue(protocol)).Symbols;
                using Machine again = MachineFile.Open(kept, o => devices.Read(parsed, check.Read(parsed, o)));
                return Run(terminal, again, named ?? kept, symbols, settings, watched, parsed.GetValue(json));
            }
            if (parsed.GetValue(bios) is { } rom)
            {
                if (named != null)
                    throw new UsageException($"{named} is given as well", "--bios", "give a ROM or a kernel; there is no firmware here that could load one");
                BiosRom firmware = BiosRom.Open(BootImage.ReadFile(rom), Path.GetFileName(rom));
                return Run(terminal, firmware, modules, line, options with { RomSize = firmware.Segments[0].MemorySize }, settings, watched, parsed.GetValue(json));
            }
            string path = named ?? Files.ShippedImage(options.Model.Has(CpuFeature.LongMode) ? "emu64.elf" : "emu32.elf");
            BootImage kernel = Open(path, parsed.GetValue(flat), parsed.GetValue(protocol));
            return Run(terminal, kernel, modules, line, options, settings, watched, parsed.GetValue(json), PctStart.Of(options, machine.PctBegin(parsed), kernel, line));
        });
        return command.WithExamples(
            ("emu boot", "the default kernel on four CPUs, patching itself by the protocol of the 2009 mail"),
            ("emu boot --append \"protocol=direct\"", "the mail's buggy scheme: dies of stale bytes, and says which"),
            ("emu boot --profile intel --append \"sync=mfence site=handler\"", "MFENCE instead of CPUID, where only a serialising instruction will do"),
            ("emu boot --cpu pentium3 --append \"sync=mfence\"", "the 32-bit kernel on a CPU that has no MFENCE"),
            ("emu boot --profile p6 --set int3-exempt=no --seed 7", "one field of a profile changed, another seed"),
            ("emu boot --check --append protocol=int3", "reports each execution of patched code that lacks a serialising instruction, however lucky the run"),
            ("emu boot --profile coherent --check=amd", "the same at full speed, by the rule of another profile"),
            ("emu boot --kernel vmlinuz --initrd initrd.cpio --append \"console=ttyS0 nokaslr\" --cpus 2 --memory 512M --profile coherent", "a Linux kernel"),
            ("emu boot --bios bios.bin --disk disk.img,ide --screen", "a ROM at the reset vector, a disk that it may boot from, and what it printed on the screen"),
            ("emu boot --snapshot half.snapshot --at 700k", "the machine as it was after 700,000 instructions, in a file"),
            ("emu boot --restore half.snapshot", "and on from there, to the same end"),
            ("emu boot kernel.elf --cpus 2 --memory 128M --module \"initrd.img ro\" --max-instructions 50M", "another kernel, with a module, for a while"));
    }

    private static readonly Dictionary<string, ImageKind> s_protocols = new(StringComparer.Ordinal)
    {
        ["multiboot1"] = ImageKind.Multiboot1,
        ["multiboot2"] = ImageKind.Multiboot2,
        ["linux64"] = ImageKind.Linux64,
        ["linux32"] = ImageKind.Linux32,
        ["pvh"] = ImageKind.Pvh,
    };

    private static BootImage Open(string path, string? flat, string? protocol)
    {
        ImageKind? kind = protocol == null ? null
            : s_protocols.TryGetValue(protocol, out ImageKind known) ? known
            : throw new UsageException($"there is no boot protocol \"{protocol}\"", "--boot-protocol", $"choose one of {string.Join(", ", s_protocols.Keys)}");
        if (flat == null)
            return BootImage.OpenFile(path, kind);
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

    /// <summary>Boots an image and reports how it ended.</summary>
    internal static int Run(Terminal terminal, BootImage image, BootModule[] modules, string commandLine, MachineOptions options, ConsoleSettings settings, DeviceSettings devices, bool json, PctStart? begin = null)
    {
        using var machine = new Machine(options);
        machine.Load(image, commandLine, modules);
        return Run(terminal, machine, image.Name, image.Symbols, settings, devices, json, begin);
    }

    /// <summary>Runs a machine and reports how it ended.</summary>
    private static int Run(Terminal terminal, Machine machine, string name, SymbolTable symbols, ConsoleSettings settings, DeviceSettings devices, bool json, PctStart? begin = null)
    {
        XmcChecker? checker = machine.Options.Check == null ? null : new XmcChecker(machine);
        var serial = new StringBuilder();
        using var session = new ConsoleSession(machine, terminal, settings, json ? b => serial.Append((char)b) : terminal.GuestByte);
        using var watch = new DeviceWatch(machine, terminal, devices);
        long start = Stopwatch.GetTimestamp();
        RunResult result = PctStart.Reach(begin, machine, settings.MaxInstructions) ?? session.Run();
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var report = new BootReport(machine, name, symbols, result, seconds, checker);
        if (!json)
            watch.Write(terminal);
        if (json)
            JsonOutput.Write(terminal, report.ToJson(serial.ToString()), JsonShapes.Default.BootJson);
        else
            report.Write(terminal);
        return report.Code;
    }
}
