namespace Emu.Scenarios;

/// <summary>The line that asks for an exploration.</summary>
internal sealed partial class ScenarioParser
{
    private const int MaximumPreemptions = 1000;
    private const int MaximumDepth = 100;
    private const string ExploreForms = "exhaustive, preempt<=K or pct D";

    /// <summary>In the header, where herd7 passes over it, or behind the program.</summary>
    private void TakeExplore(int at)
    {
        if (_scenario.Explore != null)
            throw _text.Error(at, "there is an 'explore:' already");
        if (_scenario.Schedule != null)
            throw _text.Error(at, "'explore:' goes through many orders of events, and 'schedule:' above pins one; leave one out");
        _scenario.Explore = ParseExplore();
        EndOfLine();
    }

    /// <summary><c>exhaustive</c>, <c>preempt&lt;=2</c> or <c>pct 3</c>, and then bounds: <c>, events&lt;=1000, states&lt;=100000</c>.</summary>
    private ExploreDirective ParseExplore()
    {
        _text.SkipBlanksInLine();
        int start = _text.Position;
        string kind = _text.TryName() ?? throw _text.Expected(ExploreForms);
        ExploreDirective directive = kind switch
        {
            "exhaustive" => new ExploreDirective(ExploreKind.Exhaustive),
            "preempt" => new ExploreDirective(ExploreKind.Preemptions, (int)Bound("preempt", "a number of preemptions", 0, MaximumPreemptions)),
            "pct" => new ExploreDirective(ExploreKind.Pct, (int)InLine("the depth", 1, MaximumDepth)),
            _ => throw _text.Error(start, $"there is no exploration '{kind}'; expected {ExploreForms}"),
        };
        while (_text.TakeInLine(","))
        {
            _text.SkipBlanksInLine();
            int at = _text.Position;
            string bound = _text.TryName() ?? throw _text.Expected("events<=N or states<=N");
            directive = bound switch
            {
                "events" when directive.Events == null => directive with { Events = Bound(bound, "a number of events", 1, long.MaxValue) },
                "states" when directive.States == null => directive with { States = Bound(bound, "a number of states", 1, long.MaxValue) },
                "events" or "states" => throw _text.Error(at, $"the bound '{bound}' stands twice"),
                _ => throw _text.Error(at, $"there is no bound '{bound}'; expected events<=N or states<=N"),
            };
        }
        return directive;
    }

    private long Bound(string name, string described, long least, long most)
    {
        if (!_text.TakeInLine("<="))
            throw _text.Expected($"'<=' after '{name}'");
        return InLine(described, least, most);
    }

    private long InLine(string described, long least, long most)
    {
        _text.SkipBlanksInLine();
        return _text.Count(described, least, most);
    }
}
