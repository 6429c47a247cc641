using Emu.Differ.Cases;
using Emu.Differ.Host;
using Emu.Differ.Judging;
using Emu.Tests.House;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>The fixed corpus: some cases of every instruction that an oracle can run, and every case that once showed an error.</summary>
public class CorpusTests
{
    /// <summary>Of each code in each mode. The long run is <c>emu diff --per-code 1000</c>.</summary>
    private const int CasesPerCode = 16;

    private const ulong Seed = 20261126;

    public static TheoryData<CodeMode> Modes => [.. CodeModes.All.Where(IsThere)];

    [Theory]
    [MemberData(nameof(Modes))]
    public void Corpus_OfEveryCode_HasNoUnexplainedDifference(CodeMode mode)
    {
        var session = new Session(new SessionOptions { Seed = Seed, Modes = [mode], Count = long.MaxValue, PerCode = CasesPerCode });
        session.Run();
        Assert.True(session.Different == 0, string.Join('\n', session.Failures.Select(f => $"{f.Path}: {string.Join("; ", f.Differences)}\n  {f.Line}")));
        Assert.Equal(session.Planned, session.Cases);
        string[] silent = [.. Catalogue.For(mode).Codes.Where(c => session.ByCode.GetValueOrDefault((mode, c)).Cases == 0).Select(c => c.ToString())];
        Assert.True(silent.Length == 0, $"never run: {string.Join(' ', silent)}");
        Assert.InRange(session.Agreed, session.Cases * 95 / 100, session.Cases);
    }

    [Fact]
    public void Cases_ThatOnceFailed_Agree()
    {
        foreach (IGrouping<CodeMode, Case> group in Repository.Read("tests/Differ/corpus.txt").Split('\n').Where(l => l.Length > 0 && l[0] != '#').Select(CaseText.Parse).GroupBy(c => c.Mode))
        {
            if (!IsThere(group.Key))
                continue;
            using var judge = new Judge(group.Key);
            foreach (Case c in group)
                Assert.True(judge.Run(c) == Verdict.Agree, $"{CaseText.Format(c)}: {judge.Reason} {string.Join("; ", judge.Differences)}");
        }
    }

    private static bool IsThere(CodeMode mode) => !mode.IsUser() || HostMachine.Unavailable == null;
}
