using System.Text.RegularExpressions;
using Xunit;

namespace Emu.Tests.House;

/// <summary>The rules that keep the house habitable (README, "The map of the house").</summary>
public sealed partial class LayeringTests
{
    private static readonly (string File, string Text)[] Library =
        [.. Repository.Files("emulator", ".cs").Select(f => (f, Repository.Read(f)))];

    /// <summary>Where unsafe code may stand, and why. Devices, loaders, scenarios and the command line have none.</summary>
    private static readonly (string Path, string Why)[] UnsafeRooms =
    [
        ("emulator/Memory/", "guest RAM is one native block"),
        ("emulator/Fetch/", "the prefetch queue and the history of code copy from and to guest RAM"),
        ("emulator/Cpu/", "a CPU's state is one blittable struct at a fixed address"),
        ("emulator/Instructions/", "operations and the operand forms that the dispatch loop threads"),
        ("emulator/Execution/", "the dispatch loop"),
        ("emulator/Interrupts/LocalApic.cs", "reads the APIC base and the TSC offset of its CPU's state"),
        ("emulator/Exploration/Explored", "an explored CPU is tried and taken back by copies of its state, and fed with bytes of guest RAM"),
        ("emulator/Exploration/InterruptedProgram.cs", "looks at a CPU's registers before and behind an interrupt"),
        ("emulator/Exploration/NaiveMachine.cs", "copies a machine's whole state out and in"),
        ("emulator/Exploration/LazyFetch.cs", "reads versions of code out of guest RAM"),
        ("emulator/Exploration/StateMixer.cs", "hashes a CPU's state"),
        ("emulator/Machine/", "composes CPUs: budgets and snapshots live in their state and in guest RAM"),
    ];

    [Fact]
    public void Library_EveryFile_LiesInALayer() =>
        Assert.Empty(Library.Where(f => Layers.OfFile(f.File) < 0).Select(f => f.File));

    [Fact]
    public void Library_EveryFile_DeclaresTheNamespaceOfItsFolder()
    {
        var wrong = Library
            .Where(f => Layers.OfFile(f.File) >= 0)
            .Where(f => Namespace().Match(f.Text).Groups[1].Value != Layers.Order[Layers.OfFile(f.File)].Namespace)
            .Select(f => f.File);
        Assert.Empty(wrong);
    }

    [Fact]
    public void Library_EveryFile_ImportsOnlyFromItsLayerAndBelow()
    {
        var layers = new Layers(Library);
        Assert.Empty(Library.SelectMany(f => layers.Violations(f.File, f.Text)));
    }

    [Theory]
    [InlineData("using Emu.Machines;\nnamespace Emu.Cpus;", 1)]
    [InlineData("namespace Emu.Cpus;\nclass C { Emu.Execution.Stepper s; }", 1)]
    [InlineData("namespace Emu.Cpus;\nusing S = Emu.Execution.Stepper;", 1)]
    [InlineData("namespace Emu.Cpus;\nclass C { Execution.Stepper s; }", 1)]
    [InlineData("using Emu.Memory;\nnamespace Emu.Cpus;\nclass C { Bus b; Memory.Bus c; }", 0)]
    [InlineData("namespace Emu.Cpus;\n// Emu.Machines does this\nclass C { string s = \"Emu.Machines.Machine\"; }", 0)]
    [InlineData("namespace Emu.Cpus;\nclass C { int Execution; int F() => Execution.GetHashCode() + this.Execution.CompareTo(0); }", 0)]
    public void Layers_FileOfCpu_ReportsWhatLiesAbove(string text, int expected)
    {
        var layers = new Layers([("emulator/Execution/Stepper.cs", "namespace Emu.Execution;\nclass Stepper { }"), ("emulator/Cpu/C.cs", text)]);
        Assert.Equal(expected, layers.Violations("emulator/Cpu/C.cs", text).Count());
    }

    [Fact]
    public void Library_UnsafeCode_LivesInItsRooms()
    {
        var outside = Library.Concat(Repository.Files("tools/emu", ".cs").Select(f => (File: f, Text: Repository.Read(f))))
            .Where(f => !UnsafeRooms.Any(room => f.File.StartsWith(room.Path, StringComparison.Ordinal)) && Unsafe().IsMatch(Repository.Code(f.Text)))
            .Select(f => f.File);
        Assert.Empty(outside);
    }

    [Fact]
    public void UnsafeRooms_EachOfThem_IsStillNeeded() =>
        Assert.All(UnsafeRooms, room => Assert.Contains(Library, f => f.File.StartsWith(room.Path, StringComparison.Ordinal) && Unsafe().IsMatch(Repository.Code(f.Text))));

    [Fact]
    public void Sources_LongerThan500Lines_SayWhyAtTheTop()
    {
        var silent = new[] { "emulator", "tools", "tests", "guest" }
            .SelectMany(d => Repository.Files(d, ".cs", ".c", ".h", ".S"))
            .Select(f => (File: f, Lines: Repository.Read(f).Split('\n')))
            .Where(f => f.Lines.Length > 501 && !f.Lines.Take(20).Any(l => LongBecause().IsMatch(l)))
            .Select(f => $"{f.File}: {f.Lines.Length - 1} lines; a comment near its top must say why: \"Long because ...\"");
        Assert.Empty(silent);
    }

    [GeneratedRegex(@"^namespace\s+([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"\bunsafe\b")]
    private static partial Regex Unsafe();

    [GeneratedRegex("(//|/\\*|\\*).*[Ll]ong because ")]
    private static partial Regex LongBecause();
}
