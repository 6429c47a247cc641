using Emu.Cli;
using Emu.Tests.House;
using Iced.Intel;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Emu.Tests.Cli;

/// <summary>The options for devices and for machines in files, as a user has them.</summary>
public sealed class DeviceCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("emu-cli-");

    private string At(string name) => Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("--cpus 4 --profile coherent --schedule round-robin")]
    [InlineData("--cpus 3 --profile p6 --seed 3")]
    public void Boot_KeptInAFileAndContinued_EndsAsTheRunThatNeverStopped(string options)
    {
        string[] boot = ["boot", Path.Combine(Repository.Root, "images", "emu64.elf"), "--append", "rounds=64", .. options.Split(' ')];
        Invocation whole = Invocation.Of(boot);
        Invocation kept = Invocation.Of([.. boot, "--snapshot", At("half"), "--at", "80k"]);
        Invocation continued = Invocation.Of("boot", "--restore", At("half"));
        Assert.Equal((0, 0, 0), (whole.Code, kept.Code, continued.Code));
        Assert.Equal(Hash(whole), Hash(kept));
        Assert.Equal(Hash(whole), Hash(continued));
        // What it printed goes on where the file was made.
        Assert.EndsWith(Lines(continued)[^2], string.Join('\n', Lines(whole)[..^1]));
        Assert.True(continued.Out.Length < whole.Out.Length);
    }

    [Fact]
    public void Boot_SnapshotAtTheEnd_ShowsItsScreen()
    {
        File.WriteAllBytes(At("kernel"), TinyKernel.Build(a =>
        {
            a.mov(__word_ptr[0xB8000], 'O' | 0x700);
            a.mov(__word_ptr[0xB8002], 'K' | 0x700);
            a.mov(edx, 0x2E8);
            a.@in(al, dx);
            a.@in(al, dx);
            a.mov(al, (sbyte)'!');
            a.@out(0xE9, al);
            TinyKernel.Exit(a, ExitCode.GuestSuccess);
        }));
        Invocation run = Invocation.Of("boot", At("kernel"), "--cpus", "1", "--screen", "--trace-absent", "--debug-port", At("debug"), "--snapshot", At("end"));
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Contains("|OK" + new string(' ', 78) + "|", run.Out);
        Assert.Contains("emu: no device at port 0x2e8: read 2 times", run.Out);
        Assert.Equal("!", File.ReadAllText(At("debug")));
        Invocation screen = Invocation.Of("screen", At("end"));
        Assert.Equal(27, Lines(screen).Length);
        Assert.StartsWith("|OK ", Lines(screen)[1]);
    }

    [Fact]
    public void Boot_Disk_IsReadAndKeptOrWritten()
    {
        byte[] image = new byte[4096];
        image[512] = 0x10;
        File.WriteAllBytes(At("disk"), image);
        File.WriteAllBytes(At("kernel"), TinyKernel.Build(a =>
        {
            // Sector 1 by PIO; its first byte is the exit value. Then the word is written back to sector 2.
            Command(a, sector: 1, command: 0x20);
            a.mov(edx, 0x1F0);
            a.@in(ax, dx);
            a.mov(ebx, eax);
            a.mov(ecx, 255);
            a.mov(edi, 0x20_0000);
            a.rep.insw();
            Command(a, sector: 2, command: 0x30);
            a.mov(edx, 0x1F0);
            a.mov(esi, 0x10_0000);
            a.mov(ecx, 256);
            a.rep.outsw();
            a.mov(eax, ebx);
            a.@out(0xF4, al);
            a.hlt();
        }));
        Invocation run = Invocation.Of("boot", At("kernel"), "--cpus", "1", "--disk", $"{At("disk")},ide");
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal(image, File.ReadAllBytes(At("disk")));
        Assert.Equal(0, Invocation.Of("boot", At("kernel"), "--cpus", "1", "--disk", $"{At("disk")},ide,write").Code);
        Assert.NotEqual(image, File.ReadAllBytes(At("disk")));
        Assert.Equal(image[..1024], File.ReadAllBytes(At("disk"))[..1024]);
    }

    [Theory]
    [InlineData(false, 7)]
    [InlineData(true, 0)]
    public void Boot_Reset_EndsTheRunOrStartsTheMachineAgain(bool reboot, int code)
    {
        // CMOS memory survives: the second time the kernel finds its mark there.
        File.WriteAllBytes(At("kernel"), TinyKernel.Build(a =>
        {
            Label second = a.CreateLabel();
            a.mov(al, 0x50);
            a.@out(0x70, al);
            a.@in(al, 0x71);
            a.cmp(al, 0x77);
            a.je(second);
            a.mov(al, 0x77);
            a.@out(0x71, al);
            a.mov(al, 0x06);
            a.mov(edx, 0xCF9);
            a.@out(dx, al);
            a.hlt();
            a.Label(ref second);
            TinyKernel.Exit(a, ExitCode.GuestSuccess);
        }));
        string[] boot = ["boot", At("kernel"), "--cpus", "2", .. reboot ? ["--reboot"] : Array.Empty<string>()];
        Assert.Equal(code, Invocation.Of(boot).Code);
        Assert.Equal(code, Invocation.Of([.. boot, "--profile", "coherent"]).Code);
    }

    [Fact]
    public void Boot_TripleFaultWithReboot_StartsAgainUntilTheLimit()
    {
        File.WriteAllBytes(At("kernel"), TinyKernel.Build(a =>
        {
            a.mov(__dword_ptr[0x9000], 0);
            a.lidt(__fword_ptr[0x9000]);
            a.ud2();
        }));
        Assert.Equal(ExitCode.TripleFault, Invocation.Of("boot", At("kernel"), "--cpus", "1").Code);
        Assert.Equal(ExitCode.InstructionLimit, Invocation.Of("boot", At("kernel"), "--cpus", "1", "--reboot", "--max-instructions", "1k").Code);
    }

    [Fact]
    public void Boot_RtcDate_IsWhatTheClockShows()
    {
        File.WriteAllBytes(At("kernel"), TinyKernel.Build(a =>
        {
            a.mov(al, 0x09);
            a.@out(0x70, al);
            a.@in(al, 0x71);
            a.sub(al, 0x16);
            a.@out(0xF4, al);
            a.hlt();
        }));
        Assert.Equal(0, Invocation.Of("boot", At("kernel"), "--cpus", "1", "--rtc-date", "2026-05-06T07:08:09").Code);
        Assert.Equal(1, Invocation.Of("boot", At("kernel"), "--cpus", "1").Code);
    }

    [Theory]
    [InlineData("--disk nothing.img", "there is no such file")]
    [InlineData("--disk nothing.img,quickly", "is not understood behind")]
    [InlineData("--disk a,ide --disk b,ide --disk c,ide", "at most 8, and at most 2")]
    [InlineData("--rtc-date yesterday", "is not a date")]
    [InlineData("--fw-cfg name", "is not NAME=FILE")]
    [InlineData("--fw-cfg name=nothing", "there is no such file")]
    [InlineData("--debug-port no/such/folder", "cannot be written")]
    [InlineData("--at 10k", "--snapshot FILE")]
    [InlineData("--snapshot f --at soon", "is not a number of instructions")]
    [InlineData("--snapshot no/such/folder", "cannot be written")]
    [InlineData("--record-input no/such/folder", "cannot be written")]
    [InlineData("--restore nothing", "there is no such file")]
    [InlineData("--restore nothing --cpus 2", "the machine comes from a file")]
    public void Boot_OptionThatCannotBe_IsRefusedInOneLine(string options, string expected)
    {
        File.WriteAllBytes(At("kernel"), TinyKernel.Build(a => TinyKernel.Exit(a, ExitCode.GuestSuccess)));
        Invocation run = Invocation.Of(["boot", At("kernel"), .. options.Split(' ')]);
        Assert.Equal(ExitCode.Usage, run.Code);
        Assert.Contains(expected, run.Error);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.Equal("", run.Out);
    }

    private static void Command(Assembler a, int sector, byte command)
    {
        foreach ((int port, int value) in ((int, int)[])[(0x1F6, 0xE0), (0x1F2, 1), (0x1F3, sector), (0x1F4, 0), (0x1F5, 0), (0x1F7, command)])
        {
            a.mov(edx, port);
            a.mov(eax, value);
            a.@out(dx, al);
        }
    }

    private static string[] Lines(Invocation run) => run.Out.TrimEnd('\n').Split('\n');

    private static string Hash(Invocation run) => run.LastLine[run.LastLine.IndexOf("run hash", StringComparison.Ordinal)..];
}
