using System.Text;
using Emu.Cli;

namespace Emu.Tests.Cli;

/// <summary>One invocation of emu, in this process.</summary>
internal sealed record Invocation(int Code, string Out, string Error)
{
    public static Invocation Of(params string[] arguments)
    {
        using var output = new MemoryStream();
        Invocation run = Of(output, arguments);
        return run with { Out = Encoding.UTF8.GetString(output.ToArray()) };
    }

    /// <summary>With something else in the place of standard output.</summary>
    public static Invocation Of(Stream output, params string[] arguments)
    {
        using var error = new StringWriter { NewLine = "\n" };
        using var terminal = new Terminal(output, error, isInteractive: false);
        int code = Program.Run(arguments, terminal);
        return new Invocation(code, "", error.ToString());
    }

    /// <summary>The last line of the output.</summary>
    public string LastLine => Out.TrimEnd('\n').Split('\n')[^1];
}

/// <summary>A file that is there for as long as a test needs it.</summary>
internal sealed class TemporaryFile : IDisposable
{
    public TemporaryFile(string name, ReadOnlySpan<byte> contents)
    {
        Directory.CreateDirectory(_directory);
        Path = System.IO.Path.Combine(_directory, name);
        File.WriteAllBytes(Path, contents);
    }

    private readonly string _directory = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"emu-test-{Guid.NewGuid():n}");

    public string Path { get; }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
