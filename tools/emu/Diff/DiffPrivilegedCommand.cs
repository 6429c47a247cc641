using System.CommandLine;
using Emu.Differ.Privileged;

namespace Emu.Cli.Diff;

/// <summary><c>emu diff privileged</c>: generated guests that provoke what only a whole machine shows, on Emu and on others.</summary>
public static class DiffPrivilegedCommand
{
    public static Command Build(Terminal terminal)
    {
        var oracle = new Option<string>("--oracle") { Description = "qemu, bochs, or none: only print what Emu does.", DefaultValueFactory = _ => "qemu" };
        oracle.AcceptOnlyFromAmong("qemu", "bochs", "none");
        var image = new Option<FileInfo?>("--image") { Description = "Writes the image to this file as well." };
        var all = new Option<bool>("--all") { Description = "Lists the differences that the table explains as well." };
        var command = new Command("privileged", "Checks descriptors, gates, task switches, paging rights and exceptions against QEMU or Bochs.") { oracle, image, all };
        command.SetAction(parsed => Run(parsed.GetValue(oracle)!, parsed.GetValue(image), parsed.GetValue(all), terminal.Out));
        return command.WithExamples(("emu diff privileged --oracle bochs --all", "what Bochs does otherwise, explained or not"));
    }

    private static int Run(string oracle, FileInfo? file, bool all, TextWriter output)
    {
        byte[] image = PrivilegedSuite.BuildImage();
        if (file != null)
            File.WriteAllBytes(file.FullName, image);
        IReadOnlyList<GuestResult> ours = PrivilegedSuite.RunEmu(image);
        if (oracle == "none")
        {
            foreach (GuestResult r in ours)
                output.WriteLine($"{r.Name}: {r.Found}");
            return ExitCode.Success;
        }
        byte[] theirImage = PrivilegedSuite.BuildImage(oracle);
        IReadOnlyList<GuestResult> theirs = (oracle == "qemu" ? PrivilegedSuite.RunQemu(theirImage) : PrivilegedSuite.RunBochs(theirImage))
            ?? throw new UsageException($"{oracle} is not installed; take another --oracle, or none");
        IReadOnlyList<GuestResult> asked = PrivilegedSuite.AskedOf(oracle, ours);
        IReadOnlyList<GuestDifference> differences = PrivilegedSuite.Compare(asked, theirs);
        IReadOnlyList<GuestDifference> unexplained = PrivilegedSuite.Unexplained(oracle, differences);
        foreach (GuestDifference d in all ? differences : unexplained)
            output.WriteLine($"{d.Name}\n  emu   {d.Ours}\n  {oracle,-5} {d.Theirs}");
        output.WriteLine($"{ours.Count} cases: {asked.Count - differences.Count} as {oracle} has them, {differences.Count - unexplained.Count} explained by the table, {ours.Count - asked.Count} not asked, {unexplained.Count} different");
        return unexplained.Count == 0 ? ExitCode.Success : ExitCode.Failure;
    }
}
