using System.CommandLine;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>The options that say which machine: shared by the verbs that build one.</summary>
public sealed class MachineArguments
{
    /// <summary>The machine of the 2009 mail, unless something else is asked for.</summary>
    private const string DefaultModel = "skylake";
    private const string DefaultProfile = "p6";
    private const ulong MaximumPctDepth = 64;
    private const ulong MaximumMemory = 64UL << 30;

    private readonly int _defaultCpus;
    private readonly string _defaultMemory;
    private readonly string? _defaultProfile;
    private readonly Option<string> _cpus;
    private readonly Option<string> _memory;
    private readonly Option<string> _cpu = new("--cpu") { HelpName = "MODEL", Description = $"CPU model, see \"emu cpus\"; {DefaultModel} unless given." };
    private readonly Option<string> _profile;
    private readonly Option<string[]> _set = new("--set")
    {
        HelpName = "FIELD=VALUE",
        Description = "Changes one field of the profile; may be repeated.",
        Arity = ArgumentArity.OneOrMore,
    };
    private readonly Option<string> _seed = new("--seed") { HelpName = "N", Description = "Where all randomness comes from; 1 unless given." };
    /// <summary>
    /// Instructions of a turn where nothing is modelled that short turns would show: a turn's last ones are executed singly, so that it ends where it should.
    /// </summary>
    private const int CoherentQuantum = 4096;

    private readonly Option<string> _schedule = new("--schedule")
    {
        HelpName = "KIND",
        Description = "round-robin[:QUANTUM], random[:QUANTUM], pct[:DEPTH[:EVENTS[:SYMBOL]]], or a FILE with a list of events; random:256 unless given, round-robin:4096 under a coherent profile.",
    };

    /// <param name="profile">The profile unless another is given; null takes that of --cpu, and p6 without --cpu.</param>
    public MachineArguments(int cpus = 4, string memory = "64M", string? profile = null)
    {
        _defaultCpus = cpus;
        _defaultMemory = memory;
        _defaultProfile = profile;
        _cpus = new("--cpus") { HelpName = "N", Description = $"Number of CPUs, 1 to 64; {cpus} unless given." };
        _memory = new("--memory") { HelpName = "SIZE", Description = $"RAM: 64M, 1G, or bytes; {memory} unless given." };
        string unless = profile ?? $"that of --cpu, and {DefaultProfile} without --cpu";
        _profile = new("--profile") { HelpName = "NAME", Description = $"Fetch profile, see \"emu profiles\"; unless given {unless}." };
    }

    public void AddTo(Command command)
    {
        command.Add(_cpus);
        command.Add(_memory);
        command.Add(_cpu);
        command.Add(_profile);
        command.Add(_set);
        command.Add(_seed);
        command.Add(_schedule);
    }

    /// <summary>What was asked for.</summary>
    /// <exception cref="UsageException">Something that cannot be.</exception>
    public MachineOptions Read(ParseResult parsed)
    {
        string? model = parsed.GetValue(_cpu);
        string? profile = parsed.GetValue(_profile);
        var options = new MachineOptions
        {
            CpuCount = parsed.GetValue(_cpus) is { } cpus ? Cpus(cpus) : _defaultCpus,
            Model = Model(model ?? DefaultModel),
            Seed = parsed.GetValue(_seed) is { } seed ? Seed(seed) : 1,
        };
        options = options with
        {
            MemorySize = Memory(parsed.GetValue(_memory) ?? _defaultMemory),
            Profile = Profile(profile ?? _defaultProfile ?? (model == null ? DefaultProfile : options.Model.DefaultProfile), parsed.GetValue(_set) ?? []),
        };
        return Schedule(parsed.GetValue(_schedule), options);
    }

    /// <summary>The first of these options that was given; null when none was.</summary>
    public string? Given(ParseResult parsed) =>
        ((Option[])[_cpus, _memory, _cpu, _profile, _set, _seed, _schedule]).FirstOrDefault(o => parsed.GetResult(o) is { Implicit: false })?.Name;

    /// <summary>True when --schedule names the events of PCT.</summary>
    public bool NamesPctSteps(ParseResult parsed) => PctParts(parsed).Length >= 3;

    /// <summary>The symbol at which --schedule lets PCT begin; null where it names none.</summary>
    public string? PctBegin(ParseResult parsed) => PctParts(parsed) is [_, _, _, var symbol] ? symbol : null;

    private string[] PctParts(ParseResult parsed) => parsed.GetValue(_schedule) is { } text && text.StartsWith("pct:", StringComparison.Ordinal) ? text.Split(':', 4) : [];

    public static CpuModel Model(string name) =>
        CpuModels.TryFind(name, out CpuModel? model) ? model
        : throw new UsageException($"there is no CPU model \"{name}\"", "--cpu", $"choose one of {string.Join(", ", CpuModels.All.Select(m => m.Name))}");

    /// <summary>A named profile with fields changed.</summary>
    public static FetchProfile Profile(string name, IReadOnlyList<string> changes)
    {
        FetchProfile profile = FetchProfiles.Find(name)
            ?? throw new UsageException($"there is no profile \"{name}\"", "--profile", $"choose one of {string.Join(", ", FetchProfiles.All.Select(p => p.Name))}");
        foreach (string change in changes)
        {
            if (!FetchProfileFields.TrySet(profile, change, out FetchProfile? changed, out string? error))
                throw new UsageException($"--set: {error}");
            profile = changed;
        }
        return profile;
    }

    public static ulong Seed(string text) =>
        Quantities.TryNumber(text, out ulong seed) ? seed : throw new UsageException($"\"{text}\" is not a number", "--seed", "write 7 or 0x7");

    /// <summary>What --max-instructions says; null where it was not given.</summary>
    public static ulong? Instructions(string? text) =>
        text == null ? null
        : Quantities.TryCount(text, out ulong n) && n > 0 ? n
        : throw new UsageException($"\"{text}\" is not a number of instructions", "--max-instructions", "write, for example, 500k or 10M");

    private static int Cpus(string text) =>
        Quantities.TryNumber(text, out ulong n) && n >= 1 && n <= MachineOptions.MaximumCpus ? (int)n
        : throw new UsageException($"\"{text}\" CPUs cannot be", "--cpus", $"write a number from 1 to {MachineOptions.MaximumCpus}");

    private static ulong Memory(string text)
    {
        if (!Quantities.TryBytes(text, out ulong size))
            throw new UsageException($"\"{text}\" is not a size", "--memory", "write 64M, 1G, or a number of bytes");
        if (size < 1 << 20 || size > MaximumMemory || size % 4096 != 0)
            throw new UsageException($"{text} of RAM cannot be", "--memory", "choose a multiple of 4096 bytes from 1M to 64G");
        return size;
    }

    private static MachineOptions Schedule(string? text, MachineOptions options)
    {
        if (text == null)
            return options.Profile.IsCoherent ? options with { Schedule = ScheduleKind.RoundRobin, Quantum = CoherentQuantum } : options with { Schedule = ScheduleKind.Random };
        string[] parts = text.Split(':', 2);
        if (parts[0] == "pct")
            return Pct(parts.Length == 1 ? "" : parts[1], options);
        ScheduleKind? kind = parts[0] switch
        {
            "round-robin" => ScheduleKind.RoundRobin,
            "random" => ScheduleKind.Random,
            _ => null,
        };
        if (kind == null)
            return Listed(text, options);
        options = options with { Schedule = kind.Value };
        if (parts.Length == 1)
            return options;
        return Quantities.TryCount(parts[1], out ulong quantum) && quantum is >= 1 and <= int.MaxValue
            ? options with { Quantum = (int)quantum }
            : throw new UsageException($"\"{parts[1]}\" is not a number of instructions", "--schedule", $"write, for example, {parts[0]}:256");
    }

    private static MachineOptions Pct(string text, MachineOptions options)
    {
        options = options with { Schedule = ScheduleKind.Pct };
        if (text.Length == 0)
            return options;
        string[] numbers = text.Split(':', 3);
        ulong steps = options.PctSteps;
        if (!Quantities.TryCount(numbers[0], out ulong depth) || depth is < 1 or > MaximumPctDepth
            || (numbers.Length >= 2 && (!Quantities.TryCount(numbers[1], out steps) || steps < 1)))
            throw new UsageException($"\"{text}\" is not a depth from 1 to {MaximumPctDepth} and a number of events", "--schedule", "write, for example, pct:3, pct:3:1500k or pct:3:800:explore_begin");
        return options with { PctDepth = (int)depth, PctSteps = steps };
    }

    private static MachineOptions Listed(string path, MachineOptions options)
    {
        string text = Files.ReadText(path, "--schedule", "write round-robin, random, or the path of a list of events");
        List<ScheduleEvent>? events = ScheduleEvent.Parse(text, options.CpuCount, out string error);
        return events == null
            ? throw new UsageException($"--schedule: {path}: {error}")
            : options with { Schedule = ScheduleKind.Listed, Events = events };
    }
}
