using System.Globalization;
using System.Text;

namespace Emu.Cli;

/// <summary>
/// Serial input and the ticks at which it entered: with the same machine it makes the same run again. Text, one line each: the tick, and the bytes in
/// hexadecimal; the first line says what it is.
/// </summary>
internal sealed class InputLog
{
    private const string Header = "emu serial input 1";

    private readonly StringBuilder _text = new(Header + "\n");

    public void Add(ulong tick, ReadOnlySpan<byte> bytes) => _text.Append(CultureInfo.InvariantCulture, $"{tick} {Convert.ToHexStringLower(bytes)}\n");

    public void Write(string path) => Files.WriteText(path, _text.ToString(), "--record-input");

    /// <exception cref="UsageException">The file is none of these.</exception>
    public static Queue<(ulong Tick, byte[] Bytes)> Read(string path)
    {
        const string Where = "--replay-input";
        string[] lines = Files.ReadText(path, Where, "name a file that --record-input wrote").Split('\n');
        if (lines[0] != Header)
            throw new UsageException($"{path}:1: the first line is not \"{Header}\"", Where, "name a file that --record-input wrote");
        var log = new Queue<(ulong, byte[])>();
        ulong last = 0;
        for (int i = 1; i < lines.Length; i++)
        {
            if (lines[i].Length == 0)
                continue;
            string[] parts = lines[i].Split(' ');
            byte[] bytes = new byte[lines[i].Length / 2];
            if (parts.Length != 2 || !ulong.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out ulong tick) || tick < last
                || Convert.FromHexString(parts[1], bytes, out _, out int length) != System.Buffers.OperationStatus.Done)
                throw new UsageException($"{path}:{i + 1}: \"{lines[i]}\" is not a tick, in ascending order, and hexadecimal bytes", Where, "name a file that --record-input wrote, unchanged");
            log.Enqueue((tick, bytes[..length]));
            last = tick;
        }
        return log;
    }
}
