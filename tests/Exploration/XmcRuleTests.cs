using Emu.Fetch;
using Xunit;

namespace Emu.Tests.Exploration;

/// <summary>Which versions of an instruction a profile excuses, without any machine.</summary>
public sealed class XmcRuleTests
{
    private const ulong InOneGranule = 0x1000;

    /// <summary>A NOP or jump of five bytes, of which two lie in the next 16-byte granule.</summary>
    private const ulong AcrossGranules = 0x100D;

    private const string Nop5 = "0f 1f 44 00 07";
    private const string Jump5 = "e9 10 01 00 00";
    private const string OldTail = "cc 1f 44 00 07";
    private const string NewTail = "cc 10 01 00 00";

    /// <summary>Versions since the last serialisation, oldest first; the last one is in memory.</summary>
    [Theory]
    // The mail: eb e5 -> eb f0 without a serialisation between is what must not be.
    [InlineData("p6", false, "eb e5|eb f0")]
    [InlineData("intel", false, "eb e5|eb f0")]
    [InlineData("p6", false, "eb e5|cc e5|cc f0|eb f0")]
    [InlineData("intel", false, "eb e5|cc e5|cc f0|eb f0")]
    // Behind the IPI's serialisation, and before it.
    [InlineData("p6", true, "cc e5|cc f0|eb f0")]
    [InlineData("p6", true, "eb e5|cc e5")]
    [InlineData("intel", true, "cc e5|cc f0|eb f0|cc f0")]
    [InlineData("amd", true, "cc e5|cc f0|eb f0")]
    // Nobody grants the breakpoint its exemption.
    [InlineData("p6-strict", false, "eb e5|cc e5")]
    [InlineData("intel-strict", false, "cc f0|eb f0")]
    // The same bytes again are no mismatch.
    [InlineData("intel-strict", true, "eb e5")]
    [InlineData("p6", true, "eb e5|cc e5|eb e5")]
    // AMD: one store within an aligned quadword; not two, and not for others.
    [InlineData("amd", true, "eb e5|eb f0")]
    [InlineData("amd", false, "0f 1f 44 00 00|e9 1f 44 00 00|e9 10 44 00 00|e9 10 01 00 00")]
    public void Judge_TwoBytesOrFiveInOneUnit_ExcusesAsTheProfileSays(string profile, bool excused, string versions) =>
        Assert.Equal(excused, Judge(profile, InOneGranule, versions).Excused);

    [Theory]
    // One IPI is too few where the tail is fetched by itself: new opcode, old tail.
    [InlineData("intel", AcrossGranules, false, OldTail + "|" + NewTail + "|" + Jump5)]
    [InlineData("intel", InOneGranule, true, OldTail + "|" + NewTail + "|" + Jump5)]
    // In order, byte by byte, the tail is never older than the opcode.
    [InlineData("p6", AcrossGranules, true, OldTail + "|" + NewTail + "|" + Jump5)]
    [InlineData("amd", AcrossGranules, true, OldTail + "|" + NewTail + "|" + Jump5)]
    // Breakpoint and tail in one step (LKML, January 2025): old opcode, new tail.
    [InlineData("p6", InOneGranule, false, Nop5 + "|" + OldTail + "|" + NewTail)]
    [InlineData("intel", AcrossGranules, false, Nop5 + "|" + OldTail + "|" + NewTail)]
    [InlineData("intel", InOneGranule, true, Nop5 + "|" + OldTail + "|" + NewTail)]
    // Three syncs.
    [InlineData("intel", AcrossGranules, true, Nop5 + "|" + OldTail)]
    [InlineData("intel", AcrossGranules, true, OldTail + "|" + NewTail)]
    [InlineData("intel", AcrossGranules, true, NewTail + "|" + Jump5)]
    public void Judge_FiveBytes_ExcusesAsTheUnitsOfFetchingAllow(string profile, ulong at, bool excused, string versions)
    {
        XmcVerdict verdict = Judge(profile, at, versions);
        Assert.Equal(excused, verdict.Excused);
        Assert.Equal(!excused, verdict.Torn);
    }

    [Fact]
    public void Judge_Torn_SaysWhichBytesAndWhichRule()
    {
        XmcVerdict verdict = Judge("intel", AcrossGranules, OldTail + "|" + NewTail + "|" + Jump5);
        Assert.Equal("e9 10 01 00 07", BitConverter.ToString(verdict.Fetched).Replace('-', ' ').ToLowerInvariant());
        Assert.Equal(("atomic-unit", "16"), (verdict.Field, verdict.Value));
        Assert.NotEmpty(verdict.Source);
        Assert.NotEmpty(verdict.Remedy);
    }

    [Fact]
    public void Judge_OwnStore_IsNotMissed()
    {
        byte[][] versions = Parse("eb e5|eb f0");
        Assert.True(XmcRule.Judge(FetchProfiles.Intel, InOneGranule, versions, [0, 1], Length).Excused);
        Assert.False(XmcRule.Judge(FetchProfiles.Intel, InOneGranule, versions, [0, 0], Length).Excused);
    }

    private static XmcVerdict Judge(string profile, ulong at, string versions) =>
        XmcRule.Judge(FetchProfiles.Find(profile)!, at, Parse(versions), [], Length);

    private static byte[][] Parse(string versions) => [.. versions.Split('|').Select(v => Convert.FromHexString(v.Replace(" ", "", StringComparison.Ordinal)))];

    /// <summary>Of the instructions above.</summary>
    private static int Length(ReadOnlySpan<byte> bytes)
    {
        int length = bytes[0] switch { 0xCC => 1, 0xEB => 2, _ => 5 };
        return length <= bytes.Length ? length : 0;
    }
}
