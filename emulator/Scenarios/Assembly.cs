using Iced.Intel;

namespace Emu.Scenarios;

/// <summary>A column of the program's table: code that a CPU runs (<c>P0</c>), or code under a name of its own (a handler).</summary>
internal sealed class AssemblyColumn(string name, int? cpu, ulong start)
{
    public string Name => name;

    /// <summary>The CPU that begins in this column; null for one that is only reached from elsewhere.</summary>
    public int? Cpu => cpu;

    /// <summary>Linear address of its first byte.</summary>
    public ulong Start => start;

    public List<AssemblyStatement> Statements { get; } = [];

    /// <summary>Labels of this column and their addresses; known after the layout.</summary>
    public Dictionary<string, ulong> Labels { get; } = [];

    /// <summary>Its bytes; known after the layout.</summary>
    public byte[] Bytes { get; set; } = [];

    /// <summary>The instructions with their addresses, as written.</summary>
    public List<(ulong Address, string Text)> Listing { get; } = [];
}

/// <summary>
/// Assembles columns: places every statement, lengthens the short branches that do not reach, and encodes. Symbols are those of the own column first,
/// then of any other, then the scenario's variables and those of its image.
/// </summary>
internal sealed class Assembly
{
    /// <summary>Bytes that a column may have: columns are one such distance apart.</summary>
    public const int MaximumColumn = 0x4000;

    /// <summary>HLT and a jump back to it: where a CPU rests at the end of its column, open to interrupts.</summary>
    private static readonly byte[] _rest = [0xF4, 0xEB, 0xFD];

    private const string RestLabel = ".end";

    private readonly SourceText _text;
    private readonly IReadOnlyList<AssemblyColumn> _columns;
    private readonly Func<string, ulong?> _outer;
    private readonly Func<ulong, ulong> _pageTableEntry;
    private readonly List<ScenarioError> _errors = [];

    private Assembly(SourceText text, IReadOnlyList<AssemblyColumn> columns, Func<string, ulong?> outer, Func<ulong, ulong> pageTableEntry)
    {
        _text = text;
        _columns = columns;
        _outer = outer;
        _pageTableEntry = pageTableEntry;
    }

    /// <summary>Assembles all columns in place.</summary>
    /// <param name="outer">Addresses of variables and of the image's symbols.</param>
    /// <param name="pageTableEntry">Address of the page-table entry that maps an address.</param>
    /// <exception cref="ScenarioException">Symbols that do not exist or values that do not fit, all of them.</exception>
    public static Assembly Build(SourceText text, IReadOnlyList<AssemblyColumn> columns, Func<string, ulong?> outer, Func<ulong, ulong> pageTableEntry)
    {
        var assembly = new Assembly(text, columns, outer, pageTableEntry);
        assembly.DeclareLabels();
        assembly.ThrowIfWrong();
        while (assembly.Layout())
        {
        }
        assembly.ThrowIfWrong();
        foreach (AssemblyColumn column in columns)
            assembly.Encode(column);
        assembly.ThrowIfWrong();
        return assembly;
    }

    /// <summary>The address of a name as seen from outside any column: <c>site</c>, <c>P1:site</c>, or one of the outer symbols.</summary>
    /// <param name="why">Why there is none.</param>
    public ulong? Find(string symbol, AssemblyColumn? from, out string why)
    {
        why = "";
        int colon = symbol.IndexOf(':', StringComparison.Ordinal);
        if (colon > 0)
        {
            AssemblyColumn? home = _columns.FirstOrDefault(c => c.Name == symbol[..colon]);
            if (home != null && home.Labels.TryGetValue(symbol[(colon + 1)..], out ulong at))
                return at;
            why = home == null ? $"there is no column '{symbol[..colon]}'" : $"column {home.Name} has no label '{symbol[(colon + 1)..]}'";
            return null;
        }
        if (from != null && from.Labels.TryGetValue(symbol, out ulong own))
            return own;
        AssemblyColumn[] holders = [.. _columns.Where(c => c.Labels.ContainsKey(symbol) && symbol != RestLabel)];
        if (holders.Length == 1)
            return holders[0].Labels[symbol];
        if (holders.Length > 1)
        {
            why = $"several columns have a label '{symbol}'; write {string.Join(" or ", holders.Select(c => $"{c.Name}:{symbol}"))}";
            return null;
        }
        ulong? found = _outer(symbol);
        if (found == null)
            why = $"there is no label, variable or symbol '{symbol}'";
        return found;
    }

    /// <summary>Where a CPU rests that has reached the end of this column.</summary>
    public static ulong RestOf(AssemblyColumn column) => column.Labels[RestLabel];

    private void DeclareLabels()
    {
        foreach (AssemblyColumn column in _columns)
        {
            column.Labels[column.Name] = column.Start;
            foreach (LabelStatement label in column.Statements.OfType<LabelStatement>())
                if (!column.Labels.TryAdd(label.Name, column.Start))
                    Complain(label.Position, $"the label '{label.Name}' stands twice in column {column.Name}");
            column.Labels[RestLabel] = column.Start;
        }
    }

    /// <summary>Gives every label its address. True when a branch had to be lengthened, and all must be placed again.</summary>
    private bool Layout()
    {
        // Lengths depend on nothing but which branches are long, so addresses first.
        foreach (AssemblyColumn column in _columns)
            Place(column);
        if (_errors.Count != 0)
            return false;
        bool grown = false;
        foreach (AssemblyColumn column in _columns)
        {
            ulong at = column.Start;
            foreach (AssemblyStatement statement in column.Statements)
            {
                int length = LengthOf(statement, at, column);
                if (statement is InstructionStatement { IsLong: false, LongForm: not null } branch && !Reaches(branch, at + (ulong)length, column))
                    grown = branch.IsLong = true;
                at += (ulong)length;
            }
        }
        return grown;
    }

    private void Place(AssemblyColumn column)
    {
        ulong at = column.Start;
        foreach (AssemblyStatement statement in column.Statements)
        {
            if (statement is LabelStatement label)
                column.Labels[label.Name] = at;
            int length = LengthOf(statement, at, column);
            at += (ulong)length;
            if (at - column.Start > MaximumColumn - (ulong)_rest.Length)
            {
                Complain(statement.Position, $"column {column.Name} is longer than {MaximumColumn} bytes");
                return;
            }
        }
        column.Labels[RestLabel] = at;
    }

    private int LengthOf(AssemblyStatement statement, ulong at, AssemblyColumn column)
    {
        switch (statement)
        {
            case DataStatement data:
                return data.Size * data.Values.Count;
            case PaddingStatement padding:
                long n = padding.Length(at, column.Start);
                if (n >= 0)
                    return (int)Math.Min(n, MaximumColumn);
                Complain(padding.Position, $".org 0x{padding.Amount:x} lies {-n} bytes back: the column is at 0x{at - column.Start:x} already");
                return 0;
            case InstructionStatement instruction:
                // Symbols do not change the length of a chosen form, so any value will do.
                Instruction i = instruction.Chosen.Build(_ => (long)at, out _);
                return Encoder.Create(64, new ByteWriter()).TryEncode(i, at, out uint length, out _) ? (int)length : 1;
            default:
                return 0;
        }
    }

    private bool Reaches(InstructionStatement branch, ulong next, AssemblyColumn column)
    {
        long target = branch.Chosen.Operands[0].Expression!.Evaluate(t => Resolve(t, column));
        long distance = target - (long)next;
        return distance == (sbyte)distance;
    }

    private void Encode(AssemblyColumn column)
    {
        var writer = new ByteWriter();
        Encoder encoder = Encoder.Create(64, writer);
        foreach (AssemblyStatement statement in column.Statements)
        {
            ulong at = column.Start + (ulong)writer.Bytes.Count;
            switch (statement)
            {
                case DataStatement data:
                    foreach (AssemblyExpression value in data.Values)
                        Write(writer, data, value.Evaluate(t => Resolve(t, column)));
                    break;
                case PaddingStatement padding:
                    for (long n = padding.Length(at, column.Start); n > 0; n--)
                        writer.WriteByte(padding.Fill);
                    break;
                case InstructionStatement instruction:
                    column.Listing.Add((at, instruction.Text));
                    Instruction i = instruction.Chosen.Build(t => Resolve(t, column), out (int Position, string Message)? error);
                    if (error != null)
                        Complain(error.Value.Position, error.Value.Message);
                    else if (!encoder.TryEncode(i, at, out _, out string? why))
                        Complain(instruction.Position, $"'{instruction.Text}' cannot be encoded: {why.ReplaceLineEndings(" ")}");
                    break;
            }
        }
        foreach (byte b in _rest)
            writer.WriteByte(b);
        column.Bytes = [.. writer.Bytes];
    }

    private void Write(ByteWriter writer, DataStatement data, long value)
    {
        int bits = data.Size * 8;
        if (bits < 64 && (value < -(1L << (bits - 1)) || value >= 1L << bits))
            Complain(data.Position, $"{value} (0x{value:x}) does not fit into {data.Size} {(data.Size == 1 ? "byte" : "bytes")}");
        for (int i = 0; i < data.Size; i++)
            writer.WriteByte((byte)(value >> (8 * i)));
    }

    private long Resolve(AssemblyTerm term, AssemblyColumn column)
    {
        ulong? address = Find(term.Symbol!, column, out string why);
        if (address == null)
        {
            Complain(term.Position, why);
            return (long)column.Start;
        }
        return (long)(term.IsPte ? _pageTableEntry(address.Value) : address.Value);
    }

    private void Complain(int position, string message)
    {
        var error = new ScenarioError(_text.File, _text.Where(position), message);
        if (!_errors.Contains(error))
            _errors.Add(error);
    }

    private void ThrowIfWrong()
    {
        if (_errors.Count != 0)
            throw new ScenarioException(_errors);
    }

    private sealed class ByteWriter : CodeWriter
    {
        public List<byte> Bytes { get; } = [];

        public override void WriteByte(byte value) => Bytes.Add(value);
    }
}
