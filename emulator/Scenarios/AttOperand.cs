using Iced.Intel;

namespace Emu.Scenarios;

internal enum AttOperandKind
{
    Register,
    Immediate,
    Memory,
}

/// <summary>
/// An operand in AT&amp;T syntax: <c>%eax</c>, <c>$expr</c>, or memory <c>%seg:displacement(base,index,scale)</c>. A symbol alone, or in parentheses as
/// herd writes it (<c>(x)</c> or <c>[x]</c>), is memory at its address; as the operand of a jump or call it is the target.
/// </summary>
internal sealed record AttOperand(AttOperandKind Kind, int Position)
{
    public Register Register { get; init; }

    /// <summary>The immediate, or the displacement; null for none.</summary>
    public AssemblyExpression? Expression { get; init; }
    public Register Base { get; init; }
    public Register Index { get; init; }
    public int Scale { get; init; } = 1;
    public Register Segment { get; init; }

    /// <summary>Written with a star: an indirect jump or call.</summary>
    public bool Indirect { get; init; }

    /// <summary>Nothing but an expression without parentheses: memory, or a branch target.</summary>
    public bool IsBareExpression { get; init; }

    public static AttOperand Parse(SourceText text)
    {
        text.SkipBlanks();
        int start = text.Position;
        if (text.Take("*"))
            return ParsePlain(text, text.Position) with { Indirect = true, IsBareExpression = false };
        return ParsePlain(text, start);
    }

    /// <summary>Finds a register by its name, in any case and without the percent sign.</summary>
    public static bool TryRegister(string name, out Register register)
    {
        register = Register.None;
        // Iced calls the low bytes of R8 to R15 r8l to r15l.
        if (name.Length is 3 or 4 && name[0] is 'r' or 'R' && name[^1] is 'b' or 'B')
            name = name[..^1] + 'l';
        return name.Length > 1 && Enum.TryParse(name, ignoreCase: true, out register) && Enum.IsDefined(register) && !char.IsAsciiDigit(name[0])
            && register is not (Register.None or Register.EIP);
    }

    private static AttOperand ParsePlain(SourceText text, int start)
    {
        text.SkipBlanks();
        if (text.Take("$"))
            return new AttOperand(AttOperandKind.Immediate, start) { Expression = AssemblyExpression.Parse(text, "a number or a symbol after '$'") };
        if (!text.LooksAt("%"))
            return TryBareRegister(text) is { } bare ? new AttOperand(AttOperandKind.Register, start) { Register = bare } : ParseMemory(text, start, Register.None);
        Register register = ParseRegister(text);
        if (!register.IsSegmentRegister() || !text.Take(":"))
            return new AttOperand(AttOperandKind.Register, start) { Register = register };
        return ParseMemory(text, start, register);
    }

    private static AttOperand ParseMemory(SourceText text, int start, Register segment)
    {
        AssemblyExpression? displacement = null;
        text.SkipBlanks();
        bool decimalNumber = char.IsAsciiDigit(text.Peek) && !text.LooksAt("0x") && !text.LooksAt("0X");
        if (!text.LooksAt("(") && !text.LooksAt("["))
            displacement = AssemblyExpression.Parse(text, "an operand: %register, $immediate, or memory");
        var operand = new AttOperand(AttOperandKind.Memory, start) { Expression = displacement, Segment = segment };
        // herd writes brackets as well.
        string close = text.Take("(") ? ")" : text.Take("[") ? "]" : "";
        if (close.Length == 0 && segment == Register.None && decimalNumber && !displacement!.HasSymbols)
        {
            string number = text.Text(start, text.Position).Trim();
            throw text.Error(start, $"to herd '{number}' is the number, to an assembler the address; write ${number} or ({number})");
        }
        if (close.Length == 0)
            return operand with { IsBareExpression = segment == Register.None };
        text.SkipBlanks();
        Register? bare = TryBareRegister(text);
        if (bare == null && !text.LooksAt("%") && !text.LooksAt(","))
        {
            if (displacement != null)
                throw text.Expected("'%' and a base register");
            operand = operand with { Expression = AssemblyExpression.Parse(text, "a base register or a symbol") };
            text.Expect(close);
            return operand;
        }
        if (bare != null || text.LooksAt("%"))
            operand = operand with { Base = bare ?? ParseRegister(text) };
        if (text.Take(","))
        {
            operand = operand with { Index = ParseRegister(text) };
            if (text.Take(","))
            {
                text.SkipBlanks();
                int at = text.Position;
                long scale = text.Number("a scale");
                if (scale is not (1 or 2 or 4 or 8))
                    throw text.Error(at, $"the scale {scale} is not 1, 2, 4 or 8");
                operand = operand with { Scale = (int)scale };
            }
        }
        text.Expect(close, $"',' or '{close}'");
        return operand;
    }

    /// <summary>A general register without the percent sign, as herd reads it; null, and nothing taken, where none stands.</summary>
    private static Register? TryBareRegister(SourceText text)
    {
        int start = text.Position;
        if (text.TryName() is { } name && !text.LooksAt(":") && TryRegister(name, out Register register) && register.IsGPR())
            return register;
        text.Position = start;
        return null;
    }

    private static Register ParseRegister(SourceText text)
    {
        text.Expect("%", "'%' and a register");
        int start = text.Position;
        string name = text.TryName() ?? throw text.Expected("the name of a register");
        // AT&T writes the debug registers db0 to db7.
        if (name.Length == 3 && name.StartsWith("db", StringComparison.OrdinalIgnoreCase))
            name = "dr" + name[2];
        if (!TryRegister(name, out Register register))
            throw text.Error(start, $"'%{name}' is no register");
        return register;
    }
}
