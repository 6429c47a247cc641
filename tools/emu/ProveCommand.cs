using System.CommandLine;
using System.Globalization;
using Emu.Boot;
using Emu.Exploration;
using Emu.Machines;

namespace Emu.Cli;

/// <summary><c>emu prove</c>: explores every interleaving of the guest's patching protocol.</summary>
public static class ProveCommand
{
    private const int DefaultCpus = 2;

    public static Command Build(Terminal terminal)
    {
        var protocol = new Argument<string?>("PROTOCOL")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "A protocol of the guest: adds protocol=PROTOCOL explore=N to its command line. Without it, say all that with --append.",
        };
        var image = new Option<string>("--image") { HelpName = "FILE", Description = "A kernel with the markers explore_begin and explore_end; images/emu64.elf unless given." };
        var append = new Option<string>("--append") { HelpName = "TEXT", Description = "More for the kernel's command line: site=line sync=mfence." };
        var cpus = new Option<string>("--cpus") { HelpName = "N", Description = $"CPUs, 1 to 16; {DefaultCpus} unless given." };
        var executions = new Option<string>("--executions") { HelpName = "N", Description = "How often each other CPU executes the site; 1 unless given." };
        var patches = new Option<string>("--patches") { HelpName = "N", Description = "How often the site is patched, to and fro; 1 unless given." };
        var cpu = new Option<string>("--cpu") { HelpName = "MODEL", Description = "CPU model, see \"emu cpus\"; alderlake unless given, which has everything that sync= takes." };
        var profile = new Option<string>("--profile") { HelpName = "NAME", Description = "Fetch profile, see \"emu profiles\"; p6 unless given." };
        var set = new Option<string[]>("--set") { HelpName = "FIELD=VALUE", Description = "Changes one field of the profile; may be repeated." };
        var build = new Option<bool>("--build") { Description = "Run \"make -C guest\" first, also when the image is newer than every source." };
        var save = new Option<string>("--save") { HelpName = "FILE", Description = "Save the witness, for \"emu replay FILE\"." };
        var checkpoint = new Option<string>("--checkpoint") { HelpName = "FILE", Description = $"Where to keep an exploration that ends early at a bound on states or memory, or by Ctrl-C; {ProveReport.DefaultCheckpoint} after Ctrl-C." };
        var resume = new Option<string>("--resume") { HelpName = "FILE", Description = "Go on with an exploration that was ended early; the file says what it explores." };
        var check = new Option<bool>("--check") { Description = "Also find executions of code that changed since their CPU last serialised and that the rule of the profile does not excuse, whatever comes of them." };
        var explore = new ExploreArguments();
        var json = JsonOutput.Option();
        var command = new Command("prove", "Explores every order of events of a patching protocol, and says \"safe\", or prints the shortest interleaving that breaks it.") { protocol };
        foreach (Option option in (Option[])[image, append, cpus, executions, patches, cpu, profile, set, build, check, save, checkpoint, resume])
            command.Add(option);
        explore.AddTo(command);
        command.Add(json);
        command.SetAction(parsed =>
        {
            ExplorationOptions bounds = explore.Read(parsed);
            Files.RequireWritable(parsed.GetValue(save), "--save");
            Files.RequireWritable(parsed.GetValue(checkpoint), "--checkpoint");
            GuestSubject subject;
            ReadOnlyMemory<byte> bytes;
            string name;
            if (parsed.GetValue(resume) is { } left)
            {
                (Witness witness, ExplorationRest rest) = ExplorationFile.Load(left);
                name = witness.File;
                string path = parsed.GetValue(image) ?? ReplayCommand.Find(name, left);
                bytes = BootImage.ReadFile(path);
                subject = (GuestSubject)witness.Open(_ => bytes, path);
                bounds = bounds with { Resume = rest, EventsOnPath = rest.EventsOnPath, Preemptions = rest.Preemptions };
            }
            else
            {
                string path = parsed.GetValue(image) ?? Files.ShippedImage("emu64.elf");
                if (parsed.GetValue(image) == null)
                    GuestBuild.Refresh(terminal, path, parsed.GetValue(build));
                name = parsed.GetValue(image) ?? $"images/{Path.GetFileName(path)}";
                bytes = BootImage.ReadFile(path);
                subject = new GuestSubject(BootImage.Open(bytes, Path.GetFileName(path)), CommandLine(parsed), Machine(parsed))
                {
                    Check = parsed.GetValue(check),
                    Source = WitnessSource.Beside(path, bytes.Span),
                };
                if (subject.Check)
                    CheckArguments.Require(subject.Profile, "--check");
            }
            ExplorationResult result = ExplorationProgressView.Run(terminal, subject, bounds);
            var report = new ProveReport(subject, bounds, result);
            if (parsed.GetValue(save) is { } file)
                report.Save(file, name, bytes);
            report.Checkpoint(parsed.GetValue(checkpoint), name, bytes);
            if (parsed.GetValue(json))
                JsonOutput.Write(terminal, report.ToJson(), JsonShapes.Default.ProveJson);
            else
                report.Write(terminal.Out, parsed.GetValue(save));
            return report.Code;

            MachineOptions Machine(ParseResult parsed) => new()
            {
                CpuCount = Number(parsed.GetValue(cpus), "--cpus", 1, 16) ?? DefaultCpus,
                Model = MachineArguments.Model(parsed.GetValue(cpu) ?? "alderlake"),
                Profile = MachineArguments.Profile(parsed.GetValue(profile) ?? "p6", parsed.GetValue(set) ?? []),
            };

            string CommandLine(ParseResult parsed)
            {
                var words = new List<string>();
                if (parsed.GetValue(protocol) is { } wanted)
                {
                    words.Add($"protocol={wanted}");
                    words.Add($"explore={Number(parsed.GetValue(executions), "--executions", 0, 100) ?? 1}");
                    if (Number(parsed.GetValue(patches), "--patches", 1, 100) is { } times)
                        words.Add($"patches={times}");
                }
                if (parsed.GetValue(append) is { } more)
                    words.Add(more);
                string line = string.Join(' ', words);
                return line.Contains("explore=", StringComparison.Ordinal) || parsed.GetValue(image) != null ? line
                    : throw new UsageException("nothing says what to explore", "emu prove", "name a protocol, such as int3-ipi, or give --append \"protocol=... explore=1\"");
            }
        });
        return command.WithExamples(
            ("emu prove int3-ipi", "the mail's protocol on two CPUs: safe under p6"),
            ("emu prove direct", "the mail's buggy scheme: the interleaving that ends in #GP"),
            ("emu prove int3-ipi --profile intel --append site=line", "across two cache lines: torn"),
            ("emu prove text-poke-bp --cpus 3 --executions 1 --memory-limit 8G", "Linux's three syncs, on three CPUs"),
            ("emu prove direct-sync --profile intel --check", "what the rule of cross-modifying code forbids, whether or not it does harm: who stored, who executed, which serialisation is missing"),
            ("emu prove direct --save direct.witness", "for emu replay direct.witness"));
    }

    internal static int? Number(string? text, string option, int least, int most) =>
        text == null ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n >= least && n <= most ? n
        : throw new UsageException($"\"{text}\" is not a number from {least} to {most}", option, $"write a number from {least} to {most}");
}
