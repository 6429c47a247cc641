using System.CommandLine;
using System.Globalization;
using Emu.Boot;
using Emu.Fetch;
using Emu.Machines;
using Spectre.Console;

namespace Emu.Cli;

/// <summary><c>emu observe</c>: Linux patches its own code under every profile, as it is and broken, and what comes of it.</summary>
public static class ObserveCommand
{
    private static readonly string[] s_profiles = ["coherent", "p6", "intel", "amd"];

    public static Command Build(Terminal terminal)
    {
        var workloads = new Argument<string[]>("WORKLOAD")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = $"What Linux does meanwhile: {string.Join(", ", Workload.All.Select(w => w.Name))}; all unless given.",
        };
        var profiles = new Option<string[]>("--profile") { HelpName = "NAME", Description = $"May be repeated; {string.Join(", ", s_profiles)} unless given." };
        var controls = new Option<string[]>("--control") { HelpName = "NAME", Description = $"What is broken: {string.Join(", ", Control.All.Select(c => c.Name))}; all unless given. May be repeated." };
        var rounds = new Option<string>("--rounds") { HelpName = "N", Description = "Rounds of each workload, instead of its own number." };
        var seed = new Option<string>("--seed") { HelpName = "N", Description = "Where all randomness comes from; 1 unless given." };
        Option<bool> json = JsonOutput.Option();
        var command = new Command("observe", "Watches Debian's Linux patch its own code under every profile, as it is and with controls that must fail.") { workloads, profiles, controls, rounds, seed, json };
        command.SetAction(parsed =>
        {
            Workload[] chosen = Choose(parsed.GetValue(workloads), Workload.All, w => w.Name, "WORKLOAD");
            Control[] broken = Choose(parsed.GetValue(controls), Control.All, c => c.Name, "--control");
            FetchProfile[] rules = [.. (parsed.GetValue(profiles) is { Length: > 0 } named ? named : s_profiles).Select(p => MachineArguments.Profile(p, []))];
            int? number = parsed.GetValue(rounds) is { } text
                ? Quantities.TryNumber(text, out ulong n) && n is >= 1 and <= 100_000 ? (int)n : throw new UsageException($"\"{text}\" is not a number from 1 to 100000", "--rounds", "write, for example, 20")
                : null;
            var machine = new MachineOptions { CpuCount = 2, Seed = parsed.GetValue(seed) is { } s ? MachineArguments.Seed(s) : 1 };
            ReadOnlyMemory<byte> busybox = BootImage.ReadFile(LinuxFiles.Busybox(terminal));
            var results = new List<ObservationResult>();
            foreach (Workload workload in chosen)
            {
                string kernel = LinuxFiles.Kernel(workload.Flavour, terminal);
                foreach (Control control in broken)
                    foreach (FetchProfile rule in rules)
                    {
                        terminal.Error.WriteLine($"emu: {workload.Name}, {control.Name}, {rule.Name}");
                        results.Add(new Observation(workload, control, rule, number ?? (rule.IsCoherent ? workload.Rounds : workload.ModelledRounds)).Run(terminal, kernel, busybox.Span, machine));
                    }
            }
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, [.. results], JsonShapes.Default.ObservationResultArray);
            else
                Write(terminal, results, broken, rules);
            return results.TrueForAll(r => r.IsExpected) ? ExitCode.Success : ExitCode.Failure;
        });
        return command.WithExamples(
            ("emu observe", "all workloads, under coherent, p6, intel and amd, as Linux is and with two controls; takes more than an hour"),
            ("emu observe toggles --profile coherent", "200 toggles of a static key under load, at full speed, by the rule of intel"),
            ("emu observe polling --profile p6 --control no-core", "where the IRET of the IPI does not hide that do_sync_core does nothing"));
    }

    private static T[] Choose<T>(string[]? names, IReadOnlyList<T> all, Func<T, string> nameOf, string where) =>
        names is not { Length: > 0 } ? [.. all]
        : [.. names.Select(n => all.FirstOrDefault(a => nameOf(a) == n) ?? throw new UsageException($"there is no \"{n}\"", where, $"choose one of {string.Join(", ", all.Select(nameOf))}"))];

    private static void Write(Terminal terminal, List<ObservationResult> results, Control[] controls, FetchProfile[] profiles)
    {
        Table table = Tables.New(["workload", "broken", .. profiles.Select(p => p.Name)]);
        foreach (IGrouping<(string Workload, string Control), ObservationResult> row in results.GroupBy(r => (r.Workload, r.Control)))
            table.AddRow([row.Key.Workload, row.Key.Control, .. row.Select(r => Markup.Escape(r.Verdict))]);
        Tables.Write(terminal, table);
        foreach (Control control in controls)
            terminal.Out.WriteLine($"{control.Name}: {control.Meaning}");
        terminal.Out.WriteLine();
        foreach (ObservationResult r in results)
        {
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{r.Workload}, {r.Control}, {r.Profile}: {r.Rounds} rounds, {string.Join(", ", r.Functions.Select(f => $"{f.Name} {f.Runs?.ToString("N0", CultureInfo.InvariantCulture) ?? "none"}"))}; {r.Patched:N0} patches of {r.Sites:N0} sites, {r.Traps:N0} breakpoints taken at them; {r.Instructions:N0} instructions, run hash {r.RunHash}"));
            if (!r.IsExpected && r.IsClean)
                terminal.Out.WriteLine("  not caught");
            foreach (string detail in r.Details.Take(8))
                terminal.Out.WriteLine($"  {detail}");
        }
    }
}
