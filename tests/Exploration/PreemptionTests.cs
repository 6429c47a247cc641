using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;
using Emu.Scenarios;
using Emu.Tests.Cli;
using Emu.Tests.House;
using Xunit;
using Xunit.Abstractions;

namespace Emu.Tests.Exploration;

/// <summary>Explorations of orders with few preemptions: what the bound comprises, and that one which ends early goes on to the same.</summary>
public sealed class PreemptionTests(ITestOutputHelper output)
{
    /// <summary>The outcomes of every order with at most so many preemptions, by going through all ways and counting on each.</summary>
    private sealed class EveryWay(ExploredMachine machine, int most)
    {
        private readonly HashSet<(ulong, int, int)> _seen = [];

        public SortedSet<string> Outcomes { get; } = [];

        public void Go(int last, int cost)
        {
            if (!_seen.Add((machine.Hash(), last, cost)))
                return;
            var steps = new List<Step>();
            machine.Enabled(steps);
            bool moves = false;
            bool lastGoesOn = Moves(steps.Where(s => s.Kind == StepKind.Execute && s.Cpu == last));
            foreach (Step step in steps)
            {
                bool preempts = step.Kind == StepKind.Execute && step.Cpu != last && lastGoesOn;
                moves |= Moves([step]);
                if (cost + (preempts ? 1 : 0) <= most)
                    Try(step, () => Go(step.Kind == StepKind.Execute ? step.Cpu : last, cost + (preempts ? 1 : 0)));
            }
            if (moves)
                return;
            uint waiting = machine.Cpus.Where(c => !machine.Run.IsAtAnEnd(c)).Aggregate(0u, (all, c) => all | 1u << c.Index);
            Outcomes.Add(machine.Run.End(machine, waiting, livelock: false).Outcome);
        }

        private bool Moves(IEnumerable<Step> steps)
        {
            ulong before = machine.Hash();
            bool moves = false;
            foreach (Step step in steps)
                Try(step, () => moves |= machine.Hash() != before);
            return moves;
        }

        /// <summary>Lets a step happen with each choice of versions in turn, and takes it back.</summary>
        private void Try(Step step, Action then)
        {
            using var before = new MachineCapture(machine);
            machine.Save(before, all: false, step.Cpu);
            Picks picks = default;
            bool more = true;
            while (more)
            {
                machine.Apply(step with { Picks = picks });
                more = machine.Chooser.TryNext(out picks);
                then();
                machine.Restore(before);
            }
        }
    }

    [Theory]
    [InlineData("tests/litmus/SB.litmus", false)]
    [InlineData("tests/litmus/mail-buggy.litmus", false)]
    [InlineData("tests/litmus/x86-tso/IRIW.litmus", true)]
    [InlineData("tests/catalogue/15-two-patchers-broken.litmus", false)]
    [InlineData("tests/catalogue/13-static-key-dec-broken.litmus", true)]
    public void Exploration_OfFewPreemptions_HasTheOutcomesOfTheirOrders(string file, bool needs)
    {
        var scenario = Scenario.Parse(Repository.Read(file), file);
        var counts = new List<int>();
        for (int most = 0; most <= 3; most++)
        {
            var subject = new ScenarioSubject(scenario);
            var options = new ExplorationOptions { Threads = 1, StopAtFinding = false };
            ExplorationResult all = Explorer.Run(subject, options);
            using var machine = new ExploredMachine(subject, all.Shared);
            machine.Begin(all.Shared!);
            var every = new EveryWay(machine, most);
            every.Go(Search.NoCpu, 0);
            foreach (int threads in (int[])[1, 2])
            {
                ExplorationResult few = Explorer.Run(subject, options with { Preemptions = most, Threads = threads });
                Assert.Equal(every.Outcomes, few.Outcomes.Select(o => o.Text).Distinct().Order(StringComparer.Ordinal));
            }
            counts.Add(every.Outcomes.Count);
        }
        output.WriteLine($"{file}: {string.Join(' ', counts)} outcomes with 0 to 3 preemptions");
        // Where it takes preemptions to get there, the bound has to make a difference.
        Assert.Equal(needs, counts[0] < counts[^1]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Exploration_OfFewPreemptions_GoesOnAndSaysTheSame(int threads)
    {
        var subject = new GuestSubject(BootImage.Open(WitnessCatalogue.ImageBytes, "emu64.elf"), "protocol=text-poke-bp explore=1",
            new MachineOptions { CpuCount = 2, Model = CpuModels.AlderLake, Profile = FetchProfiles.Find("intel")! });
        var options = new ExplorationOptions { Threads = threads, Preemptions = 2 };
        ExplorationResult whole = Explorer.Run(subject, options);
        Assert.Equal(Verdict.Safe, whole.Verdict);
        using var file = new TemporaryFile("rest", []);
        ExplorationRest? rest = null;
        int parts = 0;
        for (long states = 1; ; states += whole.States / 3)
        {
            ExplorationResult part = Explorer.Run(subject, options with { States = states, Resume = rest });
            parts++;
            if (part.Rest == null)
            {
                Assert.Equal((Verdict.Safe, whole.States), (part.Verdict, part.States));
                Assert.Equal(whole.Outcomes.Select(o => o.Text), part.Outcomes.Select(o => o.Text));
                break;
            }
            ExplorationFile.Save(file.Path, Witness.Of(subject, WitnessCatalogue.Image, WitnessCatalogue.ImageBytes.Span, part, null), part.Rest);
            rest = ExplorationFile.Load(file.Path).Remaining;
            Assert.Equal(2, rest.Preemptions);
        }
        Assert.True(parts > 2, "it was not ended in the middle");
    }

    [Fact]
    public void Exploration_GoneOnWithinAnotherBound_IsRefused()
    {
        var subject = new ScenarioSubject(Scenario.Parse(Repository.Read("tests/litmus/x86-tso/IRIW.litmus"), "IRIW"));
        ExplorationResult part = Explorer.Run(subject, new ExplorationOptions { Threads = 1, States = 1, Preemptions = 1 });
        Assert.Throws<WitnessException>(() => Explorer.Run(subject, new ExplorationOptions { Threads = 1, Resume = part.Rest, Preemptions = 2 }));
    }
}
