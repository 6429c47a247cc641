using Emu.Differ.Cases;
using Emu.Differ.Ledgers;
using Emu.Tests.House;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>The ledger: every instruction of the scope is done, or out of scope with the reason.</summary>
public class LedgerTests
{
    private const string Table = "tools/differ/LEDGER.md";

    /// <summary>EMU_UPDATE_LEDGER=1 writes what this checks.</summary>
    private static bool Updates => Environment.GetEnvironmentVariable("EMU_UPDATE_LEDGER") == "1";

    [Fact]
    public void Codes_OfTheScope_AreDoneOrOutOfScope()
    {
        string[] missing = [.. Ledger.Entries.Where(e => e.State == LedgerState.Missing).Select(e => e.Code.ToString()).Order(StringComparer.Ordinal)];
        Assert.True(missing.Length == 0, $"neither done nor out of scope with a reason in data/out-of-scope.txt: {string.Join(' ', missing)}");
    }

    [Fact]
    public void Table_InTheDocumentation_IsTheLedger()
    {
        string text = Repository.Read(Table);
        const string begin = "<!-- emu isa -->\n", end = "<!-- end -->\n";
        int from = text.IndexOf(begin, StringComparison.Ordinal) + begin.Length, to = text.IndexOf(end, StringComparison.Ordinal);
        string table = LedgerTable.Format(Ledger.Entries);
        if (Updates)
            File.WriteAllText(Repository.PathOf(Table), text[..from] + table + text[to..]);
        else
            Assert.Equal(table, text[from..to]);
    }

    [Fact]
    public void OutOfScope_EveryCode_IsOneOfTheScopeThatIsNotExecuted()
    {
        foreach ((Code code, string reason) in Ledger.OutOfScope)
        {
            Assert.Contains(code, Scope.Codes);
            Assert.False(Implementation.Has(code), $"{code} is executed, and so not out of scope: {reason}");
            Assert.NotEmpty(reason);
        }
    }

    [Fact]
    public void DoneCodes_WithoutAnOracle_AreExplained()
    {
        HashSet<Code> compared = [.. CodeModes.All.SelectMany(m => Catalogue.For(m).Codes)];
        string[] silent = [.. Ledger.Entries.Where(e => e.State == LedgerState.Done && !e.Code.ToOpCode().Fwait && !compared.Contains(e.Code) && !Ledger.Unchecked.ContainsKey(e.Code)).Select(e => e.Code.ToString())];
        Assert.True(silent.Length == 0, $"no oracle runs these, and tools/differ/data/unchecked.txt does not say why: {string.Join(' ', silent)}");
        string[] idle = [.. Ledger.Unchecked.Keys.Where(compared.Contains).Select(c => c.ToString())];
        Assert.True(idle.Length == 0, $"in unchecked.txt, but an oracle runs them: {string.Join(' ', idle)}");
    }

    [Fact]
    public void Implementation_OfACodeThatNobodyExecutes_IsMissing()
    {
        Assert.False(Implementation.Has(Code.VEX_Vaddps_ymm_ymm_ymmm256));
        Assert.False(Implementation.Has(Code.Vmlaunch));
        Assert.True(Implementation.Has(Code.Add_rm8_r8));
        Assert.True(Implementation.Has(Code.Ud2));
    }
}
