using Emu.Boot;
using Emu.Cpus;
using Emu.Fetch;
using Emu.Machines;
using Emu.Memory;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>
/// An interleaving as a file: what was run, on which machine under which rules, the choices that were made, and how it ended. It plays on any host, and
/// says so when the image, the profile or the program is not what it was made with. <see cref="WitnessFile"/> has its form.
/// </summary>
public sealed record Witness
{
    /// <summary>A scenario's file, or an image.</summary>
    public required string File { get; init; }

    /// <summary>The text of a scenario; null where an image was run.</summary>
    public string? ScenarioText { get; init; }

    /// <summary>Of the image's bytes, in hexadecimal.</summary>
    public string ImageHash { get; init; } = "";
    public string CommandLine { get; init; } = "";
    public int CpuCount { get; init; }
    public ulong MemorySize { get; init; }
    public string Model { get; init; } = "";

    /// <summary>Of an image: executions that the profile's rule of cross-modifying code forbids were looked for.</summary>
    public bool Check { get; init; }

    /// <summary>The profile with all its fields, so that one whose rules have changed since does not pass for the same.</summary>
    public required FetchProfile Profile { get; init; }

    /// <summary>How it ended: a finding in words, or the outcome of a scenario.</summary>
    public required string Ending { get; init; }

    /// <summary>Kind of the finding; null where there is none.</summary>
    public FindingKind? Kind { get; init; }

    public required IReadOnlyList<Step> Steps { get; init; }

    /// <summary>Ranges of bytes that the exploration had found to be shared: what a step comprises follows from them.</summary>
    internal IReadOnlyList<(ulong Start, int Length, Sharing Sharing)> Shared { get; init; } = [];
    internal bool BelowStack { get; init; }

    /// <summary>And which CPUs take interrupts.</summary>
    internal CpuMarks Cpus { get; init; }

    /// <summary>A witness of what an exploration of a guest found.</summary>
    /// <param name="imagePath">Where the image is, for those who play it.</param>
    /// <param name="finding">Null for what <see cref="ExplorationFile"/> keeps: what is explored, and no way through it.</param>
    public static Witness Of(GuestSubject subject, string imagePath, ReadOnlySpan<byte> image, ExplorationResult result, ExploredFinding? finding) =>
        new()
        {
            File = imagePath,
            ImageHash = WitnessFile.Hash(image),
            CommandLine = subject.CommandLine,
            CpuCount = subject.Options.CpuCount,
            MemorySize = subject.Options.MemorySize,
            Model = subject.Options.Model.Name,
            Check = subject.Check,
            Profile = subject.Profile,
            Kind = finding?.Finding.Kind,
            Ending = finding?.Finding.Text ?? "unfinished",
            Steps = finding?.Steps ?? [],
            Shared = Ranges(subject, result),
            BelowStack = result.Shared!.BelowStack,
            Cpus = result.Shared.Cpus,
        };

    /// <summary>A witness of a run of a scenario that decides its condition.</summary>
    public static Witness Of(ScenarioSubject subject, string text, ExplorationResult result, IReadOnlyList<Step> steps) =>
        new()
        {
            File = subject.Scenario.FileName,
            ScenarioText = text,
            Profile = subject.Profile,
            Ending = WitnessTable.Play(subject, result, steps).Ending,
            Steps = steps,
            Shared = Ranges(subject, result),
            BelowStack = result.Shared!.BelowStack,
            Cpus = result.Shared.Cpus,
        };

    /// <summary>What it is of.</summary>
    /// <param name="image">The bytes of the image; not asked for where a scenario was run.</param>
    /// <param name="imagePath">Where the image is, for the lines of source beside it.</param>
    /// <exception cref="WitnessException">The image or the profile is not that of the witness.</exception>
    public Subject Open(Func<string, ReadOnlyMemory<byte>> image, string? imagePath = null)
    {
        if (ScenarioText != null)
        {
            var scenario = Scenario.Parse(ScenarioText, File);
            foreach (FetchProfileField field in FetchProfileFields.All)
                if (field.Get(scenario.Profile) != field.Get(Profile))
                    throw new WitnessException($"{File}: profile {scenario.Profile.Name} has {field.Name}={field.Get(scenario.Profile)} here, and had {field.Get(Profile)} when the witness was made; make it again");
            return new ScenarioSubject(scenario);
        }
        ReadOnlyMemory<byte> bytes = image(File);
        if (WitnessFile.Hash(bytes.Span) != ImageHash)
            throw new WitnessException($"{File} is not the image that the witness was made with (SHA-256 {WitnessFile.Hash(bytes.Span)[..12]}... instead of {ImageHash[..12]}...); name that with --image, or make the witness again");
        if (!CpuModels.TryFind(Model, out CpuModel? model))
            throw new WitnessException($"there is no CPU model \"{Model}\", which the witness was made with; make it again");
        return new GuestSubject(BootImage.Open(bytes, Path.GetFileName(File)), CommandLine, new MachineOptions { CpuCount = CpuCount, MemorySize = MemorySize, Model = model, Profile = Profile })
        {
            Check = Check,
            Source = imagePath == null ? null : WitnessSource.Beside(imagePath, bytes.Span),
        };
    }

    /// <summary>Plays it on the machine of the exploration, as a table.</summary>
    /// <exception cref="WitnessException">It does not end as it did.</exception>
    public WitnessTable Play(Subject subject)
    {
        var table = WitnessTable.Play(subject, Marks, Steps);
        if (table.Ending != Ending || table.Finding?.Kind != Kind)
            throw new WitnessException($"it ends as \"{table.Ending}\", and not as \"{Ending}\": the witness is of another version of the program; make it again");
        return table;
    }

    private static IReadOnlyList<(ulong Start, int Length, Sharing Sharing)> Ranges(Subject subject, ExplorationResult result)
    {
        using var machine = subject.Start().Machine;
        return [.. WitnessShared.Ranges(result.Shared!, machine.Memory)];
    }

    private SharedBytes Marks(ExploredMachine machine)
    {
        PhysicalMemory memory = machine.Machine.Memory;
        var shared = new SharedBytes(memory) { Unit = machine.Shared.Unit, BelowStack = BelowStack, Cpus = Cpus };
        foreach ((ulong start, int length, Sharing sharing) in Shared)
            for (int i = 0; i < length; i++)
                if (memory.Offset(start + (ulong)i) != ulong.MaxValue)
                    shared.Mark(start + (ulong)i, sharing);
        return shared;
    }
}
