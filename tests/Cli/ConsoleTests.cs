using System.Text;
using Emu.Cli;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Cli;

/// <summary>The serial console: scripts, pipes, keys, recorded input, and runs that are given up.</summary>
public sealed class ConsoleTests
{
    /// <summary>Sends "> ", and echoes what it receives; at "q" it ends well. Its receive interrupt is on, though nobody takes it.</summary>
    private static readonly byte[] Echo = TinyKernel.Build(a =>
    {
        Label next = a.CreateLabel();
        Label leave = a.CreateLabel();
        a.mov(dx, 0x3F9);
        a.mov(al, 1);
        a.@out(dx, al);
        a.mov(dx, 0x3F8);
        a.mov(al, (int)'>');
        a.@out(dx, al);
        a.mov(al, (int)' ');
        a.@out(dx, al);
        a.Label(ref next);
        a.mov(dx, 0x3FD);
        a.@in(al, dx);
        a.test(al, 1);
        a.je(next);
        a.mov(dx, 0x3F8);
        a.@in(al, dx);
        a.cmp(al, (int)'q');
        a.je(leave);
        a.@out(dx, al);
        a.jmp(next);
        a.Label(ref leave);
        TinyKernel.Exit(a, ExitCode.GuestSuccess);
    });

    [Fact]
    public void Expect_Session_IsPlayed()
    {
        Invocation run = Play("# greet\nexpect \"> \"\nsend \"hello\\n\"\nexpect \"llo\"\nsend \"\\x71\"\n");
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        Assert.StartsWith("> hello\n", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Expect_SameSession_IsTheSameRun()
    {
        const string Session = "expect \"> \"\nsend \"abc\"\nexpect \"abc\"\nsend \"q\"\n";
        string first = Play(Session).LastLine.Split("run hash")[1];
        Assert.Equal(first, Play(Session).LastLine.Split("run hash")[1]);
        Assert.NotEqual(first, Play(Session.Replace("abc", "abcd", StringComparison.Ordinal)).LastLine.Split("run hash")[1]);
    }

    [Fact]
    public void Expect_TextThatDoesNotCome_FailsInGuestTime()
    {
        Invocation run = Play("timeout 5ms\nexpect \"> \"\nsend \"abc\"\nexpect \"xyz\"\n");
        Assert.Equal(ExitCode.Failure, run.Code);
        Assert.Contains(":4: \"xyz\" did not come within 0.005 s of guest time; the last that came was \"abc\"", run.Out, StringComparison.Ordinal);
        run = Play("expect \"> \"\nsend \"q\"\nexpect \"more\"\n");
        Assert.Equal(ExitCode.Failure, run.Code);
        Assert.Contains(":3: \"more\" did not come before the guest ended", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("expect hello", ":1: \"expect hello\" is not understood")]
    [InlineData("\nsend \"a\\y\"", ":2: ")]
    [InlineData("expect \"\"", ":1: ")]
    [InlineData("timeout soon", ":1: ")]
    [InlineData("send \"a\"b\"", ":1: ")]
    [InlineData("frobnicate", "write expect \"TEXT\", send \"TEXT\", timeout 10s")]
    public void Expect_LineThatCannotBe_IsRefused(string session, string expected)
    {
        Invocation run = Play(session);
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public void Console_Pipe_IsRead()
    {
        Invocation run = Boot("piped text, more than a FIFO holds, q"u8, "--console");
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
        Assert.StartsWith("> piped text, more than a FIFO holds, ", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Input_RecordedAndReplayed_IsTheSameRun()
    {
        string log = Path.Combine(Path.GetTempPath(), $"emu-input-{Guid.NewGuid():n}");
        try
        {
            Invocation first = Boot("some text to echo q"u8, "--console", "--record-input", log);
            Invocation again = Boot([], "--replay-input", log);
            Assert.Equal(ExitCode.Success, again.Code);
            Assert.Equal(first.LastLine.Split("run hash")[1], again.LastLine.Split("run hash")[1]);

            File.WriteAllText(log, File.ReadAllText(log).Replace(" 73", " 7z", StringComparison.Ordinal));
            Assert.Contains(":2: ", Boot([], "--replay-input", log).Error, StringComparison.Ordinal);
            File.WriteAllText(log, "something else\n");
            Invocation refused = Boot([], "--replay-input", log);
            Assert.Equal(ExitCode.Usage, refused.Code);
            Assert.Contains(":1: the first line is not", refused.Error, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(log);
        }
    }

    [Fact]
    public void IdleTimeout_GuestThatSaysNothing_IsStopped()
    {
        Invocation run = Boot([], "--idle-timeout", "3ms");
        Assert.Equal(ExitCode.InstructionLimit, run.Code);
        Assert.Contains("the guest has sent nothing for 0.003 s of its time, as --idle-timeout asked; CPU 0 running at 0x", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Boot_GuestThatHaltsForGood_SaysSo()
    {
        byte[] kernel = TinyKernel.Build(a =>
        {
            a.cli();
            a.hlt();
        });
        using var file = new TemporaryFile("kernel.elf", kernel);
        Invocation run = Invocation.Of("boot", file.Path, "--cpus", "2", "--idle-timeout", "10s");
        Assert.Equal(ExitCode.AllHalted, run.Code);
        Assert.Contains("CPU 0 halted with interrupts off at 0x", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("abc", "abc", 0, 3)]
    [InlineData("a\u0001xb", "a", 1, 3)]
    [InlineData("\u0001c", "", 2, 2)]
    [InlineData("\u0001\u0001b", "\u0001b", 0, 3)]
    [InlineData("\u0001?", "", 3, 2)]
    [InlineData("\u0003", "\u0003", 0, 1)]
    public void Keys_ControlA_IsForTheEmulator(string typed, string forGuest, int action, int rest)
    {
        var guest = new List<byte>();
        Assert.Equal(action, (int)new ConsoleKeys().Filter(Encoding.Latin1.GetBytes(typed), guest, out int end));
        Assert.Equal((forGuest, rest), (Encoding.Latin1.GetString([.. guest]), end));
    }

    [Fact]
    public void Keys_PrefixAndLetterApart_AreOne()
    {
        var keys = new ConsoleKeys();
        var guest = new List<byte>();
        Assert.Equal(ConsoleAction.None, keys.Filter([1], guest, out _));
        Assert.Equal(ConsoleAction.Leave, keys.Filter("x"u8, guest, out _));
        Assert.Empty(guest);
    }

    private static Invocation Play(string session, params string[] options)
    {
        using var file = new TemporaryFile("session.expect", Encoding.UTF8.GetBytes(session));
        return Boot([], ["--expect", file.Path, .. options]);
    }

    private static Invocation Boot(ReadOnlySpan<byte> input, params string[] options)
    {
        using var kernel = new TemporaryFile("kernel.elf", Echo);
        using var output = new MemoryStream();
        using var error = new StringWriter { NewLine = "\n" };
        using var terminal = new Terminal(output, error, isInteractive: false) { Input = new MemoryStream(input.ToArray()) };
        int code = Program.Run(["boot", kernel.Path, "--cpus", "1", "--profile", "coherent", "--max-instructions", "200M", .. options], terminal);
        terminal.Flush();
        return new Invocation(code, Encoding.UTF8.GetString(output.ToArray()), error.ToString());
    }
}
