using System.CommandLine;
using System.Globalization;
using Emu.Devices;
using Emu.Machines;
using Emu.Memory;

namespace Emu.Cli;

/// <summary>What a run does with devices besides building them.</summary>
/// <param name="Screen">Print the text page at the end.</param>
/// <param name="Absent">Count accesses that nothing answers, and print them at the end.</param>
/// <param name="DebugPort">Where the text of ports 0xE9 and 0x402 goes: a file, "-" for the console, null for nowhere.</param>
internal sealed record DeviceSettings(bool Screen, bool Absent, string? DebugPort, IReadOnlyList<(string Name, byte[] Content)> FirmwareFiles);

/// <summary>The options for devices: shared by the verbs that run a guest.</summary>
internal sealed class DeviceArguments
{
    private readonly Option<string[]> _disk = new("--disk")
    {
        HelpName = "FILE[,write][,ide]",
        Description = "A disk over a raw image, as virtio-blk or at the IDE channel; may be repeated. The guest's writes are kept in memory, with \",write\" they go to the file.",
    };
    private readonly Option<string> _date = new("--rtc-date") { HelpName = "DATE", Description = "What the real-time clock shows at the start: 2026-01-31 or 2026-01-31T12:00:00; 2009-10-06 unless given." };
    private readonly Option<bool> _reboot = new("--reboot") { Description = "A reset or triple fault starts the machine again, instead of ending the run." };
    private readonly Option<string[]> _firmware = new("--fw-cfg") { HelpName = "NAME=FILE", Description = "A file of the firmware configuration device; may be repeated." };
    private readonly Option<string> _debug = new("--debug-port") { HelpName = "FILE", Description = "What the guest writes to ports 0xE9 and 0x402: into a file, or - for the console." };
    private readonly Option<bool> _screen = new("--screen") { Description = "Prints the text screen (80 by 25 at 0xB8000) when the run ends." };
    private readonly Option<bool> _absent = new("--trace-absent") { Description = "Prints, when the run ends, which ports and addresses the guest reached where no device is." };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_disk, _date, _reboot, _firmware, _debug, _screen, _absent])
            command.Add(option);
    }

    /// <summary>The machine with what was asked for; disks take the place of those that it had.</summary>
    /// <exception cref="UsageException">Something that cannot be.</exception>
    public MachineOptions Read(ParseResult parsed, MachineOptions options)
    {
        DiskOptions[] disks = [.. (parsed.GetValue(_disk) ?? []).Select(Disk)];
        if (disks.Count(d => d.Interface == DiskInterface.Ide) > MachineOptions.MaximumIdeDisks || disks.Count(d => d.Interface == DiskInterface.Virtio) > MachineOptions.MaximumVirtioDisks)
            throw new UsageException($"{disks.Length} disks cannot be", "--disk", $"at most {MachineOptions.MaximumVirtioDisks}, and at most {MachineOptions.MaximumIdeDisks} with \",ide\"");
        if (disks.Length != 0)
            options = options with { Disks = disks };
        if (parsed.GetValue(_date) is { } date)
            options = options with { RtcStart = Date(date) };
        return parsed.GetValue(_reboot) ? options with { Reboot = true } : options;
    }

    /// <exception cref="UsageException">Something that cannot be.</exception>
    public DeviceSettings Settings(ParseResult parsed) =>
        new(parsed.GetValue(_screen), parsed.GetValue(_absent), parsed.GetValue(_debug), [.. (parsed.GetValue(_firmware) ?? []).Select(FirmwareFile)]);

    private static DiskOptions Disk(string text)
    {
        string[] parts = text.Split(',');
        var disk = new DiskOptions(parts[0]);
        foreach (string word in parts[1..])
        {
            disk = word switch
            {
                "write" => disk with { Writable = true },
                "ide" => disk with { Interface = DiskInterface.Ide },
                "virtio" => disk with { Interface = DiskInterface.Virtio },
                _ => throw new UsageException($"\"{word}\" is not understood behind {parts[0]}", "--disk", "write FILE, FILE,write, FILE,ide or FILE,write,ide"),
            };
        }
        return disk;
    }

    private static DateTime Date(string text) =>
        DateTime.TryParseExact(text, ["yyyy-MM-dd", "yyyy-MM-ddTHH:mm:ss"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out DateTime date)
            ? date : throw new UsageException($"\"{text}\" is not a date", "--rtc-date", "write 2026-01-31 or 2026-01-31T12:00:00");

    private static (string, byte[]) FirmwareFile(string text)
    {
        string[] parts = text.Split('=', 2);
        if (parts.Length != 2 || !FwCfg.IsName(parts[0]))
            throw new UsageException($"\"{text}\" is not NAME=FILE with a name of 1 to 55 ASCII characters", "--fw-cfg", "write, for example, opt/org.example/text=FILE");
        return (parts[0], Files.ReadBytes(parts[1], "--fw-cfg", "name a file"));
    }
}

/// <summary>Watches the devices of one run, and prints what was asked for when it has ended.</summary>
internal sealed class DeviceWatch : IDisposable
{
    private readonly Machine _machine;
    private readonly DeviceSettings _settings;
    private readonly Dictionary<(bool IsPort, ulong Address, bool IsWrite), ulong> _absent = [];
    private readonly FileStream? _debug;

    /// <exception cref="UsageException">The file for the debug port cannot be made.</exception>
    public DeviceWatch(Machine machine, Terminal terminal, DeviceSettings settings)
    {
        _machine = machine;
        _settings = settings;
        foreach ((string name, byte[] content) in settings.FirmwareFiles)
            machine.FwCfg.AddFile(name, content);
        if (settings.Absent)
            machine.Bus.OnAbsent = Count;
        if (settings.DebugPort == "-")
        {
            machine.DebugOutput = terminal.GuestByte;
        }
        else if (settings.DebugPort is { } path)
        {
            _debug = Files.Create(path, "--debug-port");
            machine.DebugOutput = _debug.WriteByte;
        }
    }

    public void Write(Terminal terminal)
    {
        if (_settings.Screen)
        {
            terminal.EnsureLineStart();
            TextPage.Write(_machine.Screen, terminal);
        }
        if (_settings.Absent)
            WriteAbsent(terminal);
    }

    public void Dispose() => _debug?.Dispose();

    private void Count(AbsentAccess access)
    {
        var key = (access.IsPort, access.Address, access.IsWrite);
        _absent[key] = _absent.GetValueOrDefault(key) + 1;
    }

    private void WriteAbsent(Terminal terminal)
    {
        terminal.EnsureLineStart();
        if (_absent.Count == 0)
            terminal.Out.WriteLine("emu: every port and address that the guest reached has a device");
        foreach (((bool isPort, ulong address, bool isWrite), ulong count) in _absent.OrderBy(a => a.Key))
            terminal.Out.WriteLine($"emu: no device at {(isPort ? "port" : "address")} 0x{address:x}: {(isWrite ? "written" : "read")} {count} {(count == 1 ? "time" : "times")}");
    }
}

/// <summary>The text screen, in a frame.</summary>
internal static class TextPage
{
    public static void Write(TextScreen screen, Terminal terminal)
    {
        string edge = new('-', TextScreen.Columns);
        terminal.Out.WriteLine($"+{edge}+");
        foreach (string line in screen.Lines())
            terminal.Out.WriteLine($"|{line.PadRight(TextScreen.Columns)}|");
        terminal.Out.WriteLine($"+{edge}+");
    }
}
