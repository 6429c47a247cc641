using System.CommandLine;
using System.Globalization;
using Emu.Boot;
using Emu.Cpus;
using Emu.Execution;
using Emu.Machines;

namespace Emu.Cli;

/// <summary><c>emu sample</c>: boots an image many times, each with another seed, and says how often it fails.</summary>
public static class SampleCommand
{
    private const ulong DefaultRuns = 100;
    private const ulong DefaultLimit = 50_000_000;

    public static Command Build(Terminal terminal)
    {
        var image = new Argument<string?>("IMAGE") { Arity = ArgumentArity.ZeroOrOne, Description = "As of \"emu boot\"." };
        var machine = new MachineArguments();
        var check = new CheckArguments();
        var append = new Option<string>("--append") { HelpName = "TEXT", Description = "The kernel's command line." };
        var runs = new Option<string>("--runs") { HelpName = "R", Description = $"Runs, each with another seed, from --seed on; {DefaultRuns} unless given." };
        var limit = new Option<string>("--max-instructions") { HelpName = "N", Description = $"A run that has not ended by then hangs, and so fails; {DefaultLimit / 1_000_000}M unless given." };
        var jobs = new Option<string>("--jobs") { HelpName = "N", Description = "Machines that run at a time; one for each host CPU unless given." };
        var json = JsonOutput.Option();
        var command = new Command("sample", "Boots an image with many seeds and says how often it fails, and how often the schedule promises to. It cannot show that there is no failure.") { image };
        machine.AddTo(command);
        check.AddTo(command);
        foreach (Option option in (Option[])[append, runs, limit, jobs, json])
            command.Add(option);
        command.SetAction(parsed =>
        {
            MachineOptions options = check.Read(parsed, machine.Read(parsed));
            if (options.Schedule is not (ScheduleKind.Random or ScheduleKind.Pct))
                throw new UsageException("every seed gives the same run", "--schedule", "write random, or pct:DEPTH");
            string path = parsed.GetValue(image) ?? Files.ShippedImage(options.Model.Has(CpuFeature.LongMode) ? "emu64.elf" : "emu32.elf");
            var kernel = BootImage.OpenFile(path);
            string commandLine = parsed.GetValue(append) ?? "";
            var sampler = new Sampler(kernel, parsed.GetValue(image), commandLine, PctStart.Of(options, machine.PctBegin(parsed), kernel, commandLine), MachineArguments.Instructions(parsed.GetValue(limit)) ?? DefaultLimit);
            bool stepsGiven = machine.NamesPctSteps(parsed);
            SampleResult result = sampler.Run(options, stepsGiven, Number(parsed.GetValue(runs), "--runs", DefaultRuns), (int)Number(parsed.GetValue(jobs), "--jobs", (ulong)Environment.ProcessorCount));
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, result.ToJson(), JsonShapes.Default.SampleJson);
            else
                result.Write(terminal);
            return ExitCode.Success;
        });
        return command.WithExamples(
            ("emu sample --schedule pct:3 --append \"protocol=int3 explore=1\"", "a hundred runs, with priorities that change twice behind explore_begin; the bound, and how often it fails"),
            ("emu sample --profile intel --runs 1000 --append \"protocol=int3-ipi site=line\"", "uniform random choices, a thousand times"),
            ("emu sample --check --append protocol=quadword", "how often the checker has something to report"));
    }

    private static ulong Number(string? text, string option, ulong unlessGiven)
    {
        if (text == null)
            return unlessGiven;
        return Quantities.TryCount(text, out ulong n) && n is >= 1 and <= 10_000_000 ? n
            : throw new UsageException($"\"{text}\" cannot be", option, "write a number from 1 to 10000000");
    }
}

/// <summary>How runs with many seeds went.</summary>
/// <param name="Agents">n: of a PCT schedule.</param>
/// <param name="Steps">k: events among which priorities change.</param>
/// <param name="Measured">k was measured in runs before the others.</param>
/// <param name="Failures">Ways to fail: how often, the first seed, and the command that does it again.</param>
internal sealed record SampleResult(
    string Image, MachineOptions Options, PctStart? Begin, ulong Runs, int Agents, ulong Steps, bool Measured, IReadOnlyList<(string How, ulong Count, ulong Seed, string Replay)> Failures)
{
    private ulong Hits => Failures.Aggregate(0UL, (sum, f) => sum + f.Count);
    private bool IsPct => Options.Schedule == ScheduleKind.Pct;
    private double Bound => PctPriorities.Bound(Agents, Options.PctDepth, Steps);

    public void Write(Terminal terminal)
    {
        terminal.Out.WriteLine(Invariant($"{Image}, profile {Options.Profile.Name}, {Options.CpuCount} CPUs, seeds {Options.Seed} to {Options.Seed + Runs - 1}"));
        if (IsPct)
        {
            terminal.Out.WriteLine(Invariant($"schedule pct: depth d = {Options.PctDepth}, n = {Agents} agents, k = {Steps} events{(Begin == null ? "" : $" from {Begin.Symbol} on")}{(Measured ? $", the most of {Sampler.Probes} runs before" : "")}"));
            terminal.Out.WriteLine(Invariant($"bound 1/(n k^(d-1)) = {Bound:g3} a run for a bug of depth {Options.PctDepth}; measured {Rate:g3}, {Hits} of {Runs} runs fail"));
        }
        else
        {
            terminal.Out.WriteLine(Invariant($"schedule random: no bound; measured {Rate:g3}, {Hits} of {Runs} runs fail"));
        }
        foreach ((string how, ulong count, _, string replay) in Failures)
        {
            terminal.Out.WriteLine(Invariant($"  {count} times: {how}"));
            terminal.Out.WriteLine($"      {replay}");
        }
    }

    public SampleJson ToJson() => new(
        Image, Options.Profile.Name, Options.CpuCount, IsPct ? "pct" : "random", IsPct ? Options.PctDepth : null, IsPct ? Agents : null, IsPct ? Steps : null, Begin?.Symbol, IsPct ? Bound : null,
        Options.Seed, Runs, Hits, Rate, [.. Failures.Select(f => new SampleFailureJson(f.How, f.Count, f.Seed, f.Replay))]);

    private double Rate => (double)Hits / Runs;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The value of <c>emu sample --json</c>.</summary>
internal sealed record SampleJson(
    string Image, string Profile, int Cpus, string Schedule, int? Depth, int? Agents, ulong? Steps, string? Begin, double? Bound, ulong FirstSeed, ulong Runs, ulong Hits, double Rate,
    IReadOnlyList<SampleFailureJson> Failures);

/// <summary>A way to fail.</summary>
internal sealed record SampleFailureJson(string How, ulong Count, ulong Seed, string Replay);
