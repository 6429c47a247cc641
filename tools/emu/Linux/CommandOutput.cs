using System.Globalization;

namespace Emu.Cli;

/// <summary>
/// Finds the command's output in that of the console: what lies between the two marks of /init. Bytes that could be the beginning of a mark are held back until it is
/// clear what they are.
/// </summary>
/// <param name="output">Takes the command's bytes.</param>
/// <param name="ended">Told of the exit status.</param>
public sealed class CommandOutput(string command, Action<byte> output, Action<int> ended)
{
    private readonly string _begin = Initramfs.Begin(command);
    private readonly string _end = Initramfs.End(command);

    /// <summary>What came before the first mark: shown when there is no second.</summary>
    private readonly List<byte> _before = [];

    private readonly List<byte> _held = [];
    private string _status = "";

    /// <summary>The command has been started.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>The command has ended.</summary>
    public bool HasEnded { get; private set; }

    public void Take(byte value)
    {
        if (HasEnded)
            return;
        string mark = HasBegun ? _end : _begin;
        if (_held.Count == mark.Length)
        {
            // Behind the second mark: digits, and what ends them.
            if (char.IsAsciiDigit((char)value))
            {
                _status += (char)value;
                return;
            }
            HasEnded = true;
            ended(int.TryParse(_status, NumberStyles.None, CultureInfo.InvariantCulture, out int status) ? status : ExitCode.Failure);
            return;
        }
        _held.Add(value);
        while (_held.Count != 0 && !IsPrefix(mark))
        {
            Pass(_held[0]);
            _held.RemoveAt(0);
        }
        if (HasBegun || _held.Count != mark.Length)
            return;
        HasBegun = true;
        _held.Clear();
    }

    /// <summary>Passes on what was kept back, for a command that did not come to its end.</summary>
    public void ShowRest()
    {
        if (!HasBegun)
            _before.ForEach(output);
        _held.ForEach(output);
        _held.Clear();
    }

    private bool IsPrefix(string mark)
    {
        for (int i = 0; i < _held.Count; i++)
            if (_held[i] != mark[i])
                return false;
        return true;
    }

    private void Pass(byte value)
    {
        if (HasBegun)
            output(value);
        else
            _before.Add(value);
    }
}
