using System.CommandLine;
using Emu.Differ.Cases;

namespace Emu.Cli.Diff;

/// <summary><c>emu diff codes</c>: what is compared, and what is not.</summary>
public static class DiffCodesCommand
{
    public static Command Build(Terminal terminal)
    {
        var mode = new Option<string>("--mode") { HelpName = "MODE", Description = "16, 32, 64, u32 or u64; all unless given." };
        var leftOut = new Option<bool>("--left-out") { Description = "List what random cases leave out, with the reason, instead of what they compare." };
        var command = new Command("codes", "Lists the instruction codes that random cases compare, or leave out.") { mode, leftOut };
        command.SetAction(parsed =>
        {
            foreach (CodeMode m in DiffModes.Named(parsed.GetValue(mode)))
            {
                Catalogue catalogue = Catalogue.For(m);
                if (parsed.GetValue(leftOut))
                    foreach (LeftOut l in catalogue.LeftOut.OrderBy(l => l.Reason, StringComparer.Ordinal).ThenBy(l => l.Code.ToString(), StringComparer.Ordinal))
                        terminal.Out.WriteLine($"{m.Word(),3} {l.Code,-32} {l.Reason}");
                else
                    foreach (string code in catalogue.Codes.Select(c => c.ToString()).Order(StringComparer.Ordinal))
                        terminal.Out.WriteLine($"{m.Word(),3} {code}");
            }
            return ExitCode.Success;
        });
        return command.WithExamples(("emu diff codes --mode u64 --left-out", "what the host's CPU does not check in 64-bit mode, and why"));
    }
}
