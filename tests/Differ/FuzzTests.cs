using Emu.Differ.Fuzz;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>The short form of <c>emu diff fuzz</c>.</summary>
public sealed class FuzzTests
{
    private const int Groups = 40;

    [Theory]
    [InlineData(FuzzMode.Real)]
    [InlineData(FuzzMode.Virtual8086)]
    [InlineData(FuzzMode.Protected16)]
    [InlineData(FuzzMode.Protected32)]
    [InlineData(FuzzMode.Compatibility)]
    [InlineData(FuzzMode.Long)]
    public void RandomBytes_NeverUpsetTheHost(FuzzMode mode)
    {
        using var fuzzer = new Fuzzer(seed: 7, mode);
        for (int group = 0; group < Groups; group++)
            Assert.Null(fuzzer.RunGroup(group * (long)Fuzzer.Group));
        // Streams that do nothing would find nothing.
        Assert.True(fuzzer.Retired > Groups * Fuzzer.Group, $"{fuzzer.Retired} instructions");
        Assert.True(fuzzer.Halted > Groups * Fuzzer.Group / 8, $"{fuzzer.Halted} handlers reached");
    }

    [Fact]
    public void Streams_FollowFromTheirNumber()
    {
        using var one = new Fuzzer(seed: 3, FuzzMode.Long);
        using var two = new Fuzzer(seed: 3, FuzzMode.Long);
        Assert.Null(one.RunGroup(0));
        Assert.Null(one.RunGroup(Fuzzer.Group));
        long retired = one.Retired;
        Assert.Null(two.RunGroup(0));
        Assert.Null(two.RunGroup(Fuzzer.Group));
        Assert.Equal(retired, two.Retired);
    }

    /// <summary>That a translation which leads elsewhere is found.</summary>
    [Fact]
    public void WrongTranslation_IsFound()
    {
        using var fuzzer = new Fuzzer(seed: 3, FuzzMode.Long) { Sabotage = true };
        FuzzFailure? failure = fuzzer.RunGroup(0);
        Assert.NotNull(failure);
        Assert.Contains("emu diff fuzz --mode Long --seed 3 --first 0", failure.Replay, StringComparison.Ordinal);
        Assert.Contains("leads out of RAM", failure.Cause.Message, StringComparison.Ordinal);
    }
}
