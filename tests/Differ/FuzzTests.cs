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

    /// <summary>A group can be run again by itself: what the code caches keep of those before it makes no difference.</summary>
    [Theory]
    [InlineData(FuzzMode.Real)]
    [InlineData(FuzzMode.Protected32)]
    [InlineData(FuzzMode.Long)]
    public void Group_DoesNotDependOnThoseBeforeIt(FuzzMode mode)
    {
        using var one = new Fuzzer(seed: 3, mode);
        using var other = new Fuzzer(seed: 3, mode);
        for (int group = 0; group < 2 * Groups; group++)
        {
            Assert.Null(one.RunGroup(group * (long)Fuzzer.Group));
            if (group < Groups)
                continue;
            // The other one has not executed the first half.
            (long Retired, long Halted) before = (other.Retired, other.Halted), mine = (one.Retired, one.Halted);
            Assert.Null(one.RunGroup(group * (long)Fuzzer.Group));
            Assert.Null(other.RunGroup(group * (long)Fuzzer.Group));
            Assert.Equal((group, other.Retired - before.Retired, other.Halted - before.Halted), (group, one.Retired - mine.Retired, one.Halted - mine.Halted));
        }
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
