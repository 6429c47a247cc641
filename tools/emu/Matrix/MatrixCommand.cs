using System.CommandLine;
using System.Globalization;
using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;

namespace Emu.Cli.Matrix;

/// <summary><c>emu matrix</c>: every way to patch, on every profile, over many seeds.</summary>
public static class MatrixCommand
{
    private const int DefaultSeeds = 20;
    private const int DefaultCpus = 3;
    private const int ExploredCpus = 2;
    private const ulong DefaultStates = 5_000_000;
    private const ulong DefaultLimit = 20_000_000;

    public static Command Build(Terminal terminal)
    {
        var axes = MatrixAxis.All.Select(a => new Option<string>($"--{a.Name}")
        {
            HelpName = "WORD,...",
            Description = a == MatrixAxis.Protocol
                ? "Protocols of the guest, one file each in guest/protocols; all unless given. What is none is answered with the list."
                : $"{string.Join(", ", a.Words)}; \"all\" is every one; {a.Default} unless given.",
        }).ToArray();
        var all = new Option<bool>("--all") { Description = "Every word of every choice that is not given: hours." };
        var profiles = new Option<string>("--profile") { HelpName = "NAME,...", Description = "Fetch profiles, see \"emu profiles\"; all unless given." };
        var set = new Option<string[]>("--set") { HelpName = "FIELD=VALUE", Description = "Changes one field of every profile; may be repeated." };
        var seeds = new Option<string>("--seeds") { HelpName = "N", Description = $"Seeds for each cell; {DefaultSeeds} unless given." };
        var first = new Option<string>("--first-seed") { HelpName = "N", Description = "The first of them; 1 unless given." };
        var keepGoing = new Option<bool>("--keep-going") { Description = "Run all seeds of a cell, also after one has failed." };
        var cpus = new Option<string>("--cpus") { HelpName = "N", Description = $"CPUs, 1 to 16; {DefaultCpus} unless given." };
        var cpu = new Option<string>("--cpu") { HelpName = "MODEL", Description = "CPU model; alderlake unless given, which has everything that sync= takes." };
        var rounds = new Option<string>("--rounds") { HelpName = "N", Description = "Patches in each run; as many as the guest makes, 64, unless given." };
        var append = new Option<string>("--append") { HelpName = "TEXT", Description = "More for the guest's command line, such as patches=2." };
        var limit = new Option<string>("--max-instructions") { HelpName = "N", Description = $"A run that has not ended by then hangs, and so fails; {DefaultLimit / 1_000_000}M unless given." };
        var jobs = new Option<string>("--jobs") { HelpName = "N", Description = "Machines that run at a time; one for each host CPU unless given." };
        var explore = new Option<bool>("--explore")
        {
            Description = "Explore instead of running: every order of events of each cell, so that a cell is safe within the bound, or unsafe with a witness.",
        };
        var executions = new Option<string>("--executions") { HelpName = "N", Description = "With --explore: how often each CPU executes the site; 1 unless given." };
        var maxStates = new Option<string>("--max-states") { HelpName = "N", Description = $"With --explore: states of a cell at most; {DefaultStates / 1_000_000}M unless given." };
        var html = new Option<string>("--html") { HelpName = "FILE", Description = "With --explore: write the table as a page on which a cell opens its witness." };
        var check = new Option<bool>("--check") { Description = "With --explore: also find executions that the rule of cross-modifying code forbids, whatever comes of them." };
        var json = JsonOutput.Option();
        var command = new Command("matrix", "Runs every protocol against every profile over many seeds, as a table. It finds failures; it cannot show that there are none.");
        foreach (Option option in (Option[])[.. axes, all, profiles, set, seeds, first, keepGoing, cpus, cpu, rounds, append, limit, jobs, explore, executions, maxStates, html, check, json])
            command.Add(option);

        command.SetAction(parsed =>
        {
            bool everything = parsed.GetValue(all);
            CpuModel model = MachineArguments.Model(parsed.GetValue(cpu) ?? "alderlake");
            var image = BootImage.OpenFile(Files.ShippedImage(model.Has(CpuFeature.LongMode) ? "emu64.elf" : "emu32.elf"));
            string[] protocols = [.. GuestProtocol.Read(image).Select(p => p.Name)];
            var chosen = MatrixAxis.All.Select((a, i) =>
                a.Choose(parsed.GetValue(axes[i]) ?? (everything ? "all" : a.Default), a == MatrixAxis.Protocol ? protocols : a.Words)).ToArray();
            FetchProfile[] machines = Profiles(parsed.GetValue(profiles), parsed.GetValue(set) ?? []);
            IReadOnlyList<MatrixCell> cells = MatrixCell.Combine(chosen, machines);
            int atATime = (int)Number(parsed.GetValue(jobs), "--jobs", (ulong)Environment.ProcessorCount, 1024);
            if (parsed.GetValue(explore))
            {
                // Unless somebody asks for particular cells: those whose verdicts are known.
                if (!everything && axes.All(a => parsed.GetValue(a) == null))
                    cells = [.. ExploredMatrix.Rows(protocols).SelectMany(r => machines.Select(m => new MatrixCell(ExploredMatrix.Words(r), m)))];
                var matrix = new ExploredMatrix(
                    image,
                    new MachineOptions { Model = model, CpuCount = (int)Number(parsed.GetValue(cpus), "--cpus", ExploredCpus, 16) },
                    new ExplorationOptions { States = (long)Number(parsed.GetValue(maxStates), "--max-states", DefaultStates, long.MaxValue) },
                    (int)Number(parsed.GetValue(executions), "--executions", 1, 100),
                    parsed.GetValue(append) ?? "",
                    atATime,
                    witnesses: parsed.GetValue(html) != null,
                    check: parsed.GetValue(check));
                return Explore(terminal, matrix, cells, parsed.GetValue(html), parsed.GetValue(json));
            }
            foreach (Option option in (Option[])[executions, maxStates, html, check])
                if (parsed.GetResult(option) is { Implicit: false })
                    throw new UsageException("means nothing without --explore", option.Name, "add --explore, or leave it out");
            string patches = parsed.GetValue(rounds) is { } n ? $"rounds={Number(n, "--rounds", 0, 1_000_000)} " : "";
            var options = new MachineOptions
            {
                Model = model,
                CpuCount = (int)Number(parsed.GetValue(cpus), "--cpus", DefaultCpus, 16),
            };
            var runner = new MatrixRunner(image, options, MachineArguments.Instructions(parsed.GetValue(limit)) ?? DefaultLimit, $"{patches}{parsed.GetValue(append)}".Trim());
            var plan = new MatrixPlan(
                cells, runner,
                parsed.GetValue(first) is { } seed ? MachineArguments.Seed(seed) : 1,
                (int)Number(parsed.GetValue(seeds), "--seeds", DefaultSeeds, 1_000_000),
                parsed.GetValue(keepGoing),
                atATime);
            IReadOnlyList<MatrixResult> results = plan.Run(terminal);
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, [.. results.Select(MatrixReport.ToJson)], JsonShapes.Default.MatrixJsonArray);
            else
                MatrixReport.Write(terminal, results, runner);
            return ExitCode.Success;
        });
        return command.WithExamples(
            ("emu matrix", "every protocol of the guest against every profile"),
            ("emu matrix --profile p6 --seeds 500", "the verdicts of the 2009 mail's thread, on the machine that it describes"),
            ("emu matrix --protocol int3-ipi --sync all --site handler --profile intel", "what may stand in the IPI handler when the site is in its own tail"),
            ("emu matrix --explore --html verdicts.html", "the verdict table: each cell proved within its bound, or with a witness"),
            ("emu matrix --protocol int3-ipi --ipi x2apic --fence all --json", "which fence an x2APIC needs, for a program to read"));
    }

    private static int Explore(Terminal terminal, ExploredMatrix matrix, IReadOnlyList<MatrixCell> cells, string? html, bool json)
    {
        Files.RequireWritable(html, "--html");
        IReadOnlyList<ExploredCell> verdicts = matrix.Run(cells, terminal);
        if (html != null)
            Files.WriteText(html, ExploredReport.Page(matrix, verdicts), "--html");
        if (json)
            JsonOutput.Write(terminal, [.. verdicts.Select(ExploredReport.ToJson)], JsonShapes.Default.ExploredJsonArray);
        else
            ExploredReport.Write(terminal, matrix, verdicts);
        return verdicts.Any(v => v.Verdict == "failed") ? ExitCode.Unsupported : ExitCode.Success;
    }

    private static FetchProfile[] Profiles(string? names, string[] changes) =>
        names is null or "all"
            ? [.. FetchProfiles.All.Select(p => MachineArguments.Profile(p.Name, changes))]
            : [.. names.Split(',', StringSplitOptions.TrimEntries).Distinct().Select(n => MachineArguments.Profile(n, changes))];

    private static ulong Number(string? text, string option, ulong unlessGiven, ulong most)
    {
        if (text == null)
            return unlessGiven;
        return Quantities.TryCount(text, out ulong n) && n >= 1 && n <= most ? n
            : throw new UsageException($"\"{text}\" cannot be", option, $"write a number from 1 to {most.ToString(CultureInfo.InvariantCulture)}");
    }
}
