using System.CommandLine;
using Emu.Boot;
using Emu.Differ.Judging;
using Emu.Differ.Lockstep;
using Spectre.Console;

namespace Emu.Cli;

/// <summary><c>emu lockstep</c>: a guest image, instruction by instruction.</summary>
public static class LockstepCommand
{
    private const ulong Megabyte = 1 << 20;

    public static Command Build(Terminal terminal)
    {
        var image = new Argument<string>("IMAGE") { Description = "A multiboot kernel." };
        var oracle = new Option<string>("--oracle") { HelpName = "NAME", Description = "unicorn (a CPU alone), qemu or bochs (whole machines, up to the guest's end).", DefaultValueFactory = _ => "unicorn" };
        var instructions = new Option<long?>("--instructions") { Description = "How many at most; a million unless given, or with qemu and bochs no limit." };
        var append = new Option<string>("--append") { Description = "The kernel's command line.", DefaultValueFactory = _ => "" };
        var further = new Option<bool>("--further") { Description = "With unicorn: goes on behind the first access to a device in memory, with what Emu's devices answer." };
        var command = new Command("lockstep", "Boots an image on one CPU in Emu (profile coherent) and in another emulator and compares them after every instruction.")
        {
            image, oracle, instructions, append, further,
        };
        command.SetAction(parsed =>
        {
            string path = parsed.GetValue(image)!, line = parsed.GetValue(append)!, name = parsed.GetValue(oracle)!;
            if (parsed.GetValue(instructions) is <= 0)
                throw new UsageException("--instructions must be positive");
            BootImage kernel = BootImage.OpenFile(path);
            try
            {
                long exactFrom = long.MaxValue;
                while (true)
                {
                    using LockstepRun run = Open(name, kernel, path, line, parsed.GetValue(further), exactFrom);
                    long limit = parsed.GetValue(instructions) ?? (run is UnicornLockstep ? 1_000_000 : long.MaxValue);
                    LockstepEnd end = terminal.IsInteractive ? RunWithProgress(run, limit) : run.Run(limit);
                    // A difference that may have come earlier than it was seen: once more, and every register from there on.
                    if (exactFrom == long.MaxValue && run is MachineLockstep { DiffersAfter: { } step })
                        exactFrom = step;
                    else
                        return Report(run, end, name, terminal.Out);
                }
            }
            catch (OracleStoppedException e)
            {
                throw new UsageException($"{name} does not go on: {e.Message}");
            }
        });
        return command.WithExamples(
            ("emu lockstep images/emu64.elf", "the shipped kernel beside Unicorn, compared after every instruction up to the first access to the APIC"),
            ("emu lockstep images/emu64.elf --oracle qemu", "the same beside a machine of QEMU, up to the exit port"));
    }

    private static LockstepRun Open(string oracle, BootImage kernel, string path, string line, bool further, long exactFrom)
    {
        if (oracle == "unicorn")
            return new UnicornLockstep(kernel, line, further);
        if (oracle is not ("qemu" or "bochs"))
            throw new UsageException($"there is no oracle \"{oracle}\"", "--oracle", "choose one of unicorn, qemu, bochs");
        if (further)
            throw new UsageException($"--further is for unicorn; {oracle} goes on behind accesses to devices anyway");
        if (kernel.Kind != ImageKind.Multiboot1)
            throw new UsageException("not a multiboot 1 kernel, which is what qemu and bochs are given here", path, "try --oracle unicorn, or an image such as images/emu64.elf");
        return oracle == "qemu"
            ? new MachineLockstep(kernel, line, 64 * Megabyte, _ => new QemuMachine(kernel, path, line, 64 * Megabyte))
            : new MachineLockstep(kernel, line, 32 * Megabyte, machine => new BochsDebugger(kernel, machine, exactFrom));
    }

    private static LockstepEnd RunWithProgress(LockstepRun run, long limit) =>
        AnsiConsole.Status().Start("lockstep", context => run.Run(limit, r => context.Status($"{r.Compared} instructions compared")));

    private static int Report(LockstepRun run, LockstepEnd end, string oracle, TextWriter output)
    {
        string why = end switch
        {
            LockstepEnd.Limit => "the limit of --instructions",
            LockstepEnd.Device => $"the first access to a device in memory, at {run.Where}",
            LockstepEnd.Guest => $"the end of the guest, at {run.Where}",
            _ => $"a difference, at {run.Where}",
        };
        if (end == LockstepEnd.Different)
            output.WriteLine($"the last instructions of both:\n  {string.Join("\n  ", run.Trail)}");
        foreach (Difference d in run.Differences)
            output.WriteLine($"  {d.What}: {oracle} {d.Oracle}, emu {d.Emu}");
        string interrupts = run is MachineLockstep machine ? $" and {machine.Interrupts} interrupts" : "";
        output.WriteLine($"{run.Compared} instructions compared, {run.Fed}{interrupts} taken over from {(run is UnicornLockstep ? "Emu" : oracle)}, up to {why}");
        return end == LockstepEnd.Different ? ExitCode.Failure : ExitCode.Success;
    }
}
