namespace Emu.Scenarios;

/// <summary>The pinned order of events, one a line.</summary>
internal sealed partial class ScenarioParser
{
    private const int MaximumCount = 1_000_000;

    private List<ScheduleLine> ParseSchedule()
    {
        var lines = new List<ScheduleLine>();
        while (true)
        {
            _text.SkipBlanks();
            while (_text.Take(";"))
                _text.SkipBlanks();
            if (_text.AtEnd || AtSection())
                break;
            lines.Add(ParseScheduleLine());
            _text.SkipBlanksInLine();
            if (!_text.AtEnd && _text.Peek is not ('\n' or ';' or '\r'))
                throw _text.Expected("the end of the line or ';'");
        }
        if (lines.Count == 0)
            throw _text.Expected("an event, as in 'P0: execute'");
        return lines;
    }

    private ScheduleLine ParseScheduleLine()
    {
        SourcePosition at = _text.At;
        int? cpu = null;
        if (!_text.LooksAt("run"))
        {
            cpu = ParseCpu();
            _text.Expect(":", "':' after the CPU");
        }
        _text.SkipBlanksInLine();
        int start = _text.Position;
        string verb = _text.TryName() ?? throw _text.Expected("fetch, execute, drain, deliver or run");
        return verb switch
        {
            "fetch" => ParseFetch(cpu!.Value, at),
            "execute" => ParseExecute(cpu!.Value, ScheduleVerb.Execute, at),
            "drain" => ParseRepeated(cpu, ScheduleVerb.Drain, at),
            "deliver" => ParseRepeated(cpu, ScheduleVerb.Deliver, at),
            "run" => ParseExecute(cpu, ScheduleVerb.Run, at),
            _ => throw _text.Error(start, $"there is no event '{verb}'; expected fetch, execute, drain, deliver or run"),
        };
    }

    /// <summary><c>fetch 2</c>, <c>fetch all</c>, <c>fetch site+8</c>, each with <c>version N</c>.</summary>
    private ScheduleLine ParseFetch(int cpu, SourcePosition at)
    {
        int count = 1;
        bool all = false;
        ulong? unit = null;
        _text.SkipBlanksInLine();
        if (char.IsAsciiDigit(_text.Peek))
            count = _text.Count("a number of units", 1, MaximumCount);
        else if (_text.LooksAt("all") && TakeWordInLine("all"))
            all = true;
        else if ((char.IsAsciiLetter(_text.Peek) || _text.Peek is '.' or '_') && !LooksAtWord("version"))
            unit = (ulong)Evaluate(AssemblyExpression.Parse(_text, "a number of units, a label, or 'version'"));
        int version = 0;
        if (TakeWordInLine("version"))
        {
            _text.SkipBlanksInLine();
            version = _text.Count("a version (0: what memory holds; 1: the one before it)", 0, 1000);
        }
        return new ScheduleLine(cpu, ScheduleVerb.Fetch, count, all, unit, version, at);
    }

    /// <summary><c>execute</c>, <c>execute 3</c>, <c>execute until label</c>; the same for <c>run</c>.</summary>
    private ScheduleLine ParseExecute(int? cpu, ScheduleVerb verb, SourcePosition at)
    {
        _text.SkipBlanksInLine();
        if (char.IsAsciiDigit(_text.Peek))
        {
            if (verb == ScheduleVerb.Run)
                throw _text.Expected("'until' or the end of the line");
            return new ScheduleLine(cpu, verb, _text.Count("a number of instructions", 1, MaximumCount), false, null, 0, at);
        }
        if (!TakeWordInLine("until"))
            return new ScheduleLine(cpu, verb, 1, false, null, 0, at);
        if (cpu == null)
            throw _text.Error("'run until' needs a CPU, as in 'P0: run until label'");
        ulong address = (ulong)Evaluate(AssemblyExpression.Parse(_text, "a label"));
        return new ScheduleLine(cpu, verb, MaximumCount, true, address, 0, at);
    }

    private ScheduleLine ParseRepeated(int? cpu, ScheduleVerb verb, SourcePosition at)
    {
        _text.SkipBlanksInLine();
        if (TakeWordInLine("all"))
            return new ScheduleLine(cpu, verb, 1, true, null, 0, at);
        int count = char.IsAsciiDigit(_text.Peek) ? _text.Count("how often", 1, MaximumCount) : 1;
        return new ScheduleLine(cpu, verb, count, false, null, 0, at);
    }

    private bool TakeWordInLine(string word)
    {
        _text.SkipBlanksInLine();
        return LooksAtWord(word) && _text.TakeWord(word);
    }

    private bool LooksAtWord(string word)
    {
        int end = _text.Position + word.Length;
        return _text.LooksAt(word) && !SourceText.IsNamePart(_text.Slice(end, end + 1).Peek);
    }
}
