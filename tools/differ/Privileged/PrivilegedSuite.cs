using System.Text;
using Emu.Boot;
using Emu.Cpus;
using Emu.Differ.Ledgers;
using Emu.Machines;
using Iced.Intel;

namespace Emu.Differ.Privileged;

/// <summary>What a machine printed about one case.</summary>
public sealed record GuestResult(string Name, string Found);

/// <summary>A case about which two machines differ.</summary>
public sealed record GuestDifference(string Name, string Ours, string Theirs);

/// <summary>The cases of <see cref="GuestCases"/> on whole machines: Emu, QEMU, Bochs. The same bytes run on each.</summary>
public static class PrivilegedSuite
{
    /// <summary>Of the line that a guest prints for a case, where the name ends.</summary>
    private const string FirstField = " v=";

    /// <summary>Stands for a case, with what happened, where a machine did not come to the end.</summary>
    private const string End = "(the end)";

    /// <summary>What is found of a case that ends in shutdown.</summary>
    public const string Shutdown = "v=shutdown";
    private static readonly string ShutdownPrefix = $"v={GuestLayout.ShutdownVector:x} ";

    private const ulong InstructionLimit = 200_000_000;

    /// <summary>The image of all cases; for another machine without those that it is not asked. What is left out has its place all the same: addresses are alike in all images.</summary>
    public static byte[] BuildImage(string? oracle = null) => GuestImage.Build(GuestCases.All, oracle == null ? _ => true : name => !KnownDifferences.IsLeftOut(oracle, name));

    /// <summary>What Emu is expected to print, as <c>emu diff privileged --oracle none</c> writes it: data/privileged-expected.txt.</summary>
    public static string[] Expected()
    {
        using Stream stream = typeof(PrivilegedSuite).Assembly.GetManifestResourceStream("privileged-expected.txt")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>Runs the image in Emu.</summary>
    public static IReadOnlyList<GuestResult> RunEmu(byte[] image, CpuModel? model = null)
    {
        var serial = new StringBuilder();
        using var machine = new Machine(new MachineOptions { CpuCount = 1, Model = model ?? CpuModels.Skylake, MemorySize = 16 << 20, Reboot = true })
        {
            SerialOutput = b => serial.Append((char)b),
        };
        machine.Load(BootImage.Open(image, "privileged"));
        RunResult end = machine.Run(InstructionLimit);
        return Parse(serial.ToString(), $"Emu ended with {end.Reason}: {end.Message}");
    }

    /// <summary>Runs the image in QEMU; null where there is none.</summary>
    public static IReadOnlyList<GuestResult>? RunQemu(byte[] image)
    {
        string directory = Directory.CreateTempSubdirectory("emu-qemu-").FullName;
        try
        {
            File.WriteAllBytes(Path.Combine(directory, "image.bin"), image);
            // The serial port goes to a file: into a pipe whose reader is slow QEMU drops bytes.
            bool ran = WholeMachine.Run("qemu-system-x86_64",
            [
                "-accel", "tcg,thread=single", "-cpu", "max", "-m", "64", "-display", "none", "-vga", "none", "-net", "none", "-monitor", "none",
                "-serial", "file:serial.out", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", "image.bin",
            ], directory);
            return ran ? Parse(WholeMachine.Serial(directory), "QEMU ended, or hung and was ended") : null;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Runs the image in Bochs, from a floppy; null where there is none.</summary>
    public static IReadOnlyList<GuestResult>? RunBochs(byte[] image)
    {
        string? output = BochsMachine.Run(image);
        return output == null ? null : Parse(output, "Bochs ended, or hung and was ended");
    }

    /// <summary>Of these results those about which another machine is asked (data/privileged-left-out.txt).</summary>
    public static IReadOnlyList<GuestResult> AskedOf(string oracle, IReadOnlyList<GuestResult> results) => [.. results.Where(r => !KnownDifferences.IsLeftOut(oracle, r.Name))];

    /// <summary>The cases about which they differ, in the order of ours.</summary>
    public static IReadOnlyList<GuestDifference> Compare(IReadOnlyList<GuestResult> ours, IReadOnlyList<GuestResult> theirs)
    {
        Dictionary<string, string> other = theirs.ToDictionary(r => r.Name, r => r.Found);
        return
        [
            .. from r in theirs where r.Name == End && !ours.Any(o => o.Name == End) select new GuestDifference(End, "v=reached", r.Found),
            .. from r in ours
               let found = other.GetValueOrDefault(r.Name, "(nothing)")
               where found != r.Found
               select new GuestDifference(r.Name, r.Found, found),
        ];
    }

    /// <summary>What the data table excuses and nothing differs in, given all differences of an oracle.</summary>
    public static IReadOnlyList<string> Idle(string oracle, IReadOnlyList<GuestDifference> differences) => [.. KnownDifferences.Idle(oracle, differences)];

    /// <summary>Writes down which codes were executed in the cases about which a machine agrees.</summary>
    /// <param name="checks">Where.</param>
    /// <param name="oracle">The machine.</param>
    /// <param name="image">The image of all cases.</param>
    /// <param name="agreed">Names of those cases.</param>
    public static void Record(MachineChecks checks, string oracle, byte[] image, IEnumerable<string> agreed)
    {
        IReadOnlyDictionary<string, HashSet<(Code Code, int Bits)>> executed = CaseTrace.Run(image);
        checks.Replace(oracle, agreed.SelectMany(name => executed[name]));
    }

    /// <summary>Those that the data table does not explain.</summary>
    public static IReadOnlyList<GuestDifference> Unexplained(string oracle, IEnumerable<GuestDifference> differences) =>
        [.. differences.Where(d => !KnownDifferences.Explain(oracle, d))];

    /// <summary>What a machine printed on its serial port; one that did not come to the end has an entry for it.</summary>
    /// <param name="serial">What it printed.</param>
    /// <param name="end">What is known of its end.</param>
    public static IReadOnlyList<GuestResult> Parse(string serial, string end)
    {
        var results = new List<GuestResult>();
        bool complete = false;
        foreach (string line in serial.Split('\n', StringSplitOptions.TrimEntries))
        {
            int at = line.IndexOf(FirstField, StringComparison.Ordinal);
            if (at >= 0)
                results.Add(new GuestResult(line[..at], line[(at + 1)..].StartsWith(ShutdownPrefix, StringComparison.Ordinal) ? Shutdown : line[(at + 1)..]));
            complete |= line == "END";
        }
        if (!complete)
            results.Add(new GuestResult(End, $"v=missing after {results.Count} cases, the last of which is '{results.LastOrDefault()?.Name}'; {end}"));
        return results;
    }
}
