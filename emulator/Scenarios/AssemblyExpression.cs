namespace Emu.Scenarios;

/// <summary>A part of an expression: a number, a symbol (<c>site</c>, <c>P1:site</c>), or <c>PTE(symbol)</c>, the address of its page-table entry.</summary>
internal readonly record struct AssemblyTerm(bool Negative, string? Symbol, bool IsPte, long Number, int Position);

/// <summary>A sum of numbers and symbols, as in <c>site+1</c> or <c>new-next</c>.</summary>
internal sealed record AssemblyExpression(IReadOnlyList<AssemblyTerm> Terms)
{
    /// <summary>True when its value depends on where code comes to lie.</summary>
    public bool HasSymbols => Terms.Any(t => t.Symbol != null);

    /// <summary>Its value.</summary>
    /// <param name="resolve">The value of a term's symbol; complains about one that does not exist.</param>
    public long Evaluate(Func<AssemblyTerm, long> resolve)
    {
        long sum = 0;
        foreach (AssemblyTerm t in Terms)
        {
            long value = t.Symbol != null ? resolve(t) : t.Number;
            sum += t.Negative ? -value : value;
        }
        return sum;
    }

    public static AssemblyExpression Parse(SourceText text, string described)
    {
        var terms = new List<AssemblyTerm>();
        bool negative = text.Take("-");
        while (true)
        {
            terms.Add(ParseTerm(text, negative, described));
            if (text.TakeInLine("+"))
                negative = false;
            else if (text.TakeInLine("-"))
                negative = true;
            else
                return new AssemblyExpression(terms);
            described = "a number or a symbol";
        }
    }

    private static AssemblyTerm ParseTerm(SourceText text, bool negative, string described)
    {
        text.SkipBlanks();
        int start = text.Position;
        if (text.LooksAt("'"))
        {
            if (!text.Slice(start + 2, start + 3).LooksAt("'"))
                throw text.Expected("a character between quotes, as in 'a'");
            char c = text.Text(start + 1, start + 2)[0];
            text.Position = start + 3;
            return new AssemblyTerm(negative, null, false, c, start);
        }
        if (text.TryNumber() is { } number)
            return new AssemblyTerm(negative, null, false, number, start);
        if (text.TakeWord("PTE") && text.Take("("))
        {
            string page = Symbol(text, "a symbol whose page-table entry is meant");
            text.Expect(")");
            return new AssemblyTerm(negative, page, true, 0, start);
        }
        text.Position = start;
        return new AssemblyTerm(negative, Symbol(text, described), false, 0, start);
    }

    /// <summary><c>name</c>, or <c>P1:name</c> for a label of that CPU's column.</summary>
    internal static string Symbol(SourceText text, string described)
    {
        string name = text.Name(described);
        if (!text.LooksAt(":"))
            return name;
        text.Position++;
        return $"{name}:{text.Name("a label of " + name)}";
    }
}
