using System.CommandLine;
using Emu.Exploration;

namespace Emu.Cli;

/// <summary>The options that bound an exploration: shared by the verbs that explore.</summary>
internal sealed class ExploreArguments
{
    private readonly Option<string> _preempt = new("--preempt") { HelpName = "K", Description = "Only orders in which a CPU that could go on is interrupted by another at most K times." };
    private readonly Option<string> _events = new("--max-events") { HelpName = "N", Description = "Events on one path at most: 10k; what lies behind is not explored." };
    private readonly Option<string> _states = new("--max-states") { HelpName = "N", Description = "States at most: 5M; 200M unless given." };
    private readonly Option<string> _memory = new("--memory-limit") { HelpName = "SIZE", Description = "What states and the graph between them may take: 512M, 8G; 4G unless given." };
    private readonly Option<string> _threads = new("--threads") { HelpName = "N", Description = "Threads; one for each host CPU unless given." };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_preempt, _events, _states, _memory, _threads])
            command.Add(option);
    }

    /// <exception cref="UsageException">Something that cannot be.</exception>
    public ExplorationOptions Read(ParseResult parsed)
    {
        var options = new ExplorationOptions
        {
            Preemptions = ProveCommand.Number(parsed.GetValue(_preempt), "--preempt", 0, 1000),
            EventsOnPath = Count(parsed.GetValue(_events), "--max-events"),
        };
        if (Count(parsed.GetValue(_states), "--max-states") is { } states)
            options = options with { States = states };
        if (parsed.GetValue(_memory) is { } memory)
        {
            options = options with
            {
                Memory = Quantities.TryBytes(memory, out ulong bytes) && bytes is >= 1 << 20 and <= 1UL << 50 ? (long)bytes
                    : throw new UsageException($"\"{memory}\" is not a size from 1M", "--memory-limit", "write, for example, 512M or 8G"),
            };
        }
        return ProveCommand.Number(parsed.GetValue(_threads), "--threads", 1, 256) is { } threads ? options with { Threads = threads } : options;
    }

    private static long? Count(string? text, string option) =>
        text == null ? null
        : Quantities.TryCount(text, out ulong n) && n is > 0 and <= long.MaxValue ? (long)n
        : throw new UsageException($"\"{text}\" is not a number", option, "write, for example, 500k or 10M");
}
