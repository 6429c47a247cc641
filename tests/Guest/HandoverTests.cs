using Emu.Cli;
using Emu.Tests.Cli;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Guest;

/// <summary>The handover guest prints by every protocol what it prints under QEMU (<c>make -C guest/handover qemu-check</c> compares with the same files).</summary>
public sealed class HandoverTests
{
    [Theory]
    [InlineData("multiboot1", "handover-multiboot.elf", "--boot-protocol multiboot1")]
    [InlineData("multiboot1", "handover-multiboot.elf", "")]
    [InlineData("multiboot2", "handover-multiboot.elf", "--boot-protocol multiboot2")]
    [InlineData("pvh", "handover-pvh.elf", "")]
    [InlineData("linux32", "handover-bzimage", "--boot-protocol linux32")]
    [InlineData("linux32", "handover-bzimage", "--boot-protocol linux32 --cpu pentium3")]
    [InlineData("linux64", "handover-bzimage", "")]
    [InlineData("linux64", "handover-bzimage", "--profile coherent --memory 5G")]
    public void Boot_Image_PrintsWhatItsLoaderHandedOver(string expected, string image, string options)
    {
        using var module = new TemporaryFile("module", "hello"u8);
        Invocation run = Invocation.Of(["boot", "--kernel", Image(image), "--initrd", module.Path, "--append", "one two", "--cpus", "2", .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);
        Assert.True(run.Code == ExitCode.Success, run.Out + run.Error);
        Assert.StartsWith(Expected(expected), run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("p6")]
    [InlineData("coherent")]
    public void Boot_Rom_StartsAtTheResetVector(string profile)
    {
        Invocation run = Invocation.Of("boot", "--bios", Image("handover-rom.bin"), "--profile", profile);
        Assert.True(run.Code == ExitCode.Success, run.Out + run.Error);
        Assert.StartsWith(Expected("rom"), run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Boot_OtherCommandLine_IsNotWhatIsExpected()
    {
        // The control: the comparison sees a difference.
        Invocation run = Invocation.Of("boot", Image("handover-pvh.elf"), "--append", "one three", "--cpus", "2");
        Assert.Equal(ExitCode.Success, run.Code);
        Assert.False(run.Out.StartsWith(Expected("pvh"), StringComparison.Ordinal));
    }

    private static string Image(string name) => Path.Combine(Repository.Root, "images", name);

    private static string Expected(string name) => Repository.Read($"guest/handover/expected/{name}.txt");
}
