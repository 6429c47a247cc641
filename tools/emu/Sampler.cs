using System.Globalization;
using System.Text;
using Emu.Boot;
using Emu.Execution;
using Emu.Exploration;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>Boots an image once for each seed. The result does not depend on how many machines run at a time.</summary>
/// <param name="name">The image as it was given; null for the one that is shipped.</param>
/// <param name="begin">Where PCT begins; null for the power-up.</param>
internal sealed class Sampler(BootImage image, string? name, string append, PctStart? begin, ulong limit)
{
    /// <summary>Runs in which the events are counted: k is to be no less than those of any other.</summary>
    public const int Probes = 5;

    public SampleResult Run(MachineOptions options, bool stepsGiven, ulong runs, int jobs)
    {
        bool measure = options.Schedule == ScheduleKind.Pct && !stepsGiven;
        if (measure)
        {
            ulong most = 1;
            // At depth 1 nothing depends on k.
            for (ulong seed = 0; seed < Probes; seed++)
                most = Math.Max(most, Count(options with { PctDepth = 1, PctSteps = 1, Seed = options.Seed + seed }));
            options = options with { PctSteps = most };
        }
        string?[] how = new string?[runs];
        try
        {
            Parallel.For(0, (int)runs, new ParallelOptions { MaxDegreeOfParallelism = jobs }, i => how[i] = Fails(options with { Seed = options.Seed + (ulong)i }));
        }
        catch (AggregateException e)
        {
            // All workers fail alike: the image does not fit the machine, or the host has no memory.
            throw e.InnerExceptions[0];
        }
        var failures = how.Select((h, i) => (How: h, Seed: options.Seed + (ulong)i)).Where(f => f.How != null).GroupBy(f => f.How!)
            .Select(g => (g.Key, (ulong)g.Count(), g.First().Seed, Replay(options with { Seed = g.First().Seed })));
        return new SampleResult(image.Name, options, begin, runs, options.CpuCount * Machine.PctAgentsPerCpu, options.PctSteps, measure, [.. failures.OrderBy(f => f.Seed)]);
    }

    /// <summary>Events of a run; of one that begins at the explorer's marker, those up to where every CPU has been at the other one: what comes behind is the report.</summary>
    private ulong Count(MachineOptions options)
    {
        using Machine machine = Load(options);
        if (PctStart.Reach(begin, machine, limit) == null)
        {
            if (begin?.Symbol != GuestSubject.BeginMarker || !image.Symbols.TryFind(GuestSubject.EndMarker, out Symbol end))
                machine.Run(limit);
            else
            {
                var there = new HashSet<int>();
                for (ulong n = 0; there.Count != options.CpuCount && n < limit && machine.Run(1).Reason == StopReason.InstructionLimit; n++)
                    foreach (ModelledCpu agent in machine.Agents)
                        if (agent.LinearRip == end.Address)
                            there.Add(agent.Cpu.Index.Value);
            }
        }
        return machine.PctSteps;
    }

    /// <summary>How a run fails, in a line without numbers that differ from run to run; null when it does not.</summary>
    private string? Fails(MachineOptions options)
    {
        using Machine machine = Load(options);
        var serial = new StringBuilder();
        machine.SerialOutput = b => serial.Append((char)b);
        XmcChecker? checker = options.Check == null ? null : new XmcChecker(machine);
        RunResult result = PctStart.Reach(begin, machine, limit) ?? machine.Run(limit);
        if (checker is { Findings: [XmcFinding finding, ..] })
            return new XmcReport(finding, image.Symbols).Summary;
        if (result.Reason == StopReason.GuestExit && result.ExitCode == ExitCode.GuestSuccess)
            return null;
        return result.Reason switch
        {
            StopReason.GuestExit => Line(serial, "Kernel panic") ?? Line(serial, "check failed") ?? $"the guest reported 0x{result.ExitCode:x}",
            StopReason.InstructionLimit => $"hangs: not done after {limit} instructions",
            _ => result.Message,
        };
    }

    private Machine Load(MachineOptions options)
    {
        var machine = new Machine(options);
        image.Load(machine.Memory, machine.Cpus[0], append, []);
        return machine;
    }

    private static string? Line(StringBuilder serial, string begins) =>
        serial.ToString().Split('\n').Select(l => l.Trim()).FirstOrDefault(l => l.StartsWith(begins, StringComparison.Ordinal));

    private string Replay(MachineOptions options)
    {
        var line = new StringBuilder("emu boot");
        void Add(string option, string value) => line.Append(' ').Append(option).Append(' ').Append(Program.Quote(value));
        if (name != null)
            line.Append(' ').Append(Program.Quote(name));
        // The profile's name begins with the named one, and goes on with what was changed in it.
        string[] profile = options.Profile.Name.Split('+');
        Add("--cpu", options.Model.Name);
        Add("--cpus", Text((ulong)options.CpuCount));
        Add("--memory", Text(options.MemorySize));
        Add("--profile", profile[0]);
        foreach (string change in profile.Skip(1))
            Add("--set", change);
        Add("--schedule", options.Schedule == ScheduleKind.Pct ? $"pct:{Text((ulong)options.PctDepth)}:{Text(options.PctSteps)}{(begin == null ? "" : $":{begin.Symbol}")}" : $"random:{Text((ulong)options.Quantum)}");
        Add("--seed", Text(options.Seed));
        Add("--max-instructions", Text(limit));
        if (options.Check != null)
            line.Append(options.Profile.IsCoherent ? $" --check={options.Check.Name}" : " --check");
        if (append.Length != 0)
            Add("--append", append);
        return line.ToString();
    }

    private static string Text(ulong number) => number.ToString(CultureInfo.InvariantCulture);
}
