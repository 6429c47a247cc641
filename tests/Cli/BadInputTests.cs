using System.Text.RegularExpressions;
using Emu.Cli;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Cli;

/// <summary>Whatever comes in: one line says what, where and how to mend it, the exit code is the documented one, and no stack trace is to be seen.</summary>
public sealed partial class BadInputTests
{
    private static readonly byte[] Kernel = TinyKernel.Build(a => TinyKernel.Exit(a, ExitCode.GuestSuccess));

    [Fact]
    public void Boot_TinyKernel_Succeeds()
    {
        // The control: what the cases below spoil is good.
        Invocation run = Boot(Kernel);
        Assert.Equal((ExitCode.Success, ""), (run.Code, run.Error));
    }

    [Theory]
    [InlineData("--cpus 0", "a number from 1 to 64")]
    [InlineData("--cpus 65", "a number from 1 to 64")]
    [InlineData("--cpus many", "a number from 1 to 64")]
    [InlineData("--memory 100", "from 1M to 64G")]
    [InlineData("--memory 65G", "from 1M to 64G")]
    [InlineData("--memory 64X", "is not a size")]
    [InlineData("--cpu z80", "choose one of pentium3, k8, skylake, alderlake")]
    [InlineData("--profile p7", "choose one of coherent, p6")]
    [InlineData("--set deep=3", "no field \"deep\"; it has depth")]
    [InlineData("--set depth=lots", "a number from 0 to 128")]
    [InlineData("--seed x", "is not a number")]
    [InlineData("--schedule random:0", "is not a number of instructions")]
    [InlineData("--schedule no-such-file", "there is no such file")]
    [InlineData("--max-instructions 0", "is not a number of instructions")]
    [InlineData("--module no-such-file", "there is no such file")]
    [InlineData("--initrd no-such-file", "there is no such file")]
    [InlineData("--kernel another", "name one image")]
    [InlineData("--bios no-such-file", "give a ROM or a kernel")]
    [InlineData("--boot-protocol efi", "choose one of multiboot1, multiboot2, linux64, linux32, pvh")]
    [InlineData("--boot-protocol pvh", "it cannot be booted as pvh")]
    [InlineData("--idle-timeout 0s", "is not a time")]
    [InlineData("--expect no-such-file", "there is no such file")]
    [InlineData("--flat 0x100000", "is not an address below 1M")]
    [InlineData("--frobnicate", "is not understood here")]
    [InlineData("--cpus", "--cpus")]
    public void Boot_OptionThatCannotBe_IsRefused(string options, string expected)
    {
        using var file = new TemporaryFile("kernel.elf", Kernel);
        Invocation run = Invocation.Of(["boot", file.Path, .. options.Split(' ')]);
        AssertRefused(run, expected);
    }

    [Theory]
    [InlineData("bot", "is not understood here")]
    [InlineData("", "\"emu --help\"")]
    [InlineData("disasm", "\"emu disasm --help\"")]
    [InlineData("disasm no-such-file", "there is no such file")]
    [InlineData("matrix --protocol magic", "choose from bytewise, direct, direct-sync, int3")]
    [InlineData("matrix --seeds 0", "a number from 1")]
    [InlineData("matrix --profile p7", "choose one of coherent")]
    public void Emu_CommandLineThatCannotBe_IsRefused(string line, string expected) =>
        AssertRefused(Invocation.Of(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)), expected);

    [Fact]
    public void Boot_ScheduleWithAnError_NamesItsLine()
    {
        using var kernel = new TemporaryFile("kernel.elf", Kernel);
        using var schedule = new TemporaryFile("schedule", "P0 run 3\nP9 run 3\n"u8);
        AssertRefused(Invocation.Of("boot", kernel.Path, "--schedule", schedule.Path), "line 2: 'P9' is not a CPU");
    }

    [Fact]
    public void Boot_FileCutAnywhere_IsRefused()
    {
        // The last byte is the HLT behind the end; all shorter ones miss a part of the segment, of a header, or all of it.
        for (int length = 0; length < Kernel.Length; length += length < 128 ? 1 : 16)
            AssertRefused(Boot(Kernel[..length]), "kernel.elf");
    }

    [Fact]
    public void Boot_AnyByteOfTheHeadersSpoilt_IsBootedOrRefused()
    {
        for (int at = 0; at < TinyKernel.ProgramHeaderOffset + 32; at++)
        {
            foreach (byte value in (byte[])[0x00, 0xFF])
            {
                byte[] spoilt = [.. Kernel];
                spoilt[at] = value;
                Invocation run = Boot(spoilt, "--max-instructions", "1000");
                Assert.True(run.Code is >= ExitCode.Success and <= ExitCode.ResetRequested, $"byte {at} = {value:x2}: {run}");
                AssertNoStackTrace(run);
            }
        }
    }

    [Theory]
    [InlineData(1, 0xFFFF_FF00u)] // offset in the file
    [InlineData(3, 0xFFFF_F000u)] // physical address: its end wraps around
    [InlineData(3, 0x0800_0000u)] // beyond RAM
    [InlineData(4, 0x7FFF_FFFFu)] // size in the file
    [InlineData(5, 0xFFFF_FFFFu)] // size in memory
    [InlineData(5, 1u)] // smaller in memory than in the file
    public void Boot_SegmentOutOfRange_IsRefused(int field, uint value) =>
        AssertRefused(Boot(TinyKernel.WithProgramHeaderField(Kernel, field, value)), "segment");

    [Fact]
    public void Boot_OverlappingSegments_AreRefused() =>
        AssertRefused(Boot(TinyKernel.Build(a => TinyKernel.Exit(a, ExitCode.GuestSuccess), segments: 2)), "inside segment 0");

    [Fact]
    public void Boot_GuestThatTripleFaults_SaysWhere()
    {
        Invocation run = Boot(TinyKernel.Build(a =>
        {
            // An empty IDT: #UD, then #DF, then nothing.
            a.push(0);
            a.push(0);
            a.lidt(__fword_ptr[esp]);
            a.ud2();
        }));
        AssertEnded(run, ExitCode.TripleFault, "triple fault");
    }

    [Fact]
    public void Boot_GuestThatJumpsIntoNowhere_SaysWhere()
    {
        Invocation run = Boot(TinyKernel.Build(a =>
        {
            a.mov(eax, 0x9000_0000);
            a.jmp(eax);
        }));
        AssertEnded(run, ExitCode.Unsupported, "0x90000000");
    }

    [Fact]
    public void Boot_GuestThatWritesPastRam_GoesOn()
    {
        // No device answers there: the write is lost, and a read gives ones, as on a bus.
        Invocation run = Boot(TinyKernel.Build(a =>
        {
            Label bad = a.CreateLabel();
            a.mov(edi, 0x2000_0000);
            a.mov(__dword_ptr[edi], 5);
            a.cmp(__dword_ptr[edi], -1);
            a.jne(bad);
            TinyKernel.Exit(a, ExitCode.GuestSuccess);
            a.Label(ref bad);
            TinyKernel.Exit(a, 0x11);
        }));
        AssertEnded(run, ExitCode.Success, "the guest reported success");
    }

    [Fact]
    public void Boot_GuestThatSpinsWithInterruptsOff_StopsAtTheLimit()
    {
        Invocation run = Boot(TinyKernel.Build(a =>
        {
            Label again = a.CreateLabel();
            a.cli();
            a.Label(ref again);
            a.jmp(again);
        }), "--max-instructions", "100k");
        AssertEnded(run, ExitCode.InstructionLimit, "--max-instructions");
        Assert.Contains("100000 instructions", run.LastLine);
    }

    [Fact]
    public void Boot_GuestThatHaltsForGood_SaysSo()
    {
        Invocation run = Boot(TinyKernel.Build(a =>
        {
            a.cli();
            a.hlt();
        }));
        AssertEnded(run, ExitCode.AllHalted, "halted with interrupts off");
    }

    [Fact]
    public void Boot_GuestThatReportsFailure_ExitsWithOne()
    {
        Invocation run = Boot(TinyKernel.Build(a => TinyKernel.Exit(a, 0x11)));
        AssertEnded(run, ExitCode.Failure, "value 0x11");
    }

    [Theory]
    [InlineData("boot")]
    [InlineData("cpus")]
    [InlineData("profiles")]
    [InlineData("profiles --json")]
    [InlineData("disasm")]
    public void Emu_OutputThatCannotBeWritten_IsSaid(string line)
    {
        using var file = new TemporaryFile("kernel.elf", Kernel);
        string[] words = line.Split(' ');
        string[] arguments = words[0] is "boot" or "disasm" ? [words[0], file.Path] : words;
        if (words[0] == "disasm")
            arguments = [.. arguments, "0x100000"];
        Invocation run = Invocation.Of(new FullDisk(), arguments);
        AssertRefused(run, "standard output: cannot be written: No space left on device");
    }

    [Fact]
    public void Emu_BugOfOurs_IsOneLineAndExit70()
    {
        Invocation run = Invocation.Of(new FullDisk(new InvalidOperationException("a\nb")), "cpus");
        Assert.Equal(ExitCode.Internal, run.Code);
        AssertOneLine(run.Error);
        Assert.Contains("internal error", run.Error);
        Assert.Contains("emu cpus", run.Error);
    }

    private static Invocation Boot(byte[] kernel, params string[] options)
    {
        using var file = new TemporaryFile("kernel.elf", kernel);
        return Invocation.Of(["boot", file.Path, "--cpus", "1", "--profile", "coherent", "--memory", "16M", .. options]);
    }

    private static void AssertRefused(Invocation run, string expected)
    {
        Assert.True(run.Code == ExitCode.Usage, run.ToString());
        Assert.Equal("", run.Out);
        AssertOneLine(run.Error);
        Assert.Contains(expected, run.Error);
        AssertNoStackTrace(run);
    }

    /// <summary>The guest ended by itself: that is said on standard output, and the last line is the summary.</summary>
    private static void AssertEnded(Invocation run, int code, string expected)
    {
        Assert.True(run.Code == code, run.ToString());
        Assert.Equal("", run.Error);
        Assert.Contains(expected, run.Out);
        Assert.Matches(SummaryLine(), run.LastLine);
        AssertNoStackTrace(run);
    }

    private static void AssertOneLine(string error)
    {
        Assert.StartsWith("emu: ", error);
        Assert.Equal(error.Length - 1, error.IndexOf('\n', StringComparison.Ordinal));
    }

    private static void AssertNoStackTrace(Invocation run) => Assert.DoesNotMatch(StackFrame(), run.Out + run.Error);

    [GeneratedRegex(@"^emu: exit \d+ \(.+\), \d+ instructions, \d+\.\d MIPS, run hash 0x[0-9a-f]{16}$")]
    private static partial Regex SummaryLine();

    [GeneratedRegex(@"^\s+at \S+\(|Unhandled exception", RegexOptions.Multiline)]
    private static partial Regex StackFrame();

    private sealed class FullDisk(Exception? error = null) : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => 0;
        public override long Position { get; set; }

        public override void Flush()
        {
        }

        public override void Write(byte[] buffer, int offset, int count) => throw error ?? new IOException("No space left on device");

        public override int Read(byte[] buffer, int offset, int count) => 0;
        public override long Seek(long offset, SeekOrigin origin) => 0;
        public override void SetLength(long value)
        {
        }
    }
}
