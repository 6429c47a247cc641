using System.Diagnostics;
using System.Text;
using Emu.Boot;
using Emu.Exploration;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>A run of <c>emu linux</c>: to a shell, or of one command; observed where that is asked for.</summary>
internal sealed class LinuxRun(Terminal terminal, BootImage image, BootModule ramdisk, string commandLine, MachineOptions options, ObserverSettings observed, bool json)
{
    /// <summary>To a shell.</summary>
    public int Boot(ConsoleSettings settings, DeviceSettings devices)
    {
        using var machine = new Machine(options);
        KernelObserver? observer = observed.IsWanted ? new KernelObserver(machine, image, observed) : null;
        machine.Load(image, commandLine, [ramdisk]);
        XmcChecker? checker = options.Check == null ? null : new XmcChecker(machine);
        var serial = new StringBuilder();
        using var session = new ConsoleSession(machine, terminal, settings, json ? b => serial.Append((char)b) : terminal.GuestByte);
        using var watch = new DeviceWatch(machine, terminal, devices);
        long start = Stopwatch.GetTimestamp();
        RunResult result = session.Run();
        if (!json)
            watch.Write(terminal);
        return Report(machine, observer, checker, result, Stopwatch.GetElapsedTime(start), null, serial);
    }

    /// <summary>
    /// Of one command. Prints what it prints; when it does not come to its end, all that the console had to say, and why.
    /// </summary>
    public int Run(string command, ConsoleSettings settings)
    {
        using var machine = new Machine(options);
        var output = new StringBuilder();
        var serial = new StringBuilder();
        var filter = new CommandOutput(command, json ? b => output.Append((char)b) : terminal.GuestByte,
            status => machine.RequestStop(new RunResult(StopReason.Ended, status, $"the command ended with status {status}")));
        KernelObserver? observer = observed.IsWanted ? new KernelObserver(machine, image, observed) : null;
        machine.Load(image, commandLine, [ramdisk]);
        XmcChecker? checker = options.Check == null ? null : new XmcChecker(machine);
        using var session = new ConsoleSession(machine, terminal, settings, b =>
        {
            serial.Append((char)b);
            filter.Take(b);
        });
        long start = Stopwatch.GetTimestamp();
        RunResult result = session.Run();
        TimeSpan time = Stopwatch.GetElapsedTime(start);
        if (!filter.HasEnded)
            filter.ShowRest();
        if (json || observed.IsWanted)
            return Report(machine, observer, checker, result, time, output, serial);
        terminal.Flush();
        if (filter.HasEnded)
            return result.ExitCode;
        terminal.EnsureLineStart();
        throw new LinuxException($"the command did not come to its end: {result.Message}", ExitCode.Of(result));
    }

    private int Report(Machine machine, KernelObserver? observer, XmcChecker? checker, RunResult result, TimeSpan time, StringBuilder? output, StringBuilder serial)
    {
        if (observer?.Problem is { } problem)
            throw problem;
        var report = new BootReport(machine, image.Name, observer?.Symbols ?? image.Symbols, result, time.TotalSeconds, checker);
        PatchReport? patches = observer == null ? null : new PatchReport(observer, observed);
        if (json)
        {
            JsonOutput.Write(terminal, new LinuxJson(report.ToJson(serial.ToString()), output?.ToString(), observed.Count ? patches?.Functions() : null,
                observed.Count ? patches?.Sites() : null, observer?.Broken ?? []), JsonShapes.Default.LinuxJson);
            return report.Code;
        }
        patches?.Write(terminal);
        report.Write(terminal);
        return report.Code;
    }
}
