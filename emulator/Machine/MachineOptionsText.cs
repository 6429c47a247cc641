using System.Globalization;
using System.Text;
using Emu.Cpus;
using Emu.Fetch;

namespace Emu.Machines;

/// <summary>Options as text, one <c>name=value</c> a line: how a snapshot file says which machine it is of.</summary>
internal static class MachineOptionsText
{
    private const string ProfileField = "profile.";

    public static string Write(MachineOptions options)
    {
        var text = new StringBuilder();
        void Line(string name, object value) => text.Append(name).Append('=').Append(string.Create(CultureInfo.InvariantCulture, $"{value}")).Append('\n');
        Line("cpus", options.CpuCount);
        Line("memory", options.MemorySize);
        Line("rom", options.RomSize);
        Line("model", options.Model.Name);
        Line("rtc-start", options.RtcStart.Ticks);
        Line("profile", options.Profile.Name);
        foreach (FetchProfileField field in FetchProfileFields.All)
            Line(ProfileField + field.Name, field.Get(options.Profile));
        Line("reboot", options.Reboot);
        Line("seed", options.Seed);
        Line("schedule", options.Schedule);
        Line("quantum", options.Quantum);
        Line("pct-depth", options.PctDepth);
        Line("pct-steps", options.PctSteps);
        foreach (DiskOptions disk in options.Disks)
            Line("disk", $"{disk.Interface} {disk.Path}");
        foreach (ScheduleEvent e in options.Events)
            Line("event", e);
        return text.ToString();
    }

    /// <exception cref="InvalidDataException">A line that no version up to this one writes.</exception>
    public static MachineOptions Read(string text)
    {
        var options = new MachineOptions();
        var events = new StringBuilder();
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = line.Split('=', 2);
            if (parts.Length == 2 && parts[0] == "event")
                events.Append(parts[1]).Append('\n');
            else
                options = parts.Length == 2 ? With(options, parts[0], parts[1]) : throw Unknown(line);
        }
        return options with { Events = ScheduleEvent.Parse(events.ToString(), options.CpuCount, out string error) ?? throw new InvalidDataException(error) };
    }

    private static MachineOptions With(MachineOptions options, string name, string value)
    {
        if (name.StartsWith(ProfileField, StringComparison.Ordinal))
        {
            FetchProfileField? field = FetchProfileFields.All.FirstOrDefault(f => f.Name == name[ProfileField.Length..]);
            return field != null && field.TrySet(options.Profile, value, out FetchProfile? changed) ? options with { Profile = changed } : throw Unknown($"{name}={value}");
        }
        CultureInfo culture = CultureInfo.InvariantCulture;
        return name switch
        {
            "cpus" => options with { CpuCount = int.Parse(value, culture) },
            "memory" => options with { MemorySize = ulong.Parse(value, culture) },
            "rom" => options with { RomSize = ulong.Parse(value, culture) },
            "model" => options with { Model = CpuModels.TryFind(value, out CpuModel? model) ? model : throw Unknown($"{name}={value}") },
            "rtc-start" => options with { RtcStart = new DateTime(long.Parse(value, culture), DateTimeKind.Utc) },
            // "p6+depth=16" is p6 with a field changed; all fields follow by themselves.
            "profile" => options with { Profile = (FetchProfiles.Find(value.Split('+')[0]) ?? throw Unknown($"{name}={value}")) with { Name = value } },
            "disk" => options with { Disks = [.. options.Disks, Disk(value)] },
            "reboot" => options with { Reboot = bool.Parse(value) },
            "seed" => options with { Seed = ulong.Parse(value, culture) },
            "schedule" => options with { Schedule = Enum.Parse<ScheduleKind>(value) },
            "quantum" => options with { Quantum = int.Parse(value, culture) },
            "pct-depth" => options with { PctDepth = int.Parse(value, culture) },
            "pct-steps" => options with { PctSteps = ulong.Parse(value, culture) },
            _ => throw Unknown($"{name}={value}"),
        };
    }

    private static DiskOptions Disk(string value)
    {
        string[] parts = value.Split(' ', 2);
        return new DiskOptions(parts[1], Enum.Parse<DiskInterface>(parts[0]));
    }

    private static InvalidDataException Unknown(string line) => new($"\"{line}\" is not known");
}
