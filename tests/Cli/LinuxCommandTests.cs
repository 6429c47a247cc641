using System.Globalization;
using System.Text;
using Emu.Cli;
using Xunit;

namespace Emu.Tests.Cli;

/// <summary>What <c>emu linux</c> is made of. The boot itself is a check of <c>tests/run</c>: it needs Debian's packages.</summary>
public sealed class LinuxCommandTests
{
    [Fact]
    public void Initramfs_ReadBack_HasItsFiles()
    {
        byte[] busybox = [.. Enumerable.Range(0, 1001).Select(i => (byte)i)];
        List<(string Name, uint Mode, byte[] Data)> files = ReadNewc(Initramfs.Build(busybox, "echo hello"));
        Assert.Equal("TRAILER!!!", files[^1].Name);
        Assert.Equal(busybox, files.Single(f => f.Name == "bin/busybox" && f.Mode == 0x81ED).Data);
        Assert.Equal("busybox", Encoding.UTF8.GetString(files.Single(f => f.Name == "bin/sh" && f.Mode == 0xA1FF).Data));
        Assert.Equal("echo hello\n", Encoding.UTF8.GetString(files.Single(f => f.Name == "command").Data));
        Assert.Equal(0x2180u, files.Single(f => f.Name == "dev/console").Mode);
        Assert.StartsWith("#!/bin/busybox sh\n", Encoding.UTF8.GetString(files.Single(f => f.Name == "init" && f.Mode == 0x81ED).Data), StringComparison.Ordinal);
        Assert.DoesNotContain(ReadNewc(Initramfs.Build(busybox, null)), f => f.Name == "command");
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("hello\n", 3)]
    [InlineData("no newline", 255)]
    [InlineData("@@emu:@@emu:123:status=4@@", 1)]
    public void CommandOutput_BetweenTheMarks_IsPassedOnUnchanged(string text, int status)
    {
        var seen = new StringBuilder();
        int? ended = null;
        var filter = new CommandOutput("ls", b => seen.Append((char)b), s => ended = s);
        foreach (char c in $"kernel says\n{Initramfs.Begin("ls")}{text}{Initramfs.End("ls")}{status}@@more")
            filter.Take((byte)c);
        Assert.Equal((text, status), (seen.ToString(), ended));
        Assert.True(filter.HasEnded);
    }

    [Fact]
    public void CommandOutput_WithoutItsEnd_ShowsAll()
    {
        var seen = new StringBuilder();
        var filter = new CommandOutput("ls", b => seen.Append((char)b), _ => Assert.Fail("it has not ended"));
        foreach (char c in "panic!\n@@emu:")
            filter.Take((byte)c);
        Assert.Equal("", seen.ToString());
        filter.ShowRest();
        Assert.Equal("panic!\n@@emu:", seen.ToString());
    }

    [Theory]
    [InlineData("--kernel no-such-file --busybox no-such-file", "there is no such file")]
    [InlineData("--cpus 65", "a number from 1 to 64")]
    [InlineData("--idle-timeout soon", "\"soon\" is not a time")]
    [InlineData("--expect a --replay-input b", "--expect is given as well")]
    public void Linux_OptionThatCannotBe_IsRefused(string options, string expected)
    {
        Invocation run = Invocation.Of(["linux", .. options.Split(' ')]);
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_KernelThatDies_ShowsWhatItSaidAndWhy()
    {
        // A bzImage of one instruction at its 64-bit entry, HLT with interrupts off.
        using var kernel = new TemporaryFile("vmlinuz", new Boot.LinuxImage { Code = [.. new byte[0x200], 0xF4] }.Build());
        using var busybox = new TemporaryFile("busybox", "static"u8);
        Invocation run = Invocation.Of("linux", "--kernel", kernel.Path, "--busybox", busybox.Path, "--run", "true");
        Assert.Equal(ExitCode.AllHalted, run.Code);
        Assert.StartsWith("emu: the command did not come to its end: no CPU executes", run.Error, StringComparison.Ordinal);
    }

    /// <summary>The archive by the format's own document: 110 characters of header, name and data at multiples of four.</summary>
    private static List<(string Name, uint Mode, byte[] Data)> ReadNewc(byte[] archive)
    {
        var files = new List<(string, uint, byte[])>();
        for (int at = 0; at < archive.Length;)
        {
            Assert.Equal("070701", Encoding.ASCII.GetString(archive, at, 6));
            uint Field(int i) => uint.Parse(Encoding.ASCII.GetString(archive, at + 6 + 8 * i, 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            int nameSize = (int)Field(11);
            int size = (int)Field(6);
            string name = Encoding.UTF8.GetString(archive, at + 110, nameSize - 1);
            int data = (at + 110 + nameSize + 3) & ~3;
            files.Add((name, Field(1), archive[data..(data + size)]));
            at = (data + size + 3) & ~3;
        }
        return files;
    }
}
