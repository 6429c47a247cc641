using System.Globalization;

namespace Emu.Scenarios;

/// <summary>
/// A position in the text of a scenario, and the small pieces of which everything in it is made: names, numbers, punctuation.
/// Comments <c>(* ... *)</c> have become blanks, so that every position is one in the file.
/// </summary>
internal sealed class SourceText
{
    private readonly string _text;
    private readonly int[] _lineStarts;
    private readonly int _end;

    private SourceText(string file, string text, int[] lineStarts, int start, int end)
    {
        File = file;
        _text = text;
        _lineStarts = lineStarts;
        Position = start;
        _end = end;
    }

    public string File { get; }

    /// <summary>Index of the next character.</summary>
    public int Position { get; set; }

    public bool AtEnd => Position >= _end;

    public char Peek => Position < _end ? _text[Position] : '\0';

    /// <summary>Where the next character stands.</summary>
    public SourcePosition At => Where(Position);

    /// <exception cref="ScenarioException">A comment is not closed.</exception>
    public static SourceText Of(string file, string text)
    {
        int[] lineStarts = [0, .. text.Select((c, i) => (c, i)).Where(x => x.c == '\n').Select(x => x.i + 1)];
        var source = new SourceText(file, text, lineStarts, 0, text.Length);
        return new SourceText(file, source.WithoutComments(), lineStarts, 0, text.Length);
    }

    /// <summary>The same text from <paramref name="start"/> up to <paramref name="end"/>.</summary>
    public SourceText Slice(int start, int end) => new(File, _text, _lineStarts, start, Math.Min(end, _text.Length));

    public string Text(int start, int end) => _text[start..end];

    public SourcePosition Where(int position)
    {
        int line = Array.BinarySearch(_lineStarts, position);
        if (line < 0)
            line = ~line - 1;
        return new SourcePosition(line + 1, position - _lineStarts[line] + 1);
    }

    public ScenarioException Error(string message) => Error(Position, message);

    public ScenarioException Error(int position, string message) => new(File, Where(position), message);

    /// <summary>The error that something else stands here.</summary>
    public ScenarioException Expected(string what) => Error($"expected {what}, found {Found()}");

    public void SkipBlanks()
    {
        while (!AtEnd && char.IsWhiteSpace(Peek))
            Position++;
    }

    /// <summary>Blanks, but not the end of the line.</summary>
    public void SkipBlanksInLine()
    {
        while (!AtEnd && Peek != '\n' && char.IsWhiteSpace(Peek))
            Position++;
    }

    /// <summary>Takes exactly this text, after blanks; false when something else stands there.</summary>
    public bool Take(string what)
    {
        SkipBlanks();
        if (!LooksAt(what))
            return false;
        Position += what.Length;
        return true;
    }

    /// <summary>As <see cref="Take"/>, but not beyond the end of the line.</summary>
    public bool TakeInLine(string what)
    {
        SkipBlanksInLine();
        if (!LooksAt(what))
            return false;
        Position += what.Length;
        return true;
    }

    /// <summary>Takes this word, after blanks, if no letter or digit follows.</summary>
    public bool TakeWord(string word)
    {
        SkipBlanks();
        int end = Position + word.Length;
        if (!LooksAt(word) || (end < _end && IsNamePart(_text[end])))
            return false;
        Position = end;
        return true;
    }

    public void Expect(string what, string described = "")
    {
        if (!Take(what))
            throw Expected(described.Length != 0 ? described : $"'{what}'");
    }

    public bool LooksAt(string what) => string.CompareOrdinal(_text, Position, what, 0, what.Length) == 0 && Position + what.Length <= _end;

    /// <summary>Takes one letter if it stands here.</summary>
    public void TakeLetter(char letter)
    {
        if (Peek == letter)
            Position++;
    }

    /// <summary>Takes a name, after blanks, that is one of a set; nothing when another stands there.</summary>
    public bool TryType(Func<string, bool> isOne)
    {
        int start = Position;
        SkipBlanks();
        if (TryName() is { } name && isOne(name))
            return true;
        Position = start;
        return false;
    }

    /// <summary>A letter, dot or underscore and then letters, digits, dots and underscores.</summary>
    public string Name(string described)
    {
        SkipBlanks();
        return TryName() ?? throw Expected(described);
    }

    public string? TryName()
    {
        int start = Position;
        if (AtEnd || !(char.IsAsciiLetter(Peek) || Peek is '_' or '.'))
            return null;
        while (!AtEnd && IsNamePart(Peek))
            Position++;
        return _text[start..Position];
    }

    /// <summary>Decimal, <c>0x</c> or <c>0b</c>, optionally negative.</summary>
    public long Number(string described)
    {
        SkipBlanks();
        return TryNumber() ?? throw Expected(described);
    }

    public long? TryNumber()
    {
        int start = Position;
        bool negative = LooksAt("-");
        if (negative)
            Position++;
        int digits = Position;
        while (!AtEnd && char.IsAsciiLetterOrDigit(Peek))
            Position++;
        ReadOnlySpan<char> span = _text.AsSpan(digits, Position - digits);
        if (span.IsEmpty || !char.IsAsciiDigit(span[0]))
        {
            Position = start;
            return null;
        }
        ulong value;
        bool sound = span.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? ulong.TryParse(span[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : span.StartsWith("0b", StringComparison.OrdinalIgnoreCase) ? ulong.TryParse(span[2..], NumberStyles.AllowBinarySpecifier, CultureInfo.InvariantCulture, out value)
            : ulong.TryParse(span, NumberStyles.None, CultureInfo.InvariantCulture, out value);
        if (!sound)
            throw Error(digits, $"'{span}' is not a number of at most 64 bits; write decimal, 0x... or 0b...");
        return negative ? -(long)value : (long)value;
    }

    /// <summary>A small decimal number, within bounds.</summary>
    public int Count(string described, int least, int most) => (int)Count(described, least, (long)most);

    /// <summary>A number within bounds.</summary>
    public long Count(string described, long least, long most)
    {
        SkipBlanks();
        int start = Position;
        long value = Number(described);
        if (value >= least && value <= most)
            return value;
        string range = most == long.MaxValue ? $"of at least {least}" : $"from {least} to {most}";
        throw Error(start, $"{value} is out of range; expected {described} {range}");
    }

    /// <summary>What stands here, for messages.</summary>
    public string Found()
    {
        if (AtEnd)
            return _end == _text.Length ? "the end of the file" : "the end of the cell";
        if (Peek == '\n')
            return "the end of the line";
        int end = Position + 1;
        if (IsNamePart(Peek))
            while (end < _end && IsNamePart(_text[end]))
                end++;
        return $"'{_text[Position..end]}'";
    }

    public static bool IsNamePart(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '.';

    private string WithoutComments()
    {
        char[] text = _text.ToCharArray();
        for (int i = 0; i + 1 < text.Length; i++)
        {
            // A doc string in quotes may say what it likes.
            if (text[i] == '"')
            {
                int close = _text.IndexOf('"', i + 1);
                if (close < 0)
                    throw Error(i, "the string that begins here is not closed; expected '\"'");
                i = close;
                continue;
            }
            if (text[i] != '(' || text[i + 1] != '*')
                continue;
            int end = _text.IndexOf("*)", i + 2, StringComparison.Ordinal);
            if (end < 0)
                throw Error(i, "the comment that begins here is not closed; expected '*)'");
            for (int k = i; k < end + 2; k++)
                if (text[k] != '\n')
                    text[k] = ' ';
            i = end + 1;
        }
        return new string(text);
    }
}
