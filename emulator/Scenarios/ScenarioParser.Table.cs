namespace Emu.Scenarios;

/// <summary>The program: a table whose columns are CPUs (or named pieces of code) and whose cells are labels, instructions and directives.</summary>
internal sealed partial class ScenarioParser
{
    private static readonly string[] _sectionWords = ["schedule:", "explore:", "exists", "~exists", "forall", "~", "locations", "filter", "final", "with"];

    private readonly List<AssemblyColumn> _columns = [];

    private void ParseTable()
    {
        _text.SkipBlanks();
        // A scenario may run an image only.
        if (AtSection())
            return;
        ParseColumnNames();
        while (true)
        {
            _text.SkipBlanks();
            if (_text.AtEnd || AtSection())
                return;
            ParseRow();
        }
    }

    private bool AtSection()
    {
        foreach (string word in _sectionWords)
        {
            if (!_text.LooksAt(word))
                continue;
            int end = _text.Position + word.Length;
            if (!char.IsAsciiLetter(word[^1]) || !SourceText.IsNamePart(_text.Slice(end, end + 1).Peek))
                return true;
        }
        return false;
    }

    private void ParseColumnNames()
    {
        do
        {
            _text.SkipBlanks();
            int start = _text.Position;
            string name = _text.Name("a column: P0, P1, ... or the name of a handler");
            if (_columns.Any(c => c.Name == name))
                throw _text.Error(start, $"the column '{name}' stands twice");
            if (_columns.Count == ScenarioLayout.MaximumColumns)
                throw _text.Error(start, $"there are more than {ScenarioLayout.MaximumColumns} columns");
            int? cpu = name[0] == 'P' && int.TryParse(name.AsSpan(1), out int n) ? n : null;
            if (cpu >= ScenarioLayout.MaximumCpus)
                throw _text.Error(start, $"there is no CPU {cpu}; a scenario has at most P0 to P{ScenarioLayout.MaximumCpus - 1}");
            if (cpu is { } index)
                _cpus = Math.Max(_cpus, index + 1);
            _columns.Add(new AssemblyColumn(name, cpu, ScenarioLayout.Columns + (ulong)_columns.Count * ScenarioLayout.ColumnDistance));
        }
        while (_text.Take("|"));
        _text.Expect(";", "'|' or ';'");
        _scenario.Columns = _columns;
    }

    private void ParseRow()
    {
        for (int i = 0; ; i++)
        {
            int start = _text.Position;
            while (!_text.AtEnd && _text.Peek is not ('|' or ';'))
                _text.Position++;
            if (_text.AtEnd)
                throw _text.Error(start, "this row is not closed; expected ';'");
            if (i >= _columns.Count)
                throw _text.Error(start, $"the row has more cells than the table has columns ({_columns.Count})");
            ParseCell(_text.Slice(start, _text.Position), _columns[i]);
            bool last = _text.Peek == ';';
            _text.Position++;
            if (last)
                return;
        }
    }

    private static void ParseCell(SourceText cell, AssemblyColumn column)
    {
        while (true)
        {
            cell.SkipBlanks();
            if (cell.AtEnd)
                return;
            int start = cell.Position;
            string? name = cell.TryName();
            cell.SkipBlanks();
            if (name != null && cell.LooksAt(":"))
            {
                cell.Position++;
                column.Statements.Add(new LabelStatement(start, name));
                continue;
            }
            cell.Position = start;
            column.Statements.Add(name != null && name[0] == '.' ? ParseDataOrPadding(cell) : InstructionSelector.Parse(cell));
            cell.SkipBlanks();
            if (!cell.AtEnd)
                throw cell.Expected("'|' or ';'");
        }
    }

    private static AssemblyStatement ParseDataOrPadding(SourceText cell)
    {
        int start = cell.Position;
        string name = cell.TryName()!.ToLowerInvariant();
        switch (name)
        {
            case ".byte":
                return ParseData(cell, start, 1);
            case ".short" or ".word":
                return ParseData(cell, start, 2);
            case ".long" or ".int":
                return ParseData(cell, start, 4);
            case ".quad":
                return ParseData(cell, start, 8);
            case ".align" or ".balign":
                return new PaddingStatement(start, PaddingKind.Align, PowerOfTwo(cell), 0, Fill(cell, 0x90));
            case ".org":
                int offset = cell.Count("an offset from the column's start", 0, Assembly.MaximumColumn);
                return new PaddingStatement(start, PaddingKind.Org, offset, 0, Fill(cell, 0x90));
            case ".skip" or ".space" or ".zero":
                return new PaddingStatement(start, PaddingKind.Skip, cell.Count("a number of bytes", 0, Assembly.MaximumColumn), 0, Fill(cell, 0));
            case ".straddle":
                int boundary = PowerOfTwo(cell);
                cell.Expect(",");
                int before = cell.Count("a number of bytes before the boundary", 1, boundary - 1);
                return new PaddingStatement(start, PaddingKind.Straddle, boundary, before, Fill(cell, 0x90));
            default:
                throw cell.Error(start, $"there is no directive '{name}'; expected .byte, .word, .long, .quad, .align, .org, .skip or .straddle");
        }
    }

    private static DataStatement ParseData(SourceText cell, int start, int size)
    {
        var values = new List<AssemblyExpression>();
        do
            values.Add(AssemblyExpression.Parse(cell, "a number or a symbol"));
        while (cell.Take(","));
        return new DataStatement(start, size, values);
    }

    private static int PowerOfTwo(SourceText cell)
    {
        cell.SkipBlanks();
        int at = cell.Position;
        int value = cell.Count("a power of two", 1, 4096);
        return int.IsPow2(value) ? value : throw cell.Error(at, $"{value} is no power of two");
    }

    private static byte Fill(SourceText cell, byte otherwise) => cell.Take(",") ? (byte)cell.Count("a byte to fill with", 0, 255) : otherwise;

    /// <summary>
    /// To herd, a location that the init block does not declare is an int and 0. Here that is so only where the block declares none at all: else a name
    /// that stands for nothing is a slip of the pen.
    /// </summary>
    private void DeclareWhatHerdWould()
    {
        foreach (InstructionStatement instruction in _columns.SelectMany(c => c.Statements).OfType<InstructionStatement>())
        {
            foreach (AttOperand operand in instruction.Form.Operands)
            {
                if (operand.Kind != AttOperandKind.Memory || operand.IsBareExpression || operand.Expression is not { Terms: [{ Symbol: { } name, IsPte: false, Negative: false }] })
                    continue;
                bool known = name.Contains(':', StringComparison.Ordinal) || _aliases.ContainsKey(name) || FindOuter(name) != null
                    || _columns.Any(c => c.Name == name || c.Statements.OfType<LabelStatement>().Any(l => l.Name == name));
                if (!known)
                    Declare(name, _types["int"], operand.Position);
            }
        }
    }

    private void Assemble()
    {
        foreach (AssemblyColumn column in _columns)
            foreach (LabelStatement label in column.Statements.OfType<LabelStatement>())
                if (_variables.Any(v => v.Name == label.Name) || _aliases.ContainsKey(label.Name))
                    throw _text.Error(label.Position, $"the label '{label.Name}' has the name of a variable");
        if (_variables.Count == 0)
            DeclareWhatHerdWould();
        ulong ramSize = ScenarioMachine.RamSize(_scenario.Image);
        _assembly = Assembly.Build(_text, _columns, FindOuter, a => ScenarioLayout.PageTableEntry(a, ramSize));
    }
}
