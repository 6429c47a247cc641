using System.Globalization;
using Emu.Boot;
using Emu.Cpus;
using Emu.Exploration;
using Spectre.Console;

namespace Emu.Cli;

/// <summary>What <see cref="KernelObserver"/> has seen: tables on the terminal, or JSON.</summary>
internal sealed class PatchReport(KernelObserver observer, ObserverSettings settings)
{
    /// <summary>Sites that the table shows; JSON has all.</summary>
    private const int MaximumRows = 16;

    /// <summary>CPUs that have a column of their own.</summary>
    private const int MaximumColumns = 4;

    private SymbolTable Symbols => observer.Symbols;

    public void Write(Terminal terminal)
    {
        terminal.EnsureLineStart();
        foreach (string line in observer.Broken)
            terminal.Out.WriteLine($"emu: {line}");
        if (!settings.Count)
            return;
        WriteFunctions(terminal);
        WriteSites(terminal);
    }

    public IReadOnlyList<FunctionJson> Functions() =>
        [.. KernelObserver.Counted.Select(name => new FunctionJson(name, observer.RunsOf(name)?.Sum(), observer.RunsOf(name)))];

    public IReadOnlyList<SiteJson> Sites() => [.. observer.Patches.Sites.Select(s => new SiteJson(
        s.Address, Symbols.Describe(s.Address), Bytes(Old(s)), Bytes(observer.Patches.Present(s)), s.Times, s.HasBreakpoint, s.Traps, s.Writer, s.Time,
        [.. s.Executions.Select((e, i) => (e, i)).Where(p => p.e != null).Select(p => Execution(p.i, p.e!))]))];

    private SiteExecutionJson Execution(int cpu, SiteExecution e) =>
        new(cpu, e.Time, e.Serialised?.Event.Name(), e.Serialised is { } s ? new XmcPlaceJson(cpu, s.Rip, Symbols.Describe(s.Rip), s.Time) : null);

    private void WriteFunctions(Terminal terminal)
    {
        int cpus = Math.Min(observer.RunsOf(PatchLog.Poke)?.Count ?? 0, MaximumColumns);
        Table table = Tables.New(["function", "runs", .. Enumerable.Range(0, cpus).Select(i => $"CPU {i}")]);
        foreach (string name in KernelObserver.Counted)
        {
            IReadOnlyList<long>? runs = observer.RunsOf(name);
            table.AddRow([name, runs == null ? "not in this kernel" : Text(runs.Sum()), .. Enumerable.Range(0, cpus).Select(i => runs == null ? "" : Text(runs[i]))]);
        }
        Tables.Write(terminal, table);
    }

    private void WriteSites(Terminal terminal)
    {
        PatchSite[] sites = [.. observer.Patches.Sites];
        terminal.Out.WriteLine($"emu: {Text(sites.Length)} sites patched by {PatchLog.Poke}, {Text(sites.Sum(s => s.Times))} times in all; {Text(sites.Sum(s => s.Traps))} breakpoints taken at them");
        if (sites.Length == 0)
            return;
        int cpus = Math.Min(sites[0].Executions.Length, MaximumColumns);
        Table table = Tables.New(["site", "before", "now", "patched", "int3", .. Enumerable.Range(0, cpus).Select(i => $"CPU {i}: first execution since, last serialised before")]);
        foreach (PatchSite s in sites.OrderByDescending(s => s.Executions.Count(e => e != null)).ThenByDescending(s => s.Traps).ThenBy(s => s.Address).Take(MaximumRows))
            table.AddRow([Markup.Escape(Symbols.Describe(s.Address)), Bytes(Old(s)), Bytes(observer.Patches.Present(s)) + (s.HasBreakpoint ? " (stays)" : ""), Text(s.Times), Text(s.Traps),
                .. Enumerable.Range(0, cpus).Select(i => Markup.Escape(Execution(s, i)))]);
        Tables.Write(terminal, table);
        if (sites.Length > MaximumRows)
            terminal.Out.WriteLine($"emu: {Text(sites.Length - MaximumRows)} more sites; --json has them all");
    }

    /// <summary>Ticks since the site was patched, and where and how long before that the CPU had serialised.</summary>
    private string Execution(PatchSite site, int cpu)
    {
        if (site.Executions[cpu] is not { } e)
            return "";
        string at = $"+{Text((long)(e.Time - site.Time))}";
        return e.Serialised is not { } s ? at : $"{at}; {s.Event.Name()} {Symbols.Describe(s.Rip)} -{Text((long)(e.Time - s.Time))}";
    }

    private static byte[] Old(PatchSite site) => site.Old[..Math.Min(site.Length, site.Old.Length)];

    private static string Bytes(byte[] bytes) => XmcReport.Bytes(bytes);

    private static string Text(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}

/// <summary>The value of <c>emu linux --json</c>.</summary>
/// <param name="Output">What the command of --run printed; null without it.</param>
/// <param name="Functions">With --check; else null.</param>
/// <param name="Broken">What --break changed.</param>
internal sealed record LinuxJson(BootJson Boot, string? Output, IReadOnlyList<FunctionJson>? Functions, IReadOnlyList<SiteJson>? Sites, IReadOnlyList<string> Broken);

/// <summary>Runs of a function: of all CPUs, and of each; null when the kernel has none of this name.</summary>
internal sealed record FunctionJson(string Name, long? Runs, IReadOnlyList<long>? ByCpu);

/// <summary>A patched site: "before" and "now" are bytes in hexadecimal.</summary>
/// <param name="Breakpoint">A breakpoint stays there, as that of a kprobe.</param>
/// <param name="Traps">Breakpoints taken there.</param>
/// <param name="Writer">The CPU that patched it last, at <paramref name="Time"/>.</param>
internal sealed record SiteJson(
    ulong Address, string Symbol, string Before, string Now, long Patched, bool Breakpoint, long Traps, int Writer, ulong Time, IReadOnlyList<SiteExecutionJson> Executions);

/// <summary>A CPU's first execution since, and what serialised it last before that.</summary>
internal sealed record SiteExecutionJson(int Cpu, ulong Time, string? SerialisedBy, XmcPlaceJson? Serialisation);
