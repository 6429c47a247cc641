using System.Globalization;
using System.Text;

namespace Emu.Cli;

/// <summary>
/// A session as a file: what to await on the serial console and what to send, line by line, with time-outs in guest time. All of it happens at moments of the guest,
/// so that it happens again in the next run.
/// <code>
/// # a comment
/// timeout 30s
/// expect "/ # "
/// send "uname -r\n"
/// expect "6.1."
/// </code>
/// </summary>
internal sealed class ExpectScript
{
    private enum Verb
    {
        Expect,
        Send,
        Timeout,
    }

    private readonly record struct Step(int Line, Verb Verb, string Text, ulong Ticks);

    private const ulong DefaultTimeout = 60_000_000_000;
    private const int LastWords = 200;

    private readonly string _path;
    private readonly List<Step> _steps = [];
    private readonly StringBuilder _unmatched = new();
    private int _next;
    private ulong _timeout = DefaultTimeout;
    private ulong _since;

    /// <exception cref="UsageException">It cannot be read, or a line is not understood.</exception>
    public ExpectScript(string path)
    {
        _path = path;
        string[] lines = Files.ReadText(path, "--expect", "name a file of expect and send lines").Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].Trim();
            if (line.Length != 0 && line[0] != '#')
                _steps.Add(Parse(i + 1, line));
        }
    }

    /// <summary>All of it has been played.</summary>
    public bool IsPlayed => _next == _steps.Count;

    /// <summary>A byte that the guest has sent.</summary>
    public void Output(byte value) => _unmatched.Append((char)value);

    /// <summary>Goes on as far as it can. Returns what is to be sent now; <paramref name="failure"/> says what did not come in time.</summary>
    /// <param name="ended">The guest has ended, and nothing more will come.</param>
    public byte[] Play(ulong now, bool ended, out string? failure)
    {
        failure = null;
        var send = new List<byte>();
        for (; _next < _steps.Count; _next++)
        {
            Step step = _steps[_next];
            switch (step.Verb)
            {
                case Verb.Timeout:
                    _timeout = step.Ticks;
                    break;
                case Verb.Send:
                    send.AddRange(Encoding.Latin1.GetBytes(step.Text));
                    _since = now;
                    break;
                default:
                    int at = _unmatched.ToString().IndexOf(step.Text, StringComparison.Ordinal);
                    if (at < 0)
                    {
                        if (ended || now - _since > _timeout)
                            failure = $"{_path}:{step.Line}: \"{Escape(step.Text)}\" did not come {(ended ? "before the guest ended" : $"within {Seconds(_timeout)} of guest time")}; the last that came was \"{Escape(Tail())}\"";
                        return [.. send];
                    }
                    _unmatched.Remove(0, at + step.Text.Length);
                    _since = now;
                    break;
            }
        }
        return [.. send];
    }

    private string Tail()
    {
        string all = _unmatched.ToString();
        return all.Length <= LastWords ? all : all[^LastWords..];
    }

    private Step Parse(int number, string line)
    {
        string[] words = line.Split(' ', 2, StringSplitOptions.TrimEntries);
        string rest = words.Length == 2 ? words[1] : "";
        switch (words[0])
        {
            case "timeout" when Quantities.TryTime(rest, out ulong ticks) && ticks > 0:
                return new Step(number, Verb.Timeout, "", ticks);
            case "expect" when TryUnquote(rest, out string text) && text.Length != 0:
                return new Step(number, Verb.Expect, text, 0);
            case "send" when TryUnquote(rest, out string text):
                return new Step(number, Verb.Send, text, 0);
            default:
                throw new UsageException($"{_path}:{number}: \"{line}\" is not understood", "--expect", "write expect \"TEXT\", send \"TEXT\", timeout 10s, or # and a comment; in TEXT: \\n \\r \\t \\e \\\\ \\\" \\x00");
        }
    }

    private static bool TryUnquote(string quoted, out string text)
    {
        text = "";
        if (quoted.Length < 2 || quoted[0] != '"' || quoted[^1] != '"')
            return false;
        var bytes = new List<byte>();
        string inside = quoted[1..^1];
        for (int i = 0; i < inside.Length; i++)
        {
            if (inside[i] == '"')
                return false;
            if (inside[i] != '\\')
            {
                bytes.AddRange(Encoding.UTF8.GetBytes([inside[i]]));
                continue;
            }
            if (++i == inside.Length)
                return false;
            int value = inside[i] switch
            {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'e' => 0x1B,
                '\\' => '\\',
                '"' => '"',
                'x' when i + 2 < inside.Length && byte.TryParse(inside.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte hex) => hex,
                _ => -1,
            };
            if (value < 0)
                return false;
            if (inside[i] == 'x')
                i += 2;
            bytes.Add((byte)value);
        }
        // One character a byte, as the console has them.
        text = Encoding.Latin1.GetString([.. bytes]);
        return true;
    }

    private static string Escape(string text) => text.Replace("\\", "\\\\").Replace("\n", "\\n").Replace("\r", "\\r").Replace("\t", "\\t").Replace("\e", "\\e");

    private static string Seconds(ulong ticks) => string.Create(CultureInfo.InvariantCulture, $"{ticks / 1e9:0.###} s");
}
