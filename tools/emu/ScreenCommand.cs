using System.CommandLine;
using Emu.Machines;

namespace Emu.Cli;

/// <summary><c>emu screen</c>: what stands on the text screen of a machine in a file.</summary>
public static class ScreenCommand
{
    public static Command Build(Terminal terminal)
    {
        var file = new Argument<string>("FILE") { Description = "A snapshot that emu boot --snapshot wrote." };
        var command = new Command("screen", "Prints the text screen of a machine that was kept in a file.") { file };
        command.SetAction(parsed =>
        {
            using Machine machine = MachineFile.Open(parsed.GetRequiredValue(file));
            TextPage.Write(machine.Screen, terminal);
            return ExitCode.Success;
        });
        return command.WithExamples(("emu screen machine.snapshot", "80 by 25 characters, from 0xB8000 or wherever the CRT controller starts"));
    }
}
