using Emu.Cpus;
using Emu.Execution;
using Emu.Fetch;
using Emu.Scenarios;

namespace Emu.Exploration;

/// <summary>A scenario, all of whose runs are explored: its final states are what its condition is judged by.</summary>
public sealed class ScenarioSubject(Scenario scenario) : Subject
{
    public Scenario Scenario => scenario;
    public override string Name => scenario.Name;
    public override FetchProfile Profile => scenario.Profile;

    public override string Describe(ulong address) => scenario.Symbols.Describe(address);

    internal override SubjectRun Start() => new Run(scenario, Unbounded(scenario.Profile));

    private sealed class Run : SubjectRun
    {
        private readonly Scenario _scenario;
        private readonly OutcomeBook _book;

        public Run(Scenario scenario, FetchProfile profile)
            : base(ScenarioMachine.Build(scenario, profile))
        {
            _scenario = scenario;
            _book = new OutcomeBook(scenario, Machine);
            AsksForTorn = scenario.Events.Any(e => e.Kind == ScenarioEventKind.Torn);
            Checks = scenario.Events.Any(e => e.Kind == ScenarioEventKind.Unsynchronised);
        }

        public override ulong Happened
        {
            get => _book.State.Events.Bits;
            set => _book.State = new OutcomeState(new OutcomeEvents(value), null);
        }

        /// <summary>Only a condition that asks for it makes states differ by it.</summary>
        public override bool Checks { get; }

        public override Finding? Unsynchronised(ExploredCpu cpu, ulong linear, XmcVerdict verdict)
        {
            _book.Record(ScenarioEventKind.Unsynchronised, cpu.Index);
            return null;
        }

        public override bool AsksForTorn { get; }

        public override bool AsksWhereInterrupted => _scenario.Events.Any(e => e.Kind == ScenarioEventKind.Interrupted && e.Address != null);

        public override void Raised(ExploredCpu cpu, Vector vector)
        {
            if (vector == Vector.Breakpoint)
                _book.Record(ScenarioEventKind.Breakpoint, cpu.Index);
            _book.Record(ScenarioEventKind.Fault, cpu.Index, (int)vector);
            // A fault while delivering another is seen by where it ended.
            if (ScenarioMachine.DefaultHandlerAt(cpu.LinearRip) is { } reached && reached != (int)vector)
                _book.Record(ScenarioEventKind.Fault, cpu.Index, reached);
        }

        public override void Interrupted(ExploredCpu cpu, ulong savedRip) => _book.Record(ScenarioEventKind.Interrupted, cpu.Index, address: savedRip);

        public override void Stale(ExploredCpu cpu, StaleOutcome outcome, bool torn)
        {
            if (outcome == StaleOutcome.Retired)
                _book.Record(ScenarioEventKind.Stale, cpu.Index);
            if (torn && outcome is StaleOutcome.Retired or StaleOutcome.ExemptByInt3)
                _book.Record(ScenarioEventKind.Torn, cpu.Index);
        }

        public override bool IsAtAnEnd(ExploredCpu cpu) => DirectStart.ActivityOf(cpu.Cpu) == Activity.Shutdown || _book.IsAtAnEnd(cpu.Index);

        public override FinalState End(ExploredMachine machine, uint waiting, bool livelock)
        {
            _book.Ending = waiting == 0 ? RunEnding.Finished : new RunEnding(livelock ? RunEnd.Livelock : RunEnd.Deadlock, waiting);
            bool holds = _book.Holds;
            bool decides = holds == (_scenario.Quantifier != Quantifier.ForAll);
            return new FinalState(_book.Describe(), holds, decides, null) { Counts = _book.Passes, End = _book.Ending.End };
        }
    }
}
