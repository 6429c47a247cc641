using System.Diagnostics;
using System.Text;
using Emu.Boot;
using Emu.Exploration;
using Emu.Fetch;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>A kernel, what it is given, and the machine in which it runs.</summary>
/// <param name="CoherentBoot">The boot is executed under the coherent profile; that of the options rules from where the command of --run begins,</param>
/// <param name="MostModelled">and for at most so many instructions.</param>
internal sealed record LinuxSetting(
    BootImage Image, BootModule Ramdisk, string CommandLine, MachineOptions Options, ObserverSettings Observed, bool CoherentBoot, ulong MostModelled = ulong.MaxValue);

/// <summary>A run of <c>emu linux</c>: to a shell, or of one command; observed where that is asked for.</summary>
internal sealed class LinuxRun : IDisposable
{
    private readonly LinuxSetting _setting;
    private readonly StringBuilder _serial = new();
    private Machine _machine;

    public LinuxRun(LinuxSetting setting)
    {
        _setting = setting;
        _machine = new Machine(setting.CoherentBoot ? setting.Options with { Profile = FetchProfiles.Coherent, Schedule = ScheduleKind.RoundRobin } : setting.Options);
        try
        {
            Observer = setting.Observed.IsWanted ? new KernelObserver(_machine, setting.Image, setting.Observed) : null;
            Checker = setting.Options.Check == null ? null : new XmcChecker(_machine);
            _machine.Load(setting.Image, setting.CommandLine, [setting.Ramdisk]);
        }
        catch
        {
            _machine.Dispose();
            throw;
        }
    }

    /// <summary>The machine that runs, or ran last.</summary>
    public Machine Machine => _machine;

    public KernelObserver? Observer { get; }
    public XmcChecker? Checker { get; }

    /// <summary>The command has come to its end.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>All that the console had to say.</summary>
    public string Serial => _serial.ToString();

    public TimeSpan Time { get; private set; }

    /// <summary>To a shell.</summary>
    public RunResult Boot(Terminal terminal, ConsoleSettings settings, Action<byte> output)
    {
        using var session = new ConsoleSession(_machine, terminal, settings, b =>
        {
            _serial.Append((char)b);
            output(b);
        });
        return Timed(session);
    }

    /// <summary>Of one command: passes on what it prints, and, when it does not come to its end, all that the console had to say.</summary>
    public RunResult Run(Terminal terminal, string command, ConsoleSettings settings, Action<byte> output)
    {
        var filter = new CommandOutput(command, output, status => _machine.RequestStop(new RunResult(StopReason.Ended, status, $"the command ended with status {status}")));
        bool begun = false;
        void Take(byte value)
        {
            _serial.Append((char)value);
            filter.Take(value);
            if (begun || !filter.HasBegun)
                return;
            begun = true;
            Observer?.Begin();
            if (_setting.CoherentBoot)
                _machine.RequestStop(new RunResult(StopReason.Ended, 0, "the command begins"));
        }
        RunResult result = Session(terminal, settings, Take);
        if (begun && _setting.CoherentBoot)
        {
            Machine boot = _machine;
            _machine = boot.ContinueUnder(_setting.Options);
            boot.Dispose();
            Observer?.Attach(_machine);
            Checker?.Attach(_machine);
            result = Session(terminal, settings with { MaxInstructions = Math.Min(settings.MaxInstructions, _setting.MostModelled) }, Take);
        }
        HasEnded = filter.HasEnded;
        if (!HasEnded)
            filter.ShowRest();
        return result;
    }

    public void Dispose() => _machine.Dispose();

    private RunResult Session(Terminal terminal, ConsoleSettings settings, Action<byte> output)
    {
        using var session = new ConsoleSession(_machine, terminal, settings, output);
        return Timed(session);
    }

    private RunResult Timed(ConsoleSession session)
    {
        long start = Stopwatch.GetTimestamp();
        RunResult result = session.Run();
        Time += Stopwatch.GetElapsedTime(start);
        return result;
    }
}
