using System.Globalization;
using System.Reflection;

namespace Emu.Cli;

/// <summary>
/// A script for the guest's shell during which Linux patches its own code: a file of tools/emu/Linux/workloads, which is part of the program. Its comments say what it does,
/// <c># append TEXT</c> what the kernel's command line needs, <c># flavour NAME</c> and <c># module NAME</c> which of Debian's kernels, and which of its modules shall lie in /modules, <c># megabytes NUMBER</c> how much RAM (256 unless it says so), <c># caught CONTROL</c> which controls must not come out clean, <c># expect FUNCTION = NUMBER</c> how often it runs a function: ROUNDS stands for the number of
/// rounds, <c>hits</c> for what the script prints as <c>hits=NUMBER</c>, <c>2*hits</c> for twice that.
/// </summary>
internal sealed class Workload
{
    private const string Append = "# append ";
    private const string OfFlavour = "# flavour ";
    private const string Module = "# module ";
    private const string OfMegabytes = "# megabytes ";
    private const string Expect = "# expect ";
    private const string Caught = "# caught ";

    /// <summary>What Linux says when it has found something wrong.</summary>
    private const string Suspicious = "BUG:|WARNING:|Oops|general protection|invalid opcode|int3:|Call Trace|Bad ";

    /// <summary>The status by which a script tells that the kernel's log has something of it.</summary>
    private const int LogStatus = 98;

    private readonly string _text;

    private Workload(string name, string text, int rounds, int modelledRounds)
    {
        Name = name;
        _text = text;
        Rounds = rounds;
        ModelledRounds = modelledRounds;
        string[] lines = text.Split('\n');
        Description = lines[0][2..];
        string[] Said(string word) => [.. lines.Where(l => l.StartsWith(word, StringComparison.Ordinal)).Select(l => l[word.Length..])];
        KernelArguments = string.Join(' ', Said(Append));
        Flavour = Said(OfFlavour).SingleOrDefault() ?? LinuxFiles.SmallFlavour;
        Modules = Said(Module);
        Megabytes = Said(OfMegabytes) is [var number] ? uint.Parse(number, CultureInfo.InvariantCulture) : 256;
        MustBeCaught = Said(Caught);
        Expectations = [.. Said(Expect).Select(l => l.Split(" = ")).Select(p => (p[0], p[1]))];
    }

    public string Name { get; }

    /// <summary>Its first line.</summary>
    public string Description { get; }

    /// <summary>What it needs on the kernel's command line.</summary>
    public string KernelArguments { get; }

    /// <summary>Debian's flavour of the kernel.</summary>
    public string Flavour { get; }

    /// <summary>Modules of its package that the script loads.</summary>
    public IReadOnlyList<string> Modules { get; }

    /// <summary>RAM, in MiB.</summary>
    public uint Megabytes { get; }

    /// <summary>Controls that must not come out clean.</summary>
    public IReadOnlyList<string> MustBeCaught { get; }

    /// <summary>Functions, and how often each must run.</summary>
    public IReadOnlyList<(string Function, string Times)> Expectations { get; }

    /// <summary>Rounds under the coherent profile,</summary>
    public int Rounds { get; }

    /// <summary>and under others, which take ten times as long.</summary>
    public int ModelledRounds { get; }

    /// <summary>All of them.</summary>
    public static IReadOnlyList<Workload> All { get; } =
        [Read("toggles", 200, 200), Read("preemption", 4, 2), Read("tracepoint", 4, 2), Read("kprobe", 50, 20), Read("ftrace", 2, 1), Read("polling", 4, 4), Read("module", 20, 4)];

    /// <summary>The script, and behind it a look at the kernel's log.</summary>
    public string Script(int rounds) =>
        $"(\n{_text.Replace("ROUNDS", rounds.ToString(CultureInfo.InvariantCulture))})\nstatus=$?\ndmesg | grep -E '{Suspicious}' && exit {LogStatus}\nexit $status\n";

    private static Workload Read(string name, int rounds, int modelledRounds)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"Emu.Cli.workloads.{name}.sh")!;
        using var reader = new StreamReader(stream);
        return new Workload(name, reader.ReadToEnd(), rounds, modelledRounds);
    }
}
