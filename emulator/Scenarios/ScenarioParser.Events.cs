namespace Emu.Scenarios;

/// <summary>Events as a condition names them: <c>fault(#GP,P1)</c>, <c>interrupted(P1,site+1)</c>, <c>deadlock</c>.</summary>
internal sealed partial class ScenarioParser
{
    private const string EventNames = "fault, stale, torn, breakpoint, unsynchronised, interrupted, halted, deadlock or livelock";

    /// <summary>Null, and nothing taken, where no event stands.</summary>
    private ScenarioEvent? TryParseEvent()
    {
        _text.SkipBlanks();
        int start = _text.Position;
        string? name = _text.TryName();
        if (name == null)
            return null;
        bool isKind = Enum.TryParse(name, ignoreCase: true, out ScenarioEventKind kind) && !char.IsAsciiDigit(name[0]);
        if (_text.Take("("))
            return isKind ? ParseArguments(kind, name) : throw _text.Error(start, $"there is no event '{name}'; expected {EventNames}");
        // Without parentheses it is that of any CPU, unless the file has something else of this name.
        if (isKind && _assembly!.Find(name, null, out _) == null)
            return new ScenarioEvent(kind, null, null);
        _text.Position = start;
        return null;
    }

    private ScenarioEvent ParseArguments(ScenarioEventKind kind, string name)
    {
        var e = new ScenarioEvent(kind, null, null);
        if (_text.Take(")"))
            return e;
        do
        {
            _text.SkipBlanks();
            int at = _text.Position;
            if (_text.Take("#"))
                e = e with { Vector = ParseException(kind, name, at) };
            else if (kind == ScenarioEventKind.Interrupted && (e.Cpu != null || !LooksAtCpu()))
                e = ParsePlace(e);
            else
                e = e with { Cpu = ParseCpu() };
        }
        while (_text.Take(","));
        _text.Expect(")", "',' or ')'");
        return e;
    }

    private int ParseException(ScenarioEventKind kind, string name, int at)
    {
        string exception = "#" + _text.Name("the name of an exception");
        if (kind != ScenarioEventKind.Fault)
            throw _text.Error(at, $"only 'fault' names an exception; '{name}' takes a CPU");
        return ExceptionNames.TryFind(exception, out int found) ? found : throw _text.Error(at, $"there is no exception '{exception}'");
    }

    private ScenarioEvent ParsePlace(ScenarioEvent e)
    {
        int start = _text.Position;
        ulong address = (ulong)Evaluate(AssemblyExpression.Parse(_text, "a label"));
        return e with { Address = address, Place = Squeeze(_text.Text(start, _text.Position)) };
    }

    /// <summary>True before <c>P1</c>, but not before <c>P1:site</c> or <c>P1+2</c>.</summary>
    private bool LooksAtCpu()
    {
        int start = _text.Position;
        string? name = _text.TryName();
        _text.SkipBlanks();
        bool ends = _text.LooksAt(",") || _text.LooksAt(")");
        _text.Position = start;
        return ends && name is { Length: > 1 } && name[0] == 'P' && name.AsSpan(1).IndexOfAnyExceptInRange('0', '9') < 0;
    }
}
