using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Emu.Cli;

/// <summary>Standard output and error of one invocation, so that tests can take their place. Guest bytes and our own lines share the output.</summary>
public sealed class Terminal : IDisposable
{
    private readonly Stream _output;
    private bool _atLineStart = true;
    private int _unflushed;

    public Terminal(Stream output, TextWriter error, bool isInteractive)
    {
        _output = output;
        Error = error;
        IsInteractive = isInteractive;
        Out = new StreamWriter(new Guarded(this), new UTF8Encoding(false), 1024) { AutoFlush = true, NewLine = "\n" };
    }

    /// <summary>The process's own.</summary>
    public static Terminal OfProcess()
    {
        var error = new StreamWriter(Console.OpenStandardError(), new UTF8Encoding(false)) { AutoFlush = true, NewLine = "\n" };
        return new Terminal(new BufferedStream(Console.OpenStandardOutput(), 4096), error, !Console.IsOutputRedirected && !Console.IsErrorRedirected)
        {
            In = Console.In,
            Input = OpenInput(),
            InputIsTerminal = !Console.IsInputRedirected,
        };
    }

    /// <summary>Standard input as it comes. The framework's own stream reads a terminal by lines, which it edits and echoes itself.</summary>
    private static Stream OpenInput()
    {
        try
        {
            return OperatingSystem.IsWindows() ? Console.OpenStandardInput() : new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Closed, or not to be read.
            return Stream.Null;
        }
    }

    public TextWriter Out { get; }
    public TextWriter Error { get; }

    /// <summary>What the user types.</summary>
    public TextReader In { get; init; } = TextReader.Null;

    /// <summary>The same as bytes, for a guest; null where there is none.</summary>
    public Stream? Input { get; init; }

    /// <summary>Somebody types it.</summary>
    public bool InputIsTerminal { get; init; }

    /// <summary>True where somebody watches: progress is shown, and colours.</summary>
    public bool IsInteractive { get; }

    /// <summary>A byte of the guest's console. A line is passed on when it ends, a prompt after a while.</summary>
    public void GuestByte(byte value)
    {
        Guard(() => _output.WriteByte(value));
        _atLineStart = value == '\n';
        if (_atLineStart || ++_unflushed == 256)
            Flush();
    }

    /// <summary>Begins a new line unless one has just begun.</summary>
    public void EnsureLineStart()
    {
        if (!_atLineStart)
            Out.Write('\n');
    }

    public void Flush()
    {
        _unflushed = 0;
        Guard(_output.Flush);
    }

    public void Dispose()
    {
        try
        {
            Out.Dispose();
        }
        catch (UsageException)
        {
            // Reported when it first happened.
        }
    }

    /// <summary>A full disk or a closed pipe is the user's to mend, and not our bug.</summary>
    private static void Guard(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            throw new UsageException($"cannot be written: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}", "standard output", "make room, or write elsewhere");
        }
    }

    /// <summary>The way of our own text to the output.</summary>
    private sealed class Guarded(Terminal owner) : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush() => owner.Flush();

        public override void Write(byte[] buffer, int offset, int count)
        {
            if (count == 0)
                return;
            Guard(() => owner._output.Write(buffer, offset, count));
            owner._atLineStart = buffer[offset + count - 1] == '\n';
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
