using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Emu.Differ.Lockstep;

/// <summary>A connection to a stub of GDB's remote serial protocol over a Unix socket, without acknowledgements.</summary>
internal sealed class GdbConnection : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly byte[] _input = new byte[1 << 16];
    private int _begin, _end;

    /// <param name="patience">How long an answer may take.</param>
    public GdbConnection(string path, TimeSpan patience)
    {
        _socket.ReceiveTimeout = (int)patience.TotalMilliseconds;
        _socket.Connect(new UnixDomainSocketEndPoint(path));
        // The stub waits for acknowledgements until it is told not to.
        Request("QStartNoAckMode");
        _socket.Send("+"u8);
    }

    /// <summary>Sends a packet and returns the answer.</summary>
    /// <exception cref="OracleStoppedException">There is none.</exception>
    public string Request(string command)
    {
        int sum = 0;
        foreach (char c in command)
            sum += c;
        try
        {
            _socket.Send(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"${command}#{sum & 0xFF:x2}")));
            return Receive();
        }
        catch (SocketException e)
        {
            throw new OracleStoppedException($"no answer to '{command}': {e.Message}");
        }
    }

    public void Dispose() => _socket.Dispose();

    private string Receive()
    {
        while (Next() != '$')
        {
        }
        var text = new StringBuilder();
        for (byte b; (b = Next()) != '#';)
            text.Append((char)b);
        Next();
        Next();
        return text.ToString();
    }

    private byte Next()
    {
        if (_begin == _end)
        {
            _begin = 0;
            _end = _socket.Receive(_input);
            if (_end == 0)
                throw new OracleStoppedException("it has ended");
        }
        return _input[_begin++];
    }
}
