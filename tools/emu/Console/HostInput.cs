using System.Collections.Concurrent;

namespace Emu.Cli;

/// <summary>
/// Bytes from the outside: a thread reads them as they come, and the console takes them when the guest may have them. When they come depends on the host;
/// <see cref="InputLog"/> keeps when they entered.
/// </summary>
internal sealed class HostInput : IDisposable
{
    private readonly ConcurrentQueue<byte> _bytes = new();
    private readonly ManualResetEventSlim _arrived = new();
    private volatile bool _atEnd;

    public HostInput(Stream stream)
    {
        var reader = new Thread(() => Read(stream)) { IsBackground = true, Name = "console input" };
        reader.Start();
    }

    /// <summary>Nothing is left and nothing more will come.</summary>
    public bool AtEnd => _atEnd && _bytes.IsEmpty;

    /// <summary>Takes at most so many of the bytes that have arrived.</summary>
    public byte[] Take(int most)
    {
        _arrived.Reset();
        var taken = new List<byte>();
        while (taken.Count < most && _bytes.TryDequeue(out byte b))
            taken.Add(b);
        return [.. taken];
    }

    /// <summary>Waits for bytes, or the end, or for so long.</summary>
    public void Wait(TimeSpan most)
    {
        if (_bytes.IsEmpty && !_atEnd)
            _arrived.Wait(most);
    }

    public void Dispose() => _arrived.Dispose();

    private void Read(Stream stream)
    {
        var buffer = new byte[256];
        try
        {
            for (int n; (n = stream.Read(buffer)) > 0;)
            {
                foreach (byte b in buffer.AsSpan(0, n))
                    _bytes.Enqueue(b);
                _arrived.Set();
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or UnauthorizedAccessException)
        {
            // A terminal that went away is the end of its input.
        }
        _atEnd = true;
        try
        {
            _arrived.Set();
        }
        catch (ObjectDisposedException)
        {
            // The machine has ended before its input.
        }
    }
}
