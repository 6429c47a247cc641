using System.Globalization;

namespace Emu.Scenarios;

/// <summary>Which orders of events an exploration goes through.</summary>
public enum ExploreKind
{
    /// <summary>Every one.</summary>
    Exhaustive,

    /// <summary>Those in which a CPU that could go on is interrupted at most so many times.</summary>
    Preemptions,

    /// <summary>Random ones by PCT, each with so many changes of priority: a bug of that depth is found with a known probability.</summary>
    Pct,
}

/// <summary>What a scenario's <c>explore:</c> asks for.</summary>
/// <param name="Kind">Which orders.</param>
/// <param name="Parameter">The number of preemptions, or the depth of PCT; 0 for exhaustive.</param>
/// <param name="Events">Events at most on one path; null where the file sets no bound.</param>
/// <param name="States">States at most; null where the file sets no bound.</param>
public sealed record ExploreDirective(ExploreKind Kind, int Parameter = 0, long? Events = null, long? States = null)
{
    /// <summary>As it stands in a file, without the key.</summary>
    public override string ToString()
    {
        string kind = Kind switch
        {
            ExploreKind.Exhaustive => "exhaustive",
            ExploreKind.Preemptions => string.Create(CultureInfo.InvariantCulture, $"preempt<={Parameter}"),
            _ => string.Create(CultureInfo.InvariantCulture, $"pct {Parameter}"),
        };
        string events = Events is { } e ? string.Create(CultureInfo.InvariantCulture, $", events<={e}") : "";
        string states = States is { } s ? string.Create(CultureInfo.InvariantCulture, $", states<={s}") : "";
        return kind + events + states;
    }
}
