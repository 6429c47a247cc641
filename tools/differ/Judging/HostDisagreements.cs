using Emu.Differ.Cases;
using Emu.Differ.Machines;
using Iced.Intel;

namespace Emu.Differ.Judging;

/// <summary>The conditions of the rows of data/oracle-errors.txt about the host's CPU, an AMD EPYC, where it differs from Intel's manual or decides what that leaves open.</summary>
internal static class HostDisagreements
{
    private const int InvalidOpcode = 6, StackFault = 12, GeneralProtection = 13, PageFault = 14;

    public static readonly Dictionary<string, OracleErrors.Condition> Conditions = new()
    {
        ["offset-canonical"] = (c, oracle, emu, _) =>
            c.Mode == CodeMode.User64 && oracle.Vector is GeneralProtection or StackFault && emu.Vector is PageFault or Outcome.NoVector
            && OracleErrors.Faulting(c, emu, i => i.MemorySegment is Register.FS or Register.GS).Any(a => !CaseAccess.Canonical(a.Offset) || !CaseAccess.Canonical(a.Offset + (ulong)a.Size - 1)),
        ["prefetch-register"] = (c, oracle, emu, _) =>
            oracle.Vector == InvalidOpcode && emu.Vector != InvalidOpcode && Last(c, oracle) is { Op0Kind: OpKind.Register, Mnemonic: Mnemonic.Reservednop },
        ["cmpxchg-unequal"] = (c, _, emu, differences) =>
            c.First.Code == Code.Cmpxchg_rm32_r32 && c.First.Op0Kind == OpKind.Register
            && (c.Count == 2 || differences.Count == 1 && differences[0].What == CaseText.NameOf(c.Mode, EffectiveAddress.NumberOf(c.First.Op0Register))),
        ["rep-io-zero"] = (c, oracle, emu, _) =>
            oracle.Vector == GeneralProtection && emu.Vector == Outcome.NoVector && (c.First.HasRepPrefix || c.First.HasRepnePrefix)
            && c.First.Mnemonic is Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd,
        ["rep-loop"] = (c, _, _, differences) =>
            c.Last.Mnemonic is Mnemonic.Loope or Mnemonic.Loopne && differences is [{ What: "rip" }]
            && c.Code.AsSpan(c.Count == 2 ? c.First.Length : 0, c.Last.Length).ContainsAny((byte)0xF2, (byte)0xF3),
        ["arpl-read"] = (c, _, _, differences) =>
            c.First.Mnemonic == Mnemonic.Arpl && differences is [{ What: "error code" }],
        ["partial-commit"] = (c, oracle, emu, _) =>
            c.First.Mnemonic is Mnemonic.Enter or Mnemonic.Popa or Mnemonic.Popad or Mnemonic.Pusha or Mnemonic.Pushad
            && emu.Vector != Outcome.NoVector && (oracle.Vector == emu.Vector || OracleErrors.IsFaultOrder(c, oracle, emu)) && emu.Rip == oracle.Rip,
        ["fault-order"] = (c, oracle, emu, differences) => differences.Count == 1 && OracleErrors.IsFaultOrder(c, oracle, emu),
    };

    /// <summary>The instruction at which the oracle stopped.</summary>
    private static Instruction Last(Case c, Outcome oracle) => c.Count == 2 && oracle.Rip == c.Second.IP ? c.Second : c.First;
}
