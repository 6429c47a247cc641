using System.CommandLine;
using Emu.Boot;
using Emu.Differ.Judging;
using Emu.Differ.Lockstep;
using Emu.Differ.Unicorn;
using Spectre.Console;

namespace Emu.Cli;

/// <summary><c>emu lockstep</c>: a guest image, instruction by instruction.</summary>
public static class LockstepCommand
{
    public static Command Build(Terminal terminal)
    {
        var image = new Argument<string>("IMAGE") { Description = "A multiboot kernel." };
        var instructions = new Option<long>("--instructions") { Description = "How many at most.", DefaultValueFactory = _ => 1_000_000 };
        var append = new Option<string>("--append") { Description = "The kernel's command line.", DefaultValueFactory = _ => "" };
        var further = new Option<bool>("--further") { Description = "Goes on behind the first access to a device in memory, with what Emu's devices answer." };
        var command = new Command("lockstep", "Boots an image on one CPU in Emu (profile coherent) and in Unicorn and compares them after every instruction, up to the first access to the APIC.")
        {
            image, instructions, append, further,
        };
        command.SetAction(parsed =>
        {
            long limit = parsed.GetValue(instructions);
            if (limit <= 0)
                throw new UsageException("--instructions must be positive");
            TextWriter output = terminal.Out;
            output.WriteLine($"Unicorn {UnicornLibrary.Require()}, {parsed.GetValue(image)}");
            BootImage kernel = BootImage.OpenFile(parsed.GetValue(image)!);
            using var run = new LockstepRun(kernel, parsed.GetValue(append)!, parsed.GetValue(further));
            LockstepEnd end = terminal.IsInteractive ? RunWithProgress(run, limit) : run.Run(limit);
            return Report(run, end, output);
        });
        return command.WithExamples(("emu lockstep images/emu64.elf", "the shipped kernel, compared after every instruction up to the first access to the APIC"));
    }

    private static LockstepEnd RunWithProgress(LockstepRun run, long limit) =>
        AnsiConsole.Status().Start("lockstep", context => run.Run(limit, r => context.Status($"{r.Compared} instructions compared")));

    private static int Report(LockstepRun run, LockstepEnd end, TextWriter output)
    {
        string why = end switch
        {
            LockstepEnd.Limit => "the limit of --instructions",
            LockstepEnd.Device => $"the first access to a device in memory, at {run.Where}",
            LockstepEnd.Guest => $"the end of the guest, at {run.Where}",
            _ => $"a difference, at {run.Where}",
        };
        foreach (Difference difference in run.Differences)
            output.WriteLine($"  {difference}");
        output.WriteLine($"{run.Compared} instructions compared, {run.Fed} taken over from Emu, up to {why}");
        return end == LockstepEnd.Different ? ExitCode.Failure : ExitCode.Success;
    }
}
