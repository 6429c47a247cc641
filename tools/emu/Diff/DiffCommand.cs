using System.CommandLine;
using System.Globalization;
using Emu.Differ.Cases;
using Emu.Differ.Judging;
using Emu.Differ.Ledgers;
using Iced.Intel;
using Spectre.Console;

namespace Emu.Cli.Diff;

/// <summary><c>emu diff</c>: instruction cases in Emu and on other implementations.</summary>
public static class DiffCommand
{
    private const long DefaultCount = 100_000;

    public static Command Build(Terminal terminal)
    {
        var count = new Option<string>("--count") { HelpName = "N", Description = $"Cases, over all modes; {DefaultCount} unless given, or no limit with --seconds." };
        var seconds = new Option<string>("--seconds") { HelpName = "S", Description = "For how long, over all modes." };
        var seed = new Option<string>("--seed") { HelpName = "N", Description = "Which cases: the same seed makes the same ones; 1 unless given." };
        var mode = new Option<string>("--mode") { HelpName = "MODE", Description = "16, 32, 64 (CPL 0), u32, u64 (CPL 3); all unless given." };
        var oracle = new Option<string>("--oracle") { HelpName = "NAME", Description = "host (this machine's CPU, the modes of CPL 3) or unicorn (those of CPL 0); whatever there is unless given." };
        var feature = new Option<string[]>("--feature") { HelpName = "NAME", Description = "Only instructions of these CPUID features, as \"emu isa\" names them; may be repeated." };
        var code = new Option<string[]>("--code") { HelpName = "NAME", Description = "Only these instructions: mnemonics, or names of Iced's codes; may be repeated." };
        var perCode = new Option<string>("--per-code") { HelpName = "N", Description = "N cases of every instruction in every mode, in the place of --count random ones." };
        var byCode = new Option<bool>("--by-code") { Description = "List how many cases each instruction had." };
        var record = new Option<string>("--record") { HelpName = "FILE", Description = "Add the numbers of cases that agreed to a file of the ledger (tools/differ/data/checks.txt)." };
        var command = new Command("diff", "Runs instruction cases in Emu and on another implementation of x86, and compares all that they leave behind.")
        {
            DiffReplayCommand.Build(terminal), DiffCodesCommand.Build(terminal), DiffPrivilegedCommand.Build(terminal), DiffFuzzCommand.Build(terminal),
        };
        foreach (Option option in (Option[])[count, seconds, seed, mode, oracle, feature, code, perCode, byCode, record])
            command.Add(option);
        command.SetAction(parsed =>
        {
            double? limit = Positive(parsed.GetValue(seconds), "--seconds");
            double? cases = Positive(parsed.GetValue(count), "--count");
            var options = new SessionOptions
            {
                Seed = Seed(parsed.GetValue(seed)),
                Modes = DiffModes.Choose(parsed.GetValue(mode), parsed.GetValue(oracle), terminal),
                Count = (long)(cases ?? (limit == null ? DefaultCount : long.MaxValue)),
                Time = limit == null ? null : TimeSpan.FromSeconds(limit.Value),
                Codes = Filter(parsed.GetValue(feature) ?? [], parsed.GetValue(code) ?? []),
                PerCode = (int)Math.Min(Positive(parsed.GetValue(perCode), "--per-code") ?? 0, 1e6),
            };
            return Run(options, terminal, parsed.GetValue(byCode), parsed.GetValue(record));
        });
        return command.WithExamples(
            ("emu diff --seconds 60", "random cases for a minute, in every mode"),
            ("emu diff --oracle host --feature sse2 --count 1000000", "SSE2 against the CPU of this machine"),
            ("emu diff replay \"64 48d3e0 rax=1 rcx=3f\"", "one case, from the line that a difference is reported by"));
    }

    private static double? Positive(string? text, string option)
    {
        if (text == null)
            return null;
        if (!double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value) || value <= 0 || value > 1e15)
            throw new UsageException($"{option} {text}: not a positive number");
        return value;
    }

    private static ulong Seed(string? text) =>
        ulong.TryParse(text ?? "1", NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed) ? seed : throw new UsageException($"--seed {text}: not a whole number");

    private static Func<Code, bool>? Filter(string[] features, string[] names)
    {
        if (features.Length == 0 && names.Length == 0)
            return null;
        HashSet<Code> codes = [];
        foreach (string name in features)
        {
            string feature = Scope.Features.FirstOrDefault(f => f.Equals(name, StringComparison.OrdinalIgnoreCase))
                ?? throw new UsageException($"--feature {name}: there is none of that name; \"emu isa\" lists them");
            codes.UnionWith(Scope.Codes.Where(c => Scope.FeatureOf(c) == feature));
        }
        foreach (string name in names)
        {
            Code[] found = [.. Enum.GetValues<Code>().Where(c =>
                c.ToString().Equals(name, StringComparison.OrdinalIgnoreCase) || c.Mnemonic().ToString().Equals(name, StringComparison.OrdinalIgnoreCase))];
            if (found.Length == 0)
                throw new UsageException($"--code {name}: neither a mnemonic nor one of Iced's codes; \"emu diff codes\" lists what is compared");
            if (!found.Any(c => CodeModes.All.Any(m => Catalogue.For(m).Contains(c))))
                throw new UsageException($"--code {name}: not compared; \"emu diff codes --left-out\" says why");
            codes.UnionWith(found);
        }
        return codes.Contains;
    }

    private static int Run(SessionOptions options, Terminal terminal, bool byCode, string? record)
    {
        Files.RequireWritable(record, "--record");
        Checks? checks = record == null ? null : ReadChecks(record);
        terminal.Out.WriteLine($"{DiffModes.Describe(options.Modes)}, seed {options.Seed}");
        var session = new Session(options);
        if (terminal.IsInteractive)
            RunWithProgress(session, options);
        else
            session.Run();
        if (session.Cases == 0)
            throw new UsageException("none of these instructions is compared in these modes; \"emu diff codes --left-out\" says why");
        DiffReport.Write(session, terminal.Out, byCode);
        if (checks != null)
        {
            checks.Add(session.Agreements);
            Files.WriteText(record!, checks.Format(), "--record");
        }
        return session.Different + session.Unrepeated == 0 ? ExitCode.Success : ExitCode.Failure;
    }

    private static Checks ReadChecks(string path)
    {
        try
        {
            return Checks.Read(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new UsageException($"cannot be read: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}", path, "name tools/differ/data/checks.txt, or another file that --record wrote");
        }
    }

    private static void RunWithProgress(Session session, SessionOptions options) =>
        AnsiConsole.Progress().AutoClear(true).Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn()).Start(context =>
        {
            ProgressTask task = context.AddTask("cases", maxValue: 1);
            session.Run(s =>
            {
                task.Value = options.Time is { } time ? s.Elapsed / time : (double)s.Cases / s.Planned;
                task.Description = $"{s.Cases} cases, {s.Cases / s.Elapsed.TotalSeconds:f0}/s, {s.Different} different";
                return true;
            });
        });
}
