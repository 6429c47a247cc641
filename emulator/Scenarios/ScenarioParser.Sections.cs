using Emu.Cpus;

namespace Emu.Scenarios;

/// <summary>What follows the program: the schedule, the locations to report, and the condition.</summary>
internal sealed partial class ScenarioParser
{
    private void ParseSections()
    {
        var observed = new List<object>();
        bool hasCondition = false;
        while (true)
        {
            _text.SkipBlanks();
            if (_text.AtEnd)
                break;
            int start = _text.Position;
            if (_text.Take("schedule:"))
            {
                if (_scenario.Schedule != null)
                    throw _text.Error(start, "there is a schedule already");
                if (_scenario.Explore != null)
                    throw _text.Error(start, "'schedule:' pins one order of events, and 'explore:' above goes through many; leave one out");
                _scenario.Schedule = ParseSchedule();
            }
            else if (_text.Take("explore:"))
            {
                TakeExplore(start);
            }
            else if (_text.TakeWord("locations"))
            {
                ParseLocations(observed);
            }
            else if (_text.TakeWord("filter"))
            {
                _scenario.Filter = ParseCondition();
            }
            else if (!hasCondition && TakeQuantifier())
            {
                hasCondition = true;
                _scenario.Condition = ParseCondition();
                _scenario.ConditionText = Squeeze(_text.Text(start, _text.Position));
                _text.Take(";");
            }
            else if (_text.TakeWord("with"))
            {
                throw _text.Error(start, "herd's 'with' gives a test several verdicts by name; a scenario has one, so make it several files");
            }
            else
            {
                throw _text.Expected(hasCondition
                    ? "'schedule:', 'explore:', 'locations', 'filter' or the end of the file"
                    : "'schedule:', 'explore:', 'locations', 'filter', 'exists', '~exists' or 'forall'");
            }
        }
        if (!hasCondition)
            throw _text.Expected("a condition: 'exists', '~exists' or 'forall'");
        _scenario.Observed = [.. observed.Concat(_scenario.Condition.Named).Distinct()];
        _scenario.Events = [.. _scenario.Observed.Concat(_scenario.Filter.Named).OfType<ScenarioEvent>().Where(e => !e.IsOfTheEnd).Distinct()];
        if (_scenario.Events.Count > OutcomeEvents.Maximum)
            throw _text.Error($"the condition names {_scenario.Events.Count} events; there is room for {OutcomeEvents.Maximum}");
    }

    private static string Squeeze(string text) => string.Join(' ', text.Split((char[])[' ', '\n', '\r', '\t'], StringSplitOptions.RemoveEmptyEntries));

    private bool TakeQuantifier()
    {
        // herd's older word for it.
        if (_text.TakeWord("exists") || _text.TakeWord("final"))
            _scenario.Quantifier = Quantifier.Exists;
        else if (_text.TakeWord("forall"))
            _scenario.Quantifier = Quantifier.ForAll;
        else if (_text.Take("~"))
        {
            if (!_text.TakeWord("exists"))
                throw _text.Expected("'exists' after '~'");
            _scenario.Quantifier = Quantifier.NotExists;
        }
        else
        {
            return false;
        }
        return true;
    }

    /// <summary><c>locations [0:rax; x;]</c></summary>
    private void ParseLocations(List<object> observed)
    {
        _text.Expect("[");
        while (!_text.Take("]"))
        {
            observed.Add((object?)TryParseEvent() ?? ParseLocation());
            // How herd is to print it; here values are printed as they are named.
            if (!_text.Take("*") && _text.TryType(_types.ContainsKey))
                _text.Take("*");
            if (!_text.Take(";"))
            {
                _text.SkipBlanks();
                if (!_text.LooksAt("]"))
                    throw _text.Expected("';' or ']'");
            }
        }
    }

    private ScenarioLocation ParseLocation()
    {
        _text.SkipBlanks();
        int start = _text.Position;
        if (char.IsAsciiDigit(_text.Peek) || IsRegisterLocation())
        {
            _text.TakeLetter('P');
            int cpu = CpuNumber(_text.Count("a CPU", 0, int.MaxValue), start);
            _text.Expect(":");
            _text.Take("%");
            int at = _text.Position;
            string register = _text.Name("a register").ToLowerInvariant();
            if (!CpuRegisters.Exists(register))
                throw _text.Error(at, $"'{register}' is no register that a condition can read");
            return new ScenarioLocation(cpu, register, 0, CpuRegisters.SizeOf(register));
        }
        bool bracketed = _text.Take("[");
        string name = AssemblyExpression.Symbol(_text, "a register (0:rax), a variable, a label or an event");
        ScenarioVariable? variable = _scenario.Variables.FirstOrDefault(v => v.Name == name);
        int size = variable?.ElementSize ?? 1;
        int index = 0;
        // Inside brackets an index follows directly, as in [t[1]].
        if (_text.Take("["))
        {
            index = _text.Count("an index", 0, 65535);
            _text.Expect("]");
            if (variable != null && (index + 1) * size > variable.Bytes.Length)
                throw _text.Error(start, $"'{name}' has no element {index}");
            name = $"{name}[{index}]";
        }
        string symbol = name.Split('[')[0];
        if (bracketed)
            _text.Expect("]");
        return new ScenarioLocation(null, name, Resolve(symbol, start) + (ulong)(index * size), size);
    }

    private int CpuNumber(int cpu, int position) =>
        cpu < _scenario.CpuCount ? cpu : throw _text.Error(position, $"there is no CPU {cpu}; this scenario has P0 to P{_scenario.CpuCount - 1}");

    private int ParseCpu()
    {
        _text.SkipBlanks();
        int start = _text.Position;
        string name = _text.Name("a CPU: P0, P1, ...");
        if (name.Length < 2 || name[0] != 'P' || !int.TryParse(name.AsSpan(1), out int cpu))
            throw _text.Error(start, $"expected a CPU (P0 to P{_scenario.CpuCount - 1}), found '{name}'");
        return CpuNumber(cpu, start);
    }

    // Precedence as in herd: ~ binds strongest, then =>, then /\, then \/.
    private Condition ParseCondition()
    {
        Condition left = ParseAnd();
        while (_text.Take("\\/"))
            left = new OrCondition(left, ParseAnd());
        return left;
    }

    private Condition ParseAnd()
    {
        Condition left = ParseImplication();
        while (_text.Take("/\\"))
            left = new AndCondition(left, ParseImplication());
        return left;
    }

    private Condition ParseImplication()
    {
        Condition left = ParseUnary();
        return _text.Take("=>") ? new OrCondition(new NotCondition(left), ParseImplication()) : left;
    }

    private Condition ParseUnary()
    {
        if (_text.Take("~") || _text.TakeWord("not"))
            return new NotCondition(ParseUnary());
        if (_text.Take("("))
        {
            Condition inner = ParseCondition();
            _text.Expect(")", "'/\\', '\\/' or ')'");
            return inner;
        }
        if (_text.TakeWord("true"))
            return new ConstantCondition(true);
        if (_text.TakeWord("false"))
            return new ConstantCondition(false);
        return TryParseEvent() is { } e ? new EventCondition(e) : ParseEquality();
    }

    private Condition ParseEquality()
    {
        _text.SkipBlanks();
        int start = _text.Position;
        ScenarioLocation left = ParseLocation();
        bool negated = _text.Take("!=") || _text.Take("<>");
        // "=>" would be an implication of something that is no condition.
        if (!negated && !_text.Take("=="))
        {
            _text.SkipBlanks();
            if (_text.LooksAt("=>") || !_text.Take("="))
                throw _text.Expected("'=' or '!='");
        }
        _text.SkipBlanks();
        Condition equal;
        if (_text.LooksAt("{"))
            equal = ParseArray(left, start);
        else if (_text.LooksAt("[") || IsRegisterLocation())
            equal = new EqualCondition(left, 0, ParseLocation());
        else
            equal = new EqualCondition(left, (ulong)Evaluate(AssemblyExpression.Parse(_text, "a value")), null);
        return negated ? new NotCondition(equal) : equal;
    }

    /// <summary><c>t={1,2}</c>: all elements of an array.</summary>
    private Condition ParseArray(ScenarioLocation array, int position)
    {
        ScenarioVariable variable = _scenario.Variables.FirstOrDefault(v => v.Name == array.Name && v.IsArray)
            ?? throw _text.Error(position, $"'{array.Name}' is no array, which alone has values in braces");
        _text.Expect("{");
        Condition all = new ConstantCondition(true);
        int count = 0;
        int at = _text.Position;
        do
        {
            ulong value = (ulong)Evaluate(AssemblyExpression.Parse(_text, "a value"));
            var element = new ScenarioLocation(null, $"{array.Name}[{count}]", variable.Address + (ulong)(count * variable.ElementSize), variable.ElementSize);
            all = count == 0 ? new EqualCondition(element, value, null) : new AndCondition(all, new EqualCondition(element, value, null));
            count++;
        }
        while (_text.Take(","));
        _text.Expect("}", "',' or '}'");
        int length = variable.Bytes.Length / variable.ElementSize;
        return count == length ? all : throw _text.Error(at, $"'{array.Name}' has {length} elements, and here are {count} values");
    }

    /// <summary>Tells <c>0:rax</c> from a number, and <c>P0:rax</c> from a label of that column.</summary>
    private bool IsRegisterLocation()
    {
        int start = _text.Position;
        bool number = char.IsAsciiDigit(_text.Peek) && _text.TryNumber() != null;
        bool cpu = !number && _text.TryName() is { } name && CpuOf(name) != null;
        bool register = (number || cpu) && _text.LooksAt(":");
        if (register && cpu)
        {
            _text.Position++;
            register = _text.LooksAt("%") || (_text.TryName() is { } r && CpuRegisters.Exists(r.ToLowerInvariant()));
        }
        _text.Position = start;
        return register;
    }
}
