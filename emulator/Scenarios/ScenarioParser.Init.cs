using System.Buffers.Binary;
using Emu.Cpus;

namespace Emu.Scenarios;

/// <summary>The block in braces: variables, registers, interrupt vectors and aliases.</summary>
internal sealed partial class ScenarioParser
{
    /// <summary>Types as C and herd name them, and their bytes. herd's default is int.</summary>
    private static readonly Dictionary<string, int> _types = new()
    {
        ["int"] = 4,
        ["long"] = 8,
        ["char"] = 1,
        ["int8_t"] = 1,
        ["uint8_t"] = 1,
        ["int16_t"] = 2,
        ["uint16_t"] = 2,
        ["int32_t"] = 4,
        ["uint32_t"] = 4,
        ["int64_t"] = 8,
        ["uint64_t"] = 8,
        ["intptr_t"] = 8,
        ["uintptr_t"] = 8,
    };

    private sealed record VariableInit(string Name, int Size, bool IsArray, int Count, List<AssemblyExpression> Values, ulong Address, int Position);

    private readonly List<VariableInit> _variables = [];
    private readonly List<(int Cpu, string Register, AssemblyExpression Value, int Position)> _registers = [];
    private readonly List<(int? Cpu, int Vector, string Label, int Position)> _vectors = [];
    private readonly Dictionary<string, (string Target, int Position)> _aliases = [];
    private ulong _nextVariable = ScenarioLayout.Variables;

    private void ParseInit()
    {
        _text.Expect("{", "'{' and the initial state");
        while (!_text.Take("}"))
        {
            if (_text.Take(";"))
                continue;
            ParseInitEntry();
            _text.SkipBlanks();
            if (!_text.LooksAt("}"))
                _text.Expect(";", "';' or '}'");
        }
    }

    private void ParseInitEntry()
    {
        _text.SkipBlanks();
        int start = _text.Position;
        int size = 4;
        if (char.IsAsciiDigit(_text.Peek))
        {
            ParseCpuInit(start);
            return;
        }
        if (_text.TakeWord("_Atomic"))
            _text.SkipBlanks();
        // A pointer of the default type.
        while (_text.Take("*"))
            size = 8;
        if (_text.Take("["))
        {
            string inBrackets = _text.Name("a variable");
            _text.Expect("]");
            Declare(inBrackets, size, start);
            return;
        }
        string name = _text.Name("a variable, '0:register', 'idt[vector]', 'alias' or '}'");
        if (name == "idt")
        {
            ParseVector(null, start);
            return;
        }
        _text.SkipBlanks();
        if (name == "alias" && !_text.LooksAt("="))
        {
            ParseAlias();
            return;
        }
        if (_types.TryGetValue(name, out int typeSize))
        {
            size = typeSize;
            // A pointer, as in "int* p".
            while (_text.Take("*"))
                size = 8;
            _text.SkipBlanks();
            start = _text.Position;
            if (char.IsAsciiDigit(_text.Peek))
            {
                ParseCpuInit(start);
                return;
            }
            bool brackets = _text.Take("[");
            name = _text.Name("a variable");
            if (brackets)
                _text.Expect("]");
        }
        if (CpuOf(name) is { } && _text.LooksAt(":"))
        {
            _text.Position = start + 1;
            ParseCpuInit(start);
            return;
        }
        _text.SkipBlanks();
        if (char.IsAsciiLetter(_text.Peek))
            throw _text.Error(start, $"there is no type '{name}'; expected {string.Join(", ", _types.Keys.Order(StringComparer.Ordinal))}");
        Declare(name, size, start);
    }

    private void Declare(string name, int size, int position)
    {
        if (_variables.Any(v => v.Name == name) || _aliases.ContainsKey(name))
            throw _text.Error(position, $"'{name}' is declared twice");
        int count = 0;
        bool array = _text.Take("[");
        if (array)
        {
            count = _text.Count("a number of elements", 1, 4096);
            _text.Expect("]");
        }
        var values = new List<AssemblyExpression>();
        if (_text.Take("="))
        {
            if (_text.Take("{"))
            {
                array = true;
                do
                    values.Add(AssemblyExpression.Parse(_text, "a value"));
                while (_text.Take(","));
                _text.Expect("}", "',' or '}'");
            }
            else
            {
                // C's address of a variable, which is what its name is here.
                _text.Take("&");
                values.Add(AssemblyExpression.Parse(_text, "a value"));
            }
        }
        count = Math.Max(count, Math.Max(1, values.Count));
        _variables.Add(new VariableInit(name, size, array, count, values, _nextVariable, position));
        int bytes = (count * size + ScenarioLayout.VariableAlignment - 1) / ScenarioLayout.VariableAlignment * ScenarioLayout.VariableAlignment;
        _nextVariable += (ulong)bytes;
        if (_nextVariable > ScenarioLayout.Variables + ScenarioLayout.VariableBytes)
            throw _text.Error(position, $"the variables have no room beyond {ScenarioLayout.VariableBytes} bytes");
    }

    private void ParseCpuInit(int start)
    {
        int cpu = _text.Count("a CPU", 0, ScenarioLayout.MaximumCpus - 1);
        _cpus = Math.Max(_cpus, cpu + 1);
        _text.Expect(":");
        _text.Take("%");
        int at = _text.Position;
        string name = _text.Name("a register or 'idt'").ToLowerInvariant();
        if (name == "idt")
        {
            ParseVector(cpu, start);
            return;
        }
        if (!CpuRegisters.Exists(name))
            throw _text.Error(at, $"'{name}' is no register that a scenario can set; expected a general register, rip, eflags or if");
        // herd's default, as for a variable.
        if (!_text.Take("="))
        {
            _text.SkipBlanks();
            if (!_text.LooksAt(";") && !_text.LooksAt("}"))
                throw _text.Expected("'=', ';' or '}'");
            return;
        }
        _text.Take("&");
        _registers.Add((cpu, name, AssemblyExpression.Parse(_text, "a value"), at));
    }

    /// <summary>The number in <c>P0</c>; null for another name.</summary>
    private static int? CpuOf(string name) =>
        name.Length > 1 && name[0] == 'P' && name.AsSpan(1).IndexOfAnyExceptInRange('0', '9') < 0 && int.TryParse(name.AsSpan(1), out int n) ? n : null;

    private void ParseVector(int? cpu, int start)
    {
        _text.Expect("[");
        int vector;
        if (_text.Take("#"))
        {
            string name = "#" + _text.Name("the name of an exception");
            if (!ExceptionNames.TryFind(name, out vector))
                throw _text.Error(start, $"there is no exception '{name}'; write its number, or one of #DE, #DB, #BP, #UD, #GP, #PF and so on");
        }
        else
        {
            vector = _text.Count("a vector", 0, 255);
        }
        _text.Expect("]");
        _text.Expect("=");
        _text.SkipBlanks();
        int at = _text.Position;
        _vectors.Add((cpu, vector, AssemblyExpression.Symbol(_text, "the label of the handler"), at));
    }

    private void ParseAlias()
    {
        int at = _text.Position;
        string name = _text.Name("the name of the alias");
        if (_variables.Any(v => v.Name == name) || _aliases.ContainsKey(name))
            throw _text.Error(at, $"'{name}' is declared twice");
        _text.Expect("=");
        _text.SkipBlanks();
        int target = _text.Position;
        _aliases[name] = (AssemblyExpression.Symbol(_text, "the label or variable that it is an alias of"), target);
    }

    /// <summary>Variables, aliases and the image's symbols, for code.</summary>
    private ulong? FindOuter(string symbol)
    {
        if (_variables.FirstOrDefault(v => v.Name == symbol) is { } variable)
            return variable.Address;
        if (_aliases.TryGetValue(symbol, out (string Target, int Position) alias))
        {
            if (_aliases.ContainsKey(alias.Target))
                throw _text.Error(alias.Position, $"'{alias.Target}' is an alias itself");
            return FindSymbol(alias.Target, alias.Position) + ScenarioLayout.AliasBase;
        }
        if (symbol == "apic")
            return ScenarioLayout.ApicAlias;
        return _scenario.Image != null && _scenario.Image.Symbols.TryFind(symbol, out Boot.Symbol found) ? found.Address : null;
    }

    private ulong FindSymbol(string symbol, int position)
    {
        foreach (AssemblyColumn column in _columns)
        {
            string label = symbol.StartsWith(column.Name + ":", StringComparison.Ordinal) ? symbol[(column.Name.Length + 1)..] : symbol;
            if (column.Labels.TryGetValue(label, out ulong address))
                return address;
        }
        return FindOuter(symbol) ?? throw _text.Error(position, $"there is no label, variable or symbol '{symbol}'");
    }

    /// <summary>Once code has its addresses, initial values may name it.</summary>
    private void ResolveInit()
    {
        var variables = new List<ScenarioVariable>();
        Span<byte> word = stackalloc byte[8];
        foreach (VariableInit v in _variables)
        {
            byte[] bytes = new byte[v.Size * v.Count];
            for (int i = 0; i < v.Values.Count; i++)
            {
                long value = Evaluate(v.Values[i]);
                if (v.Size < 8 && (value < -(1L << (8 * v.Size - 1)) || value >= 1L << (8 * v.Size)))
                    throw _text.Error(v.Position, $"{value} (0x{value:x}) does not fit into the {v.Size} bytes of '{v.Name}'");
                BinaryPrimitives.WriteInt64LittleEndian(word, value);
                word[..v.Size].CopyTo(bytes.AsSpan(i * v.Size));
            }
            variables.Add(new ScenarioVariable(v.Name, v.Address, v.Size, v.IsArray, bytes));
        }
        _scenario.Variables = variables;
        _scenario.Registers = [.. _registers.Select(r => (r.Cpu, r.Register, (ulong)Evaluate(r.Value)))];
        _scenario.Vectors = [.. _vectors.Select(v => (v.Cpu, v.Vector, Resolve(v.Label, v.Position)))];
        _scenario.CpuCount = Math.Max(1, _cpus);
        _scenario.Symbols = new ScenarioSymbols(_columns, variables, _scenario.Image);
    }

    private long Evaluate(AssemblyExpression expression) =>
        expression.Evaluate(t =>
        {
            ulong address = Resolve(t.Symbol!, t.Position);
            return (long)(t.IsPte ? ScenarioLayout.PageTableEntry(address, ScenarioMachine.RamSize(_scenario.Image)) : address);
        });
}
