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
        var json = JsonOutput.Option();
        var command = new Command("scenario", "Plays scenarios, event by event, and judges them; exits with 0 when each went as it expects.") { files, explore, brief, json };
        command.SetAction(parsed =>
        {
            Scenario[] scenarios = [.. parsed.GetRequiredValue(files).Select(Load)];
            var results = new List<ScenarioResult>();
            foreach (Scenario scenario in scenarios)
            {
                ScenarioResult result = Play(scenario, parsed.GetValue(explore));
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

    private static ScenarioResult Play(Scenario scenario, bool explore)
    {
        if (ScenarioExplorer.IsAskedFor(scenario))
            return ScenarioExplorer.Run(scenario, scenario.Explore!, new ExplorationOptions());
        return explore ? ScenarioExplorer.Run(scenario, new ExploreDirective(ExploreKind.Exhaustive), new ExplorationOptions()) : ScenarioRunner.Run(scenario);
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
