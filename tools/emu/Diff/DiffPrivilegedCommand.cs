using System.CommandLine;
using Emu.Differ.Ledgers;
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
        var record = new Option<string>("--record") { HelpName = "FILE", Description = "Writes which codes were executed in cases that agree to a file of the ledger (tools/differ/data/machine-checks.txt)." };
        var command = new Command("privileged", "Checks descriptors, gates, task switches, paging rights and exceptions against QEMU or Bochs.") { oracle, image, all, record };
        command.SetAction(parsed => Run(parsed.GetValue(oracle)!, parsed.GetValue(image), parsed.GetValue(all), parsed.GetValue(record), terminal.Out));
        return command.WithExamples(
            ("emu diff privileged --oracle bochs --all", "what Bochs does otherwise, explained or not"),
            ("emu diff privileged --record tools/differ/data/machine-checks.txt", "and for the ledger, which codes the cases executed that agree with QEMU"));
    }

    private static int Run(string oracle, FileInfo? file, bool all, string? record, TextWriter output)
    {
        if (record != null && oracle == "none")
            throw new UsageException("--record needs an --oracle: nothing agrees with none");
        Files.RequireWritable(record, "--record");
        MachineChecks? checks = record == null ? null : ReadChecks(record);
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
        // A note rather than an error: another version of the oracle may have mended it.
        foreach (string idle in PrivilegedSuite.Idle(oracle, differences))
            output.WriteLine($"note: data/privileged.txt excuses {oracle} for what it does not do: {idle}");
        output.WriteLine($"{ours.Count} cases: {asked.Count - differences.Count} as {oracle} has them, {differences.Count - unexplained.Count} explained by the table, {ours.Count - asked.Count} not asked, {unexplained.Count} different");
        if (checks != null)
        {
            PrivilegedSuite.Record(checks, oracle, image, asked.Select(r => r.Name).Except(differences.Select(d => d.Name)));
            Files.WriteText(record!, checks.Format(), "--record");
        }
        return unexplained.Count == 0 ? ExitCode.Success : ExitCode.Failure;
    }

    private static MachineChecks ReadChecks(string path)
    {
        try
        {
            return MachineChecks.Read(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new UsageException($"cannot be read: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}", path, "name tools/differ/data/machine-checks.txt, or another file that --record wrote");
        }
    }
}
