using Emu.Boot;
using Emu.Exploration;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>
/// Where a PCT schedule begins: at a symbol, to which every CPU goes in turn. Counted from the power-up, the events of a boot are so many that the bound says nothing.
/// </summary>
/// <param name="Symbol">As the image names it.</param>
internal sealed record PctStart(string Symbol, ulong Address)
{
    /// <summary>The one that is asked for; else, of a guest that is to run its experiment for an explorer, the marker at which that begins; else null.</summary>
    /// <exception cref="UsageException">There is no such symbol.</exception>
    public static PctStart? Of(MachineOptions options, string? asked, BootImage image, string commandLine)
    {
        if (options.Schedule != ScheduleKind.Pct)
            return null;
        string? name = asked ?? (commandLine.Split(' ').Any(w => w.StartsWith("explore=", StringComparison.Ordinal)) ? GuestSubject.BeginMarker : null);
        if (name == null)
            return null;
        if (image.Symbols.TryFind(name, out Symbol symbol))
            return new PctStart(name, symbol.Address);
        return asked == null ? null : throw new UsageException($"{image.Name} has no symbol \"{name}\"", "--schedule", "name a function of the image to which every CPU comes");
    }

    /// <summary>Runs the machine to where the schedule begins. Null when it is there; else how it ended before.</summary>
    public static RunResult? Reach(PctStart? start, Machine machine, ulong limit) => start == null ? null : machine.RunTo(start.Address, limit);
}
