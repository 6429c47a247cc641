using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;
using Emu.Scenarios;
using Emu.Tests.House;

namespace Emu.Tests.Exploration;

/// <summary>
/// The witnesses in tests/witnesses and how each is made. One of a guest is bound to the bytes of its image: after a change of the guest,
/// <c>EMU_UPDATE_WITNESSES=1 dotnet test tests --filter Witness</c> explores them anew.
/// </summary>
internal static class WitnessCatalogue
{
    public const string Folder = "tests/witnesses";
    public const string Image = "images/emu64.elf";

    private sealed record Guest(string Name, string Profile, string CommandLine);

    private static readonly Guest[] Guests =
    [
        new("direct-p6", "p6", "protocol=direct explore=1"),
        new("direct-jmp5-amd", "amd", "protocol=direct explore=1 site=jmp5"),
        new("int3-p6", "p6", "protocol=int3 explore=1"),
        new("int3-ipi-p6-strict", "p6-strict", "protocol=int3-ipi explore=1"),
        new("int3-ipi-line-intel", "intel", "protocol=int3-ipi explore=1 site=line"),
        new("stop-machine-two-nops", "p6", "protocol=stop-machine explore=1 site=two-nops"),
        new("int3-ipi-handler-mfence-intel", "intel", "protocol=int3-ipi explore=0 site=handler sync=mfence"),
    ];

    private static readonly string[] Scenarios = ["mail-buggy", "mail-breakpoint-no-ipi", "handler-tail-mfence", "nop5-line", "x2apic-no-fence", "ipi-return-jump", "stop-machine-thread", "SB"];

    public static IEnumerable<string> Names => Guests.Select(g => g.Name).Concat(Scenarios);

    public static string PathOf(string name) => Path.Combine(Repository.Root, Folder, name + ".witness");

    public static ReadOnlyMemory<byte> ImageBytes { get; } = File.ReadAllBytes(Path.Combine(Repository.Root, Image));

    public static Subject Open(Witness witness) => witness.Open(_ => ImageBytes);

    /// <summary>Explores anew; one thread, so that the same is found each time.</summary>
    public static Witness Make(string name)
    {
        if (Array.Find(Guests, g => g.Name == name) is { } guest)
        {
            var subject = new GuestSubject(BootImage.Open(ImageBytes, Image), guest.CommandLine, new MachineOptions
            {
                CpuCount = 2,
                Model = CpuModels.AlderLake,
                Profile = FetchProfiles.Find(guest.Profile)!,
            });
            ExplorationResult result = Explorer.Run(subject, new ExplorationOptions { Threads = 1 });
            return Witness.Of(subject, Image, ImageBytes.Span, result, result.Findings[0]);
        }
        string file = $"tests/litmus/{name}.litmus";
        string text = Repository.Read(file);
        var scenario = new ScenarioSubject(Scenario.Parse(text, file));
        ExplorationResult explored = Explorer.Run(scenario, new ExplorationOptions { Threads = 1, StopAtFinding = false });
        return Witness.Of(scenario, text, explored, explored.Deciding!);
    }
}
