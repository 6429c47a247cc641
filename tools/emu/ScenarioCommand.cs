using System.CommandLine;
using Emu.Exploration;
using Emu.Scenarios;

namespace Emu.Cli;

/// <summary><c>emu scenario</c>: plays scripted scenarios and judges them.</summary>
public static class ScenarioCommand
{
    public static Command Build(Terminal terminal)
    {
        var files = new Argument<string[]>("FILE") { Arity = ArgumentArity.OneOrMore, Description = "Scenarios; emulator/Scenarios/README.md describes the language." };
        var brief = new Option<bool>("--brief") { Description = "One line for each file: its verdict." };
        var explore = new Option<bool>("--explore") { Description = "Go through every order of events, whatever the file says; see the language's explore:." };
        var save = new Option<string>("--save") { HelpName = "FILE", Description = "Save the explored run that decides, for \"emu replay FILE\"; with one scenario." };
        var bounds = new ExploreArguments();
        var json = JsonOutput.Option();
        var command = new Command("scenario", "Plays scenarios, event by event, and judges them; exits with 0 when each went as it expects.") { files, explore, brief, save };
        bounds.AddTo(command);
        command.Add(json);
        command.SetAction(parsed =>
        {
            ExplorationOptions options = bounds.Read(parsed);
            string? file = parsed.GetValue(save);
            if (file != null && parsed.GetRequiredValue(files).Length != 1)
                throw new UsageException("one witness cannot be of several scenarios", "--save", "give one scenario at a time");
            Files.RequireWritable(file, "--save");
            Scenario[] scenarios = [.. parsed.GetRequiredValue(files).Select(Load)];
            var results = new List<ScenarioResult>();
            foreach (Scenario scenario in scenarios)
            {
                ScenarioResult result = Play(terminal, scenario, parsed.GetValue(explore), options, file);
                results.Add(result);
                if (!parsed.GetValue(json))
                    Write(terminal, result, parsed.GetValue(brief));
            }
            int unexpected = results.Count(r => !r.AsExpected);
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, [.. results], JsonShapes.Default.ScenarioResultArray);
            else if (results.Count > 1)
                terminal.Out.WriteLine($"{results.Count} scenarios: {results.Count - unexpected} as expected, {unexpected} not");
            return unexpected == 0 ? ExitCode.Success : ExitCode.Failure;
        });
        return command.WithExamples(
            ("emu scenario tests/litmus/mail-buggy.litmus", "the mail's first diagram, with memory and the prefetch queue at every step"),
            ("emu scenario tests/litmus/handler-tail-*.litmus", "MFENCE against CPUID in the IPI handler"),
            ("emu scenario --explore tests/litmus/SB.litmus", "not random orders of events, but all of them"),
            ("emu scenario --brief tests/litmus/x86-tso/*.litmus", "the published tests of x86-TSO, proved"),
            ("emu scenario --brief tests/litmus/*.litmus", "the verdicts on all that is shipped"));
    }

    private static ScenarioResult Play(Terminal terminal, Scenario scenario, bool explore, ExplorationOptions options, string? save)
    {
        if (!explore && !ScenarioExplorer.IsAskedFor(scenario))
            return ScenarioRunner.Run(scenario);
        ExploreDirective directive = ScenarioExplorer.IsAskedFor(scenario) ? scenario.Explore!
            : options.Preemptions is { } most ? new ExploreDirective(ExploreKind.Preemptions, most, options.EventsOnPath)
            : new ExploreDirective(ExploreKind.Exhaustive, 0, options.EventsOnPath);
        var subject = new ScenarioSubject(scenario);
        ExplorationResult explored = ExplorationProgressView.Run(terminal, subject, ScenarioExplorer.Bounded(directive, options));
        if (save != null && explored.Deciding is { } steps)
            WitnessFile.Save(Witness.Of(subject, Files.ReadText(scenario.FileName, "scenario", "leave the file where it is"), explored, steps), save);
        return ScenarioExplorer.Judge(subject, directive, explored);
    }

    private static Scenario Load(string path) => Scenario.Parse(Files.ReadText(path, "scenario", "give the path of a scenario, such as tests/litmus/mail-buggy.litmus"), path);

    private static void Write(Terminal terminal, ScenarioResult result, bool brief)
    {
        if (brief)
        {
            string verdict = result.Problem != null ? $"cannot be judged: {result.Problem}" : result.AsExpected ? "as expected" : "NOT as expected";
            terminal.Out.WriteLine($"{result.Name,-32} {result.Observation,-9} {result.Positive} {result.Negative}  {verdict}");
            return;
        }
        ScenarioTable.Write(result, terminal.Out);
        terminal.Out.WriteLine();
    }
}
