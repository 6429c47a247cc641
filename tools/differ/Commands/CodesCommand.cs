using System.CommandLine;
using Emu.Differ.Cases;
using Emu.Differ.Unicorn;

namespace Emu.Differ.Commands;

/// <summary><c>differ codes</c>: what is compared, and what is not.</summary>
public static class CodesCommand
{
    public static Command Build()
    {
        var mode = new Option<string>("--mode") { Description = "16, 32, 64 or all.", DefaultValueFactory = _ => "all" };
        var leftOut = new Option<bool>("--left-out") { Description = "Lists what random cases leave out, with the reason, instead of what they compare." };
        var command = new Command("codes", "Lists the instruction codes that random cases compare, or leave out.") { mode, leftOut };
        command.SetAction(parsed =>
        {
            UnicornLibrary.Require();
            TextWriter output = parsed.InvocationConfiguration.Output;
            foreach (CodeMode m in RunCommand.Modes(parsed.GetValue(mode)!))
            {
                Catalogue catalogue = Catalogue.For(m);
                if (parsed.GetValue(leftOut))
                    foreach (LeftOut l in catalogue.LeftOut.OrderBy(l => l.Reason, StringComparer.Ordinal).ThenBy(l => l.Code.ToString(), StringComparer.Ordinal))
                        output.WriteLine($"{m.Bits(),2} {l.Code,-32} {l.Reason}");
                else
                    foreach (string code in catalogue.Codes.Select(c => c.ToString()).Order(StringComparer.Ordinal))
                        output.WriteLine($"{m.Bits(),2} {code}");
            }
            return ExitCode.Agreement;
        });
        return command;
    }
}
