namespace Emu.Scenarios;

/// <summary>What a condition quantifies over: the outcomes of all runs.</summary>
public enum Quantifier
{
    /// <summary>Some run ends so.</summary>
    Exists,

    /// <summary>No run ends so.</summary>
    NotExists,

    /// <summary>Every run ends so.</summary>
    ForAll,
}

/// <summary>A register or a piece of memory whose final value a condition or <c>locations</c> asks for.</summary>
public sealed record ScenarioLocation(int? Cpu, string Name, ulong Address, int Size)
{
    /// <summary><c>1:rax</c>, <c>[x]</c>, or <c>t[1]</c> for an element, as herd prints them.</summary>
    public override string ToString() => Cpu is { } c ? $"{c}:{Name}" : Name.EndsWith(']') ? Name : $"[{Name}]";
}

/// <summary>How a run ended, as far as conditions look.</summary>
internal interface IOutcome
{
    ulong Read(ScenarioLocation location);

    bool Happened(ScenarioEvent e);
}

/// <summary>A condition on the end of a run.</summary>
internal abstract record Condition
{
    public abstract bool Holds(IOutcome outcome);

    /// <summary>Locations and events that it names, in order, without repetition.</summary>
    public abstract IEnumerable<object> Named { get; }
}

internal sealed record ConstantCondition(bool Value) : Condition
{
    public override bool Holds(IOutcome outcome) => Value;

    public override IEnumerable<object> Named => [];
}

internal sealed record NotCondition(Condition Inner) : Condition
{
    public override bool Holds(IOutcome outcome) => !Inner.Holds(outcome);

    public override IEnumerable<object> Named => Inner.Named;
}

internal sealed record AndCondition(Condition Left, Condition Right) : Condition
{
    public override bool Holds(IOutcome outcome) => Left.Holds(outcome) && Right.Holds(outcome);

    public override IEnumerable<object> Named => Left.Named.Concat(Right.Named);
}

internal sealed record OrCondition(Condition Left, Condition Right) : Condition
{
    public override bool Holds(IOutcome outcome) => Left.Holds(outcome) || Right.Holds(outcome);

    public override IEnumerable<object> Named => Left.Named.Concat(Right.Named);
}

internal sealed record EventCondition(ScenarioEvent Event) : Condition
{
    public override bool Holds(IOutcome outcome) => outcome.Happened(Event);

    public override IEnumerable<object> Named => [Event];
}

/// <summary>Equality of a location with a value, or with another location, in the location's width.</summary>
internal sealed record EqualCondition(ScenarioLocation Location, ulong Value, ScenarioLocation? Other) : Condition
{
    public override bool Holds(IOutcome outcome)
    {
        ulong mask = ulong.MaxValue >> (64 - 8 * Location.Size);
        ulong wanted = Other != null ? outcome.Read(Other) : Value;
        return (outcome.Read(Location) & mask) == (wanted & mask);
    }

    public override IEnumerable<object> Named => Other != null ? [Location, Other] : [Location];
}
