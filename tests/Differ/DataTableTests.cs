using System.Globalization;
using Emu.Differ.Cases;
using Emu.Differ.Host;
using Emu.Differ.Judging;
using Emu.Differ.Machines;
using Iced.Intel;
using Xunit;

namespace Emu.Tests.Differ;

/// <summary>The tables that excuse differences: each row must be true, or it would hide errors.</summary>
public class DataTableTests
{
    public static TheoryData<string> OracleErrorNames => [.. OracleErrors.Rows.Where(r => r.Oracle != OracleKind.Host || HostMachine.Unavailable == null).Select(r => $"{r.Oracle}: {r.Name}")];

    [Theory]
    [MemberData(nameof(OracleErrorNames))]
    public void OracleError_Example_GivesBothResults(string name)
    {
        OracleError row = OracleErrors.Rows.First(r => $"{r.Oracle}: {r.Name}" == name);
        Case c = CaseText.Parse(row.Example);
        using var judge = new Judge(c.Mode);
        Verdict verdict = judge.Run(c);
        Assert.True(verdict == Verdict.Explained && judge.Reason == row.Name, $"{verdict} {judge.Reason} {string.Join("; ", judge.Differences)}; oracle {Describe(judge.Expected)}; emu {Describe(judge.Actual)}");
        Assert.True(Matches(c, judge.Expected, row.OracleResult), $"oracle: {Describe(judge.Expected)} is not {row.OracleResult}");
        Assert.True(Matches(c, judge.Actual, row.ManualResult), $"Emu: {Describe(judge.Actual)} is not {row.ManualResult}");
    }

    [Fact]
    public void Undefined_EveryFlagOfATable_IsUndefinedForIcedToo()
    {
        foreach (Mnemonic mnemonic in Undefined.Mnemonics)
        {
            ulong known = 0;
            foreach (Code code in Enum.GetValues<Code>().Where(c => c.Mnemonic() == mnemonic))
            {
                var i = new Instruction { Code = code };
                // A count that makes the flags undefined, where there is one.
                for (int o = 0; o < code.ToOpCode().OpCount; o++)
                    if (code.ToOpCode().GetOpKind(o) == OpCodeOperandKind.imm8)
                        (i.Immediate8, _) = ((byte)5, SetKind(ref i, o));
                known |= Comparison.Flags(i.RflagsUndefined);
            }
            ulong extra = Undefined.MayBe(mnemonic) & ~known;
            // Iced does not model counts beyond the operand, for which SHLD and SHRD, SHL and SHR leave more undefined.
            if (mnemonic is Mnemonic.Shld or Mnemonic.Shrd or Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr)
                extra &= ~0x8D5UL;
            Assert.True(extra == 0, $"{mnemonic}: {FlagNames.Describe(extra)}");
        }
    }

    private static bool SetKind(ref Instruction i, int operand)
    {
        i.SetOpKind(operand, OpKind.Immediate8);
        return true;
    }

    private static string Describe(Outcome o) =>
        $"{Comparison.DescribeVector(o)} rip={o.Rip:x} flags={o.Flags:x} {string.Join(' ', o.Registers.Select((r, i) => r == 0 ? "" : $"{CaseText.RegisterNames[i]}={r:x}").Where(t => t.Length > 0))}";

    private static bool Matches(Case c, Outcome o, string expected)
    {
        if (expected.StartsWith('#') || expected == "none")
            return Comparison.DescribeVector(o).StartsWith(expected, StringComparison.Ordinal);
        string[] parts = expected.Split('=');
        if (parts[0].StartsWith("mem@", StringComparison.Ordinal))
        {
            ulong address = ulong.Parse(parts[0][4..], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            byte[] bytes = Convert.FromHexString(parts[1]);
            return bytes.Select((b, i) => o.Memory.ByteAt(Arena.For(c.Mode), Arena.For(c.Mode).Physical(address + (ulong)i)) == b).All(equal => equal);
        }
        ulong value = ulong.Parse(parts[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return parts[0] switch
        {
            "rip" => o.Rip == value,
            "mxcsr" => o.Floating.Mxcsr == value,
            "fsw" => o.Floating.Status == value,
            "flags" => o.Flags == value,
            _ => o.Registers[Enumerable.Range(0, 16).First(r => CaseText.NameOf(c.Mode, r) == parts[0])] == value,
        };
    }
}
