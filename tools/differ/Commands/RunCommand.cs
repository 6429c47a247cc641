using System.CommandLine;
using Emu.Differ.Cases;
using Emu.Differ.Judging;
using Emu.Differ.Unicorn;
using Iced.Intel;
using Spectre.Console;

namespace Emu.Differ.Commands;

/// <summary><c>differ run</c>: random cases.</summary>
public static class RunCommand
{
    public static Command Build()
    {
        var count = new Option<long?>("--count") { Description = "How many cases, over all modes (default 100000, or no limit with --seconds)." };
        var seconds = new Option<double?>("--seconds") { Description = "How long, over all modes." };
        var seed = new Option<ulong>("--seed") { Description = "Which cases: the same seed makes the same ones.", DefaultValueFactory = _ => 1 };
        var mode = new Option<string>("--mode") { Description = "16, 32, 64 or all.", DefaultValueFactory = _ => "all" };
        var code = new Option<string[]>("--code")
        {
            Description = "Only these instructions: mnemonics, or names of Iced's codes. May be repeated.",
            AllowMultipleArgumentsPerToken = true,
        };
        var table = new Option<bool>("--by-code") { Description = "Lists how many cases each instruction had." };
        var command = new Command("run", "Runs random instruction cases in Emu and in Unicorn and compares registers, flags, memory and exceptions.")
        {
            count, seconds, seed, mode, code, table,
        };
        command.SetAction(parsed =>
        {
            double? limit = parsed.GetValue(seconds);
            if (limit is <= 0 || parsed.GetValue(count) is <= 0)
                throw new UsageException("--count and --seconds must be positive");
            var options = new SessionOptions
            {
                Seed = parsed.GetValue(seed),
                Modes = Modes(parsed.GetValue(mode)!),
                Count = parsed.GetValue(count) ?? (limit == null ? 100_000 : long.MaxValue),
                Time = limit == null ? null : TimeSpan.FromSeconds(limit.Value),
                Codes = Filter(parsed.GetValue(code) ?? []),
            };
            return Run(options, parsed.InvocationConfiguration.Output, parsed.GetValue(table));
        });
        return command;
    }

    /// <summary>The modes of an option.</summary>
    /// <exception cref="UsageException">There is no such mode.</exception>
    public static IReadOnlyList<CodeMode> Modes(string text) => text switch
    {
        "all" => CodeModes.All,
        "u32" => [CodeMode.User32],
        "u64" => [CodeMode.User64],
        "16" => [CodeMode.Real16],
        "32" => [CodeMode.Protected32],
        "64" => [CodeMode.Long64],
        _ => throw new UsageException($"--mode {text}: there are 16, 32, 64 and all"),
    };

    private static Func<Code, bool>? Filter(string[] names)
    {
        if (names.Length == 0)
            return null;
        HashSet<Code> codes = [];
        foreach (string name in names)
        {
            Code[] found = [.. Enum.GetValues<Code>().Where(c =>
                c.ToString().Equals(name, StringComparison.OrdinalIgnoreCase) || c.Mnemonic().ToString().Equals(name, StringComparison.OrdinalIgnoreCase))];
            if (found.Length == 0)
                throw new UsageException($"--code {name}: neither a mnemonic nor one of Iced's codes; \"differ codes\" lists what is compared");
            if (!found.Any(c => CodeModes.All.Any(m => Catalogue.For(m).Contains(c))))
                throw new UsageException($"--code {name}: not compared; \"differ codes --left-out\" says why");
            codes.UnionWith(found);
        }
        return codes.Contains;
    }

    private static int Run(SessionOptions options, TextWriter output, bool byCode)
    {
        output.WriteLine($"Unicorn {UnicornLibrary.Require()}, seed {options.Seed}");
        var session = new Session(options);
        if (output == Console.Out && !Console.IsOutputRedirected)
            RunWithProgress(session, options);
        else
            session.Run();
        if (session.Cases == 0)
            throw new UsageException("none of these instructions exists in these modes");
        foreach (Failure failure in session.Failures)
        {
            output.WriteLine();
            output.WriteLine($"{failure.Path}: {string.Join("; ", failure.Differences)}");
            output.WriteLine($"  differ replay \"{failure.Line}\"");
        }
        output.WriteLine();
        if (byCode || session.Different > 0)
            WriteByCode(session, output, all: byCode);
        foreach ((string rule, long cases) in session.Explained)
            output.WriteLine($"{cases,9}  explained by oracle error {rule}");
        output.WriteLine(
            $"{session.Cases} cases of {session.ByCode.Count} instruction codes in {session.Elapsed.TotalSeconds:f1} s ({session.Cases / session.Elapsed.TotalSeconds:f0} cases/s): {session.Agreed} agree ({session.Faults} of all end in an exception), {session.Explained.Values.Sum()} explained, {session.Refused} not comparable, {session.Different} different");
        return session.Different == 0 ? ExitCode.Agreement : ExitCode.Difference;
    }

    private static void RunWithProgress(Session session, SessionOptions options) =>
        AnsiConsole.Progress().AutoClear(true).Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn()).Start(context =>
        {
            ProgressTask task = context.AddTask("cases", maxValue: 1);
            session.Run(s =>
            {
                task.Value = options.Time is { } time ? s.Elapsed / time : (double)s.Cases / options.Count;
                task.Description = $"{s.Cases} cases, {s.Cases / s.Elapsed.TotalSeconds:f0}/s, {s.Different} different";
                return true;
            });
        });

    private static void WriteByCode(Session session, TextWriter output, bool all)
    {
        foreach (((CodeMode mode, Code code), (long cases, long different)) in session.ByCode.OrderBy(e => e.Key.Mode).ThenBy(e => e.Key.Code.ToString(), StringComparer.Ordinal))
            if (all || different > 0)
                output.WriteLine($"{mode.Bits(),2} {code,-32} {cases,8} cases{(different > 0 ? $", {different} different" : "")}");
    }
}
