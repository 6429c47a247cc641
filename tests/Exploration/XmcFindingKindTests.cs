using Emu.Cli;
using Emu.Exploration;
using Xunit;

namespace Emu.Tests.Exploration;

public sealed class XmcFindingKindTests
{
    [Fact]
    public void FindingKinds_All_HaveNamesAndExitCodesOfTheirOwn()
    {
        Assert.Equal(9, FindingKind.UnsynchronisedExecution.ExitCode());
        Assert.Equal(17, FindingKind.SavedRipInsidePatch.ExitCode());
        Assert.Equal(FindingKinds.All.Count, FindingKinds.All.Select(k => k.Name()).Distinct().Count());
        Assert.Equal(FindingKinds.All.Count, FindingKinds.All.Select(k => k.Word()).Distinct().Count());
        int[] taken = [.. typeof(ExitCode).GetFields().Where(f => f.IsLiteral && f.Name != nameof(ExitCode.GuestSuccess)).Select(f => (int)f.GetRawConstantValue()!)];
        Assert.DoesNotContain(FindingKinds.All, k => taken.Contains(k.ExitCode()));
    }
}
