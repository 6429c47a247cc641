using Emu.Differ.Cases;
using Emu.Differ.Machines;
using Iced.Intel;

namespace Emu.Differ.Judging;

/// <summary>A row of the table of the oracle's errors (data/oracle-errors.txt).</summary>
public sealed record OracleError(OracleKind Oracle, string Name, string Manual, string Example, string OracleResult, string ManualResult);

/// <summary>
/// Differences in which Unicorn contradicts the manual. The table tells the sentence and an example, the conditions are here: each looks at the
/// case and at both results, and names only what the error can explain.
/// </summary>
public static class OracleErrors
{
    private const int StackFault = 12, GeneralProtection = 13, PageFault = 14, InvalidOpcode = 6, AlignmentCheck = 17;
    private const ulong ZeroFlag = 0x40, ArithmeticFlags = 0x8D5, AlignmentFlag = 0x4_0000;

    internal delegate bool Condition(Case c, Outcome oracle, Outcome emu, List<Difference> differences);

    private static readonly Dictionary<string, Condition> s_conditions = new()
    {
        ["branch-target"] = IsBranchTarget,
        ["segment-limit"] = IsSegmentLimit,
        ["ret-imm16"] = IsRetImmediate,
        ["lock-neg"] = (c, _, _, differences) =>
            c.First.Mnemonic == Mnemonic.Neg && c.First.HasLockPrefix && (c.Count == 2 || OnlyFlags(differences)),
        ["test-alias"] = (c, oracle, _, _) => IsTestAlias(c.First.Code) && oracle.Vector != Outcome.NoVector,
        ["reserved-nop"] = (c, oracle, emu, _) => IsReservedNop(c.First) && oracle.Vector == InvalidOpcode && emu.Vector != InvalidOpcode,
        ["flags-at-fault"] = IsFlagsAtFault,
        ["enter-probe"] = (c, oracle, emu, _) =>
            c.First.Mnemonic == Mnemonic.Enter && emu.Rip == c.First.IP && oracle.Rip != emu.Rip && emu.Vector is StackFault or PageFault
            && !IsWritable(c, oracle.Registers[4]),
        ["enter-frame"] = (c, oracle, emu, differences) =>
            c.First.Code == Code.Enterd_imm16_imm8 && c.Mode == CodeMode.Real16
            && differences.All(d => d.What == "ebp" || d.What.StartsWith("memory", StringComparison.Ordinal)),
        ["cmpxchg-equal"] = IsCmpxchgEqual,
        ["partial-commit"] = (c, oracle, emu, differences) =>
            c.First.Mnemonic is Mnemonic.Enter or Mnemonic.Pusha or Mnemonic.Pushad or Mnemonic.Popa or Mnemonic.Popad or Mnemonic.Sgdt or Mnemonic.Sidt
            && emu.Vector != Outcome.NoVector && (oracle.Vector == emu.Vector || IsFaultOrder(c, oracle, emu)) && emu.Rip == oracle.Rip,
        ["arpl-write"] = (c, oracle, emu, _) =>
            c.First.Mnemonic == Mnemonic.Arpl && oracle.Vector == PageFault && emu.Vector != oracle.Vector,
        ["branch-66"] = (c, _, _, _) => c.Mode.Is64() && IsBranch16(c),
        ["stack-canonical"] = (c, oracle, emu, _) =>
            c.Mode.Is64() && oracle.Vector == GeneralProtection && emu.Vector == StackFault && oracle.Rip == emu.Rip
            && CaseAccesses.Of(c).Any(a => a.Stack && !a.IsCanonical),
        ["movsxd16"] = (c, _, _, _) => c.First.Code == Code.Movsxd_r16_rm16 && c.First.Op1Kind == OpKind.Memory,
        ["rex-lahf"] = (c, _, _, _) => c.First.Mnemonic is Mnemonic.Lahf or Mnemonic.Sahf && c.Mode.Is64() && c.First.Length > 1
            || c.Count == 2 && c.Second.Mnemonic is Mnemonic.Lahf or Mnemonic.Sahf && c.Mode.Is64() && c.Second.Length > 1,
        ["rip-immediate"] = (c, _, _, _) =>
            c.First.Mnemonic is Mnemonic.Shld or Mnemonic.Shrd or Mnemonic.Rorx && c.First.Op2Kind == OpKind.Immediate8 && c.First.IsIPRelativeMemoryOperand,
        ["cs-write"] = (c, oracle, emu, _) =>
            c.Mode.Bits() == 32 && emu.Vector == GeneralProtection && c.First.MemorySegment == Register.CS && CaseAccesses.Of(c).Any(a => a.Writes),
        ["clflush-probe"] = (c, oracle, emu, _) =>
            c.First.Mnemonic == Mnemonic.Clflush && emu.Rip == c.First.IP && oracle.Rip != emu.Rip && emu.Vector >= StackFault,
        ["enter16"] = (c, oracle, emu, differences) =>
            c.First.Code == Code.Enterw_imm16_imm8 && c.Mode.Is64()
            && (c.Count == 2 || differences.Count == 1) && (c.Count == 2 || emu.Registers[5] == (oracle.Registers[5] & 0xFFFF | c.Registers[5] & ~0xFFFFUL)),
        ["pdep-pext"] = (c, _, _, _) => c.First.Mnemonic is Mnemonic.Pdep or Mnemonic.Pext,
        ["bzhi"] = (c, _, _, _) => c.First.Mnemonic == Mnemonic.Bzhi && (byte)EffectiveAddress.ValueOf(c, c.First.Op2Register) >= c.First.Op0Register.GetSize() * 8 - 1,
        ["bextr"] = (c, _, _, _) => c.First.Mnemonic == Mnemonic.Bextr && EndOfExtract(c) >= c.First.Op0Register.GetSize() * 8,
        ["blsi-carry"] = (c, _, _, differences) => c.First.Mnemonic == Mnemonic.Blsi && (c.Count == 2 || OnlyFlags(differences)),
        ["rex-mov"] = (c, oracle, _, _) =>
            oracle.Vector == InvalidOpcode && IsMoveOfImmediate(c.Count == 2 && oracle.Rip == c.Second.IP ? c.Second : c.First),
        ["fault-order"] = (c, oracle, emu, differences) => differences.Count == 1 && IsFaultOrder(c, oracle, emu),
    };

    private static Dictionary<string, Condition> Conditions(OracleKind oracle) => oracle == OracleKind.Host ? HostDisagreements.Conditions : s_conditions;

    /// <summary>The table.</summary>
    public static IReadOnlyList<OracleError> Rows { get; } = ReadTable();

    /// <summary>The row that explains a difference, or null.</summary>
    public static OracleError? Find(OracleKind oracleKind, Case c, Outcome oracle, Outcome emu, List<Difference> differences)
    {
        foreach (OracleError row in Rows)
            if (row.Oracle == oracleKind && Conditions(oracleKind)[row.Name](c, oracle, emu, differences))
                return row;
        return null;
    }

    private static List<OracleError> ReadTable()
    {
        var rows = new List<OracleError>();
        foreach (string[] f in DataTable.Read("oracle-errors.txt", 6))
        {
            if (!Enum.TryParse(f[0], ignoreCase: true, out OracleKind oracle))
                throw new InvalidDataException($"oracle-errors.txt: there is no oracle '{f[0]}'");
            if (!Conditions(oracle).ContainsKey(f[1]))
                throw new InvalidDataException($"oracle-errors.txt: '{f[1]}' has no condition in OracleErrors.cs or HostDisagreements.cs");
            rows.Add(new OracleError(oracle, f[1], f[2], f[3], f[4], f[5]));
        }
        return rows;
    }

    private static bool OnlyFlags(List<Difference> differences) =>
        differences.Count == 1 && differences[0].What.StartsWith("flags", StringComparison.Ordinal);

    private static bool OnlyMemory(List<Difference> differences) => differences.All(d => d.What.StartsWith("memory", StringComparison.Ordinal));

    private static bool OnlyFlags(Outcome oracle, Outcome emu) => ((oracle.Flags ^ emu.Flags) & ~ArithmeticFlags) == 0;

    private static unsafe bool IsBranchTarget(Case c, Outcome oracle, Outcome emu, List<Difference> differences)
    {
        if (c.Last.FlowControl == FlowControl.Next || emu.Vector != GeneralProtection)
            return false;
        bool illegal = c.Mode.Is64() ? !CaseAccess.Canonical(oracle.Rip) : c.Mode == CodeMode.Real16 && oracle.Rip > 0xFFFF;
        ulong branch = c.Count == 2 ? c.Second.IP : c.First.IP;
        return illegal && emu.Rip == branch && oracle.Rip != branch;
    }

    private static bool IsSegmentLimit(Case c, Outcome oracle, Outcome emu, List<Difference> differences)
    {
        if (c.Mode.Is64() || emu.Vector is not (StackFault or GeneralProtection))
            return false;
        // Of a second instruction only the oracle knows where it went.
        if (c.Count == 2 && c.Mode.Bits() == 32 && oracle.Vector == PageFault && oracle.FaultAddress > uint.MaxValue - 16)
            return true;
        ulong limit = c.Mode == CodeMode.Real16 ? 0xFFFFUL : uint.MaxValue;
        foreach (CaseAccess a in CaseAccesses.Of(c))
            if (a.Offset + (ulong)a.Size - 1 > limit)
                return true;
        // A repeated string instruction gets there later: (E)SI or (E)DI is where Emu stopped.
        if (c.Mode != CodeMode.Real16 || !c.First.IsStringInstruction || !c.First.HasRepPrefix && !c.First.HasRepnePrefix)
            return false;
        ulong mask = UsesOpKind(c.First, OpKind.MemorySegSI, OpKind.MemoryESDI) ? 0xFFFF : uint.MaxValue;
        ulong size = (ulong)c.First.MemorySize.GetSize();
        return (emu.Registers[6] & mask) + size > 0x1_0000 || (emu.Registers[7] & mask) + size > 0x1_0000;
    }

    private static bool UsesOpKind(in Instruction i, OpKind first, OpKind second)
    {
        for (int o = 0; o < i.OpCount; o++)
            if (i.GetOpKind(o) == first || i.GetOpKind(o) == second)
                return true;
        return false;
    }

    /// <summary>Start plus length of BEXTR.</summary>
    private static int EndOfExtract(Case c)
    {
        ulong control = EffectiveAddress.ValueOf(c, c.First.Op2Register);
        return (byte)control + (byte)(control >> 8);
    }

    private static bool IsRetImmediate(Case c, Outcome oracle, Outcome emu, List<Difference> differences) =>
        c.First.Mnemonic == Mnemonic.Ret && c.First.OpCount == 1 && c.First.Immediate16 >= 0x8000
        && differences.Count == 1 && (emu.Registers[4] - oracle.Registers[4] & c.Mode.RegisterMask()) == 0x1_0000;

    private static bool IsTestAlias(Code code) =>
        code is Code.Test_rm8_imm8_F6r1 or Code.Test_rm16_imm16_F7r1 or Code.Test_rm32_imm32_F7r1 or Code.Test_rm64_imm32_F7r1;

    private static bool IsReservedNop(in Instruction i) =>
        i.Op0Kind == OpKind.Register && i.Mnemonic is Mnemonic.Reservednop or Mnemonic.Nop;

    private static bool IsFlagsAtFault(Case c, Outcome oracle, Outcome emu, List<Difference> differences) =>
        c.First.Mnemonic is Mnemonic.Rcl or Mnemonic.Rcr
        && oracle.Vector == PageFault && emu.Vector == PageFault && OnlyFlags(differences) && OnlyFlags(oracle, emu) && emu.Flags == (c.Flags | 2);

    private static bool IsCmpxchgEqual(Case c, Outcome oracle, Outcome emu, List<Difference> differences)
    {
        if (c.First.Code != Code.Cmpxchg_rm32_r32 || c.Registers[0] <= uint.MaxValue)
            return false;
        // What a second instruction makes of RAX is its own affair.
        return c.Count == 2
            || (differences.Count == 1 && (emu.Flags & ZeroFlag) != 0 && emu.Registers[0] == c.Registers[0] && oracle.Registers[0] == (uint)c.Registers[0]);
    }

    private static bool IsMoveOfImmediate(in Instruction i) =>
        i.Mnemonic == Mnemonic.Mov && i.Op1Kind is OpKind.Immediate8 or OpKind.Immediate16 or OpKind.Immediate32 or OpKind.Immediate32to64;

    /// <summary>Both fault, differently, and each fault is one that the instruction has coming.</summary>
    internal static bool IsFaultOrder(Case c, Outcome oracle, Outcome emu)
    {
        List<CaseAccess> accesses = Faulting(c, emu, _ => true);
        return MayFault(c, accesses, oracle) && MayFault(c, accesses, emu);
    }

    /// <summary>Accesses of the instruction at which Emu stopped, or none when it is not one of those asked for.</summary>
    internal static List<CaseAccess> Faulting(Case c, Outcome emu, Predicate<Instruction> which)
    {
        List<CaseAccess> accesses = CaseAccesses.Of(c);
        bool second = c.Count == 2 && emu.Rip == c.Second.IP;
        // A repeated string instruction faults where it has got to, and a second instruction where the first has left it.
        if (second || (c.First.IsStringInstruction && c.First.HasRepPrefix | c.First.HasRepnePrefix))
        {
            Case at = c.Copy();
            emu.Registers.CopyTo(at.Registers, 0);
            if (second)
                at.First = c.Second;
            accesses = CaseAccesses.Of(at);
        }
        return which(second ? c.Second : c.First) ? accesses : [];
    }

    internal static bool MayFault(Case c, List<CaseAccess> accesses, Outcome o) => o.Vector switch
    {
        AlignmentCheck => (c.Flags & AlignmentFlag) != 0 && accesses.Any(a => !a.IsAligned),
        PageFault => accesses.Any(a => a.MayFaultAt(c.Mode, o.FaultAddress)),
        Outcome.NotCanonical or GeneralProtection or StackFault => accesses.Any(a => !a.IsCanonical || (a.Size == 512 && a.Linear % 16 != 0) || (a.Size == CaseGenerator.XsaveBytes && a.Linear % 64 != 0) || (c.Mode.Bits() == 32 && a.Offset + (ulong)a.Size - 1 > uint.MaxValue)) || HasIllegalTarget(c),
        _ => false,
    };

    /// <summary>An indirect branch to where no code can be; the oracle's stack access came first.</summary>
    private static bool HasIllegalTarget(Case c)
    {
        if (!c.Mode.Is64() || c.First.FlowControl != FlowControl.IndirectCall)
            return false;
        if (c.First.Op0Kind == OpKind.Register)
            return !CaseAccess.Canonical(EffectiveAddress.ValueOf(c, c.First.Op0Register));
        ulong linear = EffectiveAddress.Linear(c, c.First.MemorySegment, EffectiveAddress.OffsetOf(c, c.First));
        return Arena.For(c.Mode).TryReadStart(c, linear, 8, out ulong target) && !CaseAccess.Canonical(target);
    }

    /// <summary>A near branch with the prefix 66.</summary>
    internal static bool IsBranch16(Case c)
    {
        ref readonly Instruction i = ref c.Last;
        if (i.FlowControl is not (FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.Call or FlowControl.IndirectBranch
            or FlowControl.IndirectCall or FlowControl.Return))
            return false;
        int start = c.Count == 2 ? c.First.Length : 0;
        for (int b = start; b < c.Length; b++)
        {
            if (c.Code[b] == 0x66)
                return true;
            if (c.Code[b] is not (0x67 or 0xF2 or 0xF3 or 0x26 or 0x2E or 0x36 or 0x3E or 0x64 or 0x65))
                return false;
        }
        return false;
    }

    private static bool IsWritable(Case c, ulong linear) =>
        Arena.For(c.Mode).IsWritable(c.Mode.Is64() ? linear : linear & uint.MaxValue);
}
