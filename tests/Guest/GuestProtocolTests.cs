using Emu.Boot;
using Emu.Cli;
using Emu.Cli.Matrix;
using Emu.Fetch;
using Emu.Machines;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Guest;

/// <summary>One protocol, one file: what is in guest/protocols is what the image offers, to its command line and to those who read it.</summary>
public sealed class GuestProtocolTests
{
    [Theory]
    [InlineData("emu64.elf")]
    [InlineData("emu32.elf")]
    public void ProtocolsOfTheImage_AreTheFilesOfTheFolder(string image)
    {
        string[] files = [.. Repository.Files("guest/protocols", ".c").Select(f => Path.GetFileNameWithoutExtension(f)).Order(StringComparer.Ordinal)];
        IReadOnlyList<GuestProtocol> protocols = GuestProtocol.Read(Open(image));
        Assert.NotEmpty(files);
        Assert.Equal(files, protocols.Select(p => p.Name));
        Assert.All(protocols, p => Assert.InRange(p.Help.Length, 10, 100));
    }

    /// <summary>What the guest itself answers to an unknown word is the same list, with the same help.</summary>
    [Fact]
    public void ProtocolsOfTheImage_AreThoseThatTheGuestKnows()
    {
        string[] lines = Refused("protocol=magic");
        Assert.Equal(
            GuestProtocol.Read(Open("emu64.elf")).Select(p => $"{p.Name}: {p.Help}").Order(StringComparer.Ordinal),
            lines.Select(l => l.Split(' ', 2, StringSplitOptions.TrimEntries)).Select(w => $"{w[0]}: {w[1]}").Order(StringComparer.Ordinal));
    }

    /// <summary>init-unchecked is there to kill the guest, and so no choice of the matrix.</summary>
    [Fact]
    public void SitesOfTheMatrix_AreThoseThatTheGuestKnows() =>
        Assert.Equal([.. MatrixAxis.Site.Words, "init-unchecked"], Refused("site=magic").Select(l => l.Split(' ')[0]));

    [Fact]
    public void ImageWithoutProtocols_IsRefused()
    {
        var e = Assert.Throws<UsageException>(() => GuestProtocol.Read(Open("bench.elf")));
        Assert.Contains("bench.elf: no list of protocols", e.Message);
        Assert.Contains("make -C guest", e.Message);
    }

    /// <summary>The indented lines of the guest's answer.</summary>
    private static string[] Refused(string commandLine)
    {
        using var run = new GuestRun(commandLine, FetchProfiles.Coherent, cpus: 1);
        RunResult result = run.Machine.Run(maxInstructions: 5_000_000);
        Assert.Equal((StopReason.GuestExit, 0x11), (result.Reason, result.ExitCode));
        return [.. run.Serial.Split("\r\n").Where(l => l.StartsWith("  ", StringComparison.Ordinal)).Select(l => l.Trim())];
    }

    private static BootImage Open(string image) => BootImage.OpenFile(Path.Combine(Repository.Root, "images", image));
}
