using System.CommandLine;
using System.Globalization;
using Emu.Boot;
using Emu.Exploration;
using Emu.Scenarios;

namespace Emu.Cli;

/// <summary><c>emu replay</c>: shows a saved witness again, at once or step by step.</summary>
public static class ReplayCommand
{
    public static Command Build(Terminal terminal)
    {
        var file = new Argument<string>("FILE") { Description = "A witness, as emu prove --save writes it." };
        var image = new Option<string>("--image") { HelpName = "FILE", Description = "The image, where it is no longer at the place that the witness names." };
        var step = new Option<bool>("--step") { Description = "Step by step: Enter or n for the next, b for the one before, a number for that one, q to quit." };
        var json = JsonOutput.Option();
        var command = new Command("replay", "Plays a witness again, on the machine of the exploration and on the machine itself, and shows its table.") { file, image, step, json };
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(file);
            Witness witness = WitnessFile.Load(path);
            string? kernel = witness.ScenarioText != null ? null : parsed.GetValue(image) ?? Find(witness.File, path);
            Subject subject = witness.Open(_ => BootImage.ReadFile(kernel!), kernel);
            WitnessTable table = witness.Play(subject);
            string? difference = WitnessValidation.Run(subject, table);
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, new ReplayJson(path, subject.Name, witness.Profile.Name, witness.Kind?.Word(), table.Ending, difference, table.Watches, table.Steps), JsonShapes.Default.ReplayJson);
            else
                Show(terminal, subject, witness, table, difference, parsed.GetValue(step));
            return difference == null ? ExitCode.Success : ExitCode.Failure;
        });
        return command.WithExamples(
            ("emu prove direct --save direct.witness", "explores, and saves what it finds"),
            ("emu replay direct.witness", "shows it again, on any host"),
            ("emu replay direct.witness --step", "step by step, forwards and backwards"));
    }

    /// <summary>The image that a witness names: as it stands there, beside the witness, or the one that comes with the program.</summary>
    internal static string Find(string name, string witness)
    {
        if (File.Exists(name))
            return name;
        string beside = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(witness))!, Path.GetFileName(name));
        return File.Exists(beside) ? beside : Files.ShippedImage(Path.GetFileName(name));
    }

    private static void Show(Terminal terminal, Subject subject, Witness witness, WitnessTable table, string? difference, bool step)
    {
        terminal.Out.WriteLine($"{subject.Name}: profile {witness.Profile.Name}");
        terminal.Out.WriteLine();
        if (step)
            Walk(terminal, table);
        else
            table.Write(terminal.Out);
        foreach (string line in table.Report?.Lines() ?? [])
            terminal.Out.WriteLine(line);
        string kind = witness.Kind is { } k ? $"{k.Name()}: " : "";
        terminal.Out.WriteLine($"ends in {kind}{table.Ending}");
        terminal.Out.WriteLine(difference == null ? "the same on the machine itself, with every fetch as an event" : $"NOT the same on the machine itself: {difference}");
    }

    private static void Walk(Terminal terminal, WitnessTable table)
    {
        (IReadOnlyList<string> heading, IReadOnlyList<IReadOnlyList<string>> steps) = ScenarioTable.Format([.. table.Watches.Select(w => w.Name)], table.CpuCount, table.Steps);
        foreach (string line in heading)
            terminal.Out.WriteLine(line);
        int at = 0;
        while (true)
        {
            foreach (string line in steps[at])
                terminal.Out.WriteLine(line);
            terminal.Out.Flush();
            if (terminal.In.ReadLine()?.Trim() is not { } typed || typed == "q")
                break;
            if (typed is "" or "n")
            {
                if (++at == steps.Count)
                    break;
            }
            else if (typed == "b")
                at = Math.Max(0, at - 1);
            else if (int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number < steps.Count)
                at = number;
            else
                terminal.Out.WriteLine($"Enter or n: next, b: back, 0 to {steps.Count - 1}: that step, q: quit");
        }
        terminal.Out.WriteLine();
    }
}
