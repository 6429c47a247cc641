using System.Diagnostics;
using Emu.Machines;

namespace Emu.Cli;

/// <summary>
/// Runs a machine and plays its console: what the guest sends goes out, and input enters at moments that are multiples of a millisecond of guest time. A script's
/// input thereby follows from the guest alone; what a person types does not, and can be recorded.
/// </summary>
internal sealed class ConsoleSession : IDisposable
{
    /// <summary>Ticks between two looks at the console; a tick is a nanosecond.</summary>
    private const ulong Poll = 1_000_000;

    /// <summary>The FIFO of the serial port: more at a time would be lost on a guest that is not listening yet.</summary>
    private const int PipeChunk = 16;
    private static readonly TimeSpan s_longest = TimeSpan.FromMilliseconds(50);

    private readonly Machine _machine;
    private readonly Terminal _terminal;
    private readonly ConsoleSettings _settings;
    private readonly ExpectScript? _script;
    private readonly Queue<(ulong Tick, byte[] Bytes)>? _replay;
    private readonly InputLog? _log;
    private readonly HostInput? _input;
    private readonly bool _isTerminal;
    private readonly ConsoleKeys _keys = new();
    private readonly Stopwatch _clock = new();
    private ulong _lastOutput;

    /// <summary>The snapshot that was asked for is taken.</summary>
    private bool _kept;
    private ulong _clockStart;

    /// <param name="output">Takes what the guest sends.</param>
    /// <exception cref="UsageException">A file that it needs is not as it should be.</exception>
    public ConsoleSession(Machine machine, Terminal terminal, ConsoleSettings settings, Action<byte> output)
    {
        _machine = machine;
        _terminal = terminal;
        _settings = settings;
        _script = settings.Expect == null ? null : new ExpectScript(settings.Expect);
        _replay = settings.ReplayInput == null ? null : InputLog.Read(settings.ReplayInput);
        _log = settings.RecordInput == null ? null : new InputLog();
        _input = settings.Connect && terminal.Input != null ? new HostInput(terminal.Input) : null;
        _isTerminal = _input != null && terminal.InputIsTerminal;
        machine.SerialOutput = b =>
        {
            output(b);
            _script?.Output(b);
            _lastOutput = machine.Now;
        };
    }

    /// <summary>Runs until the guest, the script, the user or a limit ends it.</summary>
    public RunResult Run()
    {
        using RawTerminal? raw = _isTerminal ? RawTerminal.Enter() : null;
        _clock.Start();
        _clockStart = _lastOutput = _machine.Now;
        RunResult result = Loop();
        if (_settings.Snapshot is { } snapshot && !_kept)
            MachineFile.Save(_machine, snapshot.Path);
        _log?.Write(_settings.RecordInput!);
        return result;
    }

    public void Dispose() => _input?.Dispose();

    private RunResult Loop()
    {
        ulong end = _settings.MaxInstructions > ulong.MaxValue - _machine.Instructions ? ulong.MaxValue : _machine.Instructions + _settings.MaxInstructions;
        while (true)
        {
            ulong next = (_machine.Now / Poll + 1) * Poll;
            if (_replay is { Count: > 0 } && _replay.Peek().Tick < next)
                next = _replay.Peek().Tick;
            ulong? at = _kept ? null : _settings.Snapshot?.At;
            if (at > _machine.Instructions)
                next = Math.Min(next, _machine.Now + (at.Value - _machine.Instructions));
            RunResult? result = _machine.RunUntil(next, end - _machine.Instructions);
            if (at <= _machine.Instructions)
            {
                _kept = true;
                MachineFile.Save(_machine, _settings.Snapshot!.Path);
            }
            if (_isTerminal)
                _terminal.Flush();
            if (result is { Reason: StopReason.AllHalted } && _input is { AtEnd: false } && _machine.AwaitsInterrupt)
            {
                _terminal.Flush();
                _input.Wait(s_longest);
                result = null;
            }
            result = Feed(result) ?? result;
            if (result != null)
                return result;
            if (_settings.IdleTimeout is { } idle && _machine.Now - _lastOutput > idle)
                return new RunResult(StopReason.Idle, 0, $"the guest has sent nothing for {idle / 1e9:0.###} s of its time, as --idle-timeout asked; {_machine.Describe()}");
        }
    }

    /// <summary>Lets input enter; what ends the run, if something does.</summary>
    private RunResult? Feed(RunResult? ended)
    {
        if (_script != null)
        {
            Enter(_script.Play(_machine.Now, ended != null, out string? failure));
            if (failure != null)
                return new RunResult(StopReason.Ended, ExitCode.Failure, failure);
            return ended == null && _script.IsPlayed ? new RunResult(StopReason.Ended, ExitCode.Success, $"{_settings.Expect} was played to its end") : null;
        }
        while (_replay is { Count: > 0 } && _replay.Peek().Tick <= _machine.Now)
            Enter(_replay.Dequeue().Bytes);
        if (_input == null || ended != null)
            return null;
        if (_isTerminal)
            return Type();
        // A guest that does not listen yet would lose what comes out of a pipe.
        if (_machine.Uart.AwaitsInput)
            Enter(_input.Take(PipeChunk));
        return null;
    }

    private RunResult? Type()
    {
        Pace();
        byte[] typed = _input!.Take(int.MaxValue);
        for (int at = 0; at < typed.Length;)
        {
            var forGuest = new List<byte>();
            ConsoleAction action = _keys.Filter(typed.AsSpan(at), forGuest, out int rest);
            Enter([.. forGuest]);
            at += rest;
            if (action == ConsoleAction.Leave)
                return new RunResult(StopReason.Ended, ExitCode.Success, "left by Ctrl-A x");
            if (action != ConsoleAction.None)
                Say(action);
        }
        return null;
    }

    private void Say(ConsoleAction action)
    {
        _terminal.Out.Write($"\r\n[emu: {(action == ConsoleAction.Pause ? $"paused at {_machine.Now / 1e9:0.000} s of guest time; any key goes on" : ConsoleKeys.Help)}]\r\n");
        if (action != ConsoleAction.Pause)
            return;
        _clock.Stop();
        byte[] key = [];
        while (key.Length == 0 && !_input!.AtEnd)
        {
            _input.Wait(s_longest);
            key = _input.Take(1);
        }
        _clock.Start();
    }

    /// <summary>A guest that sleeps must not race ahead of the person who watches: where its time is ahead of the host's, this waits, or until a key is pressed.</summary>
    private void Pace()
    {
        TimeSpan guest = TimeSpan.FromMicroseconds((_machine.Now - _clockStart) / 1000.0);
        TimeSpan ahead = guest - _clock.Elapsed;
        if (ahead > TimeSpan.FromMilliseconds(2))
            _input!.Wait(ahead < s_longest ? ahead : s_longest);
        if (ahead >= TimeSpan.Zero)
            return;
        // A guest that was behind does not hurry afterwards.
        _clockStart = _machine.Now;
        _clock.Restart();
    }

    private void Enter(byte[] bytes)
    {
        if (bytes.Length == 0)
            return;
        _log?.Add(_machine.Now, bytes);
        _machine.Uart.Receive(bytes);
    }
}
