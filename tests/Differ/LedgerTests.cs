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
    public void DoneCodes_WithFewerCasesThanWanted_AreExplained()
    {
        string[] silent = [.. Ledger.Entries.Where(e => e.State == LedgerState.Done && e.AllCases < LedgerTable.Wanted && !Ledger.Unchecked.ContainsKey(e.Code)).Select(e => $"{e.Code} ({e.AllCases})")];
        Assert.True(silent.Length == 0, $"fewer than {LedgerTable.Wanted} cases in data/checks.txt, and data/unchecked.txt does not say why (emu diff --per-code --record): {string.Join(' ', silent)}");
        string[] idle = [.. Ledger.Entries.Where(e => Ledger.Unchecked.ContainsKey(e.Code) && (e.AllCases >= LedgerTable.Wanted || e.State != LedgerState.Done)).Select(e => e.Code.ToString())];
        Assert.True(idle.Length == 0, $"in unchecked.txt, but checked often enough, or not done: {string.Join(' ', idle)}");
    }

    /// <summary>What only a whole machine checks is checked by one: no other oracle enters a system, returns from it, or loads its tables.</summary>
    [Theory]
    [InlineData(Code.Call_m1632)]
    [InlineData(Code.Jmp_m1632)]
    [InlineData(Code.Retfd)]
    [InlineData(Code.Retfq)]
    [InlineData(Code.Iretd)]
    [InlineData(Code.Iretq)]
    [InlineData(Code.Lgdt_m1664)]
    [InlineData(Code.Lidt_m1664)]
    [InlineData(Code.Ltr_rm16)]
    [InlineData(Code.Lldt_rm16)]
    [InlineData(Code.Mov_cr_r64)]
    [InlineData(Code.Mov_dr_r32)]
    [InlineData(Code.Wrmsr)]
    [InlineData(Code.Syscall)]
    [InlineData(Code.Sysenter)]
    [InlineData(Code.Sysretq)]
    [InlineData(Code.Sysexitq)]
    [InlineData(Code.Rsm)]
    public void SystemCodes_AreCheckedByAWholeMachine(Code code) =>
        Assert.True(MachineChecks.Oracles.Any(o => MachineChecks.Committed.Of(code, o) > 0), $"{code}: in no case that QEMU or Bochs agrees with (emu diff privileged --record)");

    [Fact]
    public void Implementation_OfACodeThatNobodyExecutes_IsMissing()
    {
        Assert.False(Implementation.Has(Code.VEX_Vaddps_ymm_ymm_ymmm256));
        Assert.False(Implementation.Has(Code.Vmlaunch));
        Assert.True(Implementation.Has(Code.Add_rm8_r8));
        Assert.True(Implementation.Has(Code.Ud2));
    }
}
