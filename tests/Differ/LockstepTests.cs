using Emu.Boot;
using Emu.Differ.Lockstep;
using Emu.Differ.Unicorn;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>The shipped guest images in Emu and in Unicorn, compared after every instruction.</summary>
public class LockstepTests
{
    [Theory]
    [InlineData("emu64.elf")]
    [InlineData("emu32.elf")]
    public void Boot_UpToTheApic_IsTheSameInUnicorn(string image)
    {
        using var run = new UnicornLockstep(Open(image), "", further: false);
        LockstepEnd end = run.Run(1_000_000);
        Assert.True(end == LockstepEnd.Device, $"{end} at {run.Where} after {run.Compared}: {string.Join("; ", run.Differences)}");
        Assert.InRange(run.Compared, 10_000, 1_000_000);
        // Nearly everything was run by both.
        Assert.InRange(run.Fed, 0, run.Compared / 20);
    }

    [Theory]
    [InlineData("register")]
    [InlineData("flag")]
    [InlineData("memory")]
    public unsafe void Boot_WithOneResultBroken_IsReported(string what)
    {
        using var run = new UnicornLockstep(Open("emu64.elf"), "", further: false);
        run.Sabotage = (count, cpu) =>
        {
            if (count != 5000)
                return;
            if (what == "register")
                cpu.State->Registers[3] ^= 0x100;
            else if (what == "flag")
                cpu.State->SystemFlags ^= 0x400;
            else
                cpu.Memory.Base[0x9000] ^= 1;
        };
        Assert.Equal(LockstepEnd.Different, run.Run(20_000));
        Assert.NotEmpty(run.Differences);
    }

    private static BootImage Open(string image) =>
        BootImage.OpenFile(Path.Combine(UnicornLibrary.FindRepository() ?? throw new DirectoryNotFoundException("Emu.sln"), "images", image));
}
